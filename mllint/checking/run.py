"""Check many files: from the cache, in this process or in a pool; results in path order.

May not: print, or let one file's trouble cost another file's findings.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from mllint.checking.cache import Cache, Entry, Stamp
from mllint.checking.first import Plan, Result, Task, load, surveys
from mllint.checking.packs import known_rules
from mllint.checking.projects import Projects
from mllint.checking.report import Report
from mllint.checking.ruleset import RuleSet
from mllint.checking.second import Final, crew_of, finals, in_order, learn
from mllint.diagnostic import Problem
from mllint.reading.files import Target, Unreadable, stamp
from mllint.reading.source import DecodeFailure
from mllint.record import dataclass

__all__ = ["Outcome", "Plan", "run"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """All results, in path order; ``targets`` are those of the reports, one each."""

    reports: tuple[Report, ...]
    problems: tuple[Problem, ...]
    targets: tuple[Target, ...] = ()


def run(
    targets: Sequence[Target],
    plan: Plan,
    cache: Cache,
    projects: Projects,
    tick: Callable[[int], None] = lambda done: None,
) -> Outcome:
    """Check every target once. ``tick`` is told how many files are done."""
    with _collector_off():
        return _run(targets, plan, cache, projects, tick)


def _run(
    targets: Sequence[Target], plan: Plan, cache: Cache, projects: Projects, tick: Callable[[int], None]
) -> Outcome:
    stamps = {target.absolute: stamp(target.absolute) for target in targets}
    rules = RuleSet(known_rules(plan.packs), plan.selection)
    reports: list[tuple[Target, Report]] = []
    fresh: list[Target] = []
    for target in targets:
        report = _recalled(target, stamps[target.absolute], rules, plan, cache, projects)
        if report is None:
            fresh.append(target)
        else:
            reports.append((target, report))
    problems: list[Problem] = []
    waiting: list[Result] = []
    tasks = [Task(target, not projects.exists(target)) for target in fresh]
    sizes = {path: 0 if now is None else now[1] for path, now in stamps.items()}
    with crew_of(tasks, stamps, rules, plan, projects) as crew:
        for done, result in enumerate(surveys(tasks, sizes, rules, plan, crew), start=len(reports) + 1):
            tick(done)
            if result.problem is not None:
                problems.append(result.problem)
            else:
                waiting.append(result)
        waiting = in_order(waiting)
        _last[:] = waiting
        if any(result.survey.asking for result in waiting if result.survey):
            learn(waiting, stamps, rules, projects)
        for result, final in finals(waiting, sizes, rules, plan, projects, crew):
            if final.problem is not None:
                problems.append(final.problem)
            elif final.report is not None:
                reports.append((result.target, final.report))
                _remember(cache, result, stamps[result.target.absolute], final.report, final, projects)
    reports.sort(key=lambda pair: _place(pair[0]))
    problems.sort(key=lambda problem: problem.path)
    return Outcome(tuple(report for _, report in reports), tuple(problems), tuple(target for target, _ in reports))


#: The first looks of the last run, with the trees of a small one: a command that ends after it need not free them (14 ms).
_last: list[Result] = []


def _place(target: Target) -> tuple[str, str]:
    """What targets are sorted by: names that are no text may look alike."""
    return target.path, target.absolute


def _recalled(
    target: Target, now: Stamp | None, rules: RuleSet, plan: Plan, cache: Cache, projects: Projects
) -> Report | None:
    """A cached report, if it still holds; the source is read again only where findings have to be shown."""
    entry = cache.entries.get(target.absolute)
    if entry is None or entry.stamp != now or any(stamp(path) != then for path, then in entry.beside):
        return None
    if entry.project and entry.project != projects.digest(target):
        if entry.asked or rules.reached(entry.waiting, projects.of(target), target.absolute):
            return None
        cache.put(target.absolute, replace(entry, project=projects.digest(target)))
    source = None
    if entry.diagnostics:
        try:
            source = load(target, plan.max_file_size)
        except (Unreadable, DecodeFailure):
            return None  # the first look says why
        if stamp(target.absolute) != now:
            return None  # saved just now: the findings are those of another text
    return Report(target.path, entry.diagnostics, source, entry.suppressed)


def _remember(
    cache: Cache, result: Result, now: Stamp | None, report: Report, final: Final, projects: Projects
) -> None:
    target, first = result.target, result.survey
    if not cache.path or now is None or report.crashed or first is None:
        return
    # A file of no project depends on that: a configuration put above it later makes rules ask.
    depends = projects.digest(target) if first.asking or first.waiting or result.alone else ""
    asked = report is not first.report or result.alone
    entry = Entry(now, depends, asked, first.waiting, report.suppressed, report.diagnostics, final.beside)
    cache.put(target.absolute, entry)


@contextmanager
def _collector_off() -> Iterator[None]:
    """The cyclic collector off for a while (see first.py)."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
