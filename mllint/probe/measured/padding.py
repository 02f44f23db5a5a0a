"""What the padding of the batches does to the output for what is padded.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class Padding:
    """The most affected of a few padded samples. ``side`` is where the batches are padded: left, right or both.

    ``moved`` and ``trimmed``: the greatest change of the output for the content, relative to its values, when the padding
    (with masks and everything else that runs along it) is put on the other side, and when it is left out; NaN where the
    model does not take that. ``masked``: a mask of the padding is among the inputs. ``pooled``: the output has no
    entry for each position.
    """

    path: str
    kind: str
    input: str
    side: str
    content: int
    length: int
    moved: float
    trimmed: float
    masked: bool
    pooled: bool
    coarsest: float
    site: Site | None = None


CHECK = Check(
    stem="padding",
    codes=("ML806",),
    question="Is the output for a padded sample that of the sample without padding?",
    budget=8.0,
    measurement=Padding,
)
