"""What two slopes say of a tensor: right, cut, wrong, made up on purpose, at a kink, or too noisy to tell.

May not: know what the function is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from mllint.probe.measured.layer_oracle import TensorVerdict, Verdict
from mllint.probe.recording.oracle.slopes import Measure, Point, Slope, Subject, Unclear, random_like, stand, widths

#: In the first look, along all tensors at once: below this relative error nothing is wrong in any of them.
_SAME = {torch.float64: 1e-5, torch.float32: 1e-2}

#: Beyond this relative difference between two widths the differences say nothing.
_NOISY = 0.05

#: Below this relative difference between two widths nothing random was at work.
_QUIET = 1e-4

#: Verdicts that someone is to blame for.
FAILED = ("cut", "wrong")

#: An analytic slope below this part of the numeric one is a cut.
_CUT = 1e-6

#: How far beside the point a failure is confirmed, relative to the size of the tensor: far from any kink it stood on.
_BESIDE = 1e-3

#: The directions of which the error of a wrong gradient is the mean.
_SEEDS = (5, 23, 29, 31)


@dataclass(frozen=True)
class Found:
    """The verdicts, the point they were made at, and the calls that explain each cut tensor."""

    verdicts: tuple[TensorVerdict, ...]
    point: Point
    cuts: tuple[int, ...] = ()


def checked(subject: Subject, accounted: Callable[[Point], bool] = lambda point: False) -> Found:
    """Compare the gradient of every group of leaves with finite differences. Raises Unclear.

    ``accounted`` says of a point whose slopes differ whether something already known explains that; then no more is done.
    """
    point = stand(subject)
    measure = Measure(subject, point)
    names = [name for group in subject.groups.values() for name in group]
    analytic = measure.analytic(names)
    eps, _ = widths(subject)[0]
    numeric = measure.difference(names, eps)
    error = relative(analytic, numeric)
    if error < _SAME[subject.dtype] and abs(numeric) > measure.nothing(names):
        told = TensorVerdict("everything", "ok", analytic, numeric, None, error, 0.0, eps, str(subject.dtype)[6:])
        return Found((told,), point)
    if error >= _SAME[subject.dtype] and accounted(point):
        told = TensorVerdict("everything", "wrong", analytic, numeric, None, error, 0.0, eps, str(subject.dtype)[6:])
        return Found((told,), point)
    verdicts: list[TensorVerdict] = []
    cuts: list[int] = []
    for label, group in subject.groups.items():
        verdict, explained = _one(measure, label, group)
        verdicts.append(verdict)
        cuts += explained
    if any(verdict.verdict in FAILED for verdict in verdicts):
        verdicts = _confirmed(subject, point, verdicts)
    return Found(tuple(verdicts), point, tuple(dict.fromkeys(cuts)))


def _one(measure: Measure, label: str, names: Sequence[str]) -> tuple[TensorVerdict, list[int]]:
    analytic = measure.analytic(names)
    raw = measure.slope(names, analytic or 0.0)
    held, explained = None, []
    nothing = measure.nothing(names)
    verdict = verdict_of(analytic, raw, None, nothing)
    if verdict not in ("ok", "inert") and measure.point.tape.cuts:
        still = frozenset(measure.point.tape.cuts)
        held = measure.slope(names, analytic or 0.0, still)
        verdict = verdict_of(analytic, raw, held, nothing)
        if verdict in ("cut", "straight-through"):
            explained = _explaining(measure, names, analytic or 0.0, raw)
    error, noise = relative(analytic, raw.value), raw.noise / max(abs(analytic or 0.0), abs(raw.value), 1e-300)
    larger = max(raw.value, analytic or 0.0, key=abs)
    if verdict in FAILED and raw.noise > _QUIET * abs(larger) and not measure.steady(names, raw.eps, larger):
        verdict = "uncertain"  # random numbers that no seed reaches, or a state that nobody puts back
    if verdict == "wrong" and not measure.subject.costly:
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
    if abs((held or raw).value) < nothing:
        return "straight-through" if not cut else "uncertain"
    if (held or raw).noise > _NOISY * max(abs(value), abs((held or raw).value)):
        return "uncertain"
    return "cut" if cut else "wrong"


def _agree(value: float, slope: Slope, nothing: float) -> bool:
    size = max(abs(value), abs(slope.value))
    off = abs(value - slope.value)
    return off < max(slope.tolerance * size, nothing) or (slope.noise <= _NOISY * size and off < 20 * slope.noise)


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
            leaf.copy_(point.values[name] + _BESIDE * size * random_like(leaf, generator))
    try:
        again = Measure(subject, stand(subject, seed=13), seed=17)
        failed = [verdict for verdict in verdicts if verdict.verdict in FAILED]
        other = {one.tensor: _one(again, one.tensor, subject.groups[one.tensor])[0] for one in failed}
    except Unclear:
        other = {}
    finally:
        with torch.no_grad():
            for name, leaf in subject.leaves.items():
                leaf.copy_(point.values[name])
    return [_settled(verdict, other.get(verdict.tensor)) for verdict in verdicts]


def _settled(first: TensorVerdict, beside: TensorVerdict | None) -> TensorVerdict:
    if first.verdict not in FAILED:
        return first
    if beside is None:
        return replace(first, verdict="uncertain")
    if beside.verdict == "ok":
        return replace(first, verdict="kink")
    if beside.verdict in FAILED:
        return first
    return replace(first, verdict=beside.verdict)
