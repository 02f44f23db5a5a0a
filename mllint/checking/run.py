"""Check many files: from the cache, in this process or in a pool; results in path order.

May not: print, or let one file's trouble cost another file's findings.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from mllint.analysis.index import SyntaxFault
from mllint.checking.cache import Cache, Entry, Stamp
from mllint.checking.engine import Survey, answer, survey
from mllint.checking.faults import syntax_error
from mllint.checking.packs import NO_PACKS, Packs, known_rules
from mllint.checking.projects import Projects
from mllint.checking.report import Report
from mllint.checking.ruleset import RuleSet
from mllint.checking.select import Selection
from mllint.diagnostic import Problem
from mllint.reading.files import Target, Unreadable, read, stamp
from mllint.reading.source import DecodeFailure, Source, read_source

#: Below this many bytes a pool costs more than it saves (a worker takes about 0.1 s to get going).
_POOL_BYTES = 1_500_000
_CHUNK_BYTES = 400_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How to check; crosses the process boundary. ``jobs`` 0 means one for each core."""

    selection: Selection
    max_file_size: int
    ignore_noqa: bool = False
    jobs: int = 0
    start_method: str = ""
    packs: Packs = NO_PACKS


@dataclass(frozen=True, slots=True)
class Task:
    """A file to look at; ``alone`` where it belongs to no project."""

    target: Target
    alone: bool


@dataclass(frozen=True, slots=True)
class Result:
    """One file after the first look: a survey or a problem."""

    target: Target
    alone: bool
    survey: Survey | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """All results, in path order; ``targets`` are those of the reports, one each."""

    reports: tuple[Report, ...]
    problems: tuple[Problem, ...]
    targets: tuple[Target, ...] = ()


def load(target: Target, limit: int) -> Source:
    """Read and normalise one file. Raises Unreadable or DecodeFailure."""
    raw = read(target.absolute, limit)
    if target.kind == "notebook":
        from mllint.reading.notebook import read_notebook

        return read_notebook(target.path, raw)
    return read_source(target.path, target.kind, raw)


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
    for done, result in enumerate(_surveys(tasks, stamps, rules, plan), start=len(reports) + 1):
        tick(done)
        if result.problem is not None:
            problems.append(result.problem)
        else:
            waiting.append(result)
    if any(result.survey.asking for result in waiting if result.survey):
        for result in waiting:
            first = result.survey
            if first is not None and first.words is not None and first.index is not None:
                projects.learn(result.target, stamps[result.target.absolute], first.words, first.index)
    # In path order, so that what the project's questions remember never depends on which worker was first.
    for result in sorted(waiting, key=lambda result: _place(result.target)):
        try:
            report = _final(result, rules, plan, projects)
        except (Unreadable, DecodeFailure) as failure:  # changed since the first look
            problems.append(Problem(result.target.path, str(failure)))
            continue
        reports.append((result.target, report))
        _remember(cache, result, stamps[result.target.absolute], report, projects)
    reports.sort(key=lambda pair: _place(pair[0]))
    problems.sort(key=lambda problem: problem.path)
    return Outcome(tuple(report for _, report in reports), tuple(problems), tuple(target for target, _ in reports))


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


def _final(result: Result, rules: RuleSet, plan: Plan, projects: Projects) -> Report:
    """The report after the second look, which only files take whose rules ask about other files."""
    target, first = result.target, result.survey
    rules = rules.at(target.absolute)
    assert first is not None, "a result without a problem has a survey"
    if not first.asking and not first.waiting:
        return first.report
    project = projects.of(target)
    if not first.asking and not rules.reached(first.waiting, project, target.absolute):
        return first.report
    source = load(target, plan.max_file_size)
    return answer(source, rules, first, project, target.absolute, ignore_noqa=plan.ignore_noqa)


def _remember(cache: Cache, result: Result, now: Stamp | None, report: Report, projects: Projects) -> None:
    target, first = result.target, result.survey
    if not cache.path or now is None or report.crashed or first is None:
        return
    # A file of no project depends on that: a configuration put above it later makes rules ask.
    depends = projects.digest(target) if first.asking or first.waiting or result.alone else ""
    asked = report is not first.report or result.alone
    beside = tuple((path, stamp(path)) for path in projects.beside(target)) if asked else ()
    entry = Entry(now, depends, asked, first.waiting, report.suppressed, report.diagnostics, beside)
    cache.put(target.absolute, entry)


# -- the first look, here or in workers ------------------------------------------------------------------------


def examine(task: Task, rules: RuleSet, plan: Plan) -> Result:
    """The first look at one file."""
    target, alone = task.target, task.alone
    rules = rules.at(target.absolute)
    try:
        source = load(target, plan.max_file_size)
    except Unreadable as failure:
        return Result(target, alone, problem=Problem(target.path, str(failure)))
    except DecodeFailure as failure:
        return Result(target, alone, Survey(_undecodable(target, rules, failure)))
    first = survey(source, rules, target.absolute, ignore_noqa=plan.ignore_noqa, alone=alone)
    return Result(target, alone, first)


def _undecodable(target: Target, rules: RuleSet, failure: DecodeFailure) -> Report:
    """A file that is no text: a syntax error for Python, a finding at its first line for mllint."""
    source = Source(target.path, target.kind, b"")
    found = syntax_error(source, rules, SyntaxFault(f"cannot be decoded: {failure}", 1, 1))
    return Report(target.path, found, source)


def _surveys(tasks: Sequence[Task], stamps: dict[str, Stamp | None], rules: RuleSet, plan: Plan) -> Iterator[Result]:
    sizes = {task.target.absolute: (stamps[task.target.absolute] or (0, 0, 0))[1] for task in tasks}
    if plan.jobs == 1 or len(tasks) < 2 or sum(sizes.values()) < _POOL_BYTES:
        for task in tasks:
            yield examine(task, rules, plan)
        return
    from mllint.checking.pool import Pool, cores  # multiprocessing takes 6 ms that a run on one file saves

    pool: Pool[Task, Result] = Pool(plan.jobs or cores(), _prepare, (plan,), _examine_chunk, plan.start_method)
    yield from pool.map(list(_chunks(tasks, sizes)), _lost)


def _lost(task: Task) -> Result:
    message = "the process that checked this file died (out of memory, or nested too deeply); exclude the file"
    return Result(task.target, task.alone, problem=Problem(task.target.path, message))


def _chunks(tasks: Sequence[Task], sizes: dict[str, int]) -> Iterator[list[Task]]:
    """Pieces of about equal work, the largest files first so that none is left for the end."""
    chunk: list[Task] = []
    weight = 0
    for task in sorted(tasks, key=lambda task: (-sizes[task.target.absolute], task.target.path)):
        chunk.append(task)
        weight += sizes[task.target.absolute] + 2_000
        if weight >= _CHUNK_BYTES:
            yield chunk
            chunk, weight = [], 0
    if chunk:
        yield chunk


_worker: tuple[RuleSet, Plan] | None = None


def _prepare(plan: Plan) -> None:
    """Start of a worker: it loads the rules itself, none ever crosses the process boundary."""
    global _worker
    gc.disable()  # trees are freed by reference counts; the collector costs a quarter of the time
    _worker = (RuleSet(known_rules(plan.packs), plan.selection), plan)


def _examine_chunk(chunk: list[Task]) -> list[Result]:
    assert _worker is not None, "the pool's initializer has not run"
    rules, plan = _worker
    return [examine(task, rules, plan) for task in chunk]


@contextmanager
def _collector_off() -> Iterator[None]:
    """The cyclic collector off for a while (see `_prepare`)."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
