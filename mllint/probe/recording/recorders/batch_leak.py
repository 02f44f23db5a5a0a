"""Change one sample of a batch, and look at the outputs for the others.

May not: judge what is meant to mix samples, such as a router or minibatch statistics; names are recorded for that.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from mllint.probe.measured.batch_leak import BatchLeak, LeakingCall
from mllint.probe.recording.leaks.axes import (
    Axis,
    Effect,
    batch_dims,
    batch_size,
    effect,
    with_last_sample_twice,
    with_noise_in,
    with_sample_copied,
)
from mllint.probe.recording.leaks.blame import Changes
from mllint.probe.recording.leaks.input_gradients import gradient_leak
from mllint.probe.recording.leaks.leaking import LOOKED_INTO, Subject, culprit_of, opened
from mllint.probe.recording.leaks.nested import Place, tensors_in
from mllint.probe.recording.leaks.outputs import USER_ERRORS, Call, model_calls
from mllint.probe.recording.leaks.replay import replaying
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip


def record(run: Run) -> BatchLeak:
    """Raises Skip where no call has samples to tell apart."""
    batch = run.batch(0)
    measured, skipped = [], []
    for call in model_calls(run, batch):
        try:
            measured.append(_looked_at(run, call))
        except Skip as skip:
            skipped.append(str(skip))
    if not measured:
        raise Skip(skipped[0])
    return BatchLeak(tuple(measured), tuple(skipped))


def _looked_at(run: Run, call: Call) -> LeakingCall:
    first = 1 if run.entry.sequence_dim == 0 else 0
    inputs = call.inputs()
    dims, size = batch_dims(inputs, first), batch_size(inputs, first)
    if size < 2 or not dims:
        raise Skip("a batch of one sample has no others")
    with replaying(run, call, evaluating=True) as replay:
        subject = opened(replay, inputs, dims, with_last_sample_twice(inputs, dims))
        if not subject.follows(size):
            raise Skip("no output has one entry for each sample")
        only_one = Axis(size, 1, torch.arange(size) == size // 2)  # its output is asked about, all others are touched
        gradient, suspect = gradient_leak(replay, inputs, dims, only_one, subject.resized)
        worst, axis, changes = _worst(subject, size, gradient, suspect)
        culprit = None
        if worst > LOOKED_INTO and changes is not None:
            culprit = culprit_of(run, subject, changes, axis)
        other_dim = culprit is not None and first == 0 and _independent_along_dim_1(subject)
        return LeakingCall(
            call.path,
            call.kind,
            size,
            worst,
            gradient,
            subject.noise,
            replay.coarsest,
            tuple(one.name for one in inputs),
            other_dim,
            other_dim and _labelled(run, size),
            culprit,
        )


def _worst(subject: Subject, size: int, gradient: float, suspect: int) -> tuple[float, Axis, Changes | None]:
    """The largest leak of a few changes of one sample, with the change that makes it; zero where nothing could be seen."""
    tried = [0, size // 2]
    if gradient > LOOKED_INTO and suspect not in tried:
        tried.append(suspect)
    worst, chosen, changes = 0.0, Axis(size, 1, torch.ones(size, dtype=torch.bool)), None
    for sample in tried:
        axis = Axis(size, 1, torch.arange(size) != sample)
        copied = with_sample_copied(subject.inputs, subject.dims, sample, (sample + 1) % size)
        for change in filter(None, (copied, with_noise_in(subject.inputs, subject.dims, sample))):
            try:
                seen = subject.effects(change, axis)
            except USER_ERRORS:
                continue
            leak = _most(seen)
            if leak > max(worst, LOOKED_INTO):
                change, leak = _by_content(subject, change, axis, leak)
            if leak > worst:
                worst, chosen, changes = leak, axis, change
    return worst, chosen, changes


def _most(seen: Iterable[Effect]) -> float:
    return max((one.leak for one in seen if one.leak is not None and one.axes == 1), default=0.0)


def _by_content(
    subject: Subject, change: dict[Place, torch.Tensor], axis: Axis, leak: float
) -> tuple[dict[Place, torch.Tensor], float]:
    """The same change without masks and lengths, with its leak: a loss for each sample that is divided by the number of all
    valid positions is as it should be. The whole change where there is nothing else in it."""
    content = {one.place for one in subject.inputs if not one.masks and not _counts(one.tensor)}
    kept = {place: tensor for place, tensor in change.items() if place in content}
    if not kept or len(kept) == len(change):
        return change, leak
    try:
        seen = subject.effects(kept, axis)
    except USER_ERRORS:
        return change, leak
    return (kept, _most(seen)) if any(one.whole for one in seen) else (change, leak)


def _counts(tensor: torch.Tensor) -> bool:
    """Is it one whole number for each sample, such as a length?"""
    return tensor.dim() == 1 and not tensor.is_floating_point()


def _independent_along_dim_1(subject: Subject) -> bool:
    """Is each index of dimension 1 of inputs and outputs for itself? Then samples may run along it, and time along 0."""
    wide = [one for one in subject.inputs if one.tensor.dim() > 1 and not one.masks]
    if not wide or len({one.tensor.shape[1] for one in wide}) != 1 or wide[0].tensor.shape[1] < 2:
        return False
    size, dims = wide[0].tensor.shape[1], {one.place: 1 for one in wide}
    axis = Axis(size, 1, torch.arange(size) != size // 2)
    try:
        other = subject.replay.outputs(with_sample_copied(wide, dims, size // 2, size // 2 - 1))
    except USER_ERRORS:
        return False
    seen = []
    for place, tensor in subject.base.items():
        if tensor.dim() > 1 and tensor.shape[1] == size and place in other:
            shape = (tensor.shape[0], size + 1, *tensor.shape[2:])
            seen.append(effect(tensor, other[place], shape, axis))
    return any(one.whole for one in seen) and all(one.leak is None or one.leak <= LOOKED_INTO for one in seen)


def _labelled(run: Run, size: int) -> bool:
    """Has the batch a vector with one entry for each sample?"""
    return any(tuple(tensor.shape) == (size,) for _, tensor in tensors_in(run.batch(0)))
