"""Samples that are in the training and in the validation batches.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check


@dataclass(frozen=True, slots=True)
class Split:
    """``samples`` were looked at, ``distinct`` of them differ; ``whole`` is how many the split has where that is known."""

    samples: int
    distinct: int
    whole: int | None = None


@dataclass(frozen=True, slots=True)
class GroupOverlap:
    """A part of the batch that the user declared as group (patient, brick, …): groups seen in each split, and in both."""

    part: str
    training: int
    validation: int
    shared: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class SplitOverlap:
    """``shared`` distinct samples are in both splits, ``hits`` validation samples are one of them; ``examples`` are places of
    such a pair: batch and row in training, batch and row in validation. ``parts`` were compared."""

    training: Split
    validation: Split
    parts: tuple[str, ...]
    shared: int = 0
    hits: int = 0
    examples: tuple[tuple[int, int, int, int], ...] = ()
    groups: GroupOverlap | None = None


CHECK = Check(
    stem="split_overlap",
    codes=("ML803",),
    question="Are samples of the validation batches among those of training?",
    budget=5.0,
    measurement=SplitOverlap,
)
