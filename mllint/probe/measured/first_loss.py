"""The loss of a model that has not been trained yet, beside what a guess by chance would cost.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class FirstCall:
    """One call of a classification loss, over the batches. ``mean`` is what it costs a target (an element, for binary
    losses) whatever its reduction, ``chance`` what a guess costs, ``spread`` the entropy of the targets, all in nats;
    ``targets`` count in a batch, ``rows`` are the first size of its input. ``times``: how often a batch calls it."""

    operation: str
    site: Site | None
    reduction: str
    mean: float
    chance: float
    spread: float
    targets: float
    rows: float
    times: float


@dataclass(frozen=True, slots=True)
class FirstLoss:
    """``losses`` of the first batches in evaluation order, ``chance`` is ln(classes), in nats. ``calls`` is empty for a loss
    that torch's own functions have no part in; ``others`` names those that are seen and classify nothing."""

    losses: tuple[float, ...]
    classes: int
    chance: float
    calls: tuple[FirstCall, ...] = ()
    others: tuple[str, ...] = ()


CHECK = Check(
    stem="first_loss",
    codes=("ML905",),
    question="Is the first loss of a fresh classifier near ln(classes)?",
    budget=3.0,
    measurement=FirstLoss,
)
