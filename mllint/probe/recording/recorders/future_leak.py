"""Change the last positions of a sequence, and look at the outputs for the first ones.

May not: look at a model that nobody called causal.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from mllint.probe.measured.future_leak import FutureLeak
from mllint.probe.recording.leaks.axes import (
    Axis,
    batch_dims,
    time_dims,
    with_other_future,
    without_last_position,
)
from mllint.probe.recording.leaks.blame import Changes
from mllint.probe.recording.leaks.input_gradients import gradient_leak
from mllint.probe.recording.leaks.leaking import LOOKED_INTO, Subject, culprit_of, opened
from mllint.probe.recording.leaks.nested import Place
from mllint.probe.recording.leaks.outputs import USER_ERRORS, Call, Input, main_call
from mllint.probe.recording.leaks.replay import Replay, replaying
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip

#: How a class says that it is causal. Other names are no promise.
_CAUSAL_CLASS = "ForCausalLM"


def record(run: Run) -> FutureLeak:
    """Raises Skip where the model is not causal, or where its outputs cannot be matched with its inputs by position."""
    causal = _why_causal(run)
    if not causal:
        raise Skip("the target does not declare `causal=True`")
    call = main_call(run, run.batch(0))
    inputs = call.inputs()
    dims = batch_dims(inputs, 1 if run.entry.sequence_dim == 0 else 0)
    with replaying(run, call, evaluating=True) as replay:
        seen = list(_each_sequence(run, call, replay, inputs, dims, causal))
    if not seen:
        raise Skip("no output has one entry for each position of an input")
    return min(seen, key=lambda one: one.changed)


def _why_causal(run: Run) -> str:
    if run.entry.causal:
        return "declared"
    kinds = [type(module).__name__ for module in (run.model, *run.model.children())]
    return next((kind for kind in kinds if kind.endswith(_CAUSAL_CLASS)), "")


def _each_sequence(
    run: Run, call: Call, replay: Replay, inputs: tuple[Input, ...], dims: dict[Place, int], causal: str
) -> Iterator[FutureLeak]:
    """What the future of each input does, of those with an effect at all."""
    sequence_dim = run.entry.sequence_dim
    opened_for: dict[int, Subject] = {}
    for one in inputs:
        if one.masks or one.place not in dims or one.tensor.dim() < 2:
            continue
        along = time_dims(one, one.tensor.shape[min(sequence_dim, one.tensor.dim() - 1)], sequence_dim, dims[one.place])
        length = one.tensor.shape[along[0]] if along else 0
        if length < 2:
            continue
        if length not in opened_for:
            every = {each.place: time_dims(each, length, sequence_dim, dims.get(each.place)) for each in inputs}
            opened_for[length] = opened(replay, inputs, dims, without_last_position(inputs, every))
        subject = opened_for[length]
        whole, changed, changes, axis = _worst(subject, one, along[0], length)
        if whole <= subject.noise or changed is None:
            continue
        half = Axis(length, -1, torch.arange(length) < max(1, length // 2))
        gradient, _ = gradient_leak(replay, (one,), {one.place: along[0]}, half, subject.resized)
        culprit = None
        if changed > LOOKED_INTO:
            culprit = culprit_of(run, subject, changes, axis)
        yield FutureLeak(
            call.path,
            call.kind,
            one.name,
            causal,
            length,
            changed,
            gradient,
            subject.noise,
            replay.coarsest,
            culprit,
        )


def _worst(subject: Subject, one: Input, time_dim: int, length: int) -> tuple[float, float | None, Changes, Axis]:
    """The effect and the leak of a few changes of the future, with the change that leaks most."""
    whole, worst, chosen = 0.0, None, None
    axis = Axis(length, -1, torch.arange(length) < 1)
    for begin in sorted({1, max(1, length // 2), length - 1}):
        axis = Axis(length, -1, torch.arange(length) < begin)
        changes = {one.place: with_other_future(one, subject.dims[one.place], time_dim, begin)}
        try:
            seen = subject.effects(changes, axis)
        except USER_ERRORS:
            continue
        whole = max([whole, *(each.whole for each in seen)])
        leak = max((each.leak for each in seen if each.leak is not None and each.axes), default=None)
        if leak is not None and (worst is None or leak > worst):
            worst, chosen = leak, (changes, axis)
    return (whole, worst, *(chosen or ({}, axis)))
