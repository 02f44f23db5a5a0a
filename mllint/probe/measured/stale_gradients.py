"""Gradients that an optimizer has used already and that are still there when the next ones are added; and gradients
that are gone before the optimizer steps.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class OptimizerGradients:
    """One optimizer over a few real steps. ``parameters`` is how many it has, ``stepped`` how often it stepped.

    ``stale`` names parameters whose gradient, at some step after the first, still contained the one of the step before;
    ``added`` is the line of the backward that added to it. ``lost`` counts the steps that found no gradient
    at all although backward had made some since the last step; ``stepping`` is the line of its ``step()``.
    """

    kind: str
    parameters: int
    stepped: int
    stale: tuple[str, ...]
    added: Site | None
    lost: int
    stepping: Site | None


@dataclass(frozen=True, slots=True)
class StaleGradients:
    """``steps`` calls of the target's own ``step``."""

    steps: int
    optimizers: tuple[OptimizerGradients, ...]


CHECK = Check(
    stem="stale_gradients",
    codes=("ML205",),
    question="Are the gradients of a step gone before those of the next are added?",
    budget=4.0,
    measurement=StaleGradients,
)
