"""The whole page: what ran, what was found, how the gradient flows, where the step waits, what was checked.

May not: judge, read files or the clock, or load anything from elsewhere: one file that opens anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from mllint.diagnostic import Severity
from mllint.probe.check import all_checks
from mllint.probe.judge import Verdict
from mllint.probe.page.findings import findings
from mllint.probe.page.flow import flow
from mllint.probe.page.html import count, duration, element, table, text
from mllint.probe.page.style import STYLE
from mllint.probe.page.syncs import syncs
from mllint.probe.page.timeline import timeline
from mllint.probe.page.tree import tree
from mllint.probe.trace import CheckRun, Trace
from mllint.reading.source import Source


def render(
    trace: Trace, verdict: Verdict, sources: Mapping[str, Source], suspicions: Sequence[str] = (), version: str = ""
) -> str:
    """The report as HTML. ``suspicions`` are lines about what the text of the target's files suggested."""
    head = element(
        "head",
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
        element("title", text(f"mllint probe: {trace.target}")),
        element("style", STYLE),
    )
    body = element(
        "main",
        _summary(trace, verdict, version),
        _interruption(trace),
        findings(verdict, sources),
        _suspicions(suspicions),
        flow(trace),
        tree(trace),
        syncs(trace),
        timeline(trace),
        _checks(trace, verdict),
    )
    return f"<!doctype html>\n{element('html', head, element('body', body), lang='en')}\n"


def _summary(trace: Trace, verdict: Verdict, version: str) -> str:
    found = [one for report in verdict.reports for one in report.diagnostics]
    errors = sum(one.severity is Severity.ERROR for one in found)
    levels = ((errors, "error"), (len(found) - errors, "warning"))
    told = (
        ", ".join(f"{number} {name}{'' if number == 1 else 's'}" for number, name in levels if number) or "No findings"
    )
    level = "error" if errors else "warning" if found else "good"
    root = next((module.kind for module in trace.modules if module.path == ""), "")
    elements = sum(prod(parameter.shape) for parameter in trace.parameters)
    facts = {
        "model": root,
        "parameters": count(elements),
        "steps": str(trace.steps),
        "plain step": duration(trace.plain_step),
        "device": trace.device,
        **dict(trace.environment),
    }
    shown = [element("span", f"{text(name)} ", element("b", text(value))) for name, value in facts.items() if value]
    return "".join(
        (
            element("h1", text(trace.target)),
            element("div", *shown, class_="facts"),
            element("div", text(told), class_=f"verdict {level}"),
            element("p", text(f"mllint {version}"), class_="dim") if version else "",
        )
    )


def _interruption(trace: Trace) -> str:
    failure = trace.failure
    if failure is None:
        return ""
    during = f" during the check `{failure.during}`" if failure.during else ""
    frames = element("pre", text("\n".join(map(str, failure.frames)))) if failure.frames else ""
    return element("p", text(f"The run {failure.kind}{during}: {failure.message}"), class_="error") + frames


def _suspicions(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return element("h2", "Suspicions of the text") + element("ul", *(element("li", text(line)) for line in lines))


def _checks(trace: Trace, verdict: Verdict) -> str:
    failed = dict(verdict.failed)
    known = {check.name: check for check in all_checks()}
    rows = []
    for run in trace.checks:
        check = known.get(run.check)
        state, look = outcome(run, check.codes if check else (), failed.get(run.check, ()))
        steps = f"{run.seconds / trace.plain_step:.1f}" if trace.plain_step else "–"
        rows.append(
            (
                element("code", text(run.check)),
                element("span", text(state), class_=look),
                text(check.question if check else ""),
                text(steps),
            )
        )
    return element("h2", "Checks") + table(("check", "outcome", "question", "cost in plain steps"), rows, numbers=(3,))


def outcome(run: CheckRun, codes: Sequence[str], hit: Sequence[str]) -> tuple[str, str]:
    """How a check went in words, and the look of these words. ``codes`` are all that it feeds, ``hit`` those it led to."""
    if run.outcome == "skipped":
        return f"skipped: {run.reason}", "dim"
    if run.outcome == "crashed":
        return f"crashed: {run.reason}", "error"
    if hit:
        return f"failed: {', '.join(hit)}", "warning"
    return ("passed", "good") if codes else ("measured", "dim")
