"""The plain pass: real batches forward and backward, and what arrives at each parameter.

May not: update anything, or ask why nothing arrives.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from mllint.probe.recording.gradients.graph import first_uses, roots_of
from mllint.probe.recording.gradients.sizes import largest, root_mean_square
from mllint.probe.recording.gradients.stepping import watched_steps
from mllint.probe.recording.run import Run, cloned, first_line
from mllint.probe.recording.skip import Skip

#: Batches (each with its own seed) that are looked at: what is dropped or routed elsewhere in one arrives in another.
BATCHES = 3


@dataclass
class Arrival:
    """What came at one parameter: ``in_graph`` of some loss, with a gradient (``arrived``), of this size in the batch
    where it was greatest; ``first_use`` as in `first_uses`."""

    in_graph: bool = False
    arrived: bool = False
    largest: float = 0.0
    rms: float = 0.0
    first_use: int | None = None

    def note(self, gradient: torch.Tensor) -> None:
        """One more gradient; not-a-number is greater than any number."""
        self.arrived = True
        top = largest(gradient)
        if math.isnan(top) or (not math.isnan(self.largest) and top > self.largest):
            self.largest, self.rms = top, root_mean_square(gradient, top)

    @property
    def flows(self) -> bool:
        return self.arrived and self.largest != 0


@dataclass
class Arrivals:
    """All batches together. ``graph``: some loss required a gradient."""

    losses: list[float] = field(default_factory=list)
    graph: bool = False
    of: dict[str, Arrival] = field(default_factory=dict)

    @property
    def silent(self) -> list[str]:
        """Parameters at which nothing but zeros arrived."""
        return [name for name, arrival in self.of.items() if not arrival.flows]


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that may get a gradient, by their first names."""
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and not torch.nn.parameter.is_lazy(parameter)
    }


def arrivals(
    run: Run, model: nn.Module | None = None, cast: Callable[[Any], Any] = cloned, count: int = BATCHES
) -> Arrivals:
    """Forward and backward over ``count`` batches, of the user's model or of a copy that takes batches as ``cast``
    makes them.

    Raises Skip where the loss cannot be had.
    """
    own = run.model if model is None else model
    parameters = trainable(own)
    found = Arrivals(of={name: Arrival() for name in parameters})
    for number in range(count):
        _clear(own)
        loss = run.loss(cast(run.batch(number)), seed=number, model=model)
        found.losses.append(float(loss.detach()))
        if loss.requires_grad:
            found.graph = True
            _note_batch(found, loss, parameters)
    _clear(own)
    return found


def _note_batch(found: Arrivals, loss: torch.Tensor, parameters: dict[str, nn.Parameter]) -> None:
    names = {id(parameter): name for name, parameter in parameters.items()}
    for name, number in first_uses(roots_of(loss), names).items():
        arrival = found.of[name]
        arrival.in_graph = True
        arrival.first_use = number if arrival.first_use is None else arrival.first_use
    for parameter in parameters.values():
        parameter.grad = None  # a step of the user's own has left some
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in parameters.items():
        if parameter.grad is not None:  # a checkpoint that is re-entrant hides its parameters from the graph
            found.of[name].note(parameter.grad)


def _clear(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.grad = None


def shared_arrivals(run: Run) -> Arrivals:
    """`arrivals` of the user's model as it was loaded, measured once for all checks of a run."""
    if "arrivals" not in run.shared:
        with run.preserved():
            run.shared["arrivals"] = _arrivals_or_what_steps_see(run)
    found: Arrivals = run.shared["arrivals"]
    return found


def _arrivals_or_what_steps_see(run: Run) -> Arrivals:
    """A step that changes in place what its graph has kept (the scale of a GradScaler) cannot be gone through twice:
    there the gradients are read when its optimizers step."""
    try:
        return arrivals(run)
    except RuntimeError as error:
        if run.entry.step is None:
            raise
        reason = first_line(error)
    found = Arrivals(of={name: Arrival() for name in trainable(run.model)}, graph=True)

    def note(optimizer: torch.optim.Optimizer) -> None:
        for name, parameter in run.model.named_parameters():
            if parameter.grad is not None and name in found.of:
                found.of[name].note(parameter.grad)

    run.clear_gradients()
    try:
        with watched_steps(note):
            found.losses += [run.step(number) for number in range(BATCHES)]
    except RuntimeError as error:
        raise Skip(f"the step cannot be gone through again: {reason}") from error
    return found
