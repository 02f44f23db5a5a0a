"""What a child process wrote down, and how it ended, become one `Trace`; two children's traces become one.

May not: start or end a process, or import torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mllint.probe.check import Check, all_checks
from mllint.probe.codec import decoded
from mllint.probe.site import Site
from mllint.probe.trace import CheckRun, Failure, Trace


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended. ``message`` says it in words, ``frames`` are the lines at work then, the innermost last, ``text`` is the
    last it printed."""

    kind: Literal["done", "died", "timed out"] = "done"
    message: str = ""
    frames: tuple[Site, ...] = ()
    text: str = ""


@dataclass
class _Parts:
    """The lines of one child, put in order."""

    trace: Trace | None = None
    device: str = ""
    what: str = ""
    entry: Site | None = None
    losses: list[float] = field(default_factory=list)
    failure: Failure | None = None
    started: str = ""
    runs: list[CheckRun] = field(default_factory=list)
    measurements: dict[str, Any] = field(default_factory=dict)
    done: bool = False


def trace_of(target: str, lines: Iterable[str], ending: Ending) -> Trace:
    """The trace as far as the child came."""
    parts = _read(lines)
    trace = parts.trace or Trace()
    if parts.losses and not trace.steps:
        trace = replace(trace, steps=len(parts.losses), losses=tuple(parts.losses))
    failure = trace.failure or parts.failure
    if failure is None and not parts.done:
        what = ending if ending.kind != "done" else replace(ending, kind="died", message="it ended too early")
        failure = Failure(_kind(what), what.message, parts.started, what.frames, what.text)
        if parts.started:
            outcome: Literal["skipped", "crashed"] = "skipped" if what.kind == "timed out" else "crashed"
            parts.runs.append(CheckRun(parts.started, outcome, what.message))
    elif failure is not None and failure is parts.failure and parts.started:
        failure = replace(failure, during=parts.started)
    return replace(
        trace,
        target=target,
        entry=parts.entry,
        device=parts.device or trace.device,
        environment={**trace.environment, **({"found": parts.what} if parts.what else {})},
        failure=failure,
        checks=tuple(parts.runs),
        measurements={**parts.measurements, **trace.measurements},
    )


def _kind(ending: Ending) -> Literal["died", "timed out"]:
    return "timed out" if ending.kind == "timed out" else "died"


def _read(lines: Iterable[str]) -> _Parts:
    parts, checks = _Parts(), {check.stem: check for check in all_checks()}
    for line in lines:
        try:
            kind, told = json.loads(line)
        except ValueError:  # cut off by a death
            break
        if kind == "trace":
            _take_trace(parts, told)
        elif kind == "device":
            parts.device = told
        elif kind == "found":
            parts.what, parts.entry = told["what"], decoded(Site | None, told["entry"])
        elif kind == "step":
            parts.losses.append(float(told))
        elif kind == "started":
            parts.started = told
        elif kind == "check":
            parts.runs.append(decoded(CheckRun, told))
            parts.started = ""
        elif kind == "failure":
            parts.failure = decoded(Failure, told)
        elif kind == "done":
            parts.done = True
        elif kind in checks:
            parts.measurements[kind] = decoded(checks[kind].measurement, told)
    return parts


def _take_trace(parts: _Parts, told: dict[str, Any]) -> None:
    """A state of the trace, the newest counts. Its measurements came one by one."""
    parts.trace = decoded(Trace, {key: value for key, value in told.items() if key != "measurements"})


def merged(main: Trace, rehearsal: Trace) -> Trace:
    """The trace of the real run with what the rehearsal has measured. Only a time-out of the rehearsal counts as the user's:
    its death says more about the virtual device than about the model."""
    failed = rehearsal.failure
    runs = list(rehearsal.checks)
    failure = main.failure
    if failure is None and failed is not None and failed.kind == "timed out" and main.steps:
        failure = failed
    return replace(
        main,
        failure=failure,
        environment={**main.environment, "rehearsed": "yes"},
        checks=(*main.checks, *runs),
        unrestored=tuple(dict.fromkeys((*main.unrestored, *rehearsal.unrestored))),
        measurements={**main.measurements, **rehearsal.measurements},
    )


def with_skipped(trace: Trace, asked: Iterable[Check], reasons: Mapping[str, str]) -> Trace:
    """The trace with an entry for every check that was asked for: one that nobody began is skipped, and why."""
    known = {run.check for run in trace.checks}
    skipped = [CheckRun(check.name, "skipped", reasons[check.stem]) for check in asked if check.name not in known]
    order = {check.name: number for number, check in enumerate(all_checks())}
    runs = sorted((*trace.checks, *skipped), key=lambda run: order.get(run.check, len(order)))
    return replace(trace, checks=tuple(runs))
