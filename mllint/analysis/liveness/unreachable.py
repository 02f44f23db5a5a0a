"""Code behind a jump: what stands where its block never goes on.

May not: judge how bad it is, or report code that people write there on purpose.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mllint.analysis.liveness.blocks import leaves, own_nodes, yields
from mllint.analysis.names import dotted_name
from mllint.analysis.syntax import Syntax

_BLOCKS = ("body", "orelse", "finalbody")

#: A person has seen that the code behind a jump never runs, and says that it is to stay.
MEANT = re.compile(r"#.*\b(unreachable|W0101)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Unreachable:
    """``code`` is the rest of a block behind ``jump``; ``first`` its first statement that means something."""

    jump: ast.stmt
    code: list[ast.stmt]
    first: ast.stmt

    @property
    def is_lost_text(self) -> bool:
        """Is it a string that should have been a part of what the ``return`` before it returns?"""
        return isinstance(self.first, ast.Expr) and _is_text(self.first.value)


def unreachable(syntax: Syntax) -> Iterator[Unreachable]:
    """Code that a ``return``, ``raise``, ``break`` or ``continue`` before it keeps from ever running."""
    for jump in syntax.statements(ast.Return, ast.Raise, ast.Break, ast.Continue, ast.If, ast.Try):
        rest = _behind(jump, syntax) if leaves(jump) and not _skips_a_test(jump) else []
        first = next((each for each in rest if _means_something(each, jump)), None)
        if first is not None and not _makes_a_generator(rest, syntax):
            yield Unreachable(jump, rest, first)


def _skips_a_test(jump: ast.stmt) -> bool:
    """Is it ``raise SkipTest(…)``? The test behind it is to come back."""
    if not isinstance(jump, ast.Raise) or jump.exc is None:
        return False
    raised = jump.exc.func if isinstance(jump.exc, ast.Call) else jump.exc
    return dotted_name(raised).rpartition(".")[2] == "SkipTest"


def _behind(statement: ast.stmt, syntax: Syntax) -> list[ast.stmt]:
    """The statements behind one in its block."""
    holder = syntax.parent(statement)
    for field in _BLOCKS:
        block = getattr(holder, field, None)
        if isinstance(block, list) and block and block[-1] is not statement and statement in block:
            return block[block.index(statement) + 1 :]
    return []


def _means_something(statement: ast.stmt, jump: ast.stmt) -> bool:
    """Is a statement more than what people put behind a jump for a type checker, a generator or a reader?"""
    if isinstance(statement, (ast.Pass, ast.Break, ast.Continue)):
        return False
    if isinstance(statement, ast.Expr):
        if _is_text(statement.value):
            return isinstance(jump, ast.Return) and jump.value is not None and _is_text(jump.value)
        return not isinstance(statement.value, ast.Constant) and not _says_never(statement.value)
    if isinstance(statement, ast.Assert):
        return not (isinstance(statement.test, ast.Constant) and not statement.test.value)
    if isinstance(statement, ast.Raise):
        return isinstance(jump, ast.Raise)
    if isinstance(statement, ast.Return):
        if isinstance(jump, ast.Return):
            return statement.value is not None and not _is_none(statement.value)
        return statement.value is not None and not _is_simple(statement.value)
    return True


def _is_text(value: ast.expr) -> bool:
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.UAdd):
        value = value.operand  # ``+ "more"`` in the line below
    return isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and isinstance(value.value, str))


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _is_simple(value: ast.expr) -> bool:
    """Is nothing computed? Then the ``return`` is there to tell what a function would return."""
    return not any(
        isinstance(node, (ast.Call, ast.BinOp, ast.Subscript, ast.Await, ast.IfExp, ast.Compare))
        for node in own_nodes([value])
    )


def _says_never(value: ast.expr) -> bool:
    function = value.func if isinstance(value, ast.Call) else None
    name = (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )
    return name in ("assert_never", "exit", "_exit", "abort", "fail", "skip", "unreachable")


def _makes_a_generator(code: list[ast.stmt], syntax: Syntax) -> bool:
    """Does a ``yield`` in dead code make a function a generator that has no other ``yield``?"""
    if not yields(code):
        return False
    scope = syntax.scope(code[0])
    alive = [node for node in own_nodes(scope.body) if isinstance(node, (ast.Yield, ast.YieldFrom))]
    dead = [node for node in own_nodes(code) if isinstance(node, (ast.Yield, ast.YieldFrom))]
    return len(alive) == len(dead)


__all__ = ["MEANT", "Unreachable", "unreachable"]
