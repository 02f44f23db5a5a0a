"""``mllint check -``: one file from standard input, under the name that ``--stdin-filename`` gives it.

May not: write files. With ``--fix`` the fixed text goes to standard output and the findings to standard error.
"""

from __future__ import annotations

import os
import sys

from mllint.analysis.index import SyntaxFault
from mllint.checking.baseline_file import Baselines, looked_for
from mllint.checking.engine import check
from mllint.checking.faults import syntax_error
from mllint.checking.packs import known_rules
from mllint.checking.projects import open_projects
from mllint.checking.repair import Repair, allowed_safeties, fixable, repair
from mllint.checking.report import Report
from mllint.checking.ruleset import RuleSet
from mllint.checking.run import Plan
from mllint.checking.select import selection
from mllint.cli.options import CheckOptions
from mllint.cli.packs import packs_of, warn_withheld
from mllint.cli.results import Tally, report_result
from mllint.reading.config import Finder, posix
from mllint.reading.files import Target, kind_of
from mllint.reading.ignore import exclusion
from mllint.reading.notebook import read_notebook
from mllint.reading.source import DecodeFailure, Source, read_source
from mllint.settings import ConfigError, Settings, merge


def check_stdin(options: CheckOptions, finder: Finder) -> int:
    """Check what comes in and return the exit code."""
    name = options.stdin_filename or "-"
    absolute = posix(os.path.abspath(os.path.join(finder.cwd, options.stdin_filename or "stdin.py")))
    settings = finder.settings(os.path.dirname(absolute))
    packs = packs_of(settings)
    rules = known_rules(packs)
    metas = [rule.meta for rule in rules]
    selection(merge(Settings(), options.flags), metas)  # by itself, so that no file is blamed for a wrong flag
    chosen = selection(settings, metas, finder.cwd)
    warn_withheld([settings], finder.cwd)
    plan = Plan(chosen, settings.max_file_size, options.ignore_noqa, packs=packs)
    ready = RuleSet(rules, plan.selection).at(absolute)
    target = Target(name, absolute, kind_of(absolute) or "python", settings)
    raw = _standard_input()
    fixing = settings.fix or options.fix_only or options.diff
    returned = fixing and not options.diff  # an editor replaces its buffer by what comes back
    if options.stdin_filename and settings.force_exclude and exclusion(settings, finder.cwd).hits_any(absolute):
        return _unchanged(raw if returned else b"", [], settings, options)
    try:
        source = read_notebook(name, raw) if target.kind == "notebook" else read_source(name, target.kind, raw)
    except DecodeFailure as failure:
        empty = Source(name, target.kind, b"")
        found = syntax_error(empty, ready, SyntaxFault(f"cannot be decoded: {failure}", 1, 1))
        return _unchanged(raw if returned else b"", [Report(name, found, empty)], settings, options)
    baselines = Baselines()
    baseline = baselines.open(settings.baseline, finder.cwd)
    asked = looked_for(ready, settings)
    projects = open_projects(settings, finder)
    if not fixing or not fixable(source):
        report = check(source, ready, projects.of(target), absolute, ignore_noqa=plan.ignore_noqa)
        tally = Tally([baseline.filter(absolute, report, asked)])
        tally.count(baselines, finder.cwd)
        _put(raw if returned else b"")
        return report_result(tally, settings, options, to_stderr=returned and bool(raw))
    allowed = allowed_safeties(settings.unsafe_fixes)
    result = repair(source, target, ready, plan, projects, allowed, baseline.hold_fixes)
    tally = _shown(result, options)
    tally.reports = [baseline.filter(absolute, report, asked) for report in tally.reports]
    tally.count(baselines, finder.cwd)
    return report_result(tally, settings, options, to_stderr=not options.diff)


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise ConfigError("standard input is closed; pipe the code to check into it")
    return sys.stdin.buffer.read()


def _unchanged(raw: bytes, reports: list[Report], settings: Settings, options: CheckOptions) -> int:
    """The result where nothing is fixed. ``raw`` goes to standard output, and what there is to say then not."""
    _put(raw)
    return report_result(Tally(reports), settings, options, to_stderr=bool(raw))


def _put(data: bytes) -> None:
    if data and sys.stdout is not None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def _shown(result: Repair, options: CheckOptions) -> Tally:
    """The fixed text on standard output, or the difference; what is left for the report."""
    tally = Tally([result.outcome.left])
    tally.record(result, options.diff)
    if not options.diff:
        _put(result.outcome.data)
    return tally
