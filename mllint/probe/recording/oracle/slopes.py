"""The slope of a function of tensors along one direction, by backward and by finite differences, and what follows from both.

May not: know what the function is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from mllint.probe.measured.layer_oracle import TensorVerdict, Verdict
from mllint.probe.recording.oracle.cuts import Tape, raised, unwatched, watched

#: Relative widths of a step, with the relative error up to which both slopes count as the same.
_SWEEP = {
    torch.float64: ((1e-6, 1e-3), (1e-4, 1e-2), (3e-3, 5e-2)),
    torch.float32: ((1e-3, 5e-2), (3e-3, 5e-2)),
}

#: In the first look, along all tensors at once: below this relative error nothing is wrong in any of them.
_SAME = {torch.float64: 1e-5, torch.float32: 1e-2}

#: A slope below this part of the outputs' size is none.
_NOTHING = {torch.float64: 1e-7, torch.float32: 1e-5}

#: Beyond this relative difference between two widths the differences say nothing.
_NOISY = 0.05

#: An analytic slope below this part of the numeric one is a cut.
_CUT = 1e-6

#: How far beside the point a failure is confirmed, relative to the size of the tensor: far from any kink it stood on.
_BESIDE = 1e-3


#: The directions of which the error of a wrong gradient is the mean.
_SEEDS = (5, 23, 29, 31)


class Unclear(Exception):
    """Finite differences cannot be taken; the message says why."""


@dataclass
class Subject:
    """``call`` gives the outputs for the leaves' present values, the same random numbers each time. ``groups`` are the
    tensors that get a verdict of their own. ``aligned``: directions lean towards the gradient, for what is noisy."""

    leaves: dict[str, torch.Tensor]
    call: Callable[[], list[torch.Tensor]]
    groups: dict[str, tuple[str, ...]]
    dtype: torch.dtype
    aligned: bool = False


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


@dataclass(frozen=True)
class Found:
    """The verdicts, the point they were made at, and the calls that explain each cut tensor."""

    verdicts: tuple[TensorVerdict, ...]
    point: Point
    cuts: tuple[int, ...] = ()


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
        move = _random(value, generator).to(value.dtype)
        gradient = self.point.gradients[name]
        if self.subject.aligned and gradient is not None and bool(gradient.abs().sum() > 0):
            move = move + gradient * (move.norm() / gradient.norm())
        return move * size

    def direction(self, names: Sequence[str]) -> tuple[dict[str, torch.Tensor], float]:
        """Unit direction over these leaves, each in proportion to its size, and the size of them all."""
        length = math.sqrt(sum(float(self._moves[name].abs().pow(2).sum()) for name in names))
        size = math.sqrt(sum(float(self.point.values[name].abs().pow(2).sum()) for name in names)) + 1e-2
        return {name: self._moves[name] / max(length, 1e-30) for name in names}, size

    def analytic(self, names: Sequence[str]) -> float | None:
        """The slope that the gradients give; None where no gradient arrived."""
        moves, _ = self.direction(names)
        parts = [(self.point.gradients[name], move) for name, move in moves.items()]
        if all(gradient is None for gradient, _ in parts):
            return None
        return sum(float((gradient.conj() * move).real.double().sum()) for gradient, move in parts if gradient is not None)

    def at(self, moves: dict[str, torch.Tensor], step: float, held: frozenset[int] | None) -> float:
        """The weighed outputs a step away; ``held`` are the cuts that keep their value."""
        leaves, values = self.subject.leaves, self.point.values
        with torch.no_grad():
            for name, leaf in leaves.items():
                leaf.copy_(values[name] + step * moves[name] if name in moves else values[name])
        tape = self.point.tape if held is not None else Tape()
        try:
            with torch.enable_grad(), watched(self.subject.dtype, tape, held or frozenset()):
                outputs = self.subject.call()
            return float(_weighed(outputs, self.point.weights).detach())
        finally:
            with torch.no_grad():
                for name, leaf in leaves.items():
                    leaf.copy_(values[name])

    def difference(self, names: Sequence[str], eps: float, held: frozenset[int] | None = None) -> float:
        """One central difference."""
        moves, size = self.direction(names)
        width = eps * size
        return (self.at(moves, width, held) - self.at(moves, -width, held)) / (2 * width)

    def slope(self, names: Sequence[str], analytic: float, held: frozenset[int] | None = None) -> Slope:
        """The least noisy of several widths."""
        best: Slope | None = None
        for eps, tolerance in _SWEEP[self.subject.dtype]:
            wide, narrow = self.difference(names, eps, held), self.difference(names, eps / 2, held)
            now = Slope(narrow, abs(wide - narrow), eps, tolerance)
            lost = narrow == 0.0 and analytic != 0.0  # swallowed by a cast to a lower precision, or a step function
            if best is None or now.noise < best.noise:
                best = now
            if not lost and now.noise < 1e-5 * max(abs(wide), 1e-30):
                break
        assert best is not None
        return best

    def nothing(self, names: Sequence[str]) -> float:
        """A slope below this is none."""
        return _NOTHING[self.subject.dtype] * self.point.size / self.direction(names)[1]


def checked(subject: Subject, beside: bool = True) -> Found:
    """Compare the gradient of every group of leaves with finite differences. Raises Unclear."""
    point = stand(subject)
    measure = Measure(subject, point)
    names = [name for group in subject.groups.values() for name in group]
    analytic = measure.analytic(names)
    eps, _ = _SWEEP[subject.dtype][0]
    numeric = measure.difference(names, eps)
    error = relative(analytic, numeric)
    if error < _SAME[subject.dtype] and abs(numeric) > measure.nothing(names):
        told = TensorVerdict("everything", "ok", analytic, numeric, None, error, 0.0, eps, str(subject.dtype)[6:])
        return Found((told,), point)
    verdicts: list[TensorVerdict] = []
    cuts: list[int] = []
    for label, group in subject.groups.items():
        verdict, explained = _one(measure, label, group)
        verdicts.append(verdict)
        cuts += explained
    if beside and any(verdict.verdict in ("cut", "wrong") for verdict in verdicts):
        verdicts = _confirmed(subject, point, verdicts)
    return Found(tuple(verdicts), point, tuple(dict.fromkeys(cuts)))


def _one(measure: Measure, label: str, names: Sequence[str]) -> tuple[TensorVerdict, list[int]]:
    analytic = measure.analytic(names)
    raw = measure.slope(names, analytic or 0.0)
    held, explained = None, []
    nothing = measure.nothing(names)
    verdict = verdict_of(analytic, raw, None, nothing)
    if verdict in ("cut", "wrong", "uncertain") and measure.point.tape.cuts:
        still = frozenset(measure.point.tape.cuts)
        held = measure.slope(names, analytic or 0.0, still)
        verdict = verdict_of(analytic, raw, held, nothing)
        if verdict in ("cut", "straight-through"):
            explained = _explaining(measure, names, analytic or 0.0, raw)
    error, noise = relative(analytic, raw.value), raw.noise / max(abs(analytic or 0.0), abs(raw.value), 1e-300)
    if verdict == "wrong":
        error = _typical(measure, names, raw.eps, frozenset(measure.point.tape.cuts))
    dtype = str(measure.subject.dtype)[6:]
    told = None if held is None else held.value
    return TensorVerdict(label, verdict, analytic, raw.value, told, error, noise, raw.eps, dtype), explained


def _typical(measure: Measure, names: Sequence[str], eps: float, still: frozenset[int]) -> float:
    """The relative error over several directions: one alone may be nearly at right angles to the gradient."""
    off, size = 0.0, 0.0
    for seed in _SEEDS:
        other = Measure(measure.subject, measure.point, seed)
        analytic = other.analytic(names) or 0.0
        numeric = [other.difference(names, eps, held) for held in ((None, still) if still else (None,))]
        nearest = min(numeric, key=lambda value: abs(value - analytic))
        off += (analytic - nearest) ** 2
        size += max(abs(analytic), abs(nearest)) ** 2
    return math.sqrt(off / size) if size else 0.0


def _explaining(measure: Measure, names: Sequence[str], analytic: float, raw: Slope) -> list[int]:
    """The calls that cut: held alone, those of one line give the gradient that there is; the first line that does."""
    cuts = measure.point.tape.cuts
    by_site: dict[object, list[int]] = {}
    for number, cut in cuts.items():
        if cut.named:
            by_site.setdefault(cut.site, []).append(number)
    if len(by_site) == 1:
        return next(iter(by_site.values()))
    ranked = sorted(by_site.values(), key=lambda numbers: (cuts[numbers[0]].no_grad, numbers[0]))[:6]
    for numbers in ranked:
        slope = measure.difference(names, raw.eps, frozenset(numbers))
        if relative(analytic, slope) < 0.05 or abs(slope - analytic) < 1e-3 * abs(raw.value):
            return numbers
    return []


def verdict_of(analytic: float | None, raw: Slope, held: Slope | None, nothing: float) -> Verdict:
    """What both slopes say of a tensor; ``held`` is the numeric one with every named cut held still."""
    value = analytic or 0.0
    if not (math.isfinite(value) and math.isfinite(raw.value)):
        return "uncertain"
    if max(abs(value), abs(raw.value)) < nothing:
        return "inert"
    if _agree(value, raw, nothing):
        return "ok"
    cut = abs(value) <= _CUT * abs(raw.value)
    if held is not None and math.isfinite(held.value) and _agree(value, held, nothing):
        return "cut" if cut else "straight-through"
    if abs(raw.value) < nothing or (held is not None and abs(held.value) < nothing):
        return "straight-through" if not cut else "uncertain"
    if (held or raw).noise > _NOISY * max(abs(value), abs((held or raw).value)):
        return "uncertain"
    return "cut" if cut else "wrong"


def _agree(value: float, slope: Slope, nothing: float) -> bool:
    size = max(abs(value), abs(slope.value))
    return abs(value - slope.value) < max(slope.tolerance * size, 20 * slope.noise, nothing)


def relative(analytic: float | None, numeric: float) -> float:
    """The difference of two slopes by the larger of them."""
    value = analytic or 0.0
    size = max(abs(value), abs(numeric))
    return abs(value - numeric) / size if size else 0.0


def _confirmed(subject: Subject, point: Point, verdicts: list[TensorVerdict]) -> list[TensorVerdict]:
    """A failure must be there a little beside the point, too: else the point is a kink (relu at zero, a tie)."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for name, leaf in subject.leaves.items():
            size = point.values[name].abs().pow(2).mean().sqrt().clamp_min(1e-2)
            leaf.copy_(point.values[name] + _BESIDE * size * _random(leaf, generator))
    try:
        again = Measure(subject, stand(subject, seed=13), seed=17)
        failed = [verdict for verdict in verdicts if verdict.verdict in ("cut", "wrong")]
        other = {one.tensor: _one(again, one.tensor, subject.groups[one.tensor])[0] for one in failed}
    except Unclear:
        other = {}
    finally:
        with torch.no_grad():
            for name, leaf in subject.leaves.items():
                leaf.copy_(point.values[name])
    return [_settled(verdict, other.get(verdict.tensor)) for verdict in verdicts]


def _settled(first: TensorVerdict, beside: TensorVerdict | None) -> TensorVerdict:
    if first.verdict not in ("cut", "wrong"):
        return first
    if beside is None:
        return replace(first, verdict="uncertain")
    if beside.verdict == "ok":
        return replace(first, verdict="kink")
    if beside.verdict in ("cut", "wrong"):
        return first
    return replace(first, verdict=beside.verdict)


def _weights(outputs: Sequence[torch.Tensor], generator: torch.Generator) -> list[torch.Tensor | None]:
    """Random weights for the outputs that have a gradient (None for the others: they are figures to look at); for all
    outputs where none has one. Raises Unclear."""
    counted = [each.requires_grad for each in outputs]
    weights = [
        _random(each, generator) if chosen or not any(counted) else None
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


def _random(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Normal numbers of this shape, in double precision, the same on every device."""
    dtype = torch.complex128 if like.is_complex() else torch.float64
    found = torch.randn(like.shape, generator=generator, dtype=dtype)
    return found.to(like.device, raised(like.dtype, torch.float64))


def _dense(gradient: torch.Tensor | None) -> torch.Tensor | None:
    return gradient.to_dense() if gradient is not None and gradient.layout != torch.strided else gradient
