"""``mllint check``: read the flags, run, fix, print, exit.

May not: decide what a finding is. Exit codes: 0 clean, 1 findings at or above ``fail-on``, 2 could not do the job.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from mllint.checking.baseline_file import Baselines, looked_for
from mllint.checking.cache import CACHE_FOLDER, Cache, cache_key, open_cache, save_cache
from mllint.checking.packs import PackError, builtin_folder, known_rules, signature
from mllint.checking.projects import open_projects
from mllint.checking.ruleset import RuleSet
from mllint.checking.run import Plan, run
from mllint.checking.select import UnknownSelector, selection
from mllint.cli.edits import fixed, silenced
from mllint.cli.options import CheckCommand, CheckOptions, check_options, refuse_together
from mllint.cli.packs import metas_of, packs_of, warn_withheld
from mllint.cli.results import Tally, nothing_to_check, report_result
from mllint.cli.terminal import Progress
from mllint.output.summary import counted
from mllint.reading.config import Finder
from mllint.reading.files import Found, Target, discover
from mllint.rule import Meta
from mllint.settings import ConfigError, Settings, merge


@click.command(cls=CheckCommand)
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
    refuse_together(options)
    flags = options.flags
    finder = Finder(flags.cwd, flags, options.config, options.isolated, options.home, options.packs_allowed)
    if options.stdin_filename or options.paths == ("-",):
        if options.show_settings:
            from mllint.cli.show_settings import show_settings_of_input

            return show_settings_of_input(options.stdin_filename, finder)
        from mllint.cli.stdin import check_stdin

        for path in options.paths:
            if path != "-" and not options.quiet:
                click.echo(f"warning: {path}: not read, as `--stdin-filename` asks for standard input", err=True)
        return check_stdin(options, finder)
    found = discover(options.paths or (".",), finder)
    settings = finder.settings(options.flags.cwd)
    everyone = _settings_of(found)
    metas = _metas([settings, *everyone], options)
    selection(settings, metas)  # a wrong selector is an error even when there is nothing to check
    if options.changed_only or options.base_ref:
        found = _changed(found, options)
    _say(found, options)
    warn_withheld(everyone, flags.cwd)
    if options.show_files:
        for target in found.targets:
            click.echo(target.absolute)
        return report_result(Tally(problems=list(found.problems)), settings, _silent(options))
    if options.show_settings:
        from mllint.cli.show_settings import show_settings

        return show_settings(found, everyone, finder.cwd)
    if not found.targets and not found.problems:
        nothing_to_check(options.paths, settings, options, explained=bool(found.notices))
        return 0
    return report_result(_run(found, finder, options, everyone), settings, options)


def _settings_of(found: Found) -> list[Settings]:
    """The settings under which some files are checked, each once; nearly all files share one object."""
    return list(dict.fromkeys({id(target.settings): target.settings for target in found.targets}.values()))


def _metas(everyone: Sequence[Settings], options: CheckOptions) -> list[Meta]:
    """Every rule that a flag may name in this run; the flags by themselves, so that no file is blamed for a wrong one."""
    metas = metas_of(packs_of(everyone[0], everyone))
    selection(merge(Settings(), options.flags), metas)
    return metas


def _changed(found: Found, options: CheckOptions) -> Found:
    """Only those of the files that git says are changed."""
    from mllint.reading.changes import changed_files

    changed = changed_files([target.absolute for target in found.targets], options.base_ref, os.environ)
    targets = tuple(target for target in found.targets if target.absolute in changed)
    since = f" since `{options.base_ref}`" if options.base_ref else ""
    notices = found.notices if targets or not found.targets else (*found.notices, f"no file has changed{since}")
    return Found(targets, found.problems, notices)


def _silent(options: CheckOptions) -> CheckOptions:
    """The same run without findings to print."""
    from dataclasses import replace

    return replace(options, fix_only=True, diff=False, quiet=True)


def _run(found: Found, finder: Finder, options: CheckOptions, everyone: Sequence[Settings]) -> Tally:
    """Check the files, each under its own settings, and fix what is to be fixed."""
    tally = Tally(problems=list(found.problems))
    groups: dict[Settings, list[Target]] = {}
    for target in found.targets:
        groups.setdefault(target.settings, []).append(target)
    baselines = Baselines(options.write_baseline)
    opened = {settings: baselines.open(settings.baseline, settings.root or finder.cwd) for settings in groups}
    progress = Progress(len(found.targets), options.quiet)
    done = 0
    for settings, targets in groups.items():
        packs = packs_of(settings, everyone)
        metas = metas_of(packs)
        chosen = selection(settings, metas, finder.cwd)
        plan = Plan(chosen, settings.max_file_size, options.ignore_noqa, settings.jobs, options.start_method, packs)
        tally.packs |= dict.fromkeys(packs.loaded)
        projects = open_projects(settings, finder, partial(_facts_file, settings, options))
        cache = _cache(settings, plan, options)
        outcome = run(targets, plan, cache, projects, progress.after(done))
        save_cache(cache)
        projects.save()
        done += len(targets)
        progress.clear()
        tally.problems += outcome.problems
        tally.fail_on.update((target.path, settings.fail_on) for target in targets)
        change = fixed if options.add_ignore is None else silenced
        baseline, asked = opened[settings], looked_for(RuleSet(known_rules(packs), chosen), settings)
        reports = change(outcome, settings, plan, projects, tally, options, baseline)
        tally.reports += (baseline.filter(target.absolute, report, asked) for target, report in reports)
    tally.count(baselines, finder.cwd)
    tally.reports.sort(key=lambda report: report.path)
    tally.problems.sort(key=lambda problem: problem.path)
    return tally


def _cache(settings: Settings, plan: Plan, options: CheckOptions) -> Cache:
    if not settings.cache:
        return Cache("")
    folder = _cache_folder(settings, options)
    package = Path(__file__).resolve().parent.parent
    rules = f"{plan.selection.signature} {signature(plan.packs)}"
    circumstances = f"{options.flags.cwd} {plan.ignore_noqa} {plan.max_file_size} {rules}"
    return open_cache(folder, cache_key((package, builtin_folder()), circumstances))


def _cache_folder(settings: Settings, options: CheckOptions) -> str:
    return settings.cache_dir or f"{settings.root or options.flags.cwd}/{CACHE_FOLDER}"


def _facts_file(settings: Settings, options: CheckOptions, root: str) -> str:
    """Where the facts about a project are kept; "" where nothing is."""
    if not settings.cache:
        return ""
    package = Path(__file__).resolve().parent.parent
    return (
        f"{_cache_folder(settings, options)}/project-{cache_key((package,), f'{root} {settings.max_file_size}')}.json"
    )


def _say(found: Found, options: CheckOptions) -> None:
    """On standard error, what is worth knowing before the findings."""
    if not options.quiet:
        for notice in found.notices:
            click.echo(f"warning: {notice}", err=True)
    if options.verbose:
        click.echo(f"Checking {counted(len(found.targets), 'file')}", err=True)
