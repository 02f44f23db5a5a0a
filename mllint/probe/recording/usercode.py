"""The user's `validate` and `snapshot`, called as their author wrote them; what they raise is the reason of a skip.

May not: run a training step; that is `Run`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from mllint.probe.recording.run import Run, first_line
from mllint.probe.recording.skip import Skip

#: What code that is not ours raises when it fails; what else it raises ends the check as a crash.
RAISED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def run_validation(run: Run) -> None:
    """The user's validation. Raises Skip where it raises."""
    assert run.entry.validate is not None
    _called("validate", run.entry.validate, run)


def run_snapshot(run: Run) -> Any:
    """What the user keeps as the best weights. Raises Skip where `snapshot` raises."""
    assert run.entry.snapshot is not None
    return _called("snapshot", run.entry.snapshot, run)


def _called(name: str, function: Callable[..., Any], run: Run) -> Any:
    try:
        return function(run.model) if _takes_one(function) else function()
    except RAISED as error:
        raise Skip(f"`{name}` raised {first_line(error)}") from error


def _takes_one(function: Callable[..., Any]) -> bool:
    try:
        return bool(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return True
