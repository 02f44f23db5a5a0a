"""Run the recorders of the chosen checks one after the other, each on the state as it was, and gather a `Trace`.

May not: know what a check measures, or let one check's fault end the others.
"""

from __future__ import annotations

import importlib
import platform
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from statistics import median
from typing import Any, Literal

import torch
from torch import nn

from mllint.probe.check import Check
from mllint.probe.recording.frames import OURS, forward_site, nearness, shown, traceback_sites
from mllint.probe.recording.recorders.indices import on_guard
from mllint.probe.recording.run import Run, first_line
from mllint.probe.recording.skip import Skip
from mllint.probe.trace import CheckRun, Failure, ModuleFacts, ParameterFacts, Trace

#: Plain training steps before anything is measured: they prove that the target runs, and give the cost of a step.
PLAIN_STEPS = 3


def record(run: Run, checks: Iterable[Check], tell: Callable[[str, Any], None] = lambda kind, part: None) -> Trace:
    """The trace of one target. ``tell(kind, part)`` hears every part as soon as it is there, so that the death of this
    process loses only the check at work: ("step", loss), ("started", name), ("check", CheckRun), (stem, measurement),
    ("trace", Trace)."""
    run.materialise()
    before = run.snapshot()
    trace_parts: dict[str, Any] = {"device": str(run.device), "environment": environment(), "facts": run.entry.facts}
    trace_parts |= {"modules": module_facts(run), "parameters": parameter_facts(run)}
    tell("trace", Trace(**trace_parts))
    failure, seconds, losses = _plain_steps(run, tell)
    before.restore()
    trace_parts |= {"steps": len(losses), "losses": tuple(losses), "plain_step": median(seconds) if seconds else 0.0}
    tell("trace", Trace(**trace_parts, failure=failure))
    runs: list[CheckRun] = []
    measurements: dict[str, Any] = {}
    for check in checks:
        if failure is not None and not losses and not check.explains:
            continue
        tell("started", check.name)
        short = _too_short(run, check, trace_parts["plain_step"])
        outcome, measured = (short, None) if short else _measure(run, check, failure)
        before.restore()
        runs.append(outcome)
        if measured is not None:
            measurements[check.stem] = measured
            tell(check.stem, measured)
        tell("check", outcome)
    trace = Trace(
        **trace_parts,
        failure=failure,
        unrestored=before.differences(),
        checks=tuple(runs),
        measurements=measurements,
    )
    tell("trace", trace)
    return trace


def _plain_steps(run: Run, tell: Callable[[str, Any], None]) -> tuple[Failure | None, list[float], list[float]]:
    seconds: list[float] = []
    losses: list[float] = []
    for number in range(PLAIN_STEPS):
        started = time.perf_counter()
        try:
            with on_guard(run) if run.device.type == "cuda" and not number else nullcontext():
                losses.append(run.step(number))  # an index out of its table would take the whole CUDA context with it
        except (Exception, SystemExit) as error:  # noqa: BLE001  # the user's code: what it raises is a fact about it
            return failure_of(error), seconds, losses
        seconds.append(time.perf_counter() - started)
        tell("step", losses[-1])
    return None, seconds, losses


def failure_of(error: BaseException, during: str = "") -> Failure:
    """An exception of the user's code as plain data, its frames cut to theirs."""
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    return Failure("raised", first_line(error), during, traceback_sites(error.__traceback__), text)


def _too_short(run: Run, check: Check, plain_step: float) -> CheckRun | None:
    """A check that would not end in the time that is left is not begun: better to say so than to be cut off in it."""
    needed, left = check.budget * plain_step, run.seconds_left
    if needed <= left:
        return None
    reason = f"it would take about {needed:.0f} s, and {max(left, 0):.0f} s of the time limit are left"
    return CheckRun(check.name, "skipped", reason)


def _measure(run: Run, check: Check, failure: Failure | None) -> tuple[CheckRun, Any]:
    recorder = importlib.import_module(f"mllint.probe.recording.recorders.{check.stem}")
    started = time.perf_counter()
    measured: Any = None
    try:
        measured = recorder.record(run)
        outcome = CheckRun(check.name, "measured", "", time.perf_counter() - started)
    except Skip as skip:
        outcome = CheckRun(check.name, "skipped", str(skip), time.perf_counter() - started)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # the boundary to recorders: a crash is an entry in the trace
        kind, reason = _blamed(error, failure)
        outcome = CheckRun(check.name, kind, reason, time.perf_counter() - started)
    return outcome, measured


def _blamed(error: BaseException, failure: Failure | None) -> tuple[Literal["skipped", "crashed"], str]:
    """Whose exception it is that ended a recorder: the target's, run in a way that it does not bear, or our own."""
    if failure is not None and failure.message == first_line(error):
        return "skipped", f"the target raised {failure.message}, as in its plain step"
    where, theirs = traceback.extract_tb(error.__traceback__), ""
    for frame in where:
        if frame.filename.startswith(OURS):
            theirs = ""
        elif nearness(frame.filename):
            theirs = f" ({shown(frame.filename)}:{frame.lineno})"
    if theirs:
        return "skipped", f"the target raised {first_line(error)}{theirs}"
    return "crashed", f"{first_line(error)} ({where[-1].name}, line {where[-1].lineno})"


def environment() -> dict[str, str]:
    """Versions and machine, as a report shows them."""
    found = {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": str(torch.get_num_threads()),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        found |= {"gpu": torch.cuda.get_device_name(), "cuda": str(torch.version.cuda)}
    return found


def module_facts(run: Run) -> tuple[ModuleFacts, ...]:
    """Every module of the model, in the order of ``named_modules``."""
    return tuple(
        ModuleFacts(path, type(module).__name__, _elements(module), run.made.of(module), forward_site(type(module)))
        for path, module in run.model.named_modules()
    )


def _elements(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters(recurse=False))


def parameter_facts(run: Run) -> tuple[ParameterFacts, ...]:
    """Every parameter of the model by its first name."""
    names: dict[int, list[str]] = {}
    for name, parameter in run.model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return tuple(
        ParameterFacts(
            name,
            tuple(parameter.shape),
            str(parameter.dtype).removeprefix("torch."),
            parameter.requires_grad,
            run.made_at(name),
            tuple(names[id(parameter)][1:]),
        )
        for name, parameter in run.model.named_parameters()
    )
