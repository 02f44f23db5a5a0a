"""Lookups that ask a table for rows it does not have.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class OutOfTable:
    """One operation at one place. ``low`` and ``high`` are the extremes of all its indices, legal are ``lowest`` to
    ``size`` - 1; ``count`` of ``total`` lie outside. ``table`` is the name of a parameter or buffer ("" where it has none),
    ``made`` where the user made it. ``silent``: torch raises nothing and reads another row."""

    operation: str
    table: str
    size: int
    lowest: int
    low: int
    high: int
    count: int
    total: int
    batch: int
    silent: bool = False
    site: Site | None = None
    made: Site | None = None


@dataclass(frozen=True, slots=True)
class Indices:
    """``batches`` were run, ``scanned`` more were only looked at where they feed a table, ``lookups`` were checked."""

    batches: int
    scanned: int
    lookups: int
    out: tuple[OutOfTable, ...] = ()


CHECK = Check(
    stem="indices",
    codes=("ML805",),
    question="Does every index lie inside its table?",
    budget=5.0,
    measurement=Indices,
    explains=True,
)
