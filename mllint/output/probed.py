"""What a probe says beside its findings: one line a check, one line about what ran, and why a run could not be.

May not: decide an exit code, or run anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from mllint.output.style import paint, printable
from mllint.output.summary import counted
from mllint.probe.check import Check
from mllint.probe.site import Site
from mllint.probe.trace import CheckRun, Failure, Trace
from mllint.reading.source import Source

_WORDS = {"measured": "passed", "skipped": "skipped", "crashed": "crashed"}

#: Lines of what a target printed, or of an exception's text, that are shown.
_MOST_LINES = 20


def check_lines(trace: Trace, checks: Sequence[Check], failed: Mapping[str, Sequence[str]], color: bool = False) -> str:
    """How each check went. ``failed`` are the codes that a check led to, by its name."""
    by_name = {check.name: check for check in checks}
    rows = [
        (run.check, *_outcome(run, failed.get(run.check, ())))
        for run in trace.checks
        if run.check in by_name and (by_name[run.check].codes or run.outcome == "crashed")
    ]
    width = max((len(name) for name, _, _, _ in rows), default=0)
    return "".join(
        f"{name:<{width}}  {paint(outcome, look, color)}{printable(more)}\n" for name, outcome, look, more in rows
    )


def _outcome(run: CheckRun, codes: Sequence[str]) -> tuple[str, str, str]:
    """A word, its colour, and what follows it."""
    if run.outcome == "measured":
        return ("failed", "red", f" ({', '.join(codes)})") if codes else ("passed", "green", "")
    return run.outcome, {"skipped": "yellow", "crashed": "red"}[run.outcome], f": {run.reason}" if run.reason else ""


def verdict_line(trace: Trace, checks: Sequence[Check], color: bool = False) -> str:
    """The closing word where nothing was found: a check that crashed or was skipped has not passed."""
    shown = {check.name for check in checks if check.codes}
    outcomes = Counter[str](run.outcome for run in trace.checks if run.check in shown or run.outcome == "crashed")
    if outcomes["measured"] and not outcomes["crashed"]:
        skipped = f" ({outcomes['skipped']} skipped)" if outcomes["skipped"] else ""
        return paint(f"All checks passed!{skipped}", "green", color) + "\n"
    parts = [f"{outcomes[kind]} {word}" for kind, word in _WORDS.items() if outcomes[kind]]
    return f"Nothing was found, but not everything was looked at: {', '.join(parts) or 'no check ran'}.\n"


def run_line(trace: Trace, seconds: float | None) -> str:
    """What ran, in one line. ``seconds`` is how long the command took, None for a stored trace."""
    root = trace.module("")
    elements = sum(_product(parameter.shape) for parameter in trace.parameters)
    named = counted(len(trace.parameters), "parameter")
    model = f"`{root.kind}` ({elements:,} elements in {named})" if root else "the target"
    found = trace.environment.get("found", "")
    where = f", found as {found}" if found and "mllint_probe" not in found else ""
    parts = [f"Probed {model}{where}", f"{counted(trace.steps, 'step')} on {_device(trace)}"]
    parts.append(f"torch {trace.environment.get('torch', 'unknown')}")
    if seconds is not None:
        parts.append(f"{seconds:.1f} s")
    return printable("; ".join(parts)) + "\n"


def _device(trace: Trace) -> str:
    rehearsed = ", host syncs in rehearsal" if trace.environment.get("rehearsed") else ""
    gpu = trace.environment.get("gpu", "")
    return trace.device + (f" ({gpu})" if gpu and trace.device != "cpu" else "") + rehearsed


def failure_text(trace: Trace, sources: Mapping[str, Source]) -> str:
    """Why no first step was completed: the user's traceback, cut to their own frames."""
    failure = trace.failure
    if failure is None:
        return ""
    if failure.kind == "raised" and not failure.frames and not failure.text:
        return f"error: {_lines(failure.message)}"  # a sentence for the user
    doing = "the first training step was not completed" if trace.modules else "it could not be loaded"
    lines = [f"error: {printable(trace.target)}: {doing}: {printable(failure.message)}\n"]
    if failure.frames:
        lines.append("Traceback (most recent call last, your own frames):\n")
        lines += (_frame(site, sources) for site in failure.frames)
    if failure.kind == "raised":
        lines.append(_lines(failure.text or failure.message))
    elif failure.text:
        lines.append(f"The last it printed:\n{_lines(failure.text)}")
    return "".join(lines)


def explained_line(failure: Failure) -> str:
    """Beside findings that say why the first step failed."""
    return printable(f"The first step failed: {failure.message}") + "\n"


def _frame(site: Site, sources: Mapping[str, Source]) -> str:
    source = sources.get(site.path)
    line = source.line(site.row).strip() if source is not None else ""
    inside = f", in {site.function}" if site.function else ""
    return f'  File "{printable(site.path)}", line {site.row}{inside}\n' + (f"    {printable(line)}\n" if line else "")


def _lines(text: str) -> str:
    shown = text.rstrip("\n").split("\n")
    if len(shown) > _MOST_LINES:
        shown = [*shown[: _MOST_LINES // 2], "…", *shown[-_MOST_LINES // 2 :]]
    return "".join(f"{printable(line)}\n" for line in shown)


def checks_table(checks: Sequence[Check]) -> str:
    """``--list-checks``: every check, whether it runs unasked, its cost, its codes and its question."""
    rows = [("check", "runs", "steps", "where", "codes", "question")]
    for check in checks:
        runs = "default" if check.default else "on request"
        where = ", ".join(check.devices)
        rows.append((check.name, runs, f"{check.budget:g}", where, ", ".join(check.codes), check.question))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "".join(
        "  ".join((*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1])).rstrip() + "\n"
        for row in rows
    )


def checks_data(checks: Sequence[Check]) -> list[dict[str, object]]:
    """The same as plain data."""
    return [
        {
            "name": check.name,
            "default": check.default,
            "budget": check.budget,
            "devices": list(check.devices),
            "codes": list(check.codes),
            "question": check.question,
        }
        for check in checks
    ]


def _product(shape: Sequence[int]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
