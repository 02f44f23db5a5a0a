"""How much each input of the model changes its output.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class InputEffect:
    """``change`` is the greatest change of an output relative to its values when the input is permuted across the batch, or
    replaced; with everything in the model that is zero or close to it made small and random, where that gives more.
    ``named``: it is the conditioning that the target names. ``ends`` is the path of the module in which it is lost,
    with its class and place."""

    name: str
    change: float
    named: bool = False
    ends: str = ""
    kind: str = ""
    site: Site | None = None


@dataclass(frozen=True, slots=True)
class CallEffects:
    """``spread`` is the between-sample variance of the output over its total power, the greatest of its tensors; NaN where
    no output has one entry for each sample."""

    path: str
    kind: str
    samples: int
    noise: float
    spread: float
    effects: tuple[InputEffect, ...]


@dataclass(frozen=True, slots=True)
class IgnoredInput:
    """Every distinct call that could be looked at."""

    calls: tuple[CallEffects, ...]
    skipped: tuple[str, ...] = ()


CHECK = Check(
    stem="ignored_input",
    codes=("ML813",),
    question="Does every input change the output?",
    budget=12.0,
    measurement=IgnoredInput,
)
