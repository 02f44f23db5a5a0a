"""What there is to know about a check of the probe without running it: name, codes, default, budget.

A check is one stem: `measured/<stem>.py` holds its `CHECK` and its measurement as plain data, without torch,
`recording/recorders/<stem>.py` takes the measurement. May not: import torch or a recorder.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import Literal

#: Where a check measures: a real step on the CPU, a real step on a GPU, or a rehearsal on the virtual device.
Device = Literal["cpu", "cuda", "rehearse"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check. ``codes`` are the rules that read its measurement, ``question`` what it answers in one line, ``budget``
    what it may cost in plain training steps, ``default`` whether it runs unasked, ``devices`` where it can measure.

    ``explains``: it is also tried on a step that raised, since it may know why (an index out of its table, say).
    """

    stem: str
    codes: tuple[str, ...]
    question: str
    budget: float
    measurement: type
    default: bool = True
    devices: tuple[Device, ...] = ("cpu", "cuda")
    explains: bool = False

    @property
    def name(self) -> str:
        """The check as a user writes it: ``gradient-flow``."""
        return self.stem.replace("_", "-")


@cache
def all_checks() -> tuple[Check, ...]:
    """Every check, in the order of its first code. No list of them is kept by hand: each is a file of `measured/`."""
    from mllint.probe import measured

    modules = [
        importlib.import_module(f"{measured.__name__}.{module.name}")
        for module in pkgutil.iter_modules(measured.__path__)
    ]
    return tuple(sorted((module.CHECK for module in modules), key=lambda check: (check.codes, check.stem)))
