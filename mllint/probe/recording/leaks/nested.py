"""Tensors inside whatever a model takes and gives: dicts, tuples, dataclasses, model outputs, batch objects.

May not: know what a tensor means, or change the value it looks at.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

#: The keys, indices and attribute names that lead to a tensor.
Place = tuple[Any, ...]

#: Deeper than this nothing is looked for: what refers to itself must end somewhere.
_DEEPEST = 8


def tensors_in(value: Any, place: Place = ()) -> Iterator[tuple[Place, torch.Tensor]]:
    """Every strided tensor in a value, with its place."""
    if isinstance(value, torch.Tensor):
        if value.layout == torch.strided and not value.is_nested:
            yield place, value
    elif len(place) < _DEEPEST:
        for key, item in _items(value):
            yield from tensors_in(item, (*place, key))


def replaced(value: Any, changes: Mapping[Place, torch.Tensor], place: Place = ()) -> Any:
    """A copy of the value with other tensors at some places; what holds none of them is the same object."""
    if place in changes:
        return changes[place]
    if not any(other[: len(place)] == place for other in changes):
        return value
    items = {key: replaced(item, changes, (*place, key)) for key, item in _items(value)}
    if type(value) is dict:
        return {key: items[key] for key in value}
    if isinstance(value, Mapping):
        other: Any = copy.copy(value)
        for key, item in items.items():
            if item is not value[key]:
                other[key] = item
        return other
    if isinstance(value, tuple):
        return type(value)(*items.values()) if hasattr(value, "_fields") else tuple(items.values())
    if isinstance(value, list):
        return list(items.values())
    other = copy.copy(value)
    for key, item in items.items():
        object.__setattr__(other, key, item)
    return other


def mapped(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """A copy of the value with every tensor changed."""
    return replaced(value, {place: change(tensor) for place, tensor in tensors_in(value)})


def _items(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, PackedSequence):  # its rows are neither samples nor positions
        return []
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if isinstance(value, (type, torch.nn.Module)) or callable(value):
        return []
    if dataclasses.is_dataclass(value):
        return [(each.name, getattr(value, each.name)) for each in dataclasses.fields(value)]
    return [(key, item) for key, item in getattr(value, "__dict__", {}).items() if isinstance(item, torch.Tensor)]
