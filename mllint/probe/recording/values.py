"""A tensor as it was: the object, the storage it showed, its values and its gradient, kept and put back bit for bit.

May not: look at anything but tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

#: What a tensor that cannot be read or written raises: uninitialised, fake, of an exotic subclass.
UNREADABLE = (RuntimeError, TypeError, ValueError, NotImplementedError, AttributeError)
_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True, slots=True)
class KeptTensor:
    """``values`` is None where they cannot be read. ``hooks`` are those on the tensor itself."""

    tensor: torch.Tensor
    kind: type
    data: torch.Tensor
    values: torch.Tensor | None
    gradient: torch.Tensor | None
    gradient_values: torch.Tensor | None
    requires_grad: bool
    hooks: tuple[tuple[Any, Any], ...]

    @classmethod
    def of(cls, tensor: torch.Tensor) -> KeptTensor:
        """The tensor as it is now."""
        gradient = gradient_of(tensor)
        return cls(
            tensor,
            type(tensor),
            tensor.data,
            _copy(tensor),
            gradient,
            None if gradient is None else _copy(gradient),
            tensor.requires_grad,
            tuple((getattr(tensor, "_backward_hooks", None) or {}).items()),
        )

    def restore(self) -> None:
        """Put it back; what is as it was is not touched."""
        tensor = self.tensor
        if type(tensor) is not self.kind:
            tensor.__class__ = self.kind
        if not _shows(tensor, self.data):
            tensor.data = self.data
        if self.values is not None and not same_values(self.data, self.values):
            self.data.copy_(self.values)
        if tensor.requires_grad != self.requires_grad and tensor.is_leaf:
            tensor.requires_grad_(self.requires_grad)
        if gradient_of(tensor) is not self.gradient:
            tensor.grad = self.gradient
        if self.gradient is not None and self.gradient_values is not None:
            self.gradient.copy_(self.gradient_values)
        hooks: Any = getattr(tensor, "_backward_hooks", None)
        if tuple((hooks or {}).items()) != self.hooks:
            hooks.clear()
            hooks.update(self.hooks)

    def unchanged(self) -> bool:
        """Is everything as it was?"""
        gradient = gradient_of(self.tensor)
        if (gradient is None) != (self.gradient is None) or self.tensor.requires_grad != self.requires_grad:
            return False
        if (
            gradient is not None
            and self.gradient_values is not None
            and not same_values(gradient, self.gradient_values)
        ):
            return False
        return self.values is None or same_values(self.tensor, self.values)


def gradient_of(tensor: torch.Tensor) -> torch.Tensor | None:
    """The gradient of a leaf; None for others, without torch's warning."""
    return tensor.grad if tensor.is_leaf else None


def same_values(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Bit for bit: not-a-number is equal to itself, and -0.0 is not 0.0."""
    first, second = first.detach(), second.detach()
    if first.shape != second.shape or first.dtype != second.dtype or first.device != second.device:
        return False
    if first.layout != second.layout:
        return False
    try:
        if first.layout != torch.strided:
            return same_values(first.to_dense(), second.to_dense())
        return torch.equal(_bits(first), _bits(second))
    except UNREADABLE:
        return True  # nothing there that could be read, so nothing that could differ


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.resolve_conj().resolve_neg()
    if tensor.is_quantized:
        tensor = tensor.int_repr()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor.view(_WHOLE[tensor.element_size()])


def _copy(tensor: torch.Tensor) -> torch.Tensor | None:
    try:
        return None if tensor.is_meta else tensor.detach().clone()
    except UNREADABLE:
        return None


def _shows(tensor: torch.Tensor, data: torch.Tensor) -> bool:
    """Does the tensor show the same memory in the same shape?"""
    if tensor.layout != torch.strided or data.layout != torch.strided or tensor.shape != data.shape:
        return False
    try:
        same = tensor.data_ptr() == data.data_ptr() and tensor.dtype == data.dtype and tensor.device == data.device
    except UNREADABLE:
        return False
    return same and tensor.stride() == data.stride()


def storage(tensor: torch.Tensor) -> int:
    """The address of a tensor's memory, 0 where it has none of its own."""
    try:
        return tensor.untyped_storage().data_ptr()
    except UNREADABLE:
        return 0
