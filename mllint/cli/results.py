"""From a run's result to what a person sees and the exit code.

May not: check or fix anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mllint import __version__
from mllint.checking.baseline_file import DEFAULT_NAME
from mllint.checking.packs import builtin_rules, pack_rules
from mllint.checking.report import Report
from mllint.checking.suppress import NEVER
from mllint.cli.options import CheckOptions
from mllint.cli.terminal import use_color
from mllint.diagnostic import Problem, Severity
from mllint.output.formats import MACHINE_FORMATS, render
from mllint.output.options import Options
from mllint.output.summary import counted, summary
from mllint.settings import ConfigError, FailOn, Settings

if TYPE_CHECKING:
    from mllint.checking.baseline_file import Baselines
    from mllint.checking.repair import Repair


@dataclass
class Tally:
    """What a run amounts to, gathered on the way to its exit code."""

    reports: list[Report] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    fixed: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    left: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    diffs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # for standard error: what else was done, what was left out
    silenced: int = 0
    packs: dict[str, None] = field(default_factory=dict)  # users' packs that were loaded, each once
    fail_on: dict[str, FailOn] = field(default_factory=dict)  # by path, where files have settings of their own

    @property
    def fixes(self) -> int:
        """How many fixes were applied, or would be with ``--diff``."""
        return sum(map(len, self.fixed.values()))

    def count(self, baselines: Baselines, cwd: str) -> None:
        """Note what baselines left out; write those that are to be written. Raises ConfigError."""
        for baseline in baselines.opened.values():
            name = baseline.path.removeprefix(cwd.rstrip("/") + "/")
            if baseline.writing:
                size, came, went = baseline.write()
                self.notes.append(f"Wrote {name}: {counted(size, 'finding')} ({came} new, {went} gone).")
                if not baseline.named:
                    use = f'`--baseline {name}`, or the key `baseline = "{DEFAULT_NAME}"`'
                    self.notes.append(f"Nothing uses it yet: {use} in the configuration beside it does.")
            elif baseline.known or baseline.stale:
                self.notes.append(f"{counted(baseline.known, 'finding')} in the baseline {name}.")
            if baseline.stale:
                entries = "entry of it matches" if baseline.stale == 1 else "entries of it match"
                self.notes.append(f"{baseline.stale} {entries} nothing any more; `--write-baseline` drops them.")

    def record(self, repair: Repair, show: bool) -> None:
        """Count what a repair applied and what it had to take back; with ``show`` keep the difference for a patch."""
        if repair.outcome.changed:
            if show:
                from mllint.checking.patch import unified_diff

                self.diffs.append(unified_diff(repair.target.path, repair.before, repair.outcome.data))
            self.fixed[repair.target.path] = [(code, name) for code, name, _ in repair.outcome.applied]
        if repair.outcome.rolled_back:
            self.left[repair.target.path] = [(bad.code, bad.name) for bad in repair.outcome.rolled_back]


def report_result(tally: Tally, settings: Settings, options: CheckOptions, to_stderr: bool = False) -> int:
    """Print the result and return the exit code. ``to_stderr``: standard output already carries the fixed text."""
    for problem in tally.problems:
        click.echo(f"error: {problem.path}: {problem.message}", err=True)
    for note in [] if options.quiet else [*_silenced(tally, options), *tally.notes]:
        click.echo(note, err=True)
    if options.diff:
        write("".join(tally.diffs), options)
        if not options.quiet:
            text = f"Would fix {counted(tally.fixes, 'finding')}." if tally.fixes else "No fixes to apply."
            click.echo(text, err=True)
    elif not options.fix_only:
        write(_findings(tally, settings, options), options, to_stderr)
    elif tally.fixes and not options.quiet:
        click.echo(f"Fixed {counted(tally.fixes, 'finding')}.", err=to_stderr)
    return _exit_code(tally, settings, options)


def _silenced(tally: Tally, options: CheckOptions) -> list[str]:
    """What ``--add-ignore`` did, and what it could not do."""
    if options.add_ignore is None:
        return []
    left = sum(found.code not in NEVER for report in tally.reports for found in report.diagnostics)
    notes = [f"Suppressed {counted(tally.silenced, 'finding')}."]
    if left:
        notes.append(f"No comment could be placed for {counted(left, 'finding')}; suppress by hand or use a baseline.")
    return notes


def _exit_code(tally: Tally, settings: Settings, options: CheckOptions) -> int:
    if tally.problems or any(report.crashed for report in tally.reports):
        return 2
    if options.exit_zero:
        return 0
    if (options.diff or options.exit_non_zero_on_fix) and tally.fixes:
        return 1
    if options.diff or options.fix_only:
        return 0
    return int(any(_fails(report, tally.fail_on.get(report.path, settings.fail_on)) for report in tally.reports))


def _fails(report: Report, fail_on: FailOn) -> bool:
    """Does a file have a finding of the least level that fails the run, or above?"""
    return any(found.severity.rank >= Severity(fail_on).rank for found in report.diagnostics)


def _findings(tally: Tally, settings: Settings, options: CheckOptions) -> str:
    output = output_options(settings, options, tally.packs)
    if options.statistics:
        from mllint.output import statistics

        as_json = settings.output_format == "json"
        if settings.output_format in MACHINE_FORMATS and not as_json:
            raise ConfigError(f"`--statistics` has no form for `{settings.output_format}`; use full, concise or json")
        return (statistics.render_json if as_json else statistics.render)(tally.reports, output)
    found = any(report.diagnostics for report in tally.reports)
    if settings.output_format in MACHINE_FORMATS:
        return render(settings.output_format, tally.reports, output)
    text = render(settings.output_format, tally.reports, output) if found else ""
    if settings.show_fixes and (tally.fixed or tally.left):
        from mllint.output import show_fixes

        text += show_fixes.render(tally.fixed, tally.left, color=output.color)
    if options.quiet or (tally.problems and not found and not tally.fixes):  # what could not be checked has not passed
        return text
    return text + summary(tally.reports, output, tally.fixes)


def output_options(settings: Settings, options: CheckOptions, packs: Iterable[str] = ()) -> Options:
    """What the formats need to know besides the reports. ``packs`` are those that were loaded beside the settings'."""
    pages = {}
    if settings.output_format == "sarif":  # the only format that carries the rules' pages
        from mllint.authoring.explain import page

        own = [rule for pack in dict.fromkeys((*packs, *settings.rules)) for rule in pack_rules(pack)]
        pages = {rule.meta.code: page(type(rule)) for rule in (*builtin_rules(), *own)}
    color = not options.output_file and use_color(options.color, sys.stdout)
    # GitLab reads paths from the repository's folder, wherever in it a job runs; ruff asks the same variable
    repository = os.environ.get("CI_PROJECT_DIR", "") if settings.output_format == "gitlab" else ""
    return Options(color, settings.unsafe_fixes, options.flags.cwd, __version__, pages, repository)


def nothing_to_check(paths: Sequence[str], settings: Settings, options: CheckOptions, explained: bool) -> None:
    """The empty state, which is no error: pre-commit calls with empty lists too. ``explained``: the user knows why."""
    if not options.quiet and not explained:
        names = ", ".join(f"`{path}`" for path in paths) or "the current folder"
        click.echo(f"warning: no files to check under {names}", err=True)
    if settings.output_format in MACHINE_FORMATS:
        write(render(settings.output_format, (), output_options(settings, options)), options)


def write(text: str, options: CheckOptions, to_stderr: bool = False) -> None:
    """Put the findings where the user wants them. Raises ConfigError where a file cannot be written."""
    if not options.output_file:
        click.echo(text, nl=False, color=True, err=to_stderr)
        return
    try:
        Path(options.output_file).parent.mkdir(parents=True, exist_ok=True)
        Path(options.output_file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{options.output_file}: cannot be written: {error.strerror}") from error


__all__ = ["Tally", "nothing_to_check", "output_options", "report_result", "write"]
