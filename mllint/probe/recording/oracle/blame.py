"""From slopes to what the probe tells: one entry a layer or Function, each failure blamed on the smallest thing that has it.

May not: run the user's model.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import torch

from mllint.probe.measured.layer_oracle import Checked, TensorVerdict
from mllint.probe.recording.frames import nearness, shown
from mllint.probe.recording.oracle.capture import FunctionCall
from mllint.probe.recording.oracle.deliberate import said_of
from mllint.probe.recording.oracle.slopes import Point, Subject, Unclear
from mllint.probe.recording.oracle.subjects import function_subject
from mllint.probe.recording.oracle.verdicts import FAILED, Found, checked
from mllint.probe.recording.run import first_line
from mllint.probe.site import Site

#: A failure in float64 of this size must show in float32 as well.
_VISIBLE = 0.2

Make = Callable[[torch.dtype], Subject]


def compared(make: Make, accounted: Callable[[Point], bool] = lambda point: False) -> Found:
    """The verdicts in float64, or in float32 where float64 does not run. Raises Unclear."""
    try:
        found = checked(make(torch.float64), accounted)
    except Exception:  # noqa: BLE001  # the user's code in a precision that it was not written for
        try:
            return checked(make(torch.float32), accounted)
        except Unclear:
            raise
        except Exception as error:  # the user's code, called alone
            raise Unclear(f"it does not run alone: {first_line(error)}") from error
    large = [each for each in found.verdicts if each.verdict in FAILED and each.relative_error > _VISIBLE]
    return _seen_twice(found, make) if large and not accounted(found.point) else found


def _seen_twice(found: Found, make: Make) -> Found:
    """A layer that was not made for float64 (a kernel that reads float32) may fail there only."""
    try:
        single = {each.tensor: each.verdict for each in checked(make(torch.float32)).verdicts}
    except Exception:  # noqa: BLE001  # float32 says nothing here; float64 has spoken
        return found
    kept = tuple(
        replace(each, verdict="uncertain")
        if each.verdict in FAILED and single.get(each.tensor, single.get("everything")) == "ok"
        else each
        for each in found.verdicts
    )
    return replace(found, verdicts=kept)


def on_purpose(found: Found) -> Found:
    """What torch's own surrogates and hooks explain is not wrong."""
    if not found.point.tape.surrogates:
        return found
    return replace(
        found,
        verdicts=tuple(
            replace(each, verdict="straight-through") if each.verdict == "wrong" else each for each in found.verdicts
        ),
    )


def function_entry(call: FunctionCall, count: int, seeded: Callable[[], AbstractContextManager[None]]) -> Checked:
    """One custom Function, compared. Raises Unclear."""
    found = compared(lambda dtype: function_subject(call, dtype, seeded))
    identity, clamp = _forward_kind(call, seeded)
    verdicts = _of_one_estimator(found.verdicts)
    failed = any(each.verdict in FAILED for each in verdicts)
    reason = said_of(call.kind, identity) or ("its forward clamps its input" if clamp else "")
    return Checked(
        "function",
        call.path,
        call.kind.__name__,
        count,
        failed,
        verdicts,
        backward_site(call.kind),
        call.site,
        cut=backward_site(call.kind) if any(each.verdict == "cut" for each in verdicts) else None,
        cut_by="its backward" if any(each.verdict == "cut" for each in verdicts) else "",
        deliberate=reason if failed else "",
        identity=identity,
    )


def _of_one_estimator(verdicts: tuple[TensorVerdict, ...]) -> tuple[TensorVerdict, ...]:
    """Where one input gets a surrogate for a step function, the others' gradients belong to the same estimator."""
    if not any(each.verdict == "straight-through" for each in verdicts):
        return verdicts
    return tuple(replace(each, verdict="straight-through") if each.verdict in FAILED else each for each in verdicts)


def _forward_kind(call: FunctionCall, seeded: Callable[[], AbstractContextManager[None]]) -> tuple[bool, bool]:
    """Does the forward return an input as it is; does it return it but for values moved to a lower or upper bound?"""
    try:
        subject = function_subject(call, torch.float32, seeded)
        with torch.no_grad():
            outputs = subject.call()
    except Exception:  # noqa: BLE001  # the user's code; then nothing is known of it
        return False, False
    pairs = [(leaf.detach(), out) for leaf in subject.leaves.values() for out in outputs if leaf.shape == out.shape]
    identity = any(torch.equal(value, out.to(value.dtype)) for value, out in pairs)
    return identity, not identity and any(_clamped(*pair) for pair in pairs)


def _clamped(value: torch.Tensor, out: torch.Tensor) -> bool:
    same = value == out.to(value.dtype)
    if out.numel() < 2 or not bool(same.any()):
        return False
    return bool((same | (out == out.min()) | (out == out.max())).all())


def backward_site(kind: type) -> Site | None:
    """Where a custom Function defines its backward: the line of the ``def``, below its decorators."""
    backward = getattr(kind, "backward", None)
    try:
        code = inspect.unwrap(backward).__code__ if backward is not None else None
    except (AttributeError, ValueError):
        return None
    if code is None or not nearness(code.co_filename):
        return None
    try:
        lines = inspect.getsourcelines(code)[0]
    except (OSError, TypeError):
        lines = []
    below = next((place for place, line in enumerate(lines) if line.lstrip().startswith("def ")), 0)
    return Site(shown(code.co_filename), code.co_firstlineno + below, code.co_name)
