"""How long the token sequences of the batches are, and how they end.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mllint.probe.check import Check

#: How padding was told from tokens: a mask in the batch, `pad` of the target, `padding_idx` of an embedding, or one value
#: that occurs in no other place than at one end of rows.
Known = Literal["mask", "declared", "embedding", "ends"]


@dataclass(frozen=True, slots=True)
class Sequences:
    """One part of the batches. ``lengths`` are pairs of a length without padding and how many samples have it; of the samples
    of the greatest length, and of the others, ``full_ends`` and ``short_ends`` are the shares that end with the
    commonest last token of the others. ``said`` is the greatest length that another part of the batch claims;
    ``continued``: a sample of the greatest length goes on in another row, as with a sliding window."""

    part: str
    known: Known
    lengths: tuple[tuple[int, int], ...]
    short_ends: float = 0.0
    full_ends: float = 0.0
    said: int | None = None
    continued: bool = False


@dataclass(frozen=True, slots=True)
class Truncation:
    """Over ``batches``, one entry a part that holds token ids."""

    batches: int
    sequences: tuple[Sequences, ...]


CHECK = Check(
    stem="truncation",
    codes=("ML804",),
    question="Are samples cut at the maximum length?",
    budget=3.0,
    measurement=Truncation,
)
