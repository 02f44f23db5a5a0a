"""Which rows of a table an operation asks for, and whether the table has them, for every torch function that takes indices.

May not: run the operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


@dataclass(frozen=True)
class Lookup:
    """``indices`` into something of ``size`` rows. ``wraps``: indices from -size on count from the end. ``ignored`` is an
    index that is left out. ``silent``: torch raises nothing. ``table`` is what is read, where it may have a name."""

    indices: torch.Tensor
    size: int
    wraps: bool = False
    ignored: int | None = None
    silent: bool = False
    table: torch.Tensor | None = None

    @property
    def lowest(self) -> int:
        """The smallest index that is legal."""
        return -self.size if self.wraps else 0


@dataclass(frozen=True)
class Excess:
    """The indices of a lookup that its table does not have: their extremes, how many, of how many."""

    low: int
    high: int
    count: int
    total: int


def lookups(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Lookup]:
    """What a call of a torch function looks up. Empty for what looks nothing up, or is not understood."""
    reader = _READERS.get(str(getattr(function, "__name__", "")).rstrip("_").removeprefix("__"))
    if reader is None:
        return []
    try:
        return [each for each in reader(args, kwargs) if each.indices.dtype in _INTEGERS]
    except (IndexError, KeyError, TypeError, AttributeError, ValueError, RuntimeError):  # a call that torch refuses
        return []


def excess(lookup: Lookup) -> Excess | None:
    """What of a lookup is out of its table; None where nothing is, or where values cannot be read (vmap, fake tensors)."""
    try:
        indices = lookup.indices.detach()
        if indices.numel() == 0 or indices.device.type == "meta":
            return None
        low, high = (int(each) for each in torch.aminmax(indices))
        if lookup.lowest <= low and high < lookup.size:
            return None
        counted = indices.long()
        if lookup.ignored is not None:
            counted = counted[counted != lookup.ignored]
        out = counted[(counted < lookup.lowest) | (counted >= lookup.size)]
        if out.numel() == 0:
            return None
        return Excess(int(counted.min()), int(counted.max()), out.numel(), counted.numel())
    except (RuntimeError, TypeError, NotImplementedError):
        return None


def _argument(args: tuple[Any, ...], kwargs: dict[str, Any], position: int, *names: str) -> Any:
    return args[position] if len(args) > position else next(kwargs[name] for name in names if name in kwargs)


def _of_table(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Lookup]:
    """embedding, embedding_bag: (input, weight) in `nn.functional`, the other way round in `torch`."""
    first, second = _argument(args, kwargs, 0, "input"), _argument(args, kwargs, 1, "weight", "indices")
    if first.is_floating_point():
        first, second = second, first
    if second.dim() == 2:
        yield Lookup(first, second.shape[0], table=second)


def _of_classes(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Lookup]:
    """cross_entropy, nll_loss."""
    logits, target = _argument(args, kwargs, 0, "input"), _argument(args, kwargs, 1, "target")
    ignored = args[4] if len(args) > 4 else kwargs.get("ignore_index", -100)
    yield Lookup(target, logits.shape[1 if logits.dim() > 1 else 0], ignored=ignored)


def _along(*, wraps: bool = False) -> Callable[[tuple[Any, ...], dict[str, Any]], Iterator[Lookup]]:
    """gather, scatter, index_select, …: (input, dim, index, …)."""

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Lookup]:
        table, dim = args[0] if args else kwargs["input"], _argument(args, kwargs, 1, "dim")
        index = _argument(args, kwargs, 2, "index")
        yield Lookup(index, table.shape[dim] if table.dim() else 1, wraps, table=table)

    return read


def _taken(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Lookup]:
    table, index = args[0] if args else kwargs["input"], _argument(args, kwargs, 1, "index")
    yield Lookup(index, table.numel(), wraps=True, table=table)


def _taken_along(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Lookup]:
    """With a dim, an index beyond the end comes out as its remainder and nothing is raised."""
    table, indices = args[0] if args else kwargs["input"], _argument(args, kwargs, 1, "indices")
    dim = args[2] if len(args) > 2 else kwargs.get("dim")
    if dim is not None:
        yield Lookup(indices, table.shape[dim], wraps=True, silent=True, table=table)


def _one_hot(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Lookup]:
    classes = args[1] if len(args) > 1 else kwargs.get("num_classes", -1)
    if classes > 0:
        yield Lookup(args[0] if args else kwargs["tensor"], classes)


def _subscript(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Lookup]:
    """``table[index]`` and ``table[index] = value``: integer tensors in the subscript, each along its dimension."""
    table, subscript = args[0], args[1]
    dim = 0
    items = subscript if isinstance(subscript, tuple) else (subscript,)
    for number, item in enumerate(items):
        if item is None or isinstance(item, bool):
            continue
        if item is Ellipsis:
            dim = table.dim() - sum(_width(later) for later in items[number + 1 :])
            continue
        if isinstance(item, torch.Tensor) and item.dtype in _INTEGERS and item.dtype != torch.uint8:
            yield Lookup(item, table.shape[dim], wraps=True, table=table)
        dim += _width(item)


def _width(item: Any) -> int:
    """How many dimensions one item of a subscript takes up."""
    if item is None or isinstance(item, bool):
        return 0
    masks = isinstance(item, torch.Tensor) and item.dtype in (torch.bool, torch.uint8)
    return item.dim() if masks else 1


_READERS: dict[str, Callable[[tuple[Any, ...], dict[str, Any]], Iterator[Lookup]]] = {
    "embedding": _of_table,
    "embedding_bag": _of_table,
    "cross_entropy": _of_classes,
    "nll_loss": _of_classes,
    "gather": _along(),
    "scatter": _along(),
    "scatter_add": _along(),
    "scatter_reduce": _along(),
    "index_select": _along(),
    "index_add": _along(),
    "index_copy": _along(),
    "index_fill": _along(wraps=True),
    "take": _taken,
    "take_along_dim": _taken_along,
    "one_hot": _one_hot,
    "getitem": _subscript,
    "setitem": _subscript,
}
