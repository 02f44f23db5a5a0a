"""Which of the user's functions run in a training step, backward pass included.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class CodeReached:
    """``functions`` that were entered, each at the row where it begins (its first decorator, if it has one)."""

    functions: tuple[Site, ...]


#: For no rule of its own: what a static rule suspects can only be cleared where the code has run.
CHECK = Check(
    stem="code_reached",
    codes=(),
    question="Which functions of the target's files run in a step?",
    budget=3.0,
    measurement=CodeReached,
)
