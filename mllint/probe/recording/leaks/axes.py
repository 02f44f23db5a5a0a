"""Samples and positions inside tensors: which dimension they run along, how to change one, and who else notices.

A dimension is known by what happens when one sample is repeated, or the last position is left out: the sizes that follow
it hold samples (or positions), in whatever order a reshape has put them. May not: run a model, or judge.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from mllint.probe.recording.leaks.nested import Place
from mllint.probe.recording.leaks.outputs import Input

#: Beyond this a value stands for minus infinity, and says nothing about the scale of a tensor.
_MASKED = 1e9
#: A change is never measured on a scale finer than this share of the values.
_FINEST = 1e-2


@dataclass(frozen=True)
class Axis:
    """``size`` samples or positions; a resized run has ``step`` more. ``untouched`` tells which of them were not changed."""

    size: int
    step: int
    untouched: torch.Tensor

    def masks(self, size: int, resized: int | None) -> list[torch.Tensor] | None:
        """What is untouched along a dimension of this size, in every reading that there is: None where the dimension does
        not follow the axis, empty where it cannot be told. ``resized`` is the dimension's size in the resized run."""
        if resized is None:
            return [self.untouched] if size == self.size else None
        grown = resized - size
        if grown == 0:
            return None
        if grown == self.step and size == self.size:
            return [self.untouched]
        if grown == self.step == -1 and size > self.size:  # positions behind a prefix
            return [torch.cat([self.untouched, self.untouched.new_zeros(size - self.size)])]
        times, rest = divmod(size, self.size)
        if rest == 0 and grown == self.step * times:
            return [self.untouched.repeat_interleave(times), self.untouched.repeat(times)]
        return []


@dataclass(frozen=True)
class Effect:
    """``whole`` is the greatest change of a tensor relative to its values, ``leak`` the greatest change where nothing
    should have changed, relative to the greatest change; None where no such place is known. ``axes`` counts the
    dimensions that follow the axis."""

    whole: float
    leak: float | None
    axes: int


def effect(base: torch.Tensor, other: torch.Tensor, resized: tuple[int, ...] | None, axis: Axis) -> Effect:
    """What a change along an axis did to a tensor. ``resized`` is its shape in the resized run, None where there is none."""
    change, scale = difference(base, other)
    most = float(change.max()) if change.numel() else 0.0
    known = resized if resized is not None and len(resized) == base.dim() else None
    masks = [axis.masks(size, known[dim] if known else None) for dim, size in enumerate(base.shape)]
    following = [(dim, mask) for dim, mask in enumerate(masks) if mask is not None]
    whole = most / scale if scale else 0.0
    if not following:
        return Effect(whole, None, 0)
    finest = max(most, _FINEST * scale)
    leaks = []
    for reading in itertools.product(*(mask for _, mask in following)):
        kept = change
        for (dim, _), mask in zip(following, reading, strict=True):
            kept = kept.index_select(dim, mask.nonzero()[:, 0].to(kept.device))
        if kept.numel():
            leaks.append(float(kept.max()) / finest if finest else 0.0)
    return Effect(whole, min(leaks) if leaks else None, len(following))


def difference(base: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, float]:
    """The absolute change of each element, and the greatest value that is no stand-in for infinity."""
    first, second = _real(base), _real(other)
    change = (second - first).abs()
    same = (first == second) | (first.isnan() & second.isnan())
    values = first.abs()
    counted = values[values < _MASKED]
    scale = float(counted.max()) if counted.numel() else 0.0
    change = torch.where(same, torch.zeros_like(change), change)
    return torch.nan_to_num(change, nan=scale, posinf=scale), scale


def _real(tensor: torch.Tensor) -> torch.Tensor:
    tensor = torch.view_as_real(tensor).norm(dim=-1) if tensor.is_complex() else tensor
    return tensor if tensor.dtype == torch.float64 else tensor.float()


# ---- samples


def batch_size(inputs: Iterable[Input], first: int) -> int:
    """How many samples there are: the size that most inputs have along dimension ``first`` (0, or 1 for time first)."""
    sizes = [one.tensor.shape[first if one.tensor.dim() > first else 0] for one in inputs]
    return max(sizes, key=sizes.count) if sizes else 0


