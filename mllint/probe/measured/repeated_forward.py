"""Modules that ran more than once on the very same input before a backward pass, and how often declared ones ran in a step.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class Repeat:
    """A module that gave the same output for the same input again: storage, version and parameters were unchanged.
    ``times`` is how often it ran on that input, ``elements`` how many parameters it has."""

    path: str
    kind: str
    elements: int
    times: int
    first: Site | None
    again: Site | None


@dataclass(frozen=True, slots=True)
class Caller:
    """One line that called a module, ``times`` in all the steps that were counted."""

    site: Site
    times: int


@dataclass(frozen=True, slots=True)
class CallCount:
    """A module with a contract. ``counts`` has the calls of each step, recomputation in backward not counted; it is empty
    where the model has no such module (``near`` are then its modules with similar names)."""

    path: str
    expected: int
    counts: tuple[int, ...]
    callers: tuple[Caller, ...]
    near: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RepeatedForward:
    """``calls`` are those of ``expect["calls_per_step"]``."""

    repeats: tuple[Repeat, ...]
    calls: tuple[CallCount, ...]


CHECK = Check(
    stem="repeated_forward",
    codes=("ML520", "ML708"),
    question="Does a module run twice on the same input, or more often in a step than `expect` says?",
    budget=5.0,
    measurement=RepeatedForward,
)
