"""What became of each gradient between two steps of its optimizer: used, cleared, added to, used again, or lost.

A gradient counts as cleared when it is gone, or all zero, at the beginning of some backward: whoever cleared it, and
however. So a generator's backward may add to the discriminator's gradients, if these are cleared before its own.
May not: change a gradient.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from mllint.probe.recording.frames import user_site
from mllint.probe.recording.gradients.sizes import stored
from mllint.probe.recording.gradients.stepping import parameters_of, watched_steps
from mllint.probe.site import Site

#: Two numbers by which the values of a gradient are known again.
_Mark = tuple[float, float]


@dataclass
class Ledger:
    """One optimizer. ``used`` are the marks of gradients that it has stepped with and nobody has cleared since, ``met``
    the backward that found them so; ``stale`` the parameters that it stepped with all the same, with that backward."""

    optimizer: torch.optim.Optimizer
    stepped: int = 0
    lost: int = 0
    stepping: Site | None = None
    used: dict[int, _Mark | None] = field(default_factory=dict)
    met: dict[int, Site | None] = field(default_factory=dict)
    stale: dict[int, Site | None] = field(default_factory=dict)
    made: bool = False

    @property
    def parameters(self) -> list[torch.Tensor]:
        return parameters_of(self.optimizer)

    def before_backward(self, site: Site | None) -> None:
        """What is gone has been cleared; so has what is another one and not the sum that a backward made of it."""
        for parameter in self.parameters:
            key = id(parameter)
            if key not in self.used:
                continue
            mark = _mark(parameter.grad)
            if mark is None or self.used[key] not in (None, mark):
                del self.used[key]
                self.met.pop(key, None)
            else:
                self.met.setdefault(key, site)

    def after_backward(self) -> None:
        """What has been added to has another mark: from now on only its clearing counts."""
        for parameter in self.parameters:
            mark = _mark(parameter.grad)
            self.made |= mark is not None
            if id(parameter) in self.met and mark != self.used.get(id(parameter)):
                self.used[id(parameter)] = None

    def step(self) -> None:
        """The optimizer is about to step with what is there."""
        marks = {id(parameter): _mark(parameter.grad) for parameter in self.parameters}
        there = {key: mark for key, mark in marks.items() if mark is not None}
        self.stepped += 1
        self.lost += self.made and not there
        self.stepping = self.stepping or user_site()
        for key in there:
            if key in self.met:
                self.stale.setdefault(key, self.met[key])
        self.made = False
        self.met.clear()
        self.used = dict(there)


def _mark(gradient: torch.Tensor | None) -> _Mark | None:
    """None for no gradient, and for one that is all zero."""
    if gradient is None:
        return None
    values = stored(gradient)
    total = float(values.abs().sum(dtype=torch.float64)) if values.numel() else 0.0
    return (total, float(values.abs().flatten()[:64].sum(dtype=torch.float64))) if total else None


@contextmanager
def watched_ledgers(known: Iterable[torch.optim.Optimizer] = ()) -> Iterator[dict[int, Ledger]]:
    """While this is open, every optimizer that steps has a ledger, one that is ``known`` from the beginning."""
    ledgers = {id(optimizer): Ledger(optimizer) for optimizer in known}
    original: Any = torch.autograd.backward

    def backward(*args: Any, **kwargs: Any) -> Any:
        site = user_site()
        for ledger in ledgers.values():
            ledger.before_backward(site)
        result = original(*args, **kwargs)
        for ledger in ledgers.values():
            ledger.after_backward()
        return result

    def stepping(optimizer: torch.optim.Optimizer) -> None:
        ledgers.setdefault(id(optimizer), Ledger(optimizer)).step()

    changed: Any = torch.autograd
    changed.backward = backward
    try:
        with watched_steps(stepping):
            yield ledgers
    finally:
        changed.backward = original
