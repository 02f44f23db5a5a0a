"""Names of a function that only one branch of an ``if`` binds, and that the other branch reads.

May not: judge, or follow conditions that are merely related; whether two different conditions agree is not known.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from mllint.analysis.liveness.blocks import bound_names, parameters
from mllint.reading.source import Source

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
#: Statements that `_targets` reads, and those below which nothing is looked for.
_BINDING = frozenset((ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For, ast.AsyncFor, ast.With, ast.AsyncWith))
_NO_BLOCKS = frozenset(
    (*_FUNCTIONS, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return, ast.Raise)
)
_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")
#: What runs later, or has names of its own.
_ASIDES = (*_FUNCTIONS, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

Function = ast.FunctionDef | ast.AsyncFunctionDef

#: A branch: its ``if``, and whether it is the ``else`` part.
_Branch = tuple[ast.If, bool]


@dataclass(frozen=True)
class Unbound:
    """``read`` uses a name that only the other branch of ``choice`` binds, first at ``bound``."""

    read: ast.Name
    bound: ast.Name
    choice: ast.If


def read_in_other_branch(function: Function, source: Source) -> Iterator[Unbound]:
    """Reads that always raise UnboundLocalError when they are reached."""
    for name, (branches, bound) in _branches_of_names(function).items():
        for choice, in_else in branches:
            other = choice.body if in_else else choice.orelse
            if not other or not _mentions(name, other, source):
                continue
            read = _first_read(name, other)
            if read is not None and _is_bound_nowhere_else(name, function, choice.orelse if in_else else choice.body):
                yield Unbound(read, bound, choice)
                break


def may_read_in_other_branch(choice: ast.If, source: Source) -> bool:
    """Does one branch of an ``if`` mention a name that the other binds? Cheap: it spares most functions the rest."""
    return any(
        bool(other) and _mentions(name, other, source)
        for block, other in ((choice.body, choice.orelse), (choice.orelse, choice.body))
        for name in _assigned(block)
    )


def _assigned(block: list[ast.stmt]) -> set[str]:
    """The plain names that the statements of a block assign to, those nested in it too; definitions left out."""
    names: set[str] = set()
    pending: list[ast.AST] = list(block)
    while pending:
        node = pending.pop()
        kind = type(node)
        if kind in _BINDING:
            names.update(target.id for target in _targets(node))
        if kind not in _NO_BLOCKS:
            for field in _BLOCKS:
                pending += getattr(node, field, ())
    return names


def _branches_of_names(function: Function) -> dict[str, tuple[list[_Branch], ast.Name]]:
    """For each plain variable, the branches that hold all its assignments, and its first assignment.

    Looks at the targets of statements only, so this is cheap. Branches inside a loop are left out: there the name may
    be bound from the round before.
    """
    found: dict[str, tuple[list[_Branch], ast.Name]] = {}
    pending: list[tuple[ast.AST, tuple[_Branch, ...], bool]] = [(each, (), False) for each in reversed(function.body)]
    while pending:
        node, path, in_loop = pending.pop()
        for target in _targets(node) if type(node) in _BINDING else ():
            known = found.get(target.id)
            if known is None:
                found[target.id] = (list(path), target)
            elif known[0]:
                found[target.id] = (_common(known[0], path), known[1])
        if type(node) in _NO_BLOCKS:
            continue
        if isinstance(node, ast.If):
            for in_else, block in ((True, node.orelse), (False, node.body)):
                inner = path if in_loop else (*path, (node, in_else))
                pending.extend((each, inner, in_loop) for each in reversed(block))
            continue
        loops = in_loop or isinstance(node, _LOOPS)
        for field in ("cases", "finalbody", "orelse", "handlers", "body"):
            inside = getattr(node, field, None)
            if isinstance(inside, list):
                pending.extend((each, path, loops) for each in reversed(inside))
    return {name: each for name, each in found.items() if each[0]}


def _common(known: list[_Branch], path: tuple[_Branch, ...]) -> list[_Branch]:
    return [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(known, path, strict=False))]


def _targets(node: ast.AST) -> Iterator[ast.Name]:
    """The plain names that a statement assigns to."""
    pending: list[ast.expr | None] = []
    if isinstance(node, ast.Assign):
        pending = list(node.targets)
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.For, ast.AsyncFor)):
        pending = [node.target]
    elif isinstance(node, (ast.With, ast.AsyncWith)):
        pending = [item.optional_vars for item in node.items]
    while pending:
        target = pending.pop()
        if isinstance(target, ast.Name):
            yield target
        elif isinstance(target, (ast.Tuple, ast.List)):
            pending.extend(target.elts)
        elif isinstance(target, ast.Starred):
            pending.append(target.value)


def _mentions(name: str, block: list[ast.stmt], source: Source) -> bool:
    """Is the name in the text of a block, other than as an attribute, a keyword or a part of a longer name?

    Saves looking at the expressions of nearly all blocks.
    """
    starts = source.line_starts
    last = block[-1].end_lineno or block[-1].lineno
    end = starts[last] if last < len(starts) else len(source.data)
    data, word = source.data, name.encode()
    at = data.find(word, starts[block[0].lineno - 1], end)
    while at >= 0:  # by hand: a pattern for each name would have to be compiled
        after = at + len(word)
        if not _JOINS.match(data[at - 1 : at]) and not _GOES_ON.match(data, after, end):
            return True
        at = data.find(word, after, end)
    return False


_JOINS = re.compile(rb"[\w.]")
_GOES_ON = re.compile(rb"\w|\s*=[^=}!:]")


def _first_read(name: str, block: list[ast.stmt]) -> ast.Name | None:
    """The first read of the name that happens while the block runs; None where the block asks whether it exists."""
    reads: list[ast.Name] = []
    pending: list[ast.AST] = list(block)
    while pending:
        node = pending.pop()
        if isinstance(node, _ASIDES):
            continue
        if isinstance(node, ast.ExceptHandler) or (isinstance(node, ast.Name) and node.id in ("locals", "vars", "dir")):
            return None
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
            reads.append(node)
        pending.extend(ast.iter_child_nodes(node))
    return min(reads, key=lambda node: (node.lineno, node.col_offset), default=None)


def _is_bound_nowhere_else(name: str, function: Function, branch: list[ast.stmt]) -> bool:
    """Does nothing in a function bind a name but one branch: no parameter, no import, no inner function?"""
    if name in parameters(function):
        return False
    declared = [node for node in ast.walk(function) if isinstance(node, (ast.Global, ast.Nonlocal))]
    return name not in bound_names(function.body, set(branch)) and not any(name in node.names for node in declared)


__all__ = ["Function", "Unbound", "read_in_other_branch"]
