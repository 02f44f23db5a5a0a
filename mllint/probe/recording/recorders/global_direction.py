"""The objective along one direction over all parameters: on a copy in float64, else on the model in float32, put back.

May not: update anything; what the objective cuts by name (targets, teachers) is held still, as autograd takes it.
"""

from __future__ import annotations

import torch

from mllint.probe.measured.global_direction import GlobalDirection
from mllint.probe.recording.eager import uncompiled
from mllint.probe.recording.oracle.blame import function_entry
from mllint.probe.recording.oracle.capture import captured
from mllint.probe.recording.oracle.copies import copied_module
from mllint.probe.recording.oracle.slopes import Point, Unclear
from mllint.probe.recording.oracle.subjects import whole_subject
from mllint.probe.recording.oracle.verdicts import Found, checked
from mllint.probe.recording.run import Run, first_line
from mllint.probe.recording.skip import Skip

#: A copy in float64 of more elements than this would need gigabytes.
_LARGEST = 150_000_000


def record(run: Run) -> GlobalDirection:
    """Raises Skip where no loss depends on a parameter, or where no differences can be taken."""
    if not any(parameter.requires_grad for parameter in run.model.parameters()):
        raise Skip("the model has no trainable parameter")
    with uncompiled():
        try:
            return _measured(run)
        except Unclear as error:
            raise Skip(f"no slope of the loss: {error}") from error


def _measured(run: Run) -> GlobalDirection:
    found = _compared(run)
    told = found.verdicts[0]
    functions = tuple(kind.__name__ for kind in found.point.nodes)
    explained: tuple[str, ...] = ()
    if told.verdict not in ("ok", "inert"):
        explained = _explained(run, found.point)
    return GlobalDirection(told, len(found.point.values), functions, explained)


def _explained(run: Run, point: Point) -> tuple[str, ...]:
    """What may account for a gradient that is not the slope, the cheapest answer first."""
    moved = any(cut.changes_leaf for cut in point.tape.cuts.values())
    told = (*sorted(point.tape.surrogates), *(("parameters changed in place",) if moved else ()))
    return told or tuple(_unfaithful(run, point))


def _compared(run: Run) -> Found:
    elements = sum(parameter.numel() for parameter in run.model.parameters())
    others = [each for each in run.known_modules() if each is not run.model]
    if elements <= _LARGEST:
        try:
            copy = copied_module(run.model, torch.float64)
            subject = whole_subject(
                copy, others, lambda: run.loss(run.batch(0), model=copy), torch.float64, aligned=False
            )
            return checked(subject, lambda point: bool(_explained(run, point)))
        except Exception:  # noqa: BLE001  # the user's code in a precision that it was not written for
            for other in others:
                other.zero_grad()
    low = {str(each.dtype)[6:] for each in run.model.parameters() if each.requires_grad} - {"float32", "float64"}
    if low:
        raise Unclear(f"it does not run in float64, and parameters are {sorted(low)[0]}")
    try:
        subject = whole_subject(run.model, others, lambda: run.loss(run.batch(0)), torch.float32, aligned=True)
        return checked(subject, lambda point: bool(_explained(run, point)))
    except (Unclear, Skip):
        raise
    except Exception as error:  # the user's code, watched
        raise Unclear(_why(error)) from error


def _unfaithful(run: Run, point: Point) -> list[str]:
    """The custom Functions behind the loss that do not give the derivative, or of which it is not known."""
    if not point.nodes:
        return []
    seen = captured(run.model, lambda: run.loss(run.batch(0)), lambda path, module: True)
    faithful: set[type] = set()
    for call in seen.functions:
        try:
            entry = function_entry(call, 1, lambda: run.seeded(7))
        except Unclear:
            continue
        if all(each.verdict in ("ok", "inert") for each in entry.tensors):
            faithful.add(call.kind)
    return [kind.__name__ for kind in point.nodes if kind not in faithful]


def _why(error: BaseException) -> str:
    if "modified by an inplace operation" in str(error):
        return "the step changes tensors in place that its gradient needs, so it cannot be differentiated a second time"
    return first_line(error)
