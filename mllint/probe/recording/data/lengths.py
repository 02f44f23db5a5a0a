"""Where the tokens of a padded row end, from whatever tells padding from tokens.

May not: guess: where nothing tells them apart, there is no length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from mllint.probe.measured.truncation import Known

#: Rows that a value which looks like padding must end, as a share and in number.
_SHARE, _ROWS = 0.2, 8


@dataclass(frozen=True)
class Row:
    """The tokens of one sample without padding, in a batch of this width."""

    tokens: torch.Tensor
    width: int


def rows_of(
    parts: Sequence[Mapping[str, torch.Tensor]], path: str, declared: int | None, embedded: frozenset[int]
) -> tuple[Known, list[Row]] | None:
    """The samples of one part of all batches, and how padding was told. None where nothing tells it."""
    masks = [_mask(batch, path) for batch in parts]
    if all(mask is not None for mask in masks):
        paired = zip(parts, masks, strict=True)
        rows = [
            _masked(row, keep)
            for batch, mask in paired
            if mask is not None
            for row, keep in zip(batch[path], mask, strict=True)
        ]
        return "mask", rows
    every = [row for batch in parts for row in batch[path]]
    if declared is not None:
        return "declared", [_stripped(row, declared) for row in every]
    for value in sorted(embedded):
        if any(int(row[-1]) == value or int(row[0]) == value for row in every):
            return "embedding", [_stripped(row, value) for row in every]
    filling = _value_at_one_end(every)
    return None if filling is None else ("ends", [_stripped(row, filling) for row in every])


def _mask(batch: Mapping[str, torch.Tensor], path: str) -> torch.Tensor | None:
    """The mask that belongs to a part: of its shape, beside it, of zeros and ones."""
    beside = path.rpartition(".")[0]
    for name, part in batch.items():
        if (
            "mask" in name.lower()
            and name != path
            and name.rpartition(".")[0] == beside
            and part.shape == batch[path].shape
            and bool(((part == 0) | (part == 1)).all())
        ):
            return part.bool()
    return None


def _masked(row: torch.Tensor, keep: torch.Tensor) -> Row:
    return Row(row[keep], row.numel())


def _stripped(row: torch.Tensor, pad: int) -> Row:
    there = torch.nonzero(row != pad)[:, 0]
    if len(there) == 0:
        return Row(row[:0], row.numel())
    return Row(row[int(there[0]) : int(there[-1]) + 1], row.numel())


def _value_at_one_end(rows: Sequence[torch.Tensor]) -> int | None:
    """The one value that fills the ends of many rows, all at the same side, and occurs nowhere else."""
    if len(rows) < _ROWS:
        return None
    for last, before in ((-1, -2), (0, 1)):
        filled = Counter(int(row[last]) for row in rows if row[last] == row[before])
        if not filled:
            continue
        value, count = filled.most_common(1)[0]
        if count >= max(_SHARE * len(rows), _ROWS / 2) and all(_only_at(row, value, last) for row in rows):
            return value
    return None


def _only_at(row: torch.Tensor, value: int, end: int) -> bool:
    there = row == value
    count = int(there.sum())
    return count == 0 or bool((there[-count:] if end == -1 else there[:count]).all())
