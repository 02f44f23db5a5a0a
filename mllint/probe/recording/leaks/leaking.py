"""One call opened to be made again with a sample or the future changed, and the module to blame for what leaks.

May not: know which axis a recorder asks about, or judge.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mllint.probe.measured.batch_leak import Culprit
from mllint.probe.recording.leaks.axes import Axis, Effect, difference, effect
from mllint.probe.recording.leaks.blame import Changes, blamed
from mllint.probe.recording.leaks.nested import Place
from mllint.probe.recording.leaks.outputs import USER_ERRORS, Input
from mllint.probe.recording.leaks.replay import Replay
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip

#: A relative change below this needs no culprit: correct models stay under 3e-8, the bounds of the rules are above.
LOOKED_INTO = 1e-6


@dataclass(frozen=True)
class Subject:
    """One call, opened to be made again: what it gave, and how its shapes follow its axis (``resized``: the shapes with one
    sample or position more or less, empty where the model does not take that)."""

    replay: Replay
    inputs: tuple[Input, ...]
    dims: dict[Place, int]
    base: dict[Place, torch.Tensor]
    noise: float
    resizing: Changes
    resized: dict[Place, tuple[int, ...]]
    stream: bytes

    def effects(self, changes: Changes, axis: Axis) -> list[Effect]:
        """What changed inputs do to each output that has a dimension; nothing where the call then draws other random numbers
        (rejection sampling takes as many as the values ask for). Raises what the forward raises."""
        other = self.replay.outputs(changes)
        if self.replay.stream != self.stream:
            return []
        return [
            effect(tensor, other[place], self.resized.get(place), axis)
            for place, tensor in self.base.items()
            if tensor.dim() and place in other and other[place].shape == tensor.shape
        ]

    def follows(self, size: int) -> bool:
        """Has any output a dimension along this axis?"""
        if not self.resized:
            return any(size in tensor.shape for tensor in self.base.values())
        return any(self.resized.get(place) != tuple(tensor.shape) for place, tensor in self.base.items())


def opened(replay: Replay, inputs: tuple[Input, ...], dims: dict[Place, int], resizing: Changes) -> Subject:
    """What the call gives: twice, to know its noise, and once resized. Raises Skip where it is not repeatable."""
    base, again = replay.base(), replay.base()
    if base.keys() != again.keys() or any(base[place].shape != again[place].shape for place in base):
        raise Skip("two calls of the model on the same batch give outputs of different shapes")
    noise = max((noise_between(base[place], again[place]) for place in base), default=0.0)
    stream = replay.stream
    try:
        resized = {place: tuple(tensor.shape) for place, tensor in replay.outputs(resizing).items()} if resizing else {}
    except USER_ERRORS:  # a fixed number of samples or positions
        resized, resizing = {}, {}
    return Subject(replay, inputs, dims, base, noise, resizing, resized, stream)


def noise_between(first: torch.Tensor, second: torch.Tensor) -> float:
    """How far two calls on the same batch differ, relative to the values."""
    change, scale = difference(first, second)
    return float(change.max()) / scale if change.numel() and scale else 0.0


def culprit_of(run: Run, subject: Subject, changes: Changes, axis: Axis) -> Culprit:
    """The innermost module to blame for the leak that these changes make."""

    def leaks(before: torch.Tensor, after: torch.Tensor, shape: tuple[int, ...] | None) -> bool:
        leak = effect(before, after, shape, axis).leak if before.shape == after.shape else None
        return leak is not None and leak > LOOKED_INTO

    blame = blamed(subject.replay, run.model, run.made, changes, leaks, resized=subject.resizing)
    return Culprit(blame.path, blame.kind, blame.site, blame.around, blame.inside, blame.names, blame.dims)
