"""The local oracle: of every class of layers a few, and every custom autograd Function, on what a real step gives them.

May not: update anything, or measure on the user's model itself; layers are copied.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager

from torch import nn

from mllint.probe.measured.layer_oracle import Checked, LayerOracle, NotChecked
from mllint.probe.recording.eager import uncompiled
from mllint.probe.recording.frames import forward_site
from mllint.probe.recording.oracle.blame import compared, function_entry, on_purpose
from mllint.probe.recording.oracle.capture import Captured, LayerCall, captured
from mllint.probe.recording.oracle.deliberate import said_of
from mllint.probe.recording.oracle.slopes import Point, Unclear
from mllint.probe.recording.oracle.subjects import layer_subject
from mllint.probe.recording.oracle.verdicts import FAILED
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip

#: Time for the comparison: this many times the seconds of the forward that showed the inputs, and at least so many.
_FORWARDS, _SECONDS = 30.0, 4.0

#: A copy in float64 with its gradients of more elements than this would need gigabytes.
_LARGEST = 100_000_000


def record(run: Run) -> LayerOracle:
    """Raises Skip where the model has nothing of its own that a gradient goes through."""
    with uncompiled():
        return _measured(run)


def _measured(run: Run) -> LayerOracle:
    started = time.perf_counter()
    found = captured(run.model, lambda: run.loss(run.batch(0)), _left_out(run.model))
    now = time.perf_counter()
    until = now + min(max(_FORWARDS * (now - started), _SECONDS), run.seconds_left / 3)
    if not found.layers and not found.functions:
        raise Skip("no gradient goes through a layer or Function that is not torch's own")
    checked: list[Checked] = []
    skipped = [NotChecked("", kind.__name__, reason) for kind, reason in found.failed.items()]
    _functions(run, found, until, checked, skipped)
    _layers(run, found, until, checked, skipped)
    return LayerOracle(tuple(checked), tuple(skipped))


def _left_out(model: nn.Module) -> Callable[[str, nn.Module], bool]:
    """torch's own layers; containers that hold more than half of the parameters; what is too large to copy."""
    whole = _elements(model)

    def skip(path: str, module: nn.Module) -> bool:
        elements = _elements(module)
        holds_most = next(module.children(), None) is not None and (not path or elements > whole / 2)
        return type(module).__module__.startswith("torch.") or holds_most or elements > _LARGEST

    return skip


def _elements(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _seeded(run: Run) -> Callable[[], AbstractContextManager[None]]:
    return lambda: run.seeded(7)


def _functions(run: Run, found: Captured, until: float, checked: list[Checked], skipped: list[NotChecked]) -> None:
    for call in found.functions:
        if time.perf_counter() > until:
            skipped.append(NotChecked(call.path, call.kind.__name__, "no time was left"))
            continue
        try:
            checked.append(function_entry(call, found.applied[call.kind], _seeded(run)))
        except Unclear as error:
            skipped.append(NotChecked(call.path, call.kind.__name__, str(error)))


def _layers(run: Run, found: Captured, until: float, checked: list[Checked], skipped: list[NotChecked]) -> None:
    counts = Counter(type(module) for module in run.model.modules())
    guilty: set[type] = set()
    for call in sorted(found.layers, key=lambda call: sum(1 for _ in call.module.modules())):
        kind = type(call.module)
        inside = next(
            (type(each) for each in call.module.modules() if type(each) in guilty and type(each) is not kind), None
        )
        if inside is not None:
            skipped.append(NotChecked(call.path, kind.__name__, f"it holds `{inside.__name__}`, which failed"))
        elif kind in guilty:
            continue
        elif time.perf_counter() > until:
            skipped.append(NotChecked(call.path, kind.__name__, "no time was left"))
        else:
            try:
                entry = _layer_entry(run, call, counts[kind], checked)
            except Unclear as error:
                skipped.append(NotChecked(call.path, kind.__name__, str(error)))
                continue
            checked.append(entry)
            if entry.blamed:
                guilty.add(kind)


def _layer_entry(run: Run, call: LayerCall, count: int, before: list[Checked]) -> Checked:
    def accounted(point: Point) -> bool:
        return any(_accounts_for(kind, before) for kind in point.nodes)

    found = on_purpose(compared(lambda dtype: layer_subject(call, dtype, _seeded(run)), accounted))
    functions = tuple(kind.__name__ for kind in found.point.nodes)
    cuts = [found.point.tape.cuts[number] for number in found.cuts]
    kind = type(call.module)
    return Checked(
        "layer",
        call.path,
        kind.__name__,
        count,
        any(each.verdict in FAILED for each in found.verdicts) and not accounted(found.point),
        found.verdicts,
        forward_site(kind),
        run.made.of(call.module),
        cut=cuts[0].site if cuts else None,
        cut_by=("no_grad" if cuts[0].no_grad else cuts[0].name) if cuts else "",
        functions=functions,
    )


def _accounts_for(function: type, before: list[Checked]) -> bool:
    """Does a custom Function inside a layer explain that its gradient is no derivative: is it known not to give one, or
    unknown and said to be something else?"""
    known = [each for each in before if each.what == "function" and each.kind == function.__name__]
    if not known:
        return bool(said_of(function))
    return any(each.verdict not in ("ok", "inert") for entry in known for each in entry.tensors)
