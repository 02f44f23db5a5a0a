"""Modules and trainable tensors that a model keeps where torch does not look for them: in plain lists, tuples, dicts
and sets, in objects that are no modules, or as a bare tensor.

May not: walk beyond what the model's modules hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mllint.probe.recording.frames import nearness

#: Containers within containers that are looked into.
_DEPTH = 3


@dataclass(frozen=True)
class HiddenPlace:
    """An attribute of the module at ``owner``, what it holds unregistered, and the trainable tensors of that."""

    owner: str
    module: nn.Module
    attribute: str
    container: str
    things: tuple[nn.Module | torch.Tensor, ...]
    tensors: tuple[torch.Tensor, ...]


def hidden_places(model: nn.Module) -> Iterator[HiddenPlace]:
    """Every attribute that holds something trainable which the model does not know of; each thing once."""
    modules = {id(module) for module in model.modules()}
    seen = {id(tensor) for tensor in model.parameters()}
    for path, module in model.named_modules():
        for name, value in list(vars(module).items()):
            if name.startswith("_") and name.strip("_") in ("parameters", "buffers", "modules"):
                continue
            things = [thing for thing in _things_in(value, _DEPTH) if id(thing) not in modules]
            tensors = [tensor for tensor in _trainable(things) if id(tensor) not in seen]
            if tensors:
                seen |= {id(tensor) for tensor in tensors}
                yield HiddenPlace(path, module, name, type(value).__name__, tuple(things), tuple(tensors))


def _things_in(value: Any, depth: int) -> Iterator[nn.Module | torch.Tensor]:
    if isinstance(value, (nn.Module, torch.Tensor)):
        yield value
    elif depth and isinstance(value, (list, tuple, set)):
        for each in value:
            yield from _things_in(each, depth - 1)
    elif depth and isinstance(value, dict):
        for each in value.values():
            yield from _things_in(each, depth - 1)
    elif depth == _DEPTH and _users_object(value):
        for each in vars(value).values():
            yield from _things_in(each, depth - 1)


def _users_object(value: Any) -> bool:
    """Is it an instance of a plain class of the user's own?"""
    code = getattr(getattr(type(value), "__init__", None), "__code__", None)
    return hasattr(value, "__dict__") and code is not None and nearness(code.co_filename) == 2


def _trainable(things: Iterable[nn.Module | torch.Tensor]) -> Iterator[torch.Tensor]:
    for thing in things:
        if isinstance(thing, nn.Module):
            yield from (parameter for parameter in thing.parameters() if parameter.requires_grad)
        elif thing.requires_grad and thing.is_leaf:
            yield thing
