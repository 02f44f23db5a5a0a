"""Which parameters the optimizers hold, which had a gradient when they stepped, and which moved.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class Coverage:
    """One parameter over a few real steps. ``held``: an optimizer has it. ``trainable``: it required a gradient at
    some step.

    ``gradient`` is the greatest absolute value that it had when its optimizer stepped (any optimizer, where none
    holds it). ``change`` and ``weight`` are root mean squares over the first step in which it moved; ``largest`` the
    greatest absolute value before. ``rate`` is the greatest learning rate its group had at a step that it had a
    gradient in, 0 where there was none."""

    name: str
    elements: int
    dimensions: int
    dtype: str
    trainable: bool
    held: bool
    gradient: float
    moved: bool
    change: float
    weight: float
    largest: float
    rate: float


@dataclass(frozen=True, slots=True)
class Hidden:
    """Modules or parameters kept in a plain list, tuple, dict or set: ``owner`` is the module, ``attribute`` its name.

    ``count`` are the things in it, ``parameters`` how many trainable tensors they have, ``gradients`` how many of
    these had a gradient, ``held`` how many an optimizer has. ``evaluating``: they are in evaluation mode while the
    model is not."""

    owner: str
    attribute: str
    container: str
    count: int
    parameters: int
    gradients: int
    held: int
    evaluating: bool
    site: Site | None


@dataclass(frozen=True, slots=True)
class OptimizerFacts:
    """One optimizer: its class, how many parameters it has, how many of them are frozen in every step, how many are
    not in the model (nor in any module that the target's functions hold), how many of those had a gradient, and how
    often it stepped."""

    kind: str
    parameters: int
    frozen: int
    foreign: int
    foreign_with_gradient: int
    steps: int


@dataclass(frozen=True, slots=True)
class OptimizerCoverage:
    """``steps`` real training steps. ``scaled``: a GradScaler may skip steps of the optimizer."""

    steps: int
    scaled: bool
    parameters: tuple[Coverage, ...]
    optimizers: tuple[OptimizerFacts, ...]
    hidden: tuple[Hidden, ...] = ()


CHECK = Check(
    stem="optimizer_coverage",
    codes=("ML215", "ML217"),
    question="Does the optimizer hold and move every parameter that has a gradient?",
    budget=6.0,
    measurement=OptimizerCoverage,
)
