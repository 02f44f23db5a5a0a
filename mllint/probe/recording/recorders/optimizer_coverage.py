"""A few real steps: which parameters the optimizers hold, which have a gradient when they step, and which move.

It ends as soon as everything that has a gradient has moved: a sound target costs one step. May not: call a parameter
that does not move a fault.
"""

from __future__ import annotations

import torch

from mllint.probe.measured.optimizer_coverage import Coverage, Hidden, OptimizerCoverage, OptimizerFacts
from mllint.probe.recording.gradients.hidden import HiddenPlace, hidden_places
from mllint.probe.recording.gradients.movement import Movement
from mllint.probe.recording.gradients.stepping import OWN_STEPS, known_optimizers, parameters_of, watched_steps
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip

#: Steps of the probe's own loop: a warm-up may begin with a learning rate of zero.
_STEPS = 3


def record(run: Run) -> OptimizerCoverage:
    """Raises Skip where nothing could be held by an optimizer, and nothing is hidden from one."""
    optimizers = {id(each): each for each in known_optimizers(run)}
    places = list(hidden_places(run.model))
    if not optimizers and not places and run.entry.step is None:
        raise Skip("the target gives no optimizer")
    with run.preserved():
        named = dict(run.model.named_parameters())  # a forward may put others in their place
        movement = Movement(run.model, [tensor for place in places for tensor in place.tensors])
        steps = _stepped(run, movement, optimizers)
        if not optimizers and not places:
            raise Skip("the step uses no torch optimizer")
        held = {id(each) for one in optimizers.values() for each in parameters_of(one)}
        hidden = tuple(_hidden(run, place, movement, held) for place in places)
        parameters = tuple(_coverage(name, each, movement, held) for name, each in named.items())
        known = {id(each) for module in run.known_modules() for each in module.parameters()}
        known |= {id(tensor) for place in places for tensor in place.tensors}
        facts = tuple(_facts(one, known, movement) for one in optimizers.values())
    return OptimizerCoverage(steps, run.entry.scaler is not None, parameters, facts, hidden)


def _stepped(run: Run, movement: Movement, optimizers: dict[int, torch.optim.Optimizer]) -> int:
    """Run steps until all that has a gradient has moved; optimizers that show up are added. Returns how many steps."""

    def before(optimizer: torch.optim.Optimizer) -> None:
        optimizers.setdefault(id(optimizer), optimizer)
        movement.before_step(optimizer)

    most = OWN_STEPS if run.entry.step is not None else _STEPS
    run.clear_gradients()
    with watched_steps(before):
        for number in range(most):
            run.step(number)
            movement.after_step()
            if movement.complete and all(movement.stepped.get(key) for key in optimizers):
                return number + 1
    return most


def _coverage(name: str, parameter: torch.Tensor, movement: Movement, held: set[int]) -> Coverage:
    seen = movement.of[id(parameter)]
    return Coverage(
        name=name,
        elements=parameter.numel(),
        dimensions=parameter.dim(),
        dtype=str(parameter.dtype).removeprefix("torch."),
        trainable=seen.trainable,
        held=id(parameter) in held,
        gradient=seen.gradient,
        moved=seen.moved,
        change=seen.change,
        weight=seen.weight,
        largest=seen.largest,
        rate=seen.rate,
    )


def _hidden(run: Run, place: HiddenPlace, movement: Movement, held: set[int]) -> Hidden:
    modules = [thing for thing in place.things if isinstance(thing, torch.nn.Module)]
    return Hidden(
        owner=place.owner,
        attribute=place.attribute,
        container=place.container,
        count=len(place.things),
        parameters=len(place.tensors),
        gradients=sum(movement.of[id(tensor)].gradient > 0 for tensor in place.tensors),
        held=sum(id(tensor) in held or movement.of[id(tensor)].moved for tensor in place.tensors),
        evaluating=run.model.training and bool(modules) and not any(module.training for module in modules),
        site=run.made.container_of(place.module, place.attribute) or run.made.of(place.things[0]),
    )


def _facts(optimizer: torch.optim.Optimizer, known: set[int], movement: Movement) -> OptimizerFacts:
    parameters = parameters_of(optimizer)
    foreign = [each for each in parameters if id(each) not in known]
    return OptimizerFacts(
        kind=type(optimizer).__name__,
        parameters=len(parameters),
        frozen=sum(not each.requires_grad and id(each) not in movement.required for each in parameters),
        foreign=len(foreign),
        foreign_with_gradient=sum(id(each) in movement.foreign_gradients for each in foreign),
        steps=movement.stepped.get(id(optimizer), 0),
    )
