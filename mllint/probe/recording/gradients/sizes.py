"""The size of a gradient, whatever its layout, type or order of magnitude.

May not: change a gradient.
"""

from __future__ import annotations

import math

import torch

#: Squares of values between these neither overflow nor vanish in float32.
_SQUARED_SAFELY = (1e-15, 1e15)


def largest(tensor: torch.Tensor) -> float:
    """The greatest absolute value; nan and inf where there is one, 0 for an empty tensor."""
    values = stored(tensor)
    return float(torch.linalg.vector_norm(values, math.inf)) if values.numel() else 0.0


def nonzero(tensor: torch.Tensor | None) -> bool:
    """Is there a value other than zero? Not-a-number is one."""
    return tensor is not None and bool((stored(tensor) != 0).any())


def root_mean_square(tensor: torch.Tensor, top: float | None = None) -> float:
    """Over all elements, those that a sparse tensor leaves out as well. ``top`` is its `largest`, where known."""
    values = stored(tensor)
    if not values.numel():
        return 0.0
    top = largest(tensor) if top is None else top
    wide = torch.complex128 if values.is_complex() else torch.float64
    dtype = None if _SQUARED_SAFELY[0] < top < _SQUARED_SAFELY[1] and values.dtype == torch.float32 else wide
    return float(torch.linalg.vector_norm(values, dtype=dtype)) / math.sqrt(tensor.numel())


def stored(tensor: torch.Tensor) -> torch.Tensor:
    """The values that a tensor keeps: those of a sparse one without its zeros."""
    values = tensor.detach()
    if values.layout != torch.strided:
        values = values.coalesce().values() if values.layout == torch.sparse_coo else values.to_dense()
    return values