def batch_dims(inputs: Iterable[Input], first: int) -> dict[Place, int]:
    """The dimension of the samples of every input that has one. In what has three dimensions (memory, states of cells) it
    may be the other one of the first two; in four and more that other one is channels or heads, whatever its size."""
    inputs = list(inputs)
    size, found = batch_size(inputs, first), {}
    for one in inputs:
        shape = one.tensor.shape
        likely = [first, 1 - first] if one.tensor.dim() == 3 else [first] if one.tensor.dim() > first else [0]
        dim = next((dim for dim in likely if shape[dim] == size), None)
        if dim is not None:
            found[one.place] = dim
    return found


def with_sample_copied(
    inputs: Iterable[Input], dims: dict[Place, int], to: int, source: int
) -> dict[Place, torch.Tensor]:
    """Every input that has samples, with sample ``to`` made a copy of another one: valid data, whatever it means."""
    changes = {}
    for one in inputs:
        if one.place in dims:
            dim, changed = dims[one.place], one.tensor.clone()
            changed.select(dim, to).copy_(one.tensor.select(dim, source))
            changes[one.place] = changed
    return changes


def with_noise_in(inputs: Iterable[Input], dims: dict[Place, int], to: int) -> dict[Place, torch.Tensor]:
    """Every floating-point input that has samples, with large positive noise added to sample ``to``: it becomes the greatest
    of the batch by most measures, so that what is picked by one changes."""
    changes, generator = {}, torch.Generator().manual_seed(0)
    for one in inputs:
        if one.place in dims and one.tensor.is_floating_point() and not one.masks:
            part, changed = one.tensor.select(dims[one.place], to), one.tensor.clone()
            noise = torch.randn(part.shape, generator=generator).abs().to(part.device, part.dtype)
            spread = one.tensor.float().std(correction=0).to(part.dtype)
            changed.select(dims[one.place], to).add_(noise * (3 * spread + 1e-3))
            changes[one.place] = changed
    return changes


def with_last_sample_twice(inputs: Iterable[Input], dims: dict[Place, int]) -> dict[Place, torch.Tensor]:
    """One sample more, so that no batch of one arises; the last one, so that sorted lengths stay sorted."""
    return {
        one.place: torch.cat([one.tensor, one.tensor.narrow(dims[one.place], -1, 1)], dim=dims[one.place])
        for one in inputs
        if one.place in dims
    }


# ---- positions


def time_dims(one: Input, length: int, sequence_dim: int, batch_dim: int | None) -> list[int]:
    """The dimensions of an input that are positions: one, or both of a mask of scores."""
    shape = one.tensor.shape
    if one.masks or len(shape) >= 4:
        return [dim for dim in range(len(shape)) if shape[dim] == length and dim != batch_dim]
    dim = min(sequence_dim, len(shape) - 1)
    return [dim] if dim != batch_dim and shape[dim] == length else []


def without_last_position(inputs: Iterable[Input], dims: dict[Place, list[int]]) -> dict[Place, torch.Tensor]:
    """Every input that has positions, one shorter."""
    changes = {}
    for one in inputs:
        shorter = one.tensor
        for dim in dims.get(one.place, []):
            shorter = shorter.narrow(dim, 0, shorter.shape[dim] - 1)
        if shorter is not one.tensor:
            changes[one.place] = shorter.clone()
    return changes


def with_other_future(one: Input, batch_dim: int, time_dim: int, begin: int) -> torch.Tensor:
    """An input whose positions from ``begin`` on are those of the next sample, or its own in reverse where that is the same."""
    length = one.tensor.shape[time_dim]
    changed = one.tensor.clone()
    future = changed.narrow(time_dim, begin, length - begin)
    other = one.tensor.roll(1, batch_dim).narrow(time_dim, begin, length - begin)
    if torch.equal(other, future):
        other = one.tensor.flip(time_dim).narrow(time_dim, begin, length - begin)
    future.copy_(other)
    return changed
