"""ML502: see the class for the page.

May not: call a switch dead that a person turns by hand, or a `yield` that only makes a generator.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mllint.analysis.liveness.blocks import is_empty, only_imports, shows_only, yields
from mllint.analysis.liveness.conditions import deciding, is_spared, truth
from mllint.analysis.liveness.flags import constant_flags, is_about_the_past, is_hidden, turned_elsewhere
from mllint.analysis.liveness.removal import without_body, without_rest
from mllint.analysis.liveness.unreachable import MEANT, Unreachable, unreachable
from mllint.diagnostic import Diagnostic, Safety, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.context import Context
    from mllint.analysis.syntax import Syntax
    from mllint.diagnostic import Edit, Fix


class DeadBranch(Rule):
    """Code that can never run: behind a jump, or below a condition that has the same value in every run.

    ## Why

    Dead code is read as if it counted. In one project an old allocator was left in place "just in case", and for a week
    the wrong cause was hunted, because everybody read the branch and believed that it was the one in use. Other dead
    code is a mistake that nobody saw: `mode == "ascending" or "descending"` is always true, so the `else` with the
    other sorting never runs; two lines below a `return` were meant to run before it; half of a text is a statement of
    its own, since the parenthesis is missing.

    ## Bad

    ```python
    def head(dim, same, hidden):
        if same and False:  # crashed once
            layers = []
        else:
            layers = [norm(dim), linear(dim, hidden)]
        return layers
        layers.append(activation())
    ```

    ## Good

    ```python
    def head(dim, hidden):
        return [norm(dim), linear(dim, hidden), activation()]
    ```

    ## Fix safety

    Unsafe: it removes the code that cannot run, and that may be the code that was meant to run. No fix where that
    code makes its function a generator or a name local, where it holds a comment, or where the other branch holds a text
    over several lines. A condition that is always true is often a mistake, so it gets no fix.

    ## Known limits

    - `if 1:`, `if True:` and an `else` below them are switches that people turn while they work: level info. So are
      module-level flags that are bound once to `True` or `False`, in a module that others import, unless the name speaks
      of the past (`USE_LEGACY_ALLOCATOR`); a flag that another file, a text or a string mentions counts as turned.
    - Never reported: debug switches (by their name, or because their block only prints, logs or plots), a block of imports
      (`if False: import x` is for tools), an empty block, `if False: yield`, `TYPE_CHECKING`.
    - Behind a jump, these count as written on purpose: a `yield` that makes a generator, a `return` that computes nothing,
      `raise` and `assert False` behind a `return`, strings (unless the `return` itself returns one), all behind
      `raise SkipTest`, and code with a comment before it that says `unreachable`.
    - A `with` may swallow the exception and a loop may end, so nothing behind them is dead. Functions that never return,
      such as `sys.exit`, are not known; neither are `a if False else b` and conditions that compare constants.
    - In a notebook a cell that raises only ends the cell. There, and with a comment beside it, `if False` is level info too.

    ## References

    - <https://docs.astral.sh/ruff/rules/unreachable-code/>
    - <https://docs.astral.sh/ruff/rules/expr-or-true/>
    """

    meta = Meta(
        code="ML502",
        name="dead-branch",
        severity=Severity.WARNING,
        since="0.1.0",
        fix=Safety.UNSAFE,
        project=True,
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        syntax = ctx.syntax
        if syntax is None or ctx.index is None:
            return
        dead: set[ast.AST] = set()
        for found in unreachable(syntax):
            in_cell = ctx.source.kind == "notebook" and isinstance(syntax.parent(found.jump), ast.Module)
            if not in_cell and found.jump not in dead and dead.isdisjoint(syntax.ancestors(found.jump)):
                dead.update(found.code)
                if not _is_meant(found, ctx):
                    yield _behind_jump(found, ctx)
        flags = constant_flags(ctx.index, syntax, ctx.source.data)
        for statement in syntax.statements(ast.If, ast.While):
            if statement not in dead and dead.isdisjoint(syntax.ancestors(statement)):
                yield from _constant(statement, flags, syntax, ctx)


def _is_meant(found: Unreachable, ctx: Context) -> bool:
    """Does a comment between the jump and the code say that it is unreachable (``# pylint: disable=unreachable``)?"""
    rows = range(found.jump.lineno, found.first.lineno + 1)
    return any(MEANT.search(ctx.source.line(row)) for row in rows)


def _behind_jump(found: Unreachable, ctx: Context) -> Diagnostic:
    line = ctx.source.place(ctx.span(found.jump)[0]).row
    if found.is_lost_text:
        message = f"this text is lost: the string that the `return` in line {line} returns has ended before it"
    elif isinstance(found.jump, ast.If):
        message = f"this code never runs: all branches of the `if` in line {line} leave"
    elif isinstance(found.jump, ast.Try):
        message = f"this code never runs: the `try` in line {line} leaves in every case"
    else:
        message = f"this code never runs: the `{type(found.jump).__name__.lower()}` in line {line} comes first"
    edits = None if found.is_lost_text else without_rest(found.code, ctx)
    related = (ctx.related(found.jump, "nothing in this block runs behind this"),)
    return ctx.report(found.first, message, fix=_fix("Remove the code that never runs", edits, ctx), related=related)


def _constant(
    statement: ast.If | ast.While, flags: Mapping[str, bool], syntax: Syntax, ctx: Context
) -> Iterator[Diagnostic]:
    """A finding for a condition that always has the same value, with or without the flags of the module."""
    value = truth(statement.test)
    if value is not None:
        yield from _literal(statement, value, ctx)
    elif flags and isinstance(statement, ast.If):
        value = truth(statement.test, flags)
        if value is not None:
            yield from _flagged(statement, value, flags, syntax, ctx)


def _literal(statement: ast.If | ast.While, value: bool, ctx: Context) -> Iterator[Diagnostic]:
    part = deciding(statement.test, value)
    if value:
        if isinstance(statement, ast.If) and not only_imports(statement.body) and not is_empty(statement.orelse):
            yield _always_true(statement, part, ctx)
        elif isinstance(statement, ast.If) and not statement.orelse and not only_imports(statement.body):
            yield from _switch(statement, part, ctx)
        return
    if not _matters(statement.body, bool(statement.orelse)):
        return
    written = _written(part, ctx)
    if part is statement.test:
        message = f"this branch never runs: its condition is `{written}`"
    else:
        message = f"this branch never runs: `{written}` in its condition decides it"
    edits = None
    if is_spared(statement.test, part):
        edits = without_body(statement, ctx)
    # In a notebook, or with a word of explanation beside it, it is a switch that somebody turns by hand.
    by_hand = ctx.source.kind == "notebook" or (part is statement.test and _is_explained(statement, ctx))
    severity = Severity.INFO if by_hand else None
    fix = _fix("Remove the branch that never runs", edits, ctx)
    yield ctx.report(statement.test, message, fix=fix, severity=severity)


def _is_explained(statement: ast.If | ast.While, ctx: Context) -> bool:
    """Does a comment follow the condition in its row?"""
    row = statement.test.end_lineno or statement.test.lineno
    end = ctx.span(statement.test)[1] - ctx.source.line_starts[row - 1]
    return "#" in ctx.source.line(row).encode()[end:].decode("utf-8", "replace")


def _always_true(statement: ast.If, part: ast.expr, ctx: Context) -> Diagnostic:
    """``if True`` with an ``else`` is a switch; a condition that only looks as if it could be false is a mistake."""
    written = _written(part, ctx)
    if part is statement.test:
        message = f"the `else` never runs: the condition is `{written}`"
        return ctx.report(statement.test, message, severity=Severity.INFO)
    return ctx.report(statement.test, f"the `else` never runs: `{written}` makes the condition always true")


def _switch(statement: ast.If, part: ast.expr, ctx: Context) -> Iterator[Diagnostic]:
    if part is statement.test:
        message = f"`if {_written(part, ctx)}` always runs: a switch that was left in the code"
        yield ctx.report(statement.test, message, severity=Severity.INFO)


def _flagged(
    statement: ast.If, value: bool, flags: Mapping[str, bool], syntax: Syntax, ctx: Context
) -> Iterator[Diagnostic]:
    """A branch that a module-level flag keeps from running, where nothing in the project turns the flag."""
    code = statement.orelse if value else statement.body
    part = deciding(statement.test, value, flags)
    name = next(node.id for node in ast.walk(part) if isinstance(node, ast.Name))
    if not code or not _matters(code, bool(statement.orelse)) or is_hidden(name, statement, syntax):
        return
    past = is_about_the_past(name)
    if ctx.project is None or turned_elsewhere(name, ctx.absolute_path, ctx.project):
        return
    if not past and (ctx.project.is_test(ctx.absolute_path) or not ctx.project.importable(ctx.absolute_path)):
        return
    which = "the `else` never runs" if value else "this branch never runs"
    shown = f"`{name}`" if len(name) <= 40 else "its flag"
    message = f"{which}: {shown} is always `{flags[name]}`; nothing sets it"
    yield ctx.report(statement.test, message, severity=Severity.WARNING if past else Severity.INFO)


def _matters(code: list[ast.stmt], has_other: bool) -> bool:
    """Is dead code more than a marker, an import for tools, or something to look at while debugging?"""
    return not (is_empty(code) or only_imports(code) or yields(code) or (not has_other and shows_only(code)))


def _written(part: ast.expr, ctx: Context) -> str:
    text = ctx.code(part)
    return text if len(text) <= 30 and "\n" not in text and "`" not in text else "a constant"


def _fix(title: str, edits: list[Edit] | None, ctx: Context) -> Fix | None:
    return None if edits is None else ctx.fix(title, *edits)
