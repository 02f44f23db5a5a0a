"""What the text of the target's files suggests, held against what the run has shown: confirmed, cleared, or not tried.

May not: read files or run the target; sources and trace are given.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mllint.checking.engine import check
from mllint.checking.ruleset import RuleSet
from mllint.checking.select import Selection
from mllint.diagnostic import Diagnostic, Severity
from mllint.probe.check import all_checks
from mllint.probe.measured.code_reached import CodeReached
from mllint.probe.trace import Trace
from mllint.reading.source import Source
from mllint.rule import Rule, reads_traces

_INSTALLED = ("/site-packages/", "/dist-packages/")


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A static finding and what became of it. ``reason`` says by what, or why not."""

    finding: Diagnostic
    outcome: Literal["confirmed", "cleared", "not tried"]
    reason: str

    def __str__(self) -> str:
        found = self.finding
        return f"{found.path}:{found.begin.row}: {found.code} suspected in the text: {self.outcome}, {self.reason}"


@dataclass(frozen=True, slots=True)
class Block:
    """A class, or a function outside of classes: rows from its first decorator to its end."""

    name: str
    first: int
    last: int
    begins: frozenset[int]

    def holds(self, row: int) -> bool:
        return self.first <= row <= self.last


def suspicions(
    trace: Trace,
    observed: Iterable[Diagnostic],
    sources: Mapping[str, Source],
    rules: RuleSet,
    known: Sequence[Rule],
    root: str = "",
) -> tuple[Suspicion, ...]:
    """One for each static finding that a check of the probe could confirm, in the order of the files. ``known`` are all
    rules, ``root`` is where the trace's relative paths start."""
    able = {rule.meta.code: confirming(rule) for rule in rules.active if RuleSet.reads(rule) and confirming(rule)}
    asked = RuleSet(
        known,
        Selection(frozenset(able), frozenset(able), per_file=rules.selection.per_file, anchor=rules.selection.anchor),
    )
    blocks = {path: blocks_of(source) for path, source in sources.items()}
    seen = list(observed)
    found = []
    for path, source in sorted(sources.items()):
        if not any(part in path for part in _INSTALLED):
            absolute = posixpath.join(root, path)
            report = check(source, asked.at(absolute), absolute=absolute)
            found += [
                _held_against(one, able[one.code], trace, seen, blocks, source)
                for one in report.diagnostics
                if one.code in able
            ]
    return tuple(found)


def confirming(rule: Rule) -> frozenset[str]:
    """The codes whose runtime halves can confirm what the static half of a rule suspects."""
    own: Sequence[str] = (rule.meta.code,) if reads_traces(rule) else ()
    return frozenset((*own, *rule.meta.confirmed_by))


def _held_against(
    one: Diagnostic,
    codes: frozenset[str],
    trace: Trace,
    observed: Sequence[Diagnostic],
    blocks: Mapping[str, Sequence[Block]],
    source: Source,
) -> Suspicion:
    block = block_at(blocks[one.path], one.begin.row)
    for seen in observed:
        if seen.code in codes and _same_place(one, block, seen, blocks, source):
            note = " (a note)" if seen.severity is Severity.INFO else ""
            return Suspicion(one, "confirmed", f"{seen.code} at {seen.path}:{seen.begin.row}{note}")
    reached = trace.get(CodeReached)
    ran = reached is not None and any(
        site.path == one.path and (block is None or site.row in block.begins) for site in reached.functions
    )
    if not ran:
        return Suspicion(one, "not tried", "this code did not run in a step")
    able = {check.name for check in all_checks() if codes & set(check.codes)}
    runs = [run for run in trace.checks if run.check in able]
    left = next((run for run in runs if run.outcome != "measured"), None)
    if left is not None or not runs:
        return Suspicion(
            one, "not tried", f"{left.check} was {left.outcome}: {left.reason}" if left else "no check was made"
        )
    return Suspicion(one, "cleared", f"this code ran, and {', '.join(run.check for run in runs)} found nothing in it")


def _same_place(
    one: Diagnostic, block: Block | None, seen: Diagnostic, blocks: Mapping[str, Sequence[Block]], source: Source
) -> bool:
    """Is an observation about the block of a static finding: in it, or in one that uses it by name?"""
    if block is None:
        return seen.path == one.path and seen.begin.row == one.begin.row
    places = [(seen.path, seen.begin.row), *((other.path, other.place.row) for other in seen.related)]
    if any(path == one.path and block.holds(row) for path, row in places):
        return True
    user = block_at(blocks.get(seen.path, ()), seen.begin.row)
    if user is None or seen.path != one.path:
        return False
    text = "\n".join(source.line(row) for row in range(user.first, user.last + 1))
    return re.search(rf"\b{re.escape(block.name)}\b", text) is not None


def blocks_of(source: Source) -> tuple[Block, ...]:
    """The classes of a file, and its functions outside of classes; nothing for one that is no Python."""
    try:
        tree = ast.parse(source.data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    return tuple(_blocks(tree))


def _blocks(tree: ast.AST) -> Iterator[Block]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            functions = [each for each in ast.walk(node) if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))]
            begins = frozenset(_first_row(each) for each in functions)
            yield Block(node.name, _first_row(node), node.end_lineno or node.lineno, begins)
        else:
            yield from _blocks(node)


def _first_row(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def block_at(blocks: Sequence[Block], row: int) -> Block | None:
    """The block that a row belongs to."""
    return next((block for block in blocks if block.holds(row)), None)


__all__ = ["Block", "Suspicion", "block_at", "blocks_of", "confirming", "suspicions"]
