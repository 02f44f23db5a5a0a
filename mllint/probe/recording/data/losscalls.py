"""The calls of torch's own loss functions that a step makes: what went in, what came out, and the user's line.

May not: change a value; with ``aliased`` a call gets a view of its input, so that its own gradient can be asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from mllint.probe.recording.eager import uncompiled
from mllint.probe.recording.frames import user_site
from mllint.probe.site import Site

#: The loss functions that are understood.
_LOSSES: dict[Callable[..., Any], str] = {
    function: function.__name__
    for function in (
        F.cross_entropy,
        F.nll_loss,
        F.binary_cross_entropy,
        F.binary_cross_entropy_with_logits,
        F.mse_loss,
        F.l1_loss,
        F.smooth_l1_loss,
        F.huber_loss,
    )
}


@dataclass(frozen=True)
class LossCall:
    """One call. ``told`` are its other arguments by name, with their defaults; ``value`` is what it returned."""

    name: str
    input: torch.Tensor
    target: torch.Tensor
    told: dict[str, Any]
    value: torch.Tensor
    site: Site | None

    @property
    def reduction(self) -> str:
        """One of mean, sum and none."""
        average, reduce = self.told.get("size_average"), self.told.get("reduce")
        if average is None and reduce is None:
            return str(self.told.get("reduction", "mean"))
        if reduce is False:  # the two arguments of before `reduction`
            return "none"
        return "sum" if average is False else "mean"

    @property
    def ignored(self) -> int | None:
        """The target that does not count; None where the function knows none."""
        ignored = self.told.get("ignore_index")
        return None if ignored is None else int(ignored)

    @property
    def counted(self) -> torch.Tensor:
        """The targets that count, in one row; for a call that names classes."""
        targets = self.target.detach().flatten()
        return targets if self.ignored is None else targets[torch.ne(targets, self.ignored)]

    @property
    def names_classes(self) -> bool:
        """Are the targets numbers of classes, not probabilities or values?"""
        return self.name in ("cross_entropy", "nll_loss") and not self.target.is_floating_point()

    @property
    def classes(self) -> int:
        """How many classes the input has, for a call that names classes."""
        return self.input.shape[1 if self.input.dim() > 1 else 0]

    def again(self, input: torch.Tensor | None = None, **changed: Any) -> torch.Tensor:
        """The same call with something changed. Outside a mode; raises what the function raises."""
        told = {**self.told, "size_average": None, "reduce": None, "reduction": self.reduction, **changed}
        function = next(function for function, name in _LOSSES.items() if name == self.name)
        known = _parameters(function)
        given = {name: value for name, value in told.items() if name in known}
        found: torch.Tensor = function(self.input if input is None else input, self.target, **given)
        return found


class _Watching(TorchFunctionMode):
    def __init__(self, aliased: bool) -> None:
        super().__init__()
        self.calls: list[LossCall] = []
        self._aliased = aliased

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = _LOSSES.get(func) if callable(func) and getattr(func, "__hash__", None) else None
        told = _bound(func, args, kwargs) if name is not None else None
        if name is None or told is None:
            return func(*args, **kwargs)
        first, target = told.pop("input"), told.pop("target")
        if self._aliased and first.requires_grad and torch.is_grad_enabled():
            first = first.view_as(first)
        value = func(first, target, **told)
        if isinstance(value, torch.Tensor):
            self.calls.append(LossCall(name, first, target, told, value, user_site()))
        return value


@contextmanager
def loss_calls(*, aliased: bool = False) -> Iterator[list[LossCall]]:
    """Collect the calls made inside, on this thread."""
    with uncompiled(), _Watching(aliased) as watching:
        yield watching.calls


def _bound(function: Any, args: Any, kwargs: Any) -> dict[str, Any] | None:
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return None
    bound.apply_defaults()
    told = dict(bound.arguments)
    both = isinstance(told.get("input"), torch.Tensor) and isinstance(told.get("target"), torch.Tensor)
    return told if both else None


@cache
def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)
