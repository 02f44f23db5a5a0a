"""How the gradient at the logits is shared out among the classes of the targets.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class ClassPart:
    """One target class: its share of the gradient (sum of norms over its targets), and of the targets."""

    number: int
    gradient: float
    frequency: float


@dataclass(frozen=True, slots=True)
class LossGradient:
    """One loss call, over all batches. ``width`` is how many classes the logits have, ``seen`` how many occur as
    targets; ``effective`` is the number of targets of equal weight that would scatter as much. ``parts`` are the largest."""

    operation: str
    site: Site | None
    width: int
    seen: int
    targets: int
    effective: float
    parts: tuple[ClassPart, ...]


@dataclass(frozen=True, slots=True)
class ClassGradient:
    """Over ``batches``; one entry a loss call that names classes."""

    batches: int
    calls: tuple[LossGradient, ...]


CHECK = Check(
    stem="class_gradient",
    codes=("ML216",),
    question="Does one class rule the gradient at the logits?",
    budget=8.0,
    measurement=ClassGradient,
)
