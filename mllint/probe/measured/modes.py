"""In which mode the model is when the optimizer steps, before and after a validation.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class StepMode:
    """The model's own mode at one optimizer step. ``training`` is also true where the step computed its loss in training
    mode and only changed the mode afterwards; ``validated`` says that a validation ran since the step before."""

    number: int
    validated: bool
    training: bool


@dataclass(frozen=True, slots=True)
class ModeChange:
    """A module that trains in another mode from step ``number`` on. ``path`` is "" for the model itself, ``holder`` its name
    where it is no part of the model, ``training`` the new mode, ``across`` what ran in between, ``site`` the call that
    changed it and was not undone; ``inner`` counts the modules below that changed with it."""

    path: str
    kind: str
    holder: str
    number: int
    training: bool
    across: str
    site: Site | None
    inner: int
    sensitive: bool


@dataclass(frozen=True, slots=True)
class Modes:
    """``validate`` is where the user's validation begins, ``step`` where their step does."""

    steps: tuple[StepMode, ...]
    changes: tuple[ModeChange, ...]
    validate: Site | None
    step: Site | None


CHECK = Check(
    stem="modes",
    codes=("ML601",),
    question="Is the model back in training mode after `validate`, at every optimizer step?",
    budget=6.0,
    measurement=Modes,
)
