"""Optimizers at the moment they step, whoever holds them.

May not: keep an optimizer from stepping.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from mllint.probe.recording.gradients.sizes import nonzero
from mllint.probe.recording.holdings import held_by
from mllint.probe.recording.run import Run

#: Calls of the target's own step, so that what happens only every few calls is seen: an optimizer every fourth batch,
#: a generator after five steps of its critic.
OWN_STEPS = 6


@contextmanager
def watched_steps(
    before: Callable[[torch.optim.Optimizer], None], after: Callable[[torch.optim.Optimizer], None] = lambda one: None
) -> Iterator[None]:
    """While this is open, every step of any optimizer is told before and after."""

    def entering(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        before(optimizer)

    def leaving(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        after(optimizer)

    handles = [register_optimizer_step_pre_hook(entering), register_optimizer_step_post_hook(leaving)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def known_optimizers(run: Run) -> list[torch.optim.Optimizer]:
    """The target's optimizers, and those that its functions hold."""
    held = [thing for _, thing in held_by(run.roots()) if isinstance(thing, torch.optim.Optimizer)]
    return list({id(each): each for each in (*run.optimizers, *held)}.values())


def parameters_of(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Everything that an optimizer holds."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def held_names(optimizers: Iterable[torch.optim.Optimizer], names: dict[int, str]) -> set[str]:
    """The names (by id) of the parameters that some optimizer holds."""
    return {names[id(each)] for one in optimizers for each in parameters_of(one) if id(each) in names}


@dataclass
class OwnSteps:
    """What a few calls of the target's own ``step`` showed of some parameters: which had a gradient other than zero
    at a step of an optimizer or at the end of a call, which moved without ever having one, and the optimizers that
    stepped."""

    with_gradient: set[str] = field(default_factory=set)
    moved_without: set[str] = field(default_factory=set)
    optimizers: list[torch.optim.Optimizer] = field(default_factory=list)


def own_steps(run: Run, names: Iterable[str]) -> OwnSteps:
    """Run the target's own ``step`` a few times. The caller puts everything back."""
    found, had_one = OwnSteps(), set[str]()
    optimizers: dict[int, torch.optim.Optimizer] = {}
    parameters = {name: parameter for name, parameter in run.model.named_parameters() if name in set(names)}
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    def note() -> None:
        for name, parameter in parameters.items():
            if parameter.grad is not None:
                had_one.add(name)
            if nonzero(parameter.grad):
                found.with_gradient.add(name)

    def stepping(optimizer: torch.optim.Optimizer) -> None:
        optimizers[id(optimizer)] = optimizer
        note()

    run.clear_gradients()
    with watched_steps(stepping):
        for number in range(OWN_STEPS):
            run.step(number)
            note()
    found.moved_without = changed(run, parameters, before) - had_one
    found.optimizers = list(optimizers.values())
    return found


def changed(run: Run, parameters: Mapping[str, torch.Tensor], before: Mapping[str, torch.Tensor]) -> set[str]:
    """The names whose parameter is another one now, or has other values than before."""
    now = dict(run.model.named_parameters())
    return {
        name
        for name, parameter in parameters.items()
        if now.get(name) is not parameter or not torch.equal(parameter.detach(), before[name])
    }
