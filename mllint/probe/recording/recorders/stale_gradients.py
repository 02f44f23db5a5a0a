"""The target's own step, a few times: is what an optimizer has used cleared before it steps again?

Only a step of the user's own can leave gradients behind; around a `loss` it is the probe that clears them.
May not: clear a gradient.
"""

from __future__ import annotations

from mllint.probe.measured.stale_gradients import OptimizerGradients, StaleGradients
from mllint.probe.recording.gradients.ledger import Ledger, watched_ledgers
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip

#: Calls that are watched: the second can show what the first left; more for an optimizer that steps only now and then.
_STEPS, _AT_MOST = 3, 6


def record(run: Run) -> StaleGradients:
    """Raises Skip where the loop is the probe's own, or no optimizer stepped."""
    if run.entry.step is None:
        raise Skip("around a `loss` the probe clears the gradients itself; give a `step` to have yours looked at")
    steps = 0
    with run.preserved(), watched_ledgers(run.optimizers) as ledgers:
        run.clear_gradients()
        while steps < _STEPS or (steps < _AT_MOST and any(ledger.stepped < 2 for ledger in ledgers.values())):
            run.step(steps)
            steps += 1
    if not any(ledger.stepped for ledger in ledgers.values()):
        raise Skip("the step uses no torch optimizer")
    names = {id(parameter): name for name, parameter in run.model.named_parameters()}
    return StaleGradients(steps, tuple(_facts(ledger, names) for ledger in ledgers.values()))


def _facts(ledger: Ledger, names: dict[int, str]) -> OptimizerGradients:
    stale = [names.get(number, "a parameter outside the model") for number in ledger.stale]
    return OptimizerGradients(
        kind=type(ledger.optimizer).__name__,
        parameters=len(ledger.parameters),
        stepped=ledger.stepped,
        stale=tuple(stale),
        added=next(iter(ledger.stale.values()), None),
        lost=ledger.lost,
        stepping=ledger.stepping,
    )
