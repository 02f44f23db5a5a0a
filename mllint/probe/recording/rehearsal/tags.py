"""Which storages would lie on the GPU: a tag is a property of a storage, as the device is in torch.

So it survives views, ``.data``, ``nn.Parameter`` and the swaps of ``nn.Module.to``. A dense tensor is looked up in a tenth of
a microsecond. May not: know operators, or what a tag is used for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

import torch

V = TypeVar("V")

_address: Any = getattr(torch._C, "_storage_address", None) or (lambda tensor: tensor.untyped_storage()._cdata)

_COMPRESSED = (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)

#: How many new tags there may be before those of freed storages are looked for.
_PRUNE_AFTER = 20_000


def storage_key(tensor: torch.Tensor) -> int:
    """What identifies the memory of a tensor; 0 where it has none that one could name (opaque, lists of sparse ones)."""
    try:
        return int(_address(tensor))
    except (RuntimeError, NotImplementedError):
        inner = dense_part(tensor)
        return 0 if inner is None else int(_address(inner))


def dense_part(tensor: torch.Tensor) -> torch.Tensor | None:
    """The tensor whose storage stands for this one: itself, the values of a sparse one, what a functorch level wraps."""
    functorch: Any = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(tensor):
        tensor = functorch.get_unwrapped(tensor)
    if tensor.layout is torch.sparse_coo:
        tensor = tensor._values()
    elif tensor.layout in _COMPRESSED:
        tensor = tensor.values()
    try:
        _address(tensor)
    except (RuntimeError, NotImplementedError):
        return None
    return tensor


class StorageMap(Generic[V]):
    """A value for each tagged storage. A weak reference is held to each, so that no other storage can get its address."""

    def __init__(self) -> None:
        self.values: dict[int, V] = {}
        self._since_pruned = 0

    def __contains__(self, tensor: torch.Tensor) -> bool:
        return storage_key(tensor) in self.values

    def get(self, tensor: torch.Tensor) -> V | None:
        """The value of a tensor's storage, None where it has none."""
        return self.values.get(storage_key(tensor))

    def set(self, tensor: torch.Tensor, value: V) -> None:
        """Tag the storage of a tensor."""
        key = storage_key(tensor)
        if key and key not in self.values:
            dense = dense_part(tensor)
            assert dense is not None  # it has a key
            dense.untyped_storage()._weak_ref()  # keeps the address, not the memory
            self._since_pruned += 1
        if key:
            self.values[key] = value
        if self._since_pruned > _PRUNE_AFTER:
            self._prune()

    def discard(self, tensor: torch.Tensor) -> None:
        """Take the tag of a tensor's storage away."""
        self._forget([storage_key(tensor)])

    def clear(self) -> None:
        """Take all tags away."""
        self._forget(list(self.values))

    def _prune(self) -> None:
        self._since_pruned = 0
        self._forget([key for key in self.values if torch.UntypedStorage._expired(key)])

    def _forget(self, keys: list[int]) -> None:
        for key in keys:
            if self.values.pop(key, None) is not None:
                torch.UntypedStorage._free_weak_ref(key)  # type: ignore[no-untyped-call]


def tensors_in(thing: Any, depth: int = 4) -> Iterator[torch.Tensor]:
    """The tensors in a batch of any shape: lists, mappings, dataclasses and plain objects, a few levels deep."""
    if isinstance(thing, torch.Tensor):
        yield thing
    elif depth and isinstance(thing, (list, tuple, set, frozenset)):
        for each in thing:
            yield from tensors_in(each, depth - 1)
    elif depth and isinstance(thing, Mapping):
        for each in thing.values():
            yield from tensors_in(each, depth - 1)
    elif depth and not isinstance(thing, (type, torch.nn.Module)) and hasattr(thing, "__dict__"):
        for each in vars(thing).values():
            yield from tensors_in(each, depth - 1)
