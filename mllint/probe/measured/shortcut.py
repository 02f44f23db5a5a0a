"""How well the class of a sample is told by features that say nothing of its subject.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check


@dataclass(frozen=True, slots=True)
class TrivialFeature:
    """One group of features of one part of the batch, and the class that it tells best from the others: area under the
    curve on samples that the regression has not seen, its standard error where it is chance, samples of the class."""

    name: str
    part: str
    label: int
    auc: float
    error: float
    samples: int


@dataclass(frozen=True, slots=True)
class Shortcut:
    """Over ``samples`` samples with labels from the part ``labels``; ``classes`` have enough of them."""

    samples: int
    classes: int
    labels: str
    features: tuple[TrivialFeature, ...]


CHECK = Check(
    stem="shortcut",
    codes=("ML821",),
    question="Do trivial features (a central crop, borders, brightness, length) tell the class?",
    budget=10.0,
    measurement=Shortcut,
)
