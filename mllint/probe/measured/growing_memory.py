"""Bytes of live tensors after each of several steps on one and the same batch, and who holds what is new.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class Held:
    """What came in every step and stayed. ``holder`` is the user's name for what holds it ("" where it was not found),
    ``kind`` its type, ``in_model`` whether the model holds it; ``bounded`` that it is emptied somewhere (a metric with a
    ``reset``, a deque of limited length) or grows to a fixed size (an optimizer's history). A step adds ``each`` bytes in
    ``number`` tensors and ``nodes`` operations of autograd graphs; ``site`` is the line that made the tensors."""

    holder: str
    kind: str
    in_model: bool
    bounded: bool
    site: Site | None
    each: int
    number: int
    nodes: int


@dataclass(frozen=True, slots=True)
class GrowingMemory:
    """``live`` has the bytes after each step from ``first`` on (one-based), ``batch`` is the size of the batch in bytes,
    ``saved`` whether tensors that autograd saved were counted too. ``held`` comes largest first, and is empty where neither
    the bytes nor the graphs behind a holder rose with every step."""

    first: int
    live: tuple[int, ...]
    batch: int
    saved: bool
    held: tuple[Held, ...]


CHECK = Check(
    stem="growing_memory",
    codes=("ML709",),
    question="Does memory rise from step to step on the same batch, and who holds it?",
    budget=15.0,
    measurement=GrowingMemory,
)
