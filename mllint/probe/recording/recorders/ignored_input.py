"""Permute each input across the batch, and look at what changes in the output.

May not: judge an input that is the same for every sample, or one that only says what counts (masks, labels, lengths).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from mllint.probe.measured.ignored_input import CallEffects, IgnoredInput, InputEffect
from mllint.probe.recording.leaks.axes import batch_dims, batch_size
from mllint.probe.recording.leaks.blame import Seen, fault_site, modules_watched
from mllint.probe.recording.leaks.leaking import noise_between
from mllint.probe.recording.leaks.nested import Place, replaced, tensors_in
from mllint.probe.recording.leaks.outputs import USER_ERRORS, Call, Input, all_calls, model_calls
from mllint.probe.recording.leaks.replay import Replay, replaying
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip

#: An input whose effect is below this share of the largest is looked at again, with its gates opened.
_SMALL = 1e-3
#: Parameters that are nowhere larger than this are gates that training has yet to open: zero convolutions, layer scales.
_CLOSED = 1e-3
_OPENED_TO = 0.1
#: Words in the names of inputs that need not change a prediction.
_NO_DATA = re.compile(r"(?:^|_)(labels?|targets?|lens?|lengths?|index|indices|weights?|gt)(?:_|$)", re.IGNORECASE)


def record(run: Run) -> IgnoredInput:
    """Raises Skip where there is nothing to permute."""
    batch = run.batch(0)
    calls = model_calls(run, batch)
    named = _named(run, batch)
    measured, skipped = [], []
    for call in calls:
        try:
            measured.append(_looked_at(run, call, named))
        except Skip as skip:
            skipped.append(str(skip))
    if named and not any(one.named for call in measured for one in call.effects):
        measured = [_through_batch(run, batch)]
    if not measured:
        raise Skip(skipped[0])
    return IgnoredInput(tuple(measured), tuple(skipped))


def _named(run: Run, batch: Any) -> list[torch.Tensor]:
    """The tensors of the conditioning that the target names."""
    key = run.entry.conditioning
    if key is None:
        return []
    try:
        found = [tensor for _, tensor in tensors_in(batch[key]) if tensor.dim()]
    except (LookupError, TypeError) as error:
        raise Skip(f"the batch has no `{key}`, which `conditioning` names") from error
    if not any(_varies(tensor, 0) for tensor in found):
        raise Skip("the conditioning is the same for every sample of the batch")
    return found


def _varies(tensor: torch.Tensor, dim: int) -> bool:
    return not torch.equal(tensor.roll(1, dim), tensor)


def _looked_at(run: Run, call: Call, named: Sequence[torch.Tensor]) -> CallEffects:
    inputs = call.inputs()
    first = 1 if run.entry.sequence_dim == 0 else 0
    dims, size = batch_dims(inputs, first), batch_size(inputs, first)
    if size < 2:
        raise Skip("a batch of one sample cannot be permuted")
    tested = [
        (one, any(_same(one.tensor, tensor) for tensor in named))
        for one in inputs
        if one.place in dims and _varies(one.tensor, dims[one.place])
    ]
    tested = [(one, known) for one, known in tested if known or _is_data(one)]
    if not tested:
        raise Skip("no argument of the model is a tensor of data that differs from sample to sample")
    with replaying(run, call, evaluating=False) as replay:
        base = replay.base()
        noise = max((noise_between(base[place], again) for place, again in replay.base().items()), default=0.0)
        changes = {one.place: _change(replay, one, dims[one.place], base) for one, _ in tested}
        if _any_small(changes) or not any(changes.values()):
            with _gates_opened(call.module):
                base = replay.base()
                changes = {one.place: _change(replay, one, dims[one.place], base) for one, _ in tested}
        effects = [InputEffect(one.name, changes[one.place], known) for one, known in tested]
        for number, (one, _) in enumerate(tested):
            if changes[one.place] <= _SMALL * max(changes.values()):
                end = _end(replay, run.model, one, dims[one.place])
                module = run.model.get_submodule(end)
                site = fault_site(module, run.made)
                effects[number] = replace(effects[number], ends=end, kind=type(module).__name__, site=site)
    return CallEffects(call.path, call.kind, size, noise, _spread(base, size), tuple(effects))


def _is_data(one: Input) -> bool:
    return one.direct and not one.masks and not _NO_DATA.search(one.name)


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    return first.shape == second.shape and first.dtype == second.dtype and torch.equal(first, second)


def _any_small(changes: dict[Place, float]) -> bool:
    return any(change <= _SMALL * max(changes.values()) for change in changes.values())


def _change(replay: Replay, one: Input, dim: int, base: dict[Place, torch.Tensor]) -> float:
    """The greatest relative change of an output when an input is permuted or replaced."""
    most = 0.0
    for changed in _others(one, dim):
        try:
            other = replay.outputs({one.place: changed})
        except USER_ERRORS:
            continue
        if other.keys() != base.keys() or any(other[place].shape != base[place].shape for place in base):
            return 1.0  # it decides on the shape of the output
        most = max([most, *(noise_between(base[place], other[place]) for place in base)])
    return most


def _others(one: Input, dim: int) -> Iterator[torch.Tensor]:
    yield one.tensor.roll(1, dim)
    if one.tensor.is_floating_point():
        noise = torch.randn(one.tensor.shape, generator=torch.Generator().manual_seed(0))
        spread = one.tensor.float().std(correction=0).to(one.tensor.dtype)
        yield one.tensor + noise.to(one.tensor) * (spread + 1e-3)
    elif one.tensor.dim() > 1:
        yield one.tensor.flip(1 if dim == 0 else 0).roll(1, dim)


@contextmanager
def _gates_opened(module: nn.Module) -> Iterator[None]:
    """Parameters that are zero, or as good as zero, everywhere are small and random inside."""
    generator = torch.Generator().manual_seed(0)
    closed = [each for each in module.parameters() if each.numel() and float(each.detach().abs().max()) < _CLOSED]
    before = [each.detach().clone() for each in closed]
    try:
        with torch.no_grad():
            for each in closed:
                each.copy_(torch.randn(each.shape, generator=generator) * _OPENED_TO)
        yield
    finally:
        with torch.no_grad():
            for each, values in zip(closed, before, strict=True):
                each.copy_(values)


def _end(replay: Replay, model: nn.Module, one: Input, dim: int) -> str:
    """The innermost module that is given something changed by the input, and returns nothing that is."""
    paths = {module: path for path, module in model.named_modules()}
    runs: list[list[Seen]] = []
    rolled: dict[Place, torch.Tensor] = {one.place: one.tensor.roll(1, dim)}
    for changes in ({}, rolled):
        seen: list[Seen] = []
        with modules_watched(replay.call.module, paths, seen):
            replay.outputs(changes)
        runs.append(seen)
    for base, other in zip(runs[0], runs[1], strict=False):
        if base.what != other.what:
            break
        came, went = _most_changed(base.given, other.given), _most_changed(base.returned, other.returned)
        if came and base.returned and went <= _SMALL * min(1.0, came):
            return base.what
    return replay.call.path


def _most_changed(before: list[torch.Tensor], after: list[torch.Tensor]) -> float:
    pairs = zip(before, after, strict=False)
    return max((noise_between(a, b) if a.shape == b.shape else 1.0 for a, b in pairs), default=0.0)


def _spread(base: dict[Place, torch.Tensor], size: int) -> float:
    """Between-sample variance over total power."""
    found = []
    for tensor in base.values():
        if tensor.dim() and tensor.shape[0] == size:
            values = tensor.abs().double() if tensor.is_complex() else tensor.double().nan_to_num(posinf=0, neginf=0)
            power = float(values.pow(2).mean())
            if power:
                found.append(float((values - values.mean(0, keepdim=True)).pow(2).mean()) / power)
    return max(found, default=float("nan"))


def _through_batch(run: Run, batch: Any) -> CallEffects:
    """The conditioning reaches no call as it is in the batch: permute it there, and compare what the last call gives."""
    key = run.entry.conditioning
    base = _last_outputs(run, batch)
    noise = _most_changed(base, _last_outputs(run, run.batch(0)))
    effects = []
    for known in (True, False):
        changes = {
            place: tensor.roll(1, 0)
            for place, tensor in tensors_in(batch)
            if tensor.dim() and (place[:1] == (key,)) == known
        }
        try:
            change = _most_changed(base, _last_outputs(run, replaced(run.batch(0), changes)))
        except USER_ERRORS as error:
            raise Skip("the loss cannot be run on a permuted batch") from error
        effects.append(InputEffect(str(key) if known else "everything else", change, known))
    return CallEffects("", type(run.model).__name__, 0, noise, float("nan"), tuple(effects))


def _last_outputs(run: Run, batch: Any) -> list[torch.Tensor]:
    with run.preserved():
        calls = [call for call in all_calls(run, batch, keep=True) if call.predicts]
    if not calls:
        raise Skip("no call of the model gives more than a loss")
    return list(calls[-1].outputs)
