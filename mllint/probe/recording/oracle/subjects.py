"""A layer, a custom autograd Function or the whole objective as something that slopes can be taken of.

May not: decide what a slope means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_unflatten

from mllint.probe.recording.oracle.capture import FunctionCall, LayerCall, checkpoints_in_line
from mllint.probe.recording.oracle.copies import Kept, converted, copied, copied_module, tensors_in
from mllint.probe.recording.oracle.cuts import unwatched
from mllint.probe.recording.oracle.slopes import Subject, Unclear

Seeded = Callable[[], AbstractContextManager[None]]


def layer_subject(call: LayerCall, dtype: torch.dtype, seeded: Seeded) -> Subject:
    """A copy of a layer on the inputs of one call; its inputs and parameters are the leaves. Raises Unclear."""
    module = copied_module(call.module, dtype)
    inputs = _input_leaves(call.inputs, call.wanted, dtype)
    own = _parameter_leaves(module)
    names = _input_names(call)
    leaves = {**{names[place]: leaf for place, leaf in inputs.items()}, **own}
    kept = Kept(module, {id(leaf) for leaf in own.values()})
    given = copied(call.inputs, dtype)

    def run() -> list[torch.Tensor]:
        with unwatched():
            kept.restore()
            told = copied(given)
            for place, leaf in inputs.items():
                told[place] = leaf.clone()  # what is handed to a layer is no leaf: it may be changed in place
        args, kwargs = tree_unflatten(told, call.spec)
        with seeded(), checkpoints_in_line():
            return floating(module(*args, **kwargs))

    groups: dict[str, tuple[str, ...]] = {names[place]: (names[place],) for place in inputs}
    groups |= _parameter_groups(module, own)
    return _subject(leaves, run, groups, dtype)


def function_subject(call: FunctionCall, dtype: torch.dtype, seeded: Seeded) -> Subject:
    """A custom Function on the inputs of one application. Raises Unclear."""
    inputs = _input_leaves(call.inputs, call.wanted, dtype)
    kind: Any = call.kind

    def run() -> list[torch.Tensor]:
        with unwatched():
            told = copied(call.inputs, dtype)
            for place, leaf in inputs.items():
                told[place] = leaf.clone()
        with seeded():
            return floating(kind.apply(*told))

    leaves = {f"input[{place}]": leaf for place, leaf in inputs.items()}
    return _subject(leaves, run, {name: (name,) for name in leaves}, dtype)


def whole_subject(
    model: nn.Module, others: Sequence[nn.Module], loss: Callable[[], torch.Tensor], dtype: torch.dtype, aligned: bool
) -> Subject:
    """The objective as a function of all parameters of a model that may be changed. ``others`` are modules that the loss
    changes too (a teacher). Raises Unclear."""
    leaves = _parameter_leaves(model)
    moved = {id(leaf) for leaf in leaves.values()}
    states = [Kept(each, moved) for each in (model, *others)]

    def run() -> list[torch.Tensor]:
        with unwatched():
            for state in states:
                state.restore()
        with checkpoints_in_line():
            return [loss()]

    subject = _subject(leaves, run, {"all parameters": tuple(leaves)}, dtype)
    subject.aligned, subject.costly = aligned, True
    return subject


def floating(told: Any) -> list[torch.Tensor]:
    """The tensors of floating-point or complex numbers in what was returned, in objects of the user's own, too."""
    found = [
        tensor
        for leaf in tree_leaves(told)
        for tensor in ([leaf] if isinstance(leaf, torch.Tensor) else tensors_in(leaf, 2))
    ]
    distinct = {id(tensor): tensor for tensor in found if tensor.is_floating_point() or tensor.is_complex()}
    return list(distinct.values())


def _subject(
    leaves: dict[str, torch.Tensor], run: Callable[[], list[torch.Tensor]], groups: Any, dtype: torch.dtype
) -> Subject:
    if not leaves:
        raise Unclear("nothing in it required a gradient")
    return Subject(leaves, run, groups, dtype)


def _input_leaves(inputs: list[Any], wanted: tuple[bool, ...], dtype: torch.dtype) -> dict[int, torch.Tensor]:
    return {
        place: converted(value.detach(), dtype).requires_grad_(True)
        for place, (value, chosen) in enumerate(zip(inputs, wanted, strict=True))
        if chosen and value.layout == torch.strided
    }


def _input_names(call: LayerCall) -> dict[int, str]:
    """``input[0]`` for what stands at a position, ``input[mask]`` for what is handed over by name."""
    numbered = list(range(len(call.inputs)))
    args, kwargs = tree_unflatten(numbered, call.spec)
    names = {place: f"input[{place}]" for place in numbered}
    for position, value in enumerate(args):
        names |= dict.fromkeys(tree_leaves(value), f"input[{position}]") if type(value) is int else {}
    for key, value in kwargs.items():
        names |= {value: f"input[{key}]"} if type(value) is int else {}
    return names


def _parameter_leaves(module: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters that a gradient is wanted for and that no hook changes the gradient of."""
    return {
        name: parameter
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
        and not parameter._backward_hooks
        and parameter.is_leaf
        and (parameter.is_floating_point() or parameter.is_complex())
        and parameter.numel()
    }


def _parameter_groups(module: nn.Module, own: dict[str, torch.Tensor]) -> dict[str, tuple[str, ...]]:
    """The layer's own parameters one by one, those of the layers inside it together."""
    groups = {name: (name,) for name in own if "." not in name}
    inside = tuple(name for name in own if "." in name)
    return groups | ({"parameters inside": inside} if inside else {})
