"""Plan the fixes of many files, or their suppressions, each verified; nothing is written here.

May not: write files, or print.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from mllint.checking.add_ignore import Added, add_ignores
from mllint.checking.engine import check
from mllint.checking.fix import FixOutcome, fix_source
from mllint.checking.packs import known_rules
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


#: What a report is taken for before its fixes count (a baseline has some of them wait).
Held = Callable[[str, Report], Report]


def _whole(absolute: str, report: Report) -> Report:
    return report


def repairs(
    outcome: Outcome, plan: Plan, projects: Projects, allowed: frozenset[Safety], held: Held = _whole
) -> Iterator[Repair]:
    """A repair for each report that has a fix of an allowed safety, in report order."""
    rules: RuleSet | None = None
    for target, report in zip(outcome.targets, outcome.reports, strict=True):
        source = report.source
        if (
            source is None
            or not fixable(source)
            or not any(found.fix and found.fix.safety in allowed for found in held(target.absolute, report).diagnostics)
        ):
            continue
        rules = rules or RuleSet(known_rules(plan.packs), plan.selection)
        yield repair(source, target, rules, plan, projects, allowed, held)


def repair(
    source: Source,
    target: Target,
    rules: RuleSet,
    plan: Plan,
    projects: Projects,
    allowed: frozenset[Safety],
    held: Held = _whole,
) -> Repair:
    """Fix one source as far as the fixes hold."""
    again = _check_again(target, rules, plan, projects)

    def without_held(changed: Source) -> Report:
        return held(target.absolute, again(changed))

    return Repair(target, source.restore(source.data), fix_source(source, without_held, allowed))


def _check_again(target: Target, rules: RuleSet, plan: Plan, projects: Projects) -> Callable[[Source], Report]:
    """The check that a target is judged by, for other texts of it."""
    here = rules.at(target.absolute)
    return lambda changed: check(changed, here, projects.of(target), target.absolute, ignore_noqa=plan.ignore_noqa)


@dataclass(frozen=True, slots=True)
class Silenced:
    """What suppressing the findings of one file would do."""

    target: Target
    before: bytes
    outcome: Added


def silenced(outcome: Outcome, plan: Plan, projects: Projects, reason: str, new: Held) -> Iterator[Silenced]:
    """Suppressions for each report that has findings which are ``new``, in report order."""
    rules: RuleSet | None = None
    for target, report in zip(outcome.targets, outcome.reports, strict=True):
        source = report.source
        if source is None or not fixable(source) or not new(target.absolute, report).diagnostics:
            continue
        rules = rules or RuleSet(known_rules(plan.packs), plan.selection)
        again = _check_again(target, rules, plan, projects)
        added = add_ignores(source, report, again, reason, partial(new, target.absolute))
        yield Silenced(target, source.restore(source.data), added)
