"""The parts of a batch, whatever it is made of: nested lists, mappings, dataclasses and plain objects of tensors or arrays.

May not: change a batch, or need numpy; an array is looked at only where numpy is loaded already.
"""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.utils._pytree import tree_map

#: Deeper than this, and wider in all, nothing is a part of its own.
_DEEPEST, _MOST = 6, 4096


def parts(batch: Any) -> dict[str, Any]:
    """Every part of a batch by its path: ``"0"``, ``"image"``, ``"inputs.input_ids"``; ``""`` is a batch of one part."""
    found: dict[str, Any] = {}
    for path, leaf in _walked(batch, "", 0):
        found[path] = leaf
        if len(found) == _MOST:
            break
    return found


def tensors(batch: Any) -> dict[str, torch.Tensor]:
    """The numeric parts of a batch by path, as dense tensors on the CPU that are not part of a graph."""
    found = {path: as_tensor(leaf) for path, leaf in parts(batch).items()}
    return {path: tensor for path, tensor in found.items() if tensor is not None}


def as_tensor(leaf: Any) -> torch.Tensor | None:
    """A tensor or array as a plain tensor on the CPU; None for what has no plain values."""
    if is_array(leaf):
        if leaf.dtype.kind not in "biufc" or not leaf.dtype.isnative:
            return None
        try:
            return torch.as_tensor(leaf)
        except (TypeError, ValueError):  # a kind that torch lacks: float128; negative strides
            return None
    if not isinstance(leaf, torch.Tensor) or leaf.layout != torch.strided or leaf.device.type == "meta":
        return None
    return None if leaf.is_nested or leaf.is_quantized else leaf.detach().cpu()


def is_array(leaf: Any) -> bool:
    """Is it a numpy array?"""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(leaf, numpy.ndarray)


def kind_of(leaf: Any) -> str:
    """What a part is, in one word and its shape: ``float32[8, 3, 32, 32]``, ``str``."""
    if isinstance(leaf, torch.Tensor) or is_array(leaf):
        return f"{str(leaf.dtype).removeprefix('torch.')}{list(leaf.shape)}"
    return type(leaf).__name__


def own(batch: Any) -> Any:
    """A copy of a batch that a step may change, its tensors detached. What cannot be copied stays the same object."""
    return tree_map(_own_leaf, batch)


def _own_leaf(leaf: Any) -> Any:
    if isinstance(leaf, torch.Tensor):
        copied = leaf.detach().clone()
        return copied.pin_memory() if leaf.is_pinned() else copied  # a loader's pinned batch stays one
    if not is_array(leaf) and _inside(leaf) is None:
        return leaf
    try:  # what pytree does not know: a BatchEncoding, a dataclass, an array
        return copy.deepcopy(leaf)
    except (TypeError, RuntimeError, ValueError, AttributeError, NotImplementedError):
        return leaf


def _walked(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    inner = _inside(value) if depth < _DEEPEST else None
    if inner is None:
        yield path, value
        return
    for name, item in inner:
        yield from _walked(item, f"{path}.{name}" if path else name, depth + 1)


def _inside(value: Any) -> list[tuple[str, Any]] | None:
    """Names and values of what a container holds; None for a part that is not taken apart."""
    if isinstance(value, (torch.Tensor, str, bytes)) or is_array(value):
        return None
    if isinstance(value, Mapping):
        return [(str(key), item) for key, item in value.items()]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=False))
    if isinstance(value, (list, tuple)):
        plain = all(isinstance(item, (str, bytes, int, float, bool)) for item in value)
        return None if plain else [(str(number), item) for number, item in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, (type, torch.nn.Module)) or callable(value):
        return None
    held = [(name, item) for name, item in getattr(value, "__dict__", {}).items() if not name.startswith("__")]
    return held if any(isinstance(item, torch.Tensor) or _holds_tensors(item) for _, item in held) else None


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(item, torch.Tensor) for item in value.values())
