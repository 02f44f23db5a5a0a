"""One batch, an Adam of our own, dropout off: a few hundred steps with each of some learning rates, until one succeeds.

May not: use the user's optimizers, or keep what the model learns.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from mllint.probe.measured.one_batch import Attempt, OneBatch
from mllint.probe.recording.data.floors import Looked, contrasts, floor_of, values_of
from mllint.probe.recording.data.losscalls import LossCall, loss_calls
from mllint.probe.recording.data.undropped import undropped
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip

#: Steps of an attempt, its learning rates in turn, and the part of the loss below which nothing more needs to be shown.
_STEPS, _RATES, _ENOUGH = 200, (1e-3, 1e-2, 1e-4), 0.1


def record(run: Run) -> OneBatch:
    """Raises Skip where no loss has to fall: adversarial and contrastive losses, targets drawn anew, nothing to train."""
    if len(run.optimizers) > 1:
        raise Skip("several optimizers work against or beside each other: no one loss has to fall")
    with undropped(run.model):
        first = _learnable(run)
        floor: float | None = None
        trained = _trained(run)
        attempts: list[Attempt] = []
        for rate in _RATES:
            with run.preserved():
                attempts.append(_attempt(run, trained, rate, floor or 0.0))
                floor = _floor(run, first) if floor is None else floor
            if _learned(attempts[-1], floor or 0.0):
                break
    return OneBatch(
        tuple(attempts), sum(each.numel() for each in trained), floor, values_of(first.calls) if first.calls else None
    )


def _looked_at(run: Run, seed: int = 0) -> Looked:
    with loss_calls() as calls:
        loss = float(run.loss(run.batch(0), seed=seed).detach())
    return Looked(loss, tuple(calls))


def _learnable(run: Run) -> Looked:
    """The first loss and its calls. Raises Skip where it is no loss to learn a batch by."""
    first, again = _looked_at(run), _looked_at(run, seed=1)
    if not math.isfinite(first.loss) or first.loss <= 0:
        raise Skip(f"the first loss is {first.loss:g}: a part of it says nothing")
    if any(contrasts(call) for call in first.calls):
        raise Skip("the loss contrasts the samples of a batch: how low it can get depends on its temperature")
    if len(first.calls) != len(again.calls) or not all(map(_same, first.calls, again.calls)):
        raise Skip("the targets are drawn anew in each step: there is nothing to learn by heart")
    return first


def _floor(run: Run, first: Looked) -> float | None:
    """The floor of the loss, from what has become of it in training."""
    try:
        return floor_of(first, _looked_at(run))
    except (RuntimeError, ValueError, TypeError):  # a call that cannot be made again
        return None


def _same(one: LossCall, other: LossCall) -> bool:
    """Do two calls have the same target? One that the model itself computes (a teacher's, say) may differ a little."""
    if one.target.shape != other.target.shape:
        return False
    return torch.allclose(one.target.detach().double(), other.target.detach().double(), rtol=1e-3, atol=1e-4)


def _trained(run: Run) -> list[nn.Parameter]:
    """The parameters that a step gives a gradient. Raises Skip where there are none."""
    known = [each for module in run.known_modules() for each in module.parameters() if each.requires_grad]
    with run.preserved():
        for parameter in known:
            parameter.grad = None
        loss = run.loss(run.batch(0))
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        found = {id(each): each for each in known if each.grad is not None and each.grad.layout == torch.strided}
    if not found:
        raise Skip("no parameter gets a gradient")
    return list(found.values())


def _attempt(run: Run, trained: list[nn.Parameter], rate: float, floor: float) -> Attempt:
    optimizer = torch.optim.Adam(trained, lr=rate)
    first = lowest = math.nan
    step = 0
    for step in range(_STEPS + 1):
        optimizer.zero_grad()
        loss = run.loss(run.batch(0))
        optimizer.zero_grad()  # a step of the user's own has left some
        value = float(loss.detach())
        first, lowest = (value, value) if step == 0 else (first, min(lowest, value))
        if not math.isfinite(value) or _learned(Attempt(rate, first, lowest, step), floor):
            break
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return Attempt(rate, first, lowest, step)


def _learned(attempt: Attempt, floor: float) -> bool:
    return attempt.lowest - floor < _ENOUGH * (attempt.first - floor)
