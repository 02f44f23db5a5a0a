"""From a judged trace to what a person sees and the exit code.

May not: run or judge anything.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from mllint.cli.options import CheckOptions
from mllint.cli.results import output_options, write
from mllint.cli.terminal import use_color
from mllint.diagnostic import Severity
from mllint.output.formats import MACHINE_FORMATS, render
from mllint.output.options import Options
from mllint.output.probed import check_lines, explained_line, failure_text, run_line, verdict_line
from mllint.output.summary import summary
from mllint.probe.check import Check
from mllint.probe.judge import Verdict
from mllint.probe.trace import Trace
from mllint.reading.source import Source
from mllint.settings import Settings


@dataclass(frozen=True, slots=True)
class Probed:
    """A run and what became of it. ``seconds`` is None for a stored trace."""

    trace: Trace
    verdict: Verdict
    sources: Mapping[str, Source]
    checks: Sequence[Check]
    seconds: float | None
    suspicions: Sequence[str] = ()

    @property
    def codes(self) -> frozenset[str]:
        """The codes that were found."""
        return frozenset(found.code for report in self.verdict.reports for found in report.diagnostics)

    @property
    def unexplained(self) -> bool:
        """Did no first step complete, and no check say why?"""
        explaining = {code for check in self.checks if check.explains for code in check.codes}
        return self.trace.steps == 0 and not self.codes & explaining


def print_result(result: Probed, settings: Settings, options: CheckOptions) -> int:
    """Findings first, then how each check went, then what ran; the exit code."""
    reports = result.verdict.reports
    machine = settings.output_format in MACHINE_FORMATS
    shown = output_options(settings, options, settings.rules)
    found = any(report.diagnostics for report in reports)
    text = render(settings.output_format, reports, shown) if machine or found else ""
    if result.unexplained:
        click.echo(failure_text(result.trace, result.sources), nl=False, err=True)
        if machine:
            write(text, options)
        return 2
    if not options.quiet and not machine:
        text += _lines(result, shown.color) + _verdict(result, shown) + run_line(result.trace, result.seconds)
    write(text, options)
    if not options.quiet:
        if machine:
            color = use_color(options.color, sys.stderr)
            click.echo(_lines(result, color) + run_line(result.trace, result.seconds), nl=False, err=True, color=True)
        for name in result.trace.unrestored:
            click.echo(f"warning: not as it was after the run: {name}", err=True)
        if result.trace.failure is not None and not result.trace.steps:
            click.echo(explained_line(result.trace.failure), nl=False, err=True)
    return _exit_code(result, settings, options)


def _lines(result: Probed, color: bool) -> str:
    lines = [f"{line}\n" for line in result.suspicions]
    return "".join(lines) + check_lines(result.trace, result.checks, dict(result.verdict.failed), color)


def _verdict(result: Probed, shown: Options) -> str:
    """How many findings; without any, whether that means much."""
    if any(report.diagnostics for report in result.verdict.reports):
        return summary(result.verdict.reports, shown)
    return verdict_line(result.trace, result.checks, shown.color)


def _exit_code(result: Probed, settings: Settings, options: CheckOptions) -> int:
    reports = result.verdict.reports
    if any(report.crashed for report in reports):
        return 2
    least = Severity(settings.fail_on).rank
    fails = any(found.severity.rank >= least for report in reports for found in report.diagnostics)
    return int(fails and not options.exit_zero)


__all__ = ["Probed", "print_result"]
