"""The user's own step, watched: what it calls backward on, and optimizers that stand still for once.

May not: change what the step computes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


def wants_model(step: Callable[..., Any]) -> bool:
    """Is it ``step(model, batch)``, not ``step(batch)``?"""
    try:
        parameters = inspect.signature(step).parameters.values()
    except (TypeError, ValueError):
        return False
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len([each for each in parameters if each.kind in plain and each.default is each.empty]) >= 2


@contextmanager
def backward_roots(*, retain: bool = True) -> Iterator[list[torch.Tensor]]:
    """Collect the tensors on which backward is called; with ``retain`` their graphs stay usable."""
    roots: list[torch.Tensor] = []
    original = torch.autograd.backward

    def noting(tensors: Any, *args: Any, **kwargs: Any) -> None:
        roots.extend([tensors] if isinstance(tensors, torch.Tensor) else [t for t in tensors if t is not None])
        if retain:
            rest = dict(zip(("grad_tensors", "retain_graph", "create_graph"), args, strict=False))
            kwargs = {**rest, **kwargs, "retain_graph": True}
            args = ()
        original(tensors, *args, **kwargs)

    torch.autograd.backward = noting
    try:
        yield roots
    finally:
        torch.autograd.backward = original


@contextmanager
def optimizers_held(known: Iterable[torch.optim.Optimizer] = ()) -> Iterator[None]:
    """No optimizer changes a parameter inside: ``step`` of every torch optimizer does nothing, nor do the halves into which
    some cut it (``first_step`` and ``second_step`` of SAM)."""
    held = [
        (kind, name, vars(kind)[name])
        for kind in {*_subclasses(torch.optim.Optimizer), *(kind for each in known for kind in type(each).__mro__)}
        for name in vars(kind)
        if name == "step" or (name.endswith("_step") and name[0] != "_" and not kind.__module__.startswith("torch."))
    ]
    own = [(each, vars(each).pop("step")) for each in known if "step" in vars(each)]  # schedulers wrap it on instances
    for kind, name, _ in held:
        setattr(kind, name, _nothing)
    try:
        yield
    finally:
        for kind, name, method in held:
            setattr(kind, name, method)
        for each, step in own:
            vars(each)["step"] = step


def _nothing(optimizer: Any, closure: Any = None, *args: Any, **kwargs: Any) -> Any:
    return closure() if callable(closure) else None


def _subclasses(kind: Any) -> Iterator[Any]:
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)
