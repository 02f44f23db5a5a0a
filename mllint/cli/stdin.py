"""``mllint check -``: one file from standard input, under the name that ``--stdin-filename`` gives it.

May not: write files. With ``--fix`` the fixed text goes to standard output and the findings to standard error.
"""

from __future__ import annotations

import os
import sys

from mllint.analysis.index import SyntaxFault
from mllint.checking.engine import check, syntax_error
from mllint.checking.packs import builtin_rules
from mllint.checking.projects import open_projects
from mllint.checking.repair import Repair, allowed_safeties, fixable, repair
from mllint.checking.report import Report
from mllint.checking.ruleset import RuleSet
from mllint.checking.run import Plan
from mllint.checking.select import selection
from mllint.cli.options import CheckOptions
from mllint.cli.results import Tally, report_result
from mllint.reading.config import Finder, posix
from mllint.reading.files import Target, kind_of
from mllint.reading.notebook import read_notebook
from mllint.reading.source import DecodeFailure, Source, read_source


def check_stdin(options: CheckOptions, finder: Finder) -> int:
    """Check what comes in and return the exit code."""
    name = options.stdin_filename or "-"
    absolute = posix(os.path.abspath(os.path.join(finder.cwd, options.stdin_filename or "stdin.py")))
    settings = finder.settings(os.path.dirname(absolute))
    rules = builtin_rules()
    plan = Plan(selection(settings, [rule.meta for rule in rules]), settings.max_file_size, options.ignore_noqa)
    ready = RuleSet(rules, plan.selection)
    target = Target(name, absolute, kind_of(absolute) or "python", settings)
    raw = sys.stdin.buffer.read()
    try:
        source = read_notebook(name, raw) if target.kind == "notebook" else read_source(name, target.kind, raw)
    except DecodeFailure as failure:
        empty = Source(name, target.kind, b"")
        found = syntax_error(empty, ready, SyntaxFault(f"cannot be decoded: {failure}", 1, 1))
        return report_result(Tally([Report(name, found, empty)]), settings, options)
    projects = open_projects(settings, finder)
    fixing = settings.fix or options.fix_only or options.diff
    if fixing and not fixable(source):
        sys.stdout.buffer.write(raw)  # an editor replaces its buffer by what comes back
    if not fixing or not fixable(source):
        report = check(source, ready, projects.of(target), absolute, ignore_noqa=plan.ignore_noqa)
        return report_result(Tally([report]), settings, options)
    result = repair(source, target, ready, plan, projects, allowed_safeties(settings.unsafe_fixes))
    return report_result(_shown(result, options), settings, options, to_stderr=not options.diff)


def _shown(result: Repair, options: CheckOptions) -> Tally:
    """The fixed text on standard output, or the difference; what is left for the report."""
    tally = Tally([result.outcome.left])
    tally.record(result, options.diff)
    if not options.diff:
        sys.stdout.buffer.write(result.outcome.data)
        sys.stdout.buffer.flush()
    return tally
