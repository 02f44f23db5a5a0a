"""What a check changes in the files: fixes, or suppressions for what remains.

May not: decide what is changed, or print.
"""

from __future__ import annotations

from mllint.checking.baseline_file import Baseline
from mllint.checking.projects import Projects
from mllint.checking.report import Report
from mllint.checking.run import Outcome, Plan
from mllint.cli.options import CheckOptions
from mllint.cli.results import Tally
from mllint.diagnostic import Problem
from mllint.reading.files import Target, Unreadable, WriteFailed, read, write_atomic
from mllint.settings import Settings


def fixed(
    outcome: Outcome,
    settings: Settings,
    plan: Plan,
    projects: Projects,
    tally: Tally,
    options: CheckOptions,
    baseline: Baseline,
) -> list[tuple[Target, Report]]:
    """The reports after the fixes that the settings ask for; with ``--diff`` it is only said what they would write."""
    reports = _by_path(outcome)
    if settings.fix or options.fix_only or options.diff:
        from mllint.checking.repair import allowed_safeties, repairs

        allowed = allowed_safeties(settings.unsafe_fixes)
        for repair in repairs(outcome, plan, projects, allowed, baseline.hold_fixes):
            after = repair.outcome.data if repair.outcome.changed and not options.diff else None
            if _written(repair.target, repair.before, after, settings, tally):
                reports[repair.target.absolute] = repair.target, repair.outcome.left
                tally.record(repair, options.diff)
    return list(reports.values())


def silenced(
    outcome: Outcome,
    settings: Settings,
    plan: Plan,
    projects: Projects,
    tally: Tally,
    options: CheckOptions,
    baseline: Baseline,
) -> list[tuple[Target, Report]]:
    """The reports after ``--add-ignore``."""
    from mllint.checking import repair

    reports = _by_path(outcome)
    for one in repair.silenced(outcome, plan, projects, options.add_ignore or "", baseline.leave_out):
        after = one.outcome.data if one.outcome.count else None
        if _written(one.target, one.before, after, settings, tally):
            reports[one.target.absolute] = one.target, one.outcome.left
            tally.silenced += one.outcome.count
    return list(reports.values())


def _by_path(outcome: Outcome) -> dict[str, tuple[Target, Report]]:
    pairs = zip(outcome.targets, outcome.reports, strict=True)
    return {target.absolute: (target, report) for target, report in pairs}


def _written(target: Target, before: bytes, after: bytes | None, settings: Settings, tally: Tally) -> bool:
    """Is the file now as it should be (None: as it was)? If not, that is a problem of the run."""
    try:
        if after is not None:
            if read(target.absolute, settings.max_file_size) != before:
                raise WriteFailed("not written: it was changed while it was being checked; run again")
            write_atomic(target.absolute, after)
    except (WriteFailed, Unreadable) as failure:
        tally.problems.append(Problem(target.path, str(failure)))
        return False
    return True


__all__ = ["fixed", "silenced"]
