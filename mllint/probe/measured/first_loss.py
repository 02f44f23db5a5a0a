"""The loss of a model that has not been trained yet, beside what a guess by chance would cost.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check


@dataclass(frozen=True, slots=True)
class FirstLoss:
    """``losses`` of the first batches in evaluation order, ``chance`` is ln(classes), in nats."""

    losses: tuple[float, ...]
    classes: int
    chance: float


CHECK = Check(
    stem="first_loss",
    codes=("ML905",),
    question="Is the first loss of a fresh classifier near ln(classes)?",
    budget=2.0,
    measurement=FirstLoss,
)
