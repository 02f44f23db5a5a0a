"""The first look at many files, each by itself: in this process or in a pool of workers.

May not: ask about other files, print, or let one file's trouble cost another file's findings.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from mllint.analysis.index import FileIndex, SyntaxFault
from mllint.checking.engine import Survey, survey
from mllint.checking.facts import packed_index
from mllint.checking.faults import syntax_error
from mllint.checking.packs import NO_PACKS, Packs, known_rules
from mllint.checking.pool import Pool, cores
from mllint.checking.report import Report
from mllint.checking.ruleset import RuleSet
from mllint.checking.select import Selection
from mllint.diagnostic import Problem
from mllint.reading.files import Target, Unreadable, read
from mllint.reading.source import DecodeFailure, Source, read_source
from mllint.record import dataclass

if TYPE_CHECKING:
    from mllint.checking.crew import Crew

#: Below this many bytes a pool costs more than it saves: some 20 ms.
POOL_BYTES = 500_000
#: Above this many bytes of all files no tree is kept for the second look: each takes some twenty times as much.
KEPT_BYTES = 4_000_000
_CHUNK_BYTES = 400_000

Item = TypeVar("Item")


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


def load(target: Target, limit: int) -> Source:
    """Read and normalise one file. Raises Unreadable or DecodeFailure."""
    raw = read(target.absolute, limit)
    if target.kind == "notebook":
        from mllint.reading.notebook import read_notebook

        return read_notebook(target.path, raw)
    return read_source(target.path, target.kind, raw)


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


def surveys(
    tasks: Sequence[Task],
    sizes: Mapping[str, int],
    rules: RuleSet,
    plan: Plan,
    crew: Crew[Result, Any] | None = None,
) -> Iterator[Result]:
    """The first look at each file, as they come. ``sizes`` by absolute path."""

    def size(task: Task) -> int:
        return sizes[task.target.absolute]

    jobs = plan.jobs or cores()
    pool: Pool[Task, Result] = Pool(jobs, _prepare, (plan,), _examine_chunk, plan.start_method)
    weight = sum(map(size, tasks))
    if crew is not None:
        left = {task.target.absolute: task for task in tasks}
        for result in crew.first():
            del left[result.target.absolute]
            yield result
        if left:  # a process of the crew has died: each by itself
            yield from pool.map([[task] for task in left.values()], _lost)
    elif jobs == 1 or len(tasks) < 2 or weight < POOL_BYTES:
        for task in tasks:
            result = examine(task, rules, plan)
            yield result if weight < KEPT_BYTES else _without_tree(result)
    else:
        yield from pool.map(list(chunks(tasks, size, jobs)), _lost)


def _lost(task: Task) -> Result:
    message = "the process that checked this file died (out of memory, or nested too deeply); exclude the file"
    return Result(task.target, task.alone, problem=Problem(task.target.path, message))


def chunks(items: Sequence[Item], size: Callable[[Item], int], jobs: int) -> Iterator[list[Item]]:
    """Pieces of about equal work, the largest files first so that none is left for the end; several for each worker."""
    most = min(_CHUNK_BYTES, sum(map(size, items)) // (6 * jobs))
    chunk: list[Item] = []
    weight = 0
    for item in sorted(items, key=size, reverse=True):
        chunk.append(item)
        weight += size(item) + 2_000
        if weight >= most:
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
    return [packed(examine(task, rules, plan)) for task in chunk]


def packed(result: Result) -> Result:
    """A result for another process: most indexes are never asked for there, and text need not be rebuilt."""
    first = result.survey
    if first is None:
        return result
    index = packed_index(first.index) if isinstance(first.index, FileIndex) else first.index
    return replace(result, survey=replace(first, index=index, source=None, syntax=None))


def _without_tree(result: Result) -> Result:
    first = result.survey
    return result if first is None else replace(result, survey=replace(first, source=None, syntax=None))
