"""Weights that the user kept, and that change with the next step because they are the live ones.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class KeptWeights:
    """Tensors kept by the user that share memory with the model's after another optimizer step. ``keeper`` is "snapshot" for
    what `snapshot` returned, else the user's name for it; ``tensors`` of ``total`` are live, ``changed`` of them have other
    values than when they were kept; ``example`` is one parameter; ``site`` is where the weights were taken."""

    keeper: str
    returned: bool
    tensors: int
    total: int
    changed: int
    example: str
    site: Site | None


@dataclass(frozen=True, slots=True)
class Aliases:
    """``kept`` has only what is live."""

    kept: tuple[KeptWeights, ...]


CHECK = Check(
    stem="aliases",
    codes=("ML602",),
    question="Do the weights that `snapshot` keeps stay as they were when the optimizer steps on?",
    budget=4.0,
    measurement=Aliases,
)
