"""The second look, which only files take whose rules ask about other files: here, or in forked workers.

May not: print, or let one file's trouble cost another file's findings.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from mllint.checking.cache import Stamp
from mllint.checking.engine import answer
from mllint.checking.first import KEPT_BYTES, Plan, Result, Task, chunks, examine, load, packed
from mllint.checking.pool import Pool, cores, default_start_method
from mllint.checking.projects import Answers, Learnt, Projects
from mllint.checking.report import Report
from mllint.checking.ruleset import RuleSet
from mllint.diagnostic import Problem
from mllint.reading.files import Unreadable, stamp
from mllint.reading.source import DecodeFailure
from mllint.record import dataclass

if TYPE_CHECKING:
    from mllint.checking.crew import Crew

#: Below this many bytes workers cost more than they save.
POOL_BYTES = 200_000
#: A crew has one process more for each so many bytes.
CREW_BYTES = 200_000
#: More files than these might not fit into a crew's pipes.
MOST_PIECES = 1000


@dataclass(frozen=True, slots=True)
class Final:
    """What the second look at one file came to; without a report there is a problem.

    ``beside``: files that it depends on besides the project's Python, and what they looked like.
    ``answers``: what the project was asked for the first time.
    """

    report: Report | None
    problem: Problem | None = None
    beside: tuple[tuple[str, Stamp | None], ...] = ()
    answers: Answers | None = None


#: A place in the list of results, and what its file came to.
Placed: TypeAlias = "tuple[int, Final]"


@dataclass(frozen=True, slots=True)
class _Work:
    """What all second looks of a run share."""

    results: Sequence[Result]
    rules: RuleSet
    plan: Plan
    projects: Projects


def finals(
    results: Sequence[Result],
    sizes: Mapping[str, int],
    rules: RuleSet,
    plan: Plan,
    projects: Projects,
    crew: Crew[Result, Placed] | None = None,
) -> Iterator[tuple[Result, Final]]:
    """The reports of files after a first look without a problem, in their order. ``sizes`` by absolute path."""
    work = _Work(results, rules, plan, projects)
    again = [place for place, result in enumerate(results) if _is_asked(result, rules, projects)]
    known = dict(_by_crew(again, sizes, work, crew)) if crew is not None and again else {}
    left = [place for place in again if place not in known]
    if left and (crew is not None or _pays(left, sizes, work)):  # of a crew, what a dying process has not told
        known |= _in_workers(left, sizes, work)
    asked = frozenset(again)
    for place, result in enumerate(results):
        if place in asked:
            yield result, known[place] if place in known else _final(place, work)
        elif result.survey is not None:
            yield result, Final(result.survey.report)


def _is_asked(result: Result, rules: RuleSet, projects: Projects) -> bool:
    """Does a rule ask about other files, or do other files bring one to look here?"""
    target, first = result.target, result.survey
    if first is None or not (first.asking or first.waiting):
        return False
    reached = rules.at(target.absolute).reached(first.waiting, projects.of(target), target.absolute)
    return bool(first.asking or reached)


def _final(place: int, work: _Work) -> Final:
    """The second look at one file."""
    result, plan, projects = work.results[place], work.plan, work.projects
    target, first = result.target, result.survey
    assert first is not None, "a result without a problem has a survey"
    source = first.source
    if source is None:
        try:
            source = load(target, plan.max_file_size)
        except (Unreadable, DecodeFailure) as failure:  # changed since the first look
            return Final(None, Problem(target.path, str(failure)))
    rules = work.rules.at(target.absolute)
    report = answer(source, rules, first, projects.of(target), target.absolute, ignore_noqa=plan.ignore_noqa)
    return Final(report, beside=tuple((path, stamp(path)) for path in projects.beside(target)))


def in_order(results: Iterable[Result]) -> list[Result]:
    """In path order, so that what the project's questions remember never depends on who was first."""
    return sorted(results, key=lambda result: (result.target.path, result.target.absolute))


def learn(results: Sequence[Result], stamps: Mapping[str, Stamp | None], rules: RuleSet, projects: Projects) -> None:
    """Tell the projects what the first looks have found out."""
    for result in results:
        first = result.survey
        if first is not None and first.words is not None and first.index is not None:
            gates = {each: code in first.woken for code, each in rules.at(result.target.absolute).gates.items()}
            learnt = Learnt(first.words, first.index, gates, first.for_project, first.syntax)
            projects.learn(result.target, stamps[result.target.absolute], learnt)


