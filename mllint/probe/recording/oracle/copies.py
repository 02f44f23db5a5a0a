"""Copies of modules and of what is handed to them, with the floating-point tensors in another precision.

May not: change what is copied.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from mllint.probe.recording.oracle.precision import raised

#: How deep tensors are looked for in objects that are not modules (a cache of layers of keys, say).
_DEPTH = 5

#: Attributes of a module that a forward may change, beside its tensors.
_PLAIN = (bool, int, float, str, type(None), list, dict, set)


def copied(value: Any, least: torch.dtype | None = None) -> Any:
    """A deep copy in which every tensor is detached, and in at least this precision where one is given.

    Raises whatever a part of it raises that does not let itself be copied.
    """
    memo: dict[int, Any] = {}
    for tensor in tensors_in(value):
        memo.setdefault(id(tensor), converted(tensor, least))
    return copy.deepcopy(value, memo)


def converted(tensor: torch.Tensor, least: torch.dtype | None) -> torch.Tensor:
    """A detached copy of a tensor; a parameter stays a parameter, and what required a gradient still does."""
    wanted = tensor.dtype if least is None else raised(tensor.dtype, least)
    new = tensor.detach().to(wanted, copy=True)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(new, requires_grad=tensor.requires_grad)
    return new.requires_grad_(tensor.requires_grad) if tensor.is_leaf and tensor.requires_grad else new


def copied_module(module: nn.Module, least: torch.dtype) -> nn.Module:
    """A copy to measure on, without the backward hooks of its modules: they change gradients on purpose."""
    new: nn.Module = copied(module, least)
    for inner in new.modules():
        inner._backward_hooks.clear()
        inner._backward_pre_hooks.clear()
    return new


def tensors_in(value: Any, depth: int = _DEPTH) -> Iterator[torch.Tensor]:
    """Tensors in lists, dicts, modules and attributes of objects, as deep as it is likely to matter."""
    seen: set[int] = set()
    pending = [(value, depth)]
    while pending:
        one, left = pending.pop()
        if isinstance(one, torch.Tensor):
            yield one
        elif id(one) not in seen and not isinstance(one, (str, bytes, int, float, type)):
            seen.add(id(one))
            pending += [(part, left if isinstance(one, nn.Module) else left - 1) for part in _parts(one, left)]


def _parts(value: Any, left: int) -> list[Any]:
    if isinstance(value, nn.Module):
        return list(vars(value).values())
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (list, tuple, set)):
        return list(value)
    if left <= 0 or callable(value):
        return []
    if dataclasses.is_dataclass(value):
        return [getattr(value, entry.name, None) for entry in dataclasses.fields(value)]
    return list(getattr(value, "__dict__", {}).values())


class Kept:
    """The state of a copy beside what is perturbed: buffers, frozen parameters, plain attributes; put back before each call."""

    def __init__(self, module: nn.Module, moved: set[int]) -> None:
        self._tensors = [
            (tensor, tensor.data, tensor.detach().clone())
            for tensor in (*module.parameters(), *module.buffers())
            if id(tensor) not in moved
        ]
        self._registers = [
            (inner, dict(inner._parameters), dict(inner._buffers), _plain_of(inner)) for inner in module.modules()
        ]

    def restore(self) -> None:
        with torch.no_grad():
            for inner, parameters, buffers, plain in self._registers:
                inner._parameters.update(parameters)
                inner._buffers.update(buffers)
                vars(inner).update({name: _again(value) for name, value in plain.items()})
            for tensor, data, values in self._tensors:
                tensor.data = data
                data.copy_(values)


def _plain_of(module: nn.Module) -> dict[str, Any]:
    return {
        name: _again(value)
        for name, value in vars(module).items()
        if not name.startswith("_") and isinstance(value, (*_PLAIN, torch.Tensor))
    }


def _again(value: Any) -> Any:
    """A copy as deep as a forward usually changes things: the container or the tensor itself."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    return copy.copy(value) if isinstance(value, (list, dict, set)) else value
