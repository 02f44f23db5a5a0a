"""The size of every gradient over the batches of the plain pass; the tiny ones once more in float64.

A gradient that shrinks with the precision is rounding noise: the loss does not depend on that parameter (a bias before
a norm). May not: judge a size.
"""

from __future__ import annotations

import math
from statistics import median

import torch

from mllint.probe.measured.magnitude import Magnitude, NotFinite, Size
from mllint.probe.recording.gradients.arrivals import Arrival, Arrivals, arrivals, shared_arrivals
from mllint.probe.recording.gradients.dependence import FAILURES
from mllint.probe.recording.gradients.gates import open_gates
from mllint.probe.recording.gradients.nonfinite import first_not_finite
from mllint.probe.recording.run import Run, floats_as
from mllint.probe.recording.skip import Skip

#: Below this share of the median a gradient is computed again in float64.
_TINY = 1e-5
#: Parameters that nowhere exceed this are gates that are almost shut.
_NEXT_TO_ZERO = 1e-3


def record(run: Run) -> Magnitude:
    """Raises Skip where no parameter has a gradient."""
    found = shared_arrivals(run)
    broken = _broken(run, found)
    sizes = {name: each for name, each in found.of.items() if each.flows and math.isfinite(each.rms) and each.rms > 0}
    if not sizes and broken is None:
        raise Skip("no parameter has a gradient")
    middle = median(each.rms for each in sizes.values()) if sizes else 0.0
    tiny = [name for name, each in sizes.items() if each.rms < _TINY * middle]
    doubles = _in_double(run) if tiny else {}
    gated = _gated(run, sizes, middle, tiny) if tiny else set()
    elements = {name: parameter.numel() for name, parameter in run.model.named_parameters()}
    uses = sorted({each.first_use for each in sizes.values() if each.first_use is not None})
    order = {use: number for number, use in enumerate(uses)}
    return Magnitude(
        tuple(
            Size(
                name,
                each.rms,
                doubles.get(name) if name in tiny else None,
                elements[name],
                None if each.first_use is None else order[each.first_use],
                name in gated,
            )
            for name, each in sizes.items()
        ),
        broken,
    )


def _gated(run: Run, sizes: dict[str, Arrival], middle: float, tiny: list[str]) -> set[str]:
    """Those of the tiny ones that grow beside the others once gates next to zero are opened."""
    with run.preserved():
        if not open_gates(run.model, _NEXT_TO_ZERO):
            return set()
        try:
            opened = arrivals(run, count=1).of
        except FAILURES:
            return set()
    now = median(opened[name].rms for name in sizes)
    return {name for name in tiny if now > 0 and opened[name].rms / now > 100 * sizes[name].rms / middle}


def _broken(run: Run, found: Arrivals) -> NotFinite | None:
    names = tuple(name for name, each in found.of.items() if not math.isfinite(each.largest))
    if not names and all(math.isfinite(loss) for loss in found.losses):
        return None
    with run.preserved():
        try:
            return first_not_finite(run, names)
        except FAILURES:
            return None


def _in_double(run: Run) -> dict[str, float]:
    """Root mean squares of the gradients of a copy in float64; empty where there can be none."""
    with run.preserved():
        try:
            copy = run.double()
            found = arrivals(run, copy, lambda batch: floats_as(batch, torch.float64))
        except FAILURES:
            return {}
    return {name: each.rms for name, each in found.of.items()}
