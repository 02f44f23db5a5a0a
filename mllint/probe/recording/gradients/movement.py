"""How far each parameter moves in real steps, beside the gradient and the learning rate that it had.

May not: run a step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from mllint.probe.recording.gradients.sizes import largest, nonzero, root_mean_square
from mllint.probe.recording.gradients.stepping import parameters_of


@dataclass
class Moved:
    """One parameter. ``gradient`` is the greatest that it had when an optimizer stepped, ``rate`` the greatest
    learning rate of its group at such a step; ``change`` and ``weight`` are root mean squares at its first
    movement."""

    start: torch.Tensor
    trainable: bool
    gradient: float = 0.0
    rate: float = 0.0
    moved: bool = False
    change: float = 0.0
    weight: float = 0.0
    largest: float = 0.0


class Movement:
    """Parameters of a model and tensors that it hides, from now on."""

    def __init__(self, model: nn.Module, hidden: Iterable[torch.Tensor]) -> None:
        self._tensors = [each for each in (*model.parameters(), *hidden) if not torch.nn.parameter.is_lazy(each)]
        self.of = {id(each): Moved(each.detach().clone(), each.requires_grad) for each in self._tensors}
        #: Optimizers by id, with how often they stepped; ids of parameters that required a gradient when one did.
        self.stepped: dict[int, int] = {}
        self.required: set[int] = set()
        self.foreign_gradients: set[int] = set()
        for tensor in self._tensors:
            seen = self.of[id(tensor)]
            seen.weight, seen.largest = root_mean_square(tensor), largest(tensor)

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer is about to step: gradients and learning rates are what it sees."""
        self.stepped[id(optimizer)] = self.stepped.get(id(optimizer), 0) + 1
        self.required |= {id(each) for each in parameters_of(optimizer) if each.requires_grad}
        self.note_gradients()
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                seen = self.of.get(id(parameter))
                if parameter.grad is None:
                    continue
                if seen is None:
                    self.foreign_gradients.add(id(parameter))
                elif nonzero(parameter.grad):
                    seen.rate = max(seen.rate, float(group.get("lr", math.nan) or 0.0))

    def note_gradients(self) -> None:
        """What every parameter has for a gradient now, whoever holds it."""
        for tensor in self._tensors:
            seen = self.of[id(tensor)]
            seen.trainable |= tensor.requires_grad
            if tensor.grad is not None:
                seen.gradient = max(seen.gradient, largest(tensor.grad))

    def after_step(self) -> None:
        """Compare with where everything was at the beginning."""
        self.note_gradients()
        for tensor in self._tensors:
            seen = self.of[id(tensor)]
            if not seen.moved and not torch.equal(tensor.detach(), seen.start):
                seen.moved = True
                seen.change = root_mean_square(tensor.detach() - seen.start)

    @property
    def complete(self) -> bool:
        """Has everything moved that has a gradient?"""
        return all(seen.moved or not seen.gradient for seen in self.of.values())
