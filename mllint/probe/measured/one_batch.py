"""A model trained on one batch alone: does it learn it by heart?

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check


@dataclass(frozen=True, slots=True)
class Attempt:
    """One training with one learning rate from the weights as they are; ``lowest`` is the least loss of its ``steps``."""

    rate: float
    first: float
    lowest: float
    steps: int


@dataclass(frozen=True, slots=True)
class OneBatch:
    """``floor`` is the loss of perfect predictions (soft labels have one above zero), None where it is not known.
    ``trained`` elements learn; ``values`` are how many targets there are to learn, None where that is not known."""

    attempts: tuple[Attempt, ...]
    trained: int
    floor: float | None = None
    values: int | None = None


CHECK = Check(
    stem="one_batch",
    codes=("ML906",),
    question="Can the model learn one batch by heart, dropout off, with an Adam of the probe's own?",
    budget=600.0,
    measurement=OneBatch,
    default=False,
)
