"""The second look, which only files take whose rules ask about other files: here, or in forked workers.

May not: print, or let one file's trouble cost another file's findings.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mllint.checking.cache import Stamp
from mllint.checking.engine import answer
from mllint.checking.first import Plan, Result, chunks, load
from mllint.checking.projects import Answers, Projects
from mllint.checking.report import Report
from mllint.checking.ruleset import RuleSet
from mllint.diagnostic import Problem
from mllint.reading.files import Unreadable, stamp
from mllint.reading.source import DecodeFailure

#: Below this many bytes workers cost more than they save.
POOL_BYTES = 200_000


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


@dataclass(frozen=True, slots=True)
class _Work:
    """What all second looks of a run share."""

    results: Sequence[Result]
    rules: RuleSet
    plan: Plan
    projects: Projects


def finals(
    results: Sequence[Result], sizes: Mapping[str, int], rules: RuleSet, plan: Plan, projects: Projects
) -> Iterator[tuple[Result, Final]]:
    """The reports of files after a first look without a problem, in their order. ``sizes`` by absolute path."""
    work = _Work(results, rules, plan, projects)
    again = [place for place, result in enumerate(results) if _is_asked(result, rules, projects)]
    known = dict(_in_workers(again, sizes, work)) if _pays(again, sizes, work) else {}
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
    try:
        source = load(target, plan.max_file_size)
    except (Unreadable, DecodeFailure) as failure:  # changed since the first look
        return Final(None, Problem(target.path, str(failure)))
    rules = work.rules.at(target.absolute)
    report = answer(source, rules, first, projects.of(target), target.absolute, ignore_noqa=plan.ignore_noqa)
    return Final(report, beside=tuple((path, stamp(path)) for path in projects.beside(target)))


# -- in workers ------------------------------------------------------------------------------------------------


def _pays(again: Sequence[int], sizes: Mapping[str, int], work: _Work) -> bool:
    """Is it worth while to fork workers? Only those that are forked have all that is known of the project."""
    weight = sum(sizes[work.results[place].target.absolute] for place in again)
    if work.plan.jobs == 1 or len(again) < 2 or weight < POOL_BYTES:
        return False
    from mllint.checking.pool import cores, default_start_method

    return (work.plan.start_method or default_start_method()) == "fork" and (work.plan.jobs or cores()) > 1


def _in_workers(again: Sequence[int], sizes: Mapping[str, int], work: _Work) -> Iterator[tuple[int, Final]]:
    """What each of these places comes to (transformers on two busy cores: 1.1 s instead of 1.4)."""
    from mllint.checking.pool import Pool, cores

    def size(place: int) -> int:
        return sizes[work.results[place].target.absolute]

    def lost(place: int) -> tuple[int, Final]:
        message = "the process that looked at this file died (out of memory, or nested too deeply); exclude the file"
        return place, Final(None, Problem(work.results[place].target.path, message))

    work.projects.prepare([work.results[place].target for place in again])
    jobs = work.plan.jobs or cores()
    pool: Pool[int, tuple[int, Final]] = Pool(jobs, _inherit, (work,), _look_again, "fork")
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


def _look_again(places: list[int]) -> list[tuple[int, Final]]:
    """Second looks in a worker, with what they learnt about the project."""
    assert _inherited is not None, "the pool's initializer has not run"
    looks = [(place, _final(place, _inherited)) for place in places]
    place, last = looks[-1]
    looks[-1] = place, Final(last.report, last.problem, last.beside, _inherited.projects.news())
    return looks
