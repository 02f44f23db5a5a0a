"""What one sample of a batch does to the outputs for the others.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class Culprit:
    """The innermost module that lets something through: its path, class, and the line where it happens (where it was made,
    if its forward is torch's own). ``around`` are the classes of the modules around it, the root first, itself last;
    ``inside`` classes and names of its parts; ``names`` are identifiers of its forward, ``dims`` how many dimensions
    its first input has (0: not known)."""

    path: str
    kind: str
    site: Site | None = None
    around: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    dims: int = 0


@dataclass(frozen=True, slots=True)
class LeakingCall:
    """One call of the model, or of a part that is called from outside, in evaluation mode.

    ``changed`` and ``gradient``: the greatest change (or gradient) where there should be none, relative to the greatest
    there is; NaN where it could not be taken. ``noise`` is how far two equal calls differ. ``coarsest`` is the machine
    precision of the coarsest type in the model. ``inputs`` are the names of its tensors. ``other_dim``: dimension 1
    is independent where dimension 0 is not, as where time comes first; ``labelled``: a vector of the batch has one entry for
    each sample along dimension 0, which settles it.
    """

    path: str
    kind: str
    samples: int
    changed: float
    gradient: float
    noise: float
    coarsest: float
    inputs: tuple[str, ...] = ()
    other_dim: bool = False
    labelled: bool = False
    culprit: Culprit | None = None


@dataclass(frozen=True, slots=True)
class BatchLeak:
    """Every distinct call that could be looked at; ``skipped`` says why others could not."""

    calls: tuple[LeakingCall, ...]
    skipped: tuple[str, ...] = ()


CHECK = Check(
    stem="batch_leak",
    codes=("ML814",),
    question="Does the output for a sample depend on the other samples of its batch?",
    budget=12.0,
    measurement=BatchLeak,
)
