"""Gradients that are tiny, huge or not finite beside those of the rest of the model.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class Size:
    """The gradient of one parameter: root mean square, the same in float64 (None: not repeated), number of elements.

    ``order`` counts its first use in the forward; None where the graph hides it. ``gated``: beside the others it is
    more than a hundred times as large once gates that start next to zero (the scale of a layer) are opened."""

    name: str
    rms: float
    double: float | None
    elements: int
    order: int | None
    gated: bool = False


@dataclass(frozen=True, slots=True)
class NotFinite:
    """The first operation whose result was not finite although what went in was. ``direction`` is the pass it
    happened in, ``value`` is ``nan`` or ``inf``; ``parameters`` have such a gradient. ``scaled``: a GradScaler
    expects that."""

    operation: str
    direction: str
    value: str
    site: Site | None
    module: str
    parameters: tuple[str, ...]
    loss: float
    scaled: bool = False


@dataclass(frozen=True, slots=True)
class Magnitude:
    """``sizes`` are of every trainable parameter with a gradient that is not all zero and finite."""

    sizes: tuple[Size, ...]
    broken: NotFinite | None = None


CHECK = Check(
    stem="magnitude",
    codes=("ML217",),
    question="Are all gradients finite and of comparable size?",
    budget=4.0,
    measurement=Magnitude,
)
