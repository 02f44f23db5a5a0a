"""Plan the fixes of many files, each verified; nothing is written here.

May not: write files, or print.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mllint.checking.engine import check
from mllint.checking.fix import FixOutcome, fix_source
from mllint.checking.packs import builtin_rules
from mllint.checking.projects import Projects
from mllint.checking.report import Report
from mllint.checking.ruleset import RuleSet
from mllint.checking.run import Outcome, Plan
from mllint.diagnostic import Safety
from mllint.reading.files import Target
from mllint.reading.source import Source


@dataclass(frozen=True, slots=True)
class Repair:
    """What fixing one file would do. ``before`` are the file's bytes, ``outcome.data`` those after."""

    target: Target
    before: bytes
    outcome: FixOutcome


def allowed_safeties(unsafe: bool) -> frozenset[Safety]:
    """The safeties that ``--fix`` may apply, with or without ``--unsafe-fixes``."""
    return frozenset({Safety.SAFE, Safety.UNSAFE} if unsafe else {Safety.SAFE})


def fixable(source: Source) -> bool:
    """Can edited text be written back? Not into a notebook's JSON, nor where decoding lost something."""
    return source.kind != "notebook" and source.exact


def repairs(outcome: Outcome, plan: Plan, projects: Projects, allowed: frozenset[Safety]) -> Iterator[Repair]:
    """A repair for each report that has a fix of an allowed safety, in report order."""
    rules: RuleSet | None = None
    for target, report in zip(outcome.targets, outcome.reports, strict=True):
        source = report.source
        if (
            source is None
            or not fixable(source)
            or not any(found.fix and found.fix.safety in allowed for found in report.diagnostics)
        ):
            continue
        rules = rules or RuleSet(builtin_rules(), plan.selection)
        yield repair(source, target, rules, plan, projects, allowed)


def repair(
    source: Source, target: Target, rules: RuleSet, plan: Plan, projects: Projects, allowed: frozenset[Safety]
) -> Repair:
    """Fix one source as far as the fixes hold."""

    def again(changed: Source) -> Report:
        project = projects.of(target)
        return check(changed, rules, project, target.absolute, ignore_noqa=plan.ignore_noqa)

    return Repair(target, source.restore(source.data), fix_source(source, again, allowed))
