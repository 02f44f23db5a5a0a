"""Edits that take code away which cannot run.

May not: decide what cannot run. Gives None where taking code away would change what is left, or where the layout
is not plain enough.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from mllint.analysis.liveness.blocks import bound_names, parameters, yields

if TYPE_CHECKING:
    from mllint.analysis.context import Context
    from mllint.analysis.syntax import Syntax
    from mllint.diagnostic import Edit


def without_rest(code: list[ast.stmt], ctx: Context) -> list[Edit] | None:
    """Remove the statements at the end of a block."""
    assert ctx.syntax is not None
    if changes_scope(code, ctx.syntax) or not _own_rows(code[0], code[-1], ctx):
        return None
    start = first_row(code[0])
    while not ctx.source.line(start - 1).strip():
        start -= 1
    return [ctx.delete_lines(start, last_row(code[-1]))]


def without_body(statement: ast.If | ast.While, ctx: Context) -> list[Edit] | None:
    """Remove the body of an ``if`` or ``while`` that is never true; what stands in the ``else`` of an ``if`` stays."""
    assert ctx.syntax is not None
    if changes_scope(statement.body, ctx.syntax) or not _own_rows(statement, statement, ctx):
        return None
    start, is_elif = statement.lineno, ctx.code(statement).startswith("elif")
    if not statement.orelse:
        rows = ctx.delete_lines(start, last_row(statement))
        alone = len(ctx.syntax.block(statement)[0]) == 1 and not is_elif
        return [ctx.replace((rows.start, ctx.span(statement)[1]), _indent(start, ctx) + "pass")] if alone else [rows]
    if isinstance(statement, ast.While):
        return None
    following = statement.orelse[0]
    if isinstance(following, ast.If) and ctx.code(following).startswith("elif"):
        at = ctx.span(following)[0]
        renamed = [] if is_elif else [ctx.replace((at, at + len("elif")), "if")]
        return [ctx.delete_lines(start, following.lineno - 1), *renamed]
    other = _else_row(statement, ctx)
    if other is None:
        return None
    if is_elif:
        return [ctx.delete_lines(start, other - 1)]
    shifted = _dedented(statement, other + 1, ctx)
    return None if shifted is None else [ctx.delete_lines(start, other), *shifted]


def first_row(statement: ast.stmt) -> int:
    """The row that a statement begins in, its decorators included."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(each.lineno for each in decorators)])


def last_row(statement: ast.stmt) -> int:
    """The row that a statement ends in."""
    return statement.end_lineno or statement.lineno


def changes_scope(code: list[ast.stmt], syntax: Syntax) -> bool:
    """Would the rest of the function mean something else without this code, which never runs?

    Its ``yield`` makes the function a generator, its assignments make names local, for all of the function.
    """
    if yields(code):
        return True
    scope, dead = syntax.scope(code[0]), set(code)
    own = parameters(scope) if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)) else frozenset()
    only_dead = bound_names(code) - bound_names(scope.body, dead) - own
    return bool(only_dead) and any(
        isinstance(node, ast.Name) and node.id in only_dead for node in _everything(scope.body, dead)
    )


def _everything(nodes: Iterable[ast.AST], without: Collection[ast.AST] = ()) -> Iterator[ast.AST]:
    """All nodes below some nodes, those in inner functions included."""
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if node not in without:
            yield node
            pending.extend(ast.iter_child_nodes(node))


def _own_rows(first: ast.stmt, last: ast.stmt, ctx: Context) -> bool:
    """Does nothing but a comment share the first and the last row with the statements?"""
    start = ctx.source.offset(first_row(first), 0)
    before = ctx.source.data[start : ctx.span(first)[0]] if first_row(first) == first.lineno else b""
    row = ctx.source.line(last_row(last))
    behind = row.encode()[last.end_col_offset or 0 :].strip()
    return not before.strip() and (not behind or behind.startswith(b"#"))


def _indent(row: int, ctx: Context) -> str:
    line = ctx.source.line(row)
    return line[: len(line) - len(line.lstrip())]


def _else_row(statement: ast.If, ctx: Context) -> int | None:
    """The row of the ``else:`` that stands alone in its row."""
    rows = range(last_row(statement.body[-1]) + 1, first_row(statement.orelse[0]))
    found = [row for row in rows if ctx.source.line(row).split("#")[0].strip().replace(" ", "") == "else:"]
    return found[0] if len(found) == 1 else None


def _dedented(statement: ast.If, start: int, ctx: Context) -> list[Edit] | None:
    """Move the rows of the ``else`` part to the depth of the ``if``."""
    if any(_spans_rows(node) for node in _everything(statement.orelse)):
        return None
    outer, inner = _indent(statement.lineno, ctx), _indent(first_row(statement.orelse[0]), ctx)
    if not inner.startswith(outer) or len(inner) == len(outer):
        return None
    edits: list[Edit] = []
    for row in range(start, last_row(statement) + 1):
        line = ctx.source.line(row)
        if line.strip():
            if not line.startswith(inner):
                return None
            at = ctx.source.offset(row, 0)
            edits.append(ctx.replace((at, at + len(inner) - len(outer)), ""))
    return edits


def _spans_rows(node: ast.AST) -> bool:
    """Is it a text over several rows, which may not be moved?"""
    text = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)))
    return text and node.lineno != node.end_lineno  # type: ignore[attr-defined]


__all__ = ["changes_scope", "first_row", "last_row", "without_body", "without_rest"]
