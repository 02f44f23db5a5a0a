"""What are the inputs and outputs of a model of which only ``loss(model, batch)`` or ``step`` is known?

The calls of the model during one loss are noted: what it was called with is its input, what it returned its output. A
root that returns nothing but the loss is opened, and its parts are looked at instead; so is one that is never called.
`replay.py` makes a noted call again.
May not: judge, or know what the tensors mean beyond what their shapes and names say.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mllint.probe.recording.leaks.nested import Place, mapped, tensors_in
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip

#: What a forward may raise when it is given something else than it expects.
USER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
#: Calls beyond this many in one step are not noted: parts of a loop over time.
_MOST = 64
#: Their forward takes anything, and hands it on.
_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)
#: A root that returns only its loss is opened, and what it calls then, at most so often.
_OPENED = 3


@dataclass(frozen=True)
class Input:
    """A tensor that a call was given. ``name`` is the parameter of ``forward``, with the key inside it; ``direct`` where it
    is a whole argument of a parameter that the signature names."""

    name: str
    place: Place
    tensor: torch.Tensor
    direct: bool

    @property
    def masks(self) -> bool:
        """Does it say which positions count, instead of what they hold?"""
        if self.tensor.dtype == torch.bool or "mask" in self.name.lower():
            return True
        return not self.tensor.is_floating_point() and bool(((self.tensor == 0) | (self.tensor == 1)).all())


@dataclass(frozen=True)
class Call:
    """One call of a module of the model that no other module of it made."""

    module: nn.Module
    path: str
    arguments: dict[str, Any]
    modes: tuple[tuple[nn.Module, bool], ...]
    shapes: tuple[tuple[int, ...], ...]
    outputs: tuple[torch.Tensor, ...] = ()

    @property
    def kind(self) -> str:
        return type(self.module).__name__

    @property
    def size(self) -> int:
        """How many elements the parameters of its module have."""
        return sum(each.numel() for each in self.module.parameters())

    @property
    def predicts(self) -> bool:
        """Has it an output with a dimension, or nothing but the loss?"""
        return any(shape for shape in self.shapes)

    def inputs(self) -> tuple[Input, ...]:
        """The tensors with at least one dimension that it was given."""
        names = _parameter_names(self.module, len(self.arguments["args"]))
        found = []
        for place, tensor in tensors_in(self.arguments):
            if tensor.dim():
                kind, which, *inner = place
                name = names[which] if kind == "args" else str(which)
                told = name + "".join(f"[{key!r}]" for key in inner)
                found.append(Input(told, place, tensor, not inner and name in _named_parameters(self.module)))
        return tuple(found)

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.path, tuple((one.place, tuple(one.tensor.shape), one.tensor.dtype) for one in self.inputs()))


def model_calls(run: Run, batch: Any, *, limit: int = 3) -> tuple[Call, ...]:
    """The distinct calls of the model (or of its parts) in one loss that give predictions, those of the largest modules
    first. Raises Skip where there is none."""
    opened: set[str] = set()
    for _ in range(_OPENED):
        calls = all_calls(run, batch, frozenset(opened))
        useful = {call.signature: call for call in reversed(calls) if call.predicts and call.inputs()}
        whole = [
            call for call in useful.values() if not call.path
        ]  # others are recomputed in backward, if the root is called
        if useful:
            first_to_last = reversed(whole or list(useful.values()))
            return tuple(sorted(first_to_last, key=lambda call: -call.size)[:limit])
        if not calls:
            break
        opened |= {call.path for call in calls}
    raise Skip("no call of the model with tensors in and out was seen in a step")


def main_call(run: Run, batch: Any) -> Call:
    """The call that holds more than half of the model's parameters. Raises Skip where none does."""
    call = model_calls(run, batch)[0]
    whole = sum(each.numel() for each in run.model.parameters())
    if call.path and 2 * call.size <= whole:
        raise Skip("the model is called through its parts only: none of them stands for the whole")
    return call


def all_calls(run: Run, batch: Any, opened: frozenset[str] = frozenset(), *, keep: bool = False) -> list[Call]:
    """Every outermost call in one loss, in order. ``opened`` modules are looked into instead of at; with ``keep`` calls hold
    copies of their outputs."""
    calls: list[Call] = []
    depth = [0]
    modes = [(module, module.training) for module in run.model.modules()]
    with ExitStack() as stack:
        stack.callback(set_modes, modes)
        for path, module in run.model.named_modules():
            if path not in opened:
                stack.enter_context(_noted(run.model, module, path, depth, calls, keep))
        run.loss(batch)
    return calls


@contextmanager
def _noted(
    model: nn.Module, module: nn.Module, path: str, depth: list[int], calls: list[Call], keep: bool
) -> Iterator[None]:
    """Note the calls of a module. Its ``forward`` is wrapped, since a bare ``model.forward(x)`` runs no hooks."""
    given = vars(module).get("forward")
    forward = module.forward

    def noting(*args: Any, **kwargs: Any) -> Any:
        outermost = depth[0] == 0 and len(calls) < _MOST
        arguments = mapped({"args": args, "kwargs": kwargs}, lambda t: t.detach().clone()) if outermost else {}
        modes = tuple((each, each.training) for each in model.modules()) if outermost else ()
        depth[0] += 1
        try:
            output = forward(*args, **kwargs)
        finally:
            depth[0] -= 1
        if outermost:
            found = [tensor for _, tensor in tensors_in(output) if measurable(tensor)]
            shapes = tuple(tuple(tensor.shape) for tensor in found)
            kept = tuple(tensor.detach().clone() for tensor in found) if keep else ()
            calls.append(Call(module, path, arguments, modes, shapes, kept))
        return output

    try:
        vars(module)["forward"] = noting
        yield
    finally:
        if given is None:
            vars(module).pop("forward", None)
        else:
            vars(module)["forward"] = given


def measurable(tensor: torch.Tensor) -> bool:
    """Can a small change show in it?"""
    return tensor.is_floating_point() or tensor.is_complex()


def set_modes(modes: Iterable[tuple[nn.Module, bool]]) -> None:
    """Set flags only: a ``train()`` of the user's own may merge weights, or refuse."""
    for module, training in modes:
        module.training = training


def _named_parameters(module: nn.Module) -> list[str]:
    inner: Any = module
    while isinstance(inner, _WRAPPERS) or hasattr(inner, "_orig_mod"):
        inner = inner.module if isinstance(inner, _WRAPPERS) else inner._orig_mod
    try:
        parameters = inspect.signature(inner.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in parameters if each.kind not in starred]


def _parameter_names(module: nn.Module, count: int) -> list[str]:
    """What the forward calls its first positional arguments."""
    named = _named_parameters(module)
    return [named[number] if number < len(named) else f"argument {number}" for number in range(count)]
