"""Three real batches forward and backward: what arrives at each trainable parameter, and why not where nothing does.

A model in which every parameter gets a gradient costs just these steps. May not: update anything.
"""

from __future__ import annotations

from mllint.probe.measured.gradient_flow import Cause, GradientFlow, ParameterFlow
from mllint.probe.recording.gradients.arrivals import BATCHES, Arrivals, shared_arrivals, trainable
from mllint.probe.recording.gradients.causes import find_causes
from mllint.probe.recording.gradients.dependence import FAILURES
from mllint.probe.recording.gradients.sizes import root_mean_square
from mllint.probe.recording.gradients.stepping import OwnSteps, changed, held_names, own_steps
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip


def record(run: Run) -> GradientFlow:
    """Raises Skip where the model has nothing to train, or the loss cannot be had."""
    parameters = trainable(run.model)
    if not parameters:
        raise Skip("no parameter of the model is trainable")
    found = shared_arrivals(run)
    optimizers, silent = list(run.optimizers), set(found.silent)
    weights = {name: root_mean_square(parameter) for name, parameter in parameters.items()}
    causes: list[Cause] = []
    if silent:
        with run.preserved():
            seen = _alternatives(run, silent)
        optimizers += seen.optimizers
        silent -= seen.with_gradient | seen.moved_without
        if seen.moved_without:
            causes.append(Cause("driven", tuple(name for name in parameters if name in seen.moved_without)))
    if silent:
        with run.preserved():
            causes += find_causes(run, found, silent)
    names = {id(parameter): name for name, parameter in parameters.items()}
    held = held_names(optimizers, names) if optimizers else None
    return GradientFlow(BATCHES, tuple(found.losses), found.graph, _flows(found, weights, held), tuple(causes))


def _alternatives(run: Run, silent: set[str]) -> OwnSteps:
    """Other ways in which a parameter may be trained: in steps that come only now and then, or by hand in the
    forward."""
    if run.entry.step is not None:
        try:
            return own_steps(run, silent)
        except FAILURES:
            return OwnSteps()
    parameters = {name: each for name, each in run.model.named_parameters() if name in silent}
    before = {name: each.detach().clone() for name, each in parameters.items()}
    run.loss(run.batch(0))
    return OwnSteps(moved_without=changed(run, parameters, before))


def _flows(found: Arrivals, weights: dict[str, float], held: set[str] | None) -> tuple[ParameterFlow, ...]:
    uses = sorted({arrival.first_use for arrival in found.of.values() if arrival.first_use is not None})
    order = {use: number for number, use in enumerate(uses)}
    return tuple(
        ParameterFlow(
            name,
            None if arrival.first_use is None else order[arrival.first_use],
            arrival.arrived,
            arrival.largest,
            arrival.rms,
            weights[name],
            None if held is None else name in held,
        )
        for name, arrival in found.of.items()
    )
