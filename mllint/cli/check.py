"""``mllint check``: read the flags, run, fix, print, exit.

May not: decide what a finding is. Exit codes: 0 clean, 1 findings at or above ``fail-on``, 2 could not do the job.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from mllint.checking.cache import CACHE_FOLDER, Cache, cache_key, open_cache, save_cache
from mllint.checking.packs import PackError, builtin_folder, builtin_rules
from mllint.checking.projects import Projects, open_projects
from mllint.checking.run import Outcome, Plan, run
from mllint.checking.select import UnknownSelector, selection
from mllint.cli.options import CheckOptions, check_options
from mllint.cli.results import Tally, nothing_to_check, report_result
from mllint.cli.terminal import Progress
from mllint.diagnostic import Problem
from mllint.output.summary import counted
from mllint.reading.config import Finder
from mllint.reading.files import Found, Target, Unreadable, WriteFailed, discover, read, write_atomic
from mllint.rule import Meta
from mllint.settings import ConfigError, Settings, merge


@click.command()
@check_options
def check(options: CheckOptions) -> None:
    """Check files and folders.

    PATHS is the current folder if none are named; `-` is standard input.
    """
    try:
        code = _check(options)
    except (ConfigError, UnknownSelector, PackError) as error:
        click.echo(f"error: {error}", err=True)
        code = 2
    sys.exit(code)


def _check(options: CheckOptions) -> int:
    finder = Finder(options.flags.cwd, options.flags, options.config, options.isolated)
    metas = [rule.meta for rule in builtin_rules()]
    selection(merge(Settings(), options.flags), metas)  # by itself, so that no file is blamed for a wrong flag
    if options.stdin_filename or options.paths == ("-",):
        from mllint.cli.stdin import check_stdin

        for path in options.paths:
            if path != "-" and not options.quiet:
                click.echo(f"warning: {path}: not read, as `--stdin-filename` asks for standard input", err=True)
        return check_stdin(options, finder)
    found = discover(options.paths or (".",), finder)
    settings = finder.settings(options.flags.cwd)
    selection(settings, metas)  # a wrong selector is an error even when there is nothing to check
    _say(found, options)
    if options.show_files:
        for target in found.targets:
            click.echo(target.absolute)
        return report_result(Tally(problems=list(found.problems)), settings, _silent(options))
    if not found.targets and not found.problems:
        nothing_to_check(options.paths, settings, options, explained=bool(found.notices))
        return 0
    return report_result(_run(found, finder, options, metas), settings, options)


def _silent(options: CheckOptions) -> CheckOptions:
    """The same run without findings to print."""
    from dataclasses import replace

    return replace(options, fix_only=True, diff=False, quiet=True)


def _run(found: Found, finder: Finder, options: CheckOptions, metas: Sequence[Meta]) -> Tally:
    """Check the files, each under its own settings, and fix what is to be fixed."""
    tally = Tally(problems=list(found.problems))
    groups: dict[Settings, list[Target]] = {}
    for target in found.targets:
        groups.setdefault(target.settings, []).append(target)
    progress = Progress(len(found.targets), options.quiet)
    done = 0
    for settings, targets in groups.items():
        chosen = selection(settings, metas)
        plan = Plan(chosen, settings.max_file_size, options.ignore_noqa, settings.jobs, options.start_method)
        projects = open_projects(settings, finder)
        cache = _cache(settings, plan, options)
        outcome = run(targets, plan, cache, projects, progress.after(done))
        save_cache(cache)
        done += len(targets)
        progress.clear()
        tally.problems += outcome.problems
        _fix(outcome, settings, plan, projects, tally, options)
    tally.reports.sort(key=lambda report: report.path)
    tally.problems.sort(key=lambda problem: problem.path)
    return tally


def _cache(settings: Settings, plan: Plan, options: CheckOptions) -> Cache:
    if not settings.cache:
        return Cache("")
    folder = settings.cache_dir or f"{settings.root or options.flags.cwd}/{CACHE_FOLDER}"
    codes = [*sorted(plan.selection.codes), "info:", *sorted(plan.selection.with_info)]
    package = Path(__file__).resolve().parent.parent
    circumstances = f"{options.flags.cwd} {plan.ignore_noqa} {plan.max_file_size}"
    return open_cache(folder, cache_key(codes, (package, builtin_folder()), circumstances))


def _fix(
    outcome: Outcome, settings: Settings, plan: Plan, projects: Projects, tally: Tally, options: CheckOptions
) -> None:
    """Apply the fixes that the settings ask for, or with ``--diff`` only say what they would write."""
    if not (settings.fix or options.fix_only or options.diff):
        tally.reports += outcome.reports
        return
    from mllint.checking.repair import allowed_safeties, repairs

    reports = {target.absolute: report for target, report in zip(outcome.targets, outcome.reports, strict=True)}
    for repair in repairs(outcome, plan, projects, allowed_safeties(settings.unsafe_fixes)):
        try:
            if repair.outcome.changed and not options.diff:
                if read(repair.target.absolute, settings.max_file_size) != repair.before:
                    raise WriteFailed("not written: it was changed while it was being checked; run again")
                write_atomic(repair.target.absolute, repair.outcome.data)
        except (WriteFailed, Unreadable) as failure:
            tally.problems.append(Problem(repair.target.path, str(failure)))
            continue
        reports[repair.target.absolute] = repair.outcome.left
        tally.record(repair, options.diff)
    tally.reports += reports.values()


def _say(found: Found, options: CheckOptions) -> None:
    """On standard error, what is worth knowing before the findings."""
    if not options.quiet:
        for notice in found.notices:
            click.echo(f"warning: {notice}", err=True)
    if options.verbose:
        click.echo(f"Checking {counted(len(found.targets), 'file')}", err=True)
