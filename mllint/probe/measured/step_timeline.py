"""When each part of one training step ran: forward passes of modules, the backward pass, optimizers.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mllint.probe.check import Check


@dataclass(frozen=True, slots=True)
class Span:
    """One part of a step. ``begin`` and ``end`` are seconds since the step began, ``depth`` counts the module's parents that
    are shown; ``name`` is a module's path, or the class of an optimizer."""

    phase: Literal["forward", "backward", "optimizer"]
    name: str
    depth: int
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class StepTimeline:
    """``seconds`` is the whole step. ``spans`` are in the order in which they began, at most a few hundred."""

    seconds: float
    spans: tuple[Span, ...]
    left_out: int = 0


CHECK = Check(
    stem="step_timeline",
    codes=(),
    question="Where does the time of one step go? (for the report; judges nothing)",
    budget=2.0,
    measurement=StepTimeline,
)
