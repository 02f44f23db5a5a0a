"""The slope of a function of tensors along one direction, by backward and by finite differences.

May not: know what the function is, or say what two slopes mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from mllint.probe.recording.oracle.cuts import Tape, unwatched, watched
from mllint.probe.recording.oracle.precision import raised

#: Relative widths of a step, with the relative error up to which both slopes count as the same.
_SWEEP = {
    torch.float64: ((1e-6, 1e-3), (1e-4, 1e-2), (3e-3, 5e-2)),
    torch.float32: ((1e-3, 5e-2), (3e-3, 5e-2)),
}

_ALIGNED = ((1e-5, 5e-2), (1e-4, 5e-2), (1e-3, 5e-2))

#: A slope below this part of the outputs' size is none.
_NOTHING = {torch.float64: 1e-7, torch.float32: 1e-5}


class Unclear(Exception):
    """Finite differences cannot be taken; the message says why."""


@dataclass
class Subject:
    """``call`` gives the outputs for the leaves' present values, the same random numbers each time. ``groups`` are the
    tensors that get a verdict of their own. ``aligned``: directions lean towards the gradient, for what is noisy.
    ``costly``: one direction has to do."""

    leaves: dict[str, torch.Tensor]
    call: Callable[[], list[torch.Tensor]]
    groups: dict[str, tuple[str, ...]]
    dtype: torch.dtype
    aligned: bool = False
    costly: bool = False


@dataclass(frozen=True)
class Point:
    """The subject at one point: leaves, gradients, the outputs' weights, and what the run met."""

    values: dict[str, torch.Tensor]
    gradients: dict[str, torch.Tensor | None]
    weights: list[torch.Tensor | None]
    size: float
    tape: Tape
    nodes: tuple[type, ...]


@dataclass(frozen=True)
class Slope:
    """A central difference, with the difference to that of half its width."""

    value: float
    noise: float
    eps: float
    tolerance: float


def stand(subject: Subject, seed: int = 3) -> Point:
    """Run the subject once forward and backward. Raises Unclear where nothing comes out that could be differentiated."""
    for leaf in subject.leaves.values():
        leaf.grad = None
    tape = Tape()
    generator = torch.Generator().manual_seed(seed)
    with torch.enable_grad(), watched(subject.dtype, tape):
        outputs = subject.call()
        with unwatched():
            weights = _weights(outputs, generator)
            total, size = _weighed(outputs, weights), _size(outputs, weights)
            nodes = functions_behind(outputs)
            for leaf in subject.leaves.values():
                leaf.grad = None  # a step of the user's own has left some
        if total.requires_grad:
            with torch.autograd.set_multithreading_enabled(False):  # a backward on a GPU is watched, too
                total.backward()  # type: ignore[no-untyped-call]
    gradients = {name: _dense(leaf.grad) for name, leaf in subject.leaves.items()}
    values = {name: leaf.detach().clone() for name, leaf in subject.leaves.items()}
    for leaf in subject.leaves.values():
        leaf.grad = None
    if not math.isfinite(size):
        raise Unclear("its output is not finite")
    return Point(values, gradients, weights, size, tape, nodes)


def functions_behind(outputs: Sequence[torch.Tensor]) -> tuple[type, ...]:
    """The custom autograd Functions in the graph of these tensors, torch's own left out."""
    found: dict[type, None] = {}
    pending = [each.grad_fn for each in outputs if each.grad_fn is not None]
    seen = set(pending)
    while pending:
        node = pending.pop()
        kind = getattr(node, "_forward_cls", None)
        if kind is not None and not kind.__module__.startswith("torch."):
            found[kind] = None
        for before, _ in node.next_functions:
            if before is not None and before not in seen:
                seen.add(before)
                pending.append(before)
    return tuple(found)


