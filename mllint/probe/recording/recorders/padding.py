"""Take padded samples of the batches, move their padding to the other side, leave it out, and compare the outputs.

May not: pad what the target has not padded; how a model takes what it is never given is no fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from mllint.probe.measured.padding import Padding
from mllint.probe.recording.leaks.axes import batch_dims, difference, time_dims
from mllint.probe.recording.leaks.blame import blamed, fault_site
from mllint.probe.recording.leaks.nested import Place, tensors_in
from mllint.probe.recording.leaks.outputs import USER_ERRORS, Call, Input, main_call
from mllint.probe.recording.leaks.replay import Replay, replaying
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip

_BATCHES = 3
_SAMPLES = 3
#: A change below this needs no culprit.
_LOOKED_INTO = 1e-3


@dataclass(frozen=True)
class _Padded:
    """Sample ``row`` of an input: its content lies from ``begin`` to ``end`` of ``length`` positions."""

    one: Input
    row: int
    begin: int
    end: int
    length: int
    masked: bool

    @property
    def content(self) -> list[int]:
        return list(range(self.begin, self.end))

    @property
    def moved(self) -> list[int]:
        """The order of positions that puts the padding on the other side."""
        padding = [at for at in range(self.length) if not self.begin <= at < self.end]
        return self.content + padding if self.begin else padding + self.content

    @property
    def moved_content(self) -> list[int]:
        """Where the content then is."""
        return [at if self.begin else at + self.length - len(self.content) for at in range(len(self.content))]


def record(run: Run) -> Padding:
    """Raises Skip where no padding id is declared, or no batch is padded with it."""
    pad = run.entry.pad
    if pad is None:
        raise Skip("the target does not declare `pad`")
    for number in range(_BATCHES):
        batch = run.batch(number)
        if any(_ends_padded(tensor, pad) for _, tensor in tensors_in(batch)):
            break
    else:
        raise Skip(f"no batch is padded with {pad}")
    call = main_call(run, batch)
    found = _padded(run, call, pad)
    if not found:
        raise Skip(f"no input of the model is padded with {pad}")
    with replaying(run, call, evaluating=True) as replay:
        replay.base()
        measured = [_looked_at(run, replay, one, found) for one in _chosen(found)]
    return max(measured, key=lambda one: min(_known(one.moved), _known(one.trimmed)))


def _known(value: float) -> float:
    return value if value == value else -1.0


def _ends_padded(tensor: torch.Tensor, pad: int) -> bool:
    if tensor.dim() < 2 or _no_ids(tensor):
        return False
    return any(bool((tensor.select(dim, at) == pad).any()) for dim in range(min(2, tensor.dim())) for at in (0, -1))


def _no_ids(tensor: torch.Tensor) -> bool:
    """Is it no tensor of ids?"""
    return tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool


def _padded(run: Run, call: Call, pad: int) -> list[_Padded]:
    inputs = call.inputs()
    dims = batch_dims(inputs, 1 if run.entry.sequence_dim == 0 else 0)
    found: list[_Padded] = []
    for one in inputs:
        if _no_ids(one.tensor) or one.tensor.dim() != 2 or "mask" in one.name or one.place not in dims:
            continue
        rows = one.tensor if dims[one.place] == 0 else one.tensor.T
        masks = [other.tensor for other in inputs if other.masks and other.tensor.shape == one.tensor.shape]
        masks = [mask if dims[one.place] == 0 else mask.T for mask in masks]
        for row, ids in enumerate(rows):
            content = (ids != pad).nonzero()[:, 0]
            if len(content) < 2 or len(content) == len(ids):
                continue
            begin, end = int(content[0]), int(content[-1]) + 1
            spans = [_span_of(mask[row].bool(), begin, end) for mask in masks]
            known = next((span for span in spans if span is not None), None)
            begin, end = known or (begin, end)
            if end - begin < len(ids):
                found.append(_Padded(one, row, begin, end, len(ids), known is not None))
        if found:
            return found
    return found


def _span_of(mask: torch.Tensor, begin: int, end: int) -> tuple[int, int] | None:
    """The positions that a mask lets through, where it is a mask of this padding (or of all the rest)."""
    for kept in (mask, ~mask):
        inside = kept.nonzero()[:, 0]
        if bool(kept[begin:end].all()) and not bool(kept.all()) and len(inside) == int(inside[-1] - inside[0]) + 1:
            return int(inside[0]), int(inside[-1]) + 1
    return None


def _chosen(found: list[_Padded]) -> list[_Padded]:
    """The samples with most padding, and among them one of each side."""
    most = sorted(found, key=lambda one: len(one.content) - one.length)
    sides = {bool(one.begin): one for one in reversed(most)}
    return [*sides.values(), *(one for one in most if one not in sides.values())][:_SAMPLES]


def _looked_at(run: Run, replay: Replay, one: _Padded, found: list[_Padded]) -> Padding:
    inputs = replay.call.inputs()
    as_is = _arranged(run, inputs, one, list(range(one.length)))
    try:
        base = replay.outputs(as_is)
    except USER_ERRORS as error:
        raise Skip("the model does not take the samples of a batch one by one") from error
    without = _arranged(run, inputs, one, one.content)
    trimmed, moved, pooled = float("nan"), float("nan"), True
    try:
        short = replay.outputs(without)
    except USER_ERRORS:  # a fixed length: padding is part of the format
        short = {}
    if short:
        trimmed, pooled = _change(base, short, one, range(len(one.content)), short)
        other = replay.outputs(_arranged(run, inputs, one, one.moved))
        moved, _ = _change(base, other, one, one.moved_content, short)
    site = fault_site(replay.call.module, run.made)
    path, kind = replay.call.path, replay.call.kind
    if min(_known(trimmed), _known(moved)) > _LOOKED_INTO:

        def differs(before: torch.Tensor, after: torch.Tensor, shape: tuple[int, ...] | None) -> bool:
            return _aligned_change(before, after, one, range(len(one.content)), tuple(after.shape)) > _LOOKED_INTO

        blame = blamed(replay, run.model, run.made, without, differs, before=as_is)
        path, kind, site = blame.path, blame.kind, blame.site or site
    begins, ends = any(each.begin for each in found), any(each.end < each.length for each in found)
    side = "both" if begins and ends else "left" if begins else "right"
    return Padding(
        path,
        kind,
        one.one.name,
        side,
        len(one.content),
        one.length,
        moved,
        trimmed,
        one.masked,
        pooled,
        replay.coarsest,
        site,
    )


def _arranged(run: Run, inputs: tuple[Input, ...], one: _Padded, order: list[int]) -> dict[Place, torch.Tensor]:
    """The inputs for this sample alone (twice, since a batch of one is special to many models), its positions in another
    order. What counts positions from zero on goes on doing so."""
    sequence_dim = run.entry.sequence_dim
    dims = batch_dims(inputs, 1 if sequence_dim == 0 else 0)
    changes = {}
    for each in inputs:
        tensor, batch_dim = each.tensor, dims.get(each.place)
        if batch_dim is not None:
            tensor = torch.cat([tensor.narrow(batch_dim, one.row, 1)] * 2, batch_dim)
        for dim in time_dims(each, one.length, sequence_dim, batch_dim):
            kept = range(len(order)) if _counts(each.tensor, dim) else order
            tensor = tensor.index_select(dim, torch.tensor(list(kept), device=tensor.device))
        if tensor is not each.tensor:
            changes[each.place] = tensor.clone()
    return changes


def _counts(tensor: torch.Tensor, dim: int) -> bool:
    """Is it 0, 1, 2, … along a dimension, whatever the sample?"""
    if _no_ids(tensor):
        return False
    ramp = torch.arange(tensor.shape[dim], device=tensor.device, dtype=tensor.dtype)
    return bool((tensor.movedim(dim, -1) == ramp).all())


def _change(
    base: dict[Place, torch.Tensor],
    other: dict[Place, torch.Tensor],
    one: _Padded,
    positions: Any,
    short: dict[Place, torch.Tensor],
) -> tuple[float, bool]:
    """The greatest relative change of the content's outputs, and whether none of them runs along positions."""
    most, pooled = float("nan"), True
    for place, tensor in base.items():
        cached = any("past" in str(key) or "cache" in str(key) for key in place)
        if tensor.dim() and place in other and place in short and not cached:
            shape = tuple(short[place].shape)
            change = _aligned_change(tensor, other[place], one, positions, shape)
            if change == change:
                most = max(_known(most), change)
                pooled = pooled and shape == tuple(tensor.shape)
    return most, pooled


def _aligned_change(
    base: torch.Tensor, other: torch.Tensor, one: _Padded, positions: Any, short: tuple[int, ...]
) -> float:
    """The relative change at the content's positions (``positions`` in the other run); NaN where they cannot be matched.
    ``short`` is the shape without padding, by which the dimension of positions is known."""
    if len(short) != base.dim():
        return float("nan")
    shrunk = [dim for dim, (long, now) in enumerate(zip(base.shape, short, strict=True)) if long != now]
    if len(shrunk) > 1 or any(base.shape[dim] != one.length or short[dim] != len(one.content) for dim in shrunk):
        return float("nan")
    for dim in shrunk:
        base = base.index_select(dim, torch.tensor(one.content, device=base.device))
        other = other.index_select(dim, torch.tensor(list(positions), device=other.device))
    if base.shape != other.shape:
        return float("nan")
    change, scale = difference(base, other)
    return float(change.max()) / scale if change.numel() and scale else 0.0