# -- in a crew -------------------------------------------------------------------------------------------------


@contextmanager
def crew_of(
    tasks: Sequence[Task], stamps: Mapping[str, Stamp | None], rules: RuleSet, plan: Plan, projects: Projects
) -> Iterator[Crew[Result, Placed] | None]:
    """Who helps with a small run; None where it is too small or too large for a crew, or nothing can be forked."""
    sizes = [now[1] if (now := stamps[task.target.absolute]) else 0 for task in tasks]
    size = min(plan.jobs or cores(), len(tasks), 1 + sum(sizes) // CREW_BYTES)
    if size < 2 or (plan.start_method or default_start_method()) != "fork" or not _is_small(sizes):
        yield None
        return
    from mllint.checking.crew import Crew, Job  # pickle takes 2 ms to import

    def resume(mine: list[Result], others: list[Result]) -> Callable[[int], Placed]:
        results = in_order(result for result in (*mine, *others) if result.problem is None)
        learn(results, stamps, rules, projects)
        work = _Work(results, rules, plan, projects)
        return lambda place: _placed(place, work)

    heavy = sorted(range(len(tasks)), key=sizes.__getitem__, reverse=True)
    crew = Crew(size, heavy, Job(lambda piece: examine(tasks[piece], rules, plan), packed, resume))
    try:
        yield crew
    finally:
        crew.end()


def _is_small(sizes: Sequence[int]) -> bool:
    return sum(sizes) < KEPT_BYTES and len(sizes) <= MOST_PIECES


def _by_crew(
    again: Sequence[int], sizes: Mapping[str, int], work: _Work, crew: Crew[Result, Placed]
) -> Iterator[Placed]:
    """What each of these places comes to; each is looked at where its tree is, if that process gets to it."""
    maker = {each.target.absolute: number for number, done in enumerate(crew.done) for each in done}
    shares: list[list[int]] = [[] for _ in crew.done]
    for place in sorted(again, key=lambda place: sizes[work.results[place].target.absolute], reverse=True):
        shares[maker.get(work.results[place].target.absolute, -1)].append(place)
    for place, final in crew.second(shares, lambda place: _placed(place, work)):
        if final.answers:
            work.projects.adopt(final.answers)
        yield place, final


def _placed(place: int, work: _Work) -> Placed:
    """The second look at one file, with what was learnt over it about the project."""
    final = _final(place, work)
    return place, replace(final, answers=work.projects.news())


# -- in workers ------------------------------------------------------------------------------------------------


def _pays(again: Sequence[int], sizes: Mapping[str, int], work: _Work) -> bool:
    """Is it worth while to fork workers? Only those that are forked have all that is known of the project."""
    weight = sum(sizes[work.results[place].target.absolute] for place in again)
    if work.plan.jobs == 1 or len(again) < 2 or weight < POOL_BYTES:
        return False
    return (work.plan.start_method or default_start_method()) == "fork" and (work.plan.jobs or cores()) > 1


def _in_workers(again: Sequence[int], sizes: Mapping[str, int], work: _Work) -> Iterator[Placed]:
    """What each of these places comes to (transformers on two busy cores: 1.1 s instead of 1.4)."""

    def size(place: int) -> int:
        return sizes[work.results[place].target.absolute]

    def lost(place: int) -> Placed:
        message = "the process that looked at this file died (out of memory, or nested too deeply); exclude the file"
        return place, Final(None, Problem(work.results[place].target.path, message))

    work.projects.prepare([work.results[place].target for place in again])
    jobs = work.plan.jobs or cores()
    pool: Pool[int, Placed] = Pool(jobs, _inherit, (work,), _look_again, "fork")
    for place, final in pool.map(list(chunks(again, size, jobs)), lost):
        if final.answers:
            work.projects.adopt(final.answers)
        yield place, final


_inherited: _Work | None = None


def _inherit(work: _Work) -> None:
    """Start of a forked worker: nothing is sent, it has a copy of all that its parent knows."""
    global _inherited
    gc.disable()
    _inherited = work


def _look_again(places: list[int]) -> list[Placed]:
    """Second looks in a worker, with what they learnt about the project."""
    assert _inherited is not None, "the pool's initializer has not run"
    return [_placed(place, _inherited) for place in places]
