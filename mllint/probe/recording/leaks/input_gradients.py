"""Gradients of an output with respect to the inputs of a call: of embeddings where an input is made of integers.

May not: leave a gradient behind, or judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from mllint.probe.recording.leaks.axes import Axis
from mllint.probe.recording.leaks.nested import Place, tensors_in
from mllint.probe.recording.leaks.outputs import USER_ERRORS, Input, measurable
from mllint.probe.recording.leaks.replay import Replay

#: Along which dimensions the axis runs in an output or input of this shape, as masks of `Axis.masks`.
Dims = Mapping[Place, "tuple[int, ...] | None"]


class _Embedded(TorchFunctionMode):
    """Replace what an embedding gives for an integer input by a leaf that takes a gradient."""

    def __init__(self, integers: Iterable[tuple[torch.Tensor, int]]) -> None:
        super().__init__()
        self._integers = list(integers)
        self.leaves: list[tuple[torch.Tensor, int]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func is F.embedding and args and isinstance(output, torch.Tensor):
            dim = next((dim for known, dim in self._integers if _begins(args[0], known)), None)
            if dim is not None:
                output = output.detach().requires_grad_()
                self.leaves.append((output, dim))
        return output


def _begins(indices: Any, known: torch.Tensor) -> bool:
    """Are these indices the known ones, or the first of them along each dimension?"""
    if not isinstance(indices, torch.Tensor) or indices.dim() != known.dim() or known.dtype == torch.bool:
        return False
    if any(size > most for size, most in zip(indices.shape, known.shape, strict=True)):
        return False
    return torch.equal(indices.long(), known[tuple(slice(0, size) for size in indices.shape)].long())


def gradient_leak(
    replay: Replay, inputs: Iterable[Input], dims: Mapping[Place, int], axis: Axis, resized: Dims
) -> tuple[float, int]:
    """How much the outputs at untouched places depend, by their gradient, on the inputs at touched ones, relative to the
    greatest gradient; and which index along the axis they depend on most. NaN where there is no gradient to take."""
    data = [one for one in inputs if one.place in dims and not one.masks]
    floats = [one for one in data if one.tensor.is_floating_point()]
    integers = [one for one in data if not one.tensor.is_floating_point()]
    leaves = {one.place: one.tensor.clone().requires_grad_() for one in floats}
    embedded = _Embedded((one.tensor, dims[one.place]) for one in integers)
    try:
        with torch.enable_grad(), embedded:
            given = replay.give(leaves)
        objective = _untouched_power(given, axis, resized)
        wanted = [(leaves[one.place], dims[one.place]) for one in floats] + embedded.leaves
        if objective is None or not objective.requires_grad or not wanted:
            return float("nan"), 0
        found: Any = torch.autograd.grad(objective, [leaf for leaf, _ in wanted], allow_unused=True)
    except USER_ERRORS:  # reentrant checkpoints take no `grad`, some operations have none
        return float("nan"), 0
    most, leaked, index = 0.0, 0.0, 0
    for (_, dim), gradient in zip(wanted, found, strict=True):
        if gradient is None:
            continue
        along = gradient.abs().nan_to_num().float().movedim(dim, 0)
        along = along.reshape(len(along), -1).sum(1)
        most = max(most, float(along.max()))
        outside = torch.where(axis.untouched[: len(along)].to(along.device), 0.0, along)
        if float(outside.max()) > leaked:
            leaked, index = float(outside.max()), int(outside.argmax())
    return (leaked / most if most else float("nan")), index


def _untouched_power(given: Any, axis: Axis, resized: Dims) -> torch.Tensor | None:
    """The sum of squares of every output at its untouched places; of outputs with one clear dimension only."""
    parts = []
    for place, tensor in tensors_in(given):
        shape = resized.get(place)
        if not measurable(tensor) or (shape is not None and len(shape) != tensor.dim()):
            continue
        masks = [axis.masks(size, shape[dim] if shape else None) for dim, size in enumerate(tensor.shape)]
        clear = [(dim, mask[0]) for dim, mask in enumerate(masks) if mask is not None and len(mask) == 1]
        if len(clear) == 1 and sum(mask is not None for mask in masks) == 1:
            dim, kept = clear[0]
            chosen = tensor.index_select(dim, kept.nonzero()[:, 0].to(tensor.device))
            parts.append((chosen.abs() if chosen.is_complex() else chosen).float().pow(2).sum())
    return torch.stack(parts).sum() if parts else None