class Measure:
    """Finite differences around one point of a subject."""

    def __init__(self, subject: Subject, point: Point, seed: int = 5) -> None:
        self.subject, self.point = subject, point
        generator = torch.Generator().manual_seed(seed)
        self._moves = {name: self._move(name, value, generator) for name, value in point.values.items()}

    def _move(self, name: str, value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        size = value.abs().pow(2).mean().sqrt().clamp_min(1e-2)
        move = random_like(value, generator).to(value.dtype)
        gradient = self.point.gradients[name]
        if self.subject.aligned and gradient is not None and bool(gradient.abs().sum() > 0):
            move = move + gradient * (move.norm() / gradient.norm())
        return move * size

    def _scales(self, names: Sequence[str]) -> tuple[float, float]:
        """What makes the moves of these leaves a direction of length one, and the size of the leaves together."""
        length = math.sqrt(sum(float(self._moves[name].norm()) ** 2 for name in names))
        size = math.sqrt(sum(float(self.point.values[name].norm()) ** 2 for name in names)) + 1e-2
        return 1 / max(length, 1e-30), size

    def analytic(self, names: Sequence[str]) -> float | None:
        """The slope that the gradients give; None where no gradient arrived."""
        parts = [(self.point.gradients[name], self._moves[name]) for name in names]
        if all(gradient is None for gradient, _ in parts):
            return None
        found = sum(
            float((gradient.conj() * move).real.double().sum()) for gradient, move in parts if gradient is not None
        )
        return found * self._scales(names)[0]

    def _at(self, names: Sequence[str], step: float, held: frozenset[int] | None) -> float:
        """The weighed outputs so many moves away; ``held`` are the cuts that keep their value."""
        leaves, values = self.subject.leaves, self.point.values
        moved = set(names)
        with torch.no_grad():
            for name, leaf in leaves.items():
                leaf.copy_(values[name].add(self._moves[name], alpha=step) if name in moved else values[name])
        try:
            with torch.enable_grad(), watched(self.subject.dtype, self.point.tape, held or frozenset()):
                outputs = self.subject.call()
            return float(_weighed(outputs, self.point.weights).detach())
        finally:
            with torch.no_grad():
                for name, leaf in leaves.items():
                    leaf.copy_(values[name])

    def difference(self, names: Sequence[str], eps: float, held: frozenset[int] | None = None) -> float:
        """One central difference."""
        scale, size = self._scales(names)
        width = eps * size
        return (self._at(names, width * scale, held) - self._at(names, -width * scale, held)) / (2 * width)

    def slope(self, names: Sequence[str], analytic: float, held: frozenset[int] | None = None) -> Slope:
        """The least noisy of several widths."""
        best: Slope | None = None
        for eps, tolerance in widths(self.subject):
            wide, narrow = self.difference(names, eps, held), self.difference(names, eps / 2, held)
            now = Slope(narrow, abs(wide - narrow), eps, tolerance)
            lost = narrow == 0.0 and analytic != 0.0  # swallowed by a cast to a lower precision, or a step function
            if best is None or now.noise < best.noise:
                best = now
            if not lost and now.noise < 1e-5 * max(abs(wide), 1e-30):
                break
        assert best is not None
        return best

    def steady(self, names: Sequence[str], eps: float, slope: float) -> bool:
        """Does the subject give the same twice, measured by what a step of this width changes?"""
        first, again = self._at(names, 0.0, None), self._at(names, 0.0, None)
        return abs(first - again) <= 1e-3 * abs(slope) * eps * self._scales(names)[1]

    def nothing(self, names: Sequence[str]) -> float:
        """A slope below this is none."""
        return _NOTHING[self.subject.dtype] * self.point.size / self._scales(names)[1]


def widths(subject: Subject) -> tuple[tuple[float, float], ...]:
    """The relative widths to try, each with its tolerance. Along the gradient the loss changes fast: small ones do."""
    return _ALIGNED if subject.aligned else _SWEEP[subject.dtype]


def _weights(outputs: Sequence[torch.Tensor], generator: torch.Generator) -> list[torch.Tensor | None]:
    """Random weights for the outputs that have a gradient (None for the others: they are figures to look at); for all
    outputs where none has one. Raises Unclear."""
    counted = [each.requires_grad for each in outputs]
    weights = [
        random_like(each, generator) if chosen or not any(counted) else None
        for each, chosen in zip(outputs, counted, strict=True)
    ]
    if not any(weight is not None and weight.numel() for weight in weights):
        raise Unclear("it returns no floating-point tensor")
    return weights


def _weighed(outputs: Sequence[torch.Tensor], weights: Sequence[torch.Tensor | None]) -> torch.Tensor:
    if len(outputs) != len(weights):
        raise Unclear("it does not return the same tensors each time")
    total = torch.zeros((), dtype=torch.float64)
    for output, weight in zip(outputs, weights, strict=True):
        if weight is not None:
            if output.shape != weight.shape:
                raise Unclear("the shape of its output changes")
            total = total.to(output.device) + (weight.conj() * output).real.double().sum()
    return total


def _size(outputs: Sequence[torch.Tensor], weights: Sequence[torch.Tensor | None]) -> float:
    return sum(
        float((weight * output.detach()).abs().double().sum())
        for output, weight in zip(outputs, weights, strict=True)
        if weight is not None
    )


def random_like(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Normal numbers of this shape, in double precision, the same on every device."""
    dtype = torch.complex128 if like.is_complex() else torch.float64
    found = torch.randn(like.shape, generator=generator, dtype=dtype)
    return found.to(like.device, raised(like.dtype, torch.float64))


def _dense(gradient: torch.Tensor | None) -> torch.Tensor | None:
    return gradient.to_dense() if gradient is not None and gradient.layout != torch.strided else gradient
