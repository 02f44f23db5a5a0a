"""``mllint probe``: run the user's model for a few steps in a child process, judge what was recorded, print, exit.

May not: import torch, or decide what a finding is. Exit codes: 0 clean, 1 findings at or above ``fail-on``, 2 no training
step could be completed, or mllint could not do its job.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click

from mllint.checking.packs import PackError, known_rules
from mllint.checking.ruleset import RuleSet
from mllint.checking.select import UnknownSelector, selection
from mllint.cli.packs import metas_of, packs_of, warn_withheld
from mllint.cli.probe_options import ProbeOptions, probe_options
from mllint.cli.probe_results import Probed, print_result
from mllint.probe.check import Check, all_checks
from mllint.probe.choose import chosen_checks
from mllint.probe.codec import TraceError, from_json, to_json
from mllint.probe.judge import judge, observing
from mllint.probe.launch import Plan
from mllint.probe.launch import probe as launch
from mllint.probe.sources import sources_of
from mllint.probe.suspicion import suspicions
from mllint.probe.target import Target, TargetError, target_of
from mllint.probe.trace import Trace
from mllint.reading.config import Finder, posix
from mllint.rule import Rule
from mllint.settings import ConfigError, Settings, merge
from mllint.settings_probe import ProbeSettings, memory_bytes, probe_settings

_NO_TORCH = """\
error: torch is not installed beside mllint, so nothing can be probed; install it into the same environment:
  {python} -m pip install 'mllint-train[probe]'"""


@click.command()
@probe_options
def probe(options: ProbeOptions) -> None:
    """Run a model for a few steps; report what goes wrong.

    TARGET is path.py, path.py:function or package.module:function. Its code is run, in a child process with a time limit.
    """
    try:
        code = _probe(options)
    except (ConfigError, UnknownSelector, PackError, TargetError, TraceError) as error:
        click.echo(f"error: {error}", err=True)
        code = 2
    sys.exit(code)


@dataclass(frozen=True, slots=True)
class _Job:
    """Everything that is decided before anything runs."""

    target: Target | None
    settings: Settings
    own: ProbeSettings
    rules: RuleSet
    known: tuple[Rule, ...]
    checks: tuple[Check, ...]


def _probe(options: ProbeOptions) -> int:
    if options.list_checks:
        _list_checks(options)
        return 0
    if options.judge and options.target:
        raise ConfigError("`--judge` judges a stored trace and runs nothing; leave out the target")
    stored = _stored(options.judge) if options.judge else None
    job = _job(options)
    began = time.monotonic()
    if stored is None:
        assert job.target is not None
        if importlib.util.find_spec("torch") is None:
            click.echo(_NO_TORCH.format(python=sys.executable), err=True)
            return 2
        trace, seconds = _run(job, job.target, options), time.monotonic() - began
    else:
        trace, seconds = stored, None
    if options.trace:
        _write_file(options.trace, to_json(trace))
    shared = options.shared
    cwd = shared.flags.cwd
    sources = sources_of(trace, cwd, job.settings.max_file_size)
    verdict = judge(trace, job.rules, sources, ignore_noqa=shared.ignore_noqa, root=cwd)
    observed = [*verdict.notes, *(found for report in verdict.reports for found in report.diagnostics)]
    suspected = suspicions(trace, observed, sources, job.rules, job.known, cwd) if trace.steps else ()
    checks = job.checks if stored is None else all_checks()
    result = Probed(trace, verdict, sources, checks, seconds, tuple(map(str, suspected)))
    if options.report:
        _write_file(options.report, _page(result))
    return print_result(result, job.settings, shared)


def _job(options: ProbeOptions) -> _Job:
    """Raises ConfigError, UnknownSelector, PackError, TargetError."""
    shared = options.shared
    flags = shared.flags
    finder = Finder(flags.cwd, flags, shared.config, shared.isolated, shared.home, shared.packs_allowed)
    settings = finder.settings(flags.cwd)
    given = options.target or {name: value for name, value, _ in settings.probe}.get("target", "")
    target = None
    if not options.judge:
        if not given:
            raise TargetError(
                "no target; name one (`mllint probe train.py`), or set `target` in `[tool.mllint.probe]` of the configuration"
            )
        target = target_of(_from_here(os.path.expanduser(str(given)), flags.cwd), os.path.isfile, os.path.isdir)
        if target.path and options.target:
            settings = finder.settings(posix(os.path.dirname(os.path.abspath(target.path))))
    own = probe_settings(settings.probe, options.over)
    packs = packs_of(settings)
    warn_withheld((settings,), flags.cwd)
    metas = metas_of(packs)
    selection(merge(Settings(), flags), metas)  # by itself, so that no file is blamed for a wrong flag
    known = known_rules(packs)
    rules = RuleSet(known, observing(settings, known, flags.cwd))
    every = all_checks()
    checks = chosen_checks(
        every, rules.selection.codes, (*own.checks, *options.checks), (*own.skip_checks, *options.skip_checks)
    )
    return _Job(target, settings, own, rules, known, checks)


def _from_here(target: str, cwd: str) -> str:
    """An absolute target of a configuration as the user would write it here."""
    below = cwd.rstrip("/") + "/"
    return target[len(below) :] if target.startswith(below) else target


def _run(job: _Job, target: Target, options: ProbeOptions) -> Trace:
    own = job.own
    plan = Plan(
        target,
        job.checks,
        own.steps,
        own.seed,
        own.device,
        own.timeout,
        memory_bytes(own.memory),
        _echo if options.shared.verbose else None,
    )
    return launch(plan)


def _echo(chunk: bytes) -> None:
    """What the target prints, for those who want to see it: on standard error, never among the findings."""
    click.echo(chunk.decode("utf-8", "replace"), nl=False, err=True)


def _stored(path: str) -> Trace:
    try:
        return from_json(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from error
    except (TraceError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _page(result: Probed) -> str:
    from mllint import __version__
    from mllint.probe.page.render import render

    return render(result.trace, result.verdict, result.sources, result.suspicions, __version__)


def _write_file(path: str, text: str) -> None:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {(error.strerror or str(error)).lower()}") from error


def _list_checks(options: ProbeOptions) -> None:
    from mllint.output.probed import checks_data, checks_table

    checks = [check for check in all_checks() if check.codes]
    if options.shared.flags.output_format == "json":
        click.echo(json.dumps(checks_data(checks), indent=2))
    else:
        click.echo(checks_table(checks), nl=False)


__all__ = ["probe"]
