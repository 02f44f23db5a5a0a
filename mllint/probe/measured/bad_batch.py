"""Batches that are not like the others, and what a step on them does.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mllint.probe.check import Check
from mllint.probe.site import Site

#: ``non-finite``: not-a-number or infinity; ``empty``: no element; ``constant``: one and the same value everywhere, as in
#: no other batch; ``changed``: keys, type, dtype or shape unlike the other batches; ``undeclared``: not as the user declared.
Oddity = Literal["non-finite", "empty", "constant", "changed", "undeclared"]

#: ``breaks``: the step raises, or its loss or a gradient is not finite, and that does not happen without the oddity;
#: ``works``: the step is fine with it; ``unknown``: it was not run, or fails without the oddity too.
Outcome = Literal["breaks", "works", "unknown"]


@dataclass(frozen=True, slots=True)
class OddBatch:
    """One part of one batch. ``told`` says what is there, ``usual`` what others have; ``effect`` what the step did where it
    breaks, ``site`` where it raised."""

    oddity: Oddity
    batch: int
    part: str
    told: str
    usual: str = ""
    outcome: Outcome = "unknown"
    effect: str = ""
    site: Site | None = None


@dataclass(frozen=True, slots=True)
class BadBatch:
    """``batches`` were looked at; ``samples`` are in a batch of the usual size, as far as its parts agree."""

    batches: int
    odd: tuple[OddBatch, ...] = ()


CHECK = Check(
    stem="bad_batch",
    codes=("ML816",),
    question="Is there a batch with NaN, nothing in it, or another shape than the others?",
    budget=6.0,
    measurement=BadBatch,
    explains=True,
)
