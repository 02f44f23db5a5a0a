"""What runs when a module is imported, and which of it stands under a guard.

May not: say what a statement does, or look at another file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from mllint.analysis.names import dotted_name
from mllint.analysis.startup.sites import functions, local_names, running
from mllint.analysis.syntax import Syntax, expressions

if TYPE_CHECKING:
    from mllint.analysis.context import Context


class Imported(NamedTuple):
    """A statement that runs at import. ``guarded``: below an ``if``, a ``match`` or a ``while``; ``owner``: the
    class in whose body it stands ("" at module level)."""

    statement: ast.stmt
    guarded: bool = False
    owner: str = ""


def imported(syntax: Syntax) -> list[Imported]:
    """The statements that an import of the module runs, bodies of classes included.

    Left out is what stands below ``if __name__ == …`` or ``if TYPE_CHECKING``, whatever their branches.
    """
    known: list[Imported] | None = syntax.memory.get("imported")
    if known is None:
        known = syntax.memory["imported"] = []
        _add_imported(syntax.module.body, False, "", known)
    return known


def _add_imported(body: list[ast.stmt], guarded: bool, owner: str, found: list[Imported]) -> None:
    """Three rules ask for this in every file: a list takes half the time of generators."""
    for statement in body:
        kind = type(statement)
        if kind is ast.If and _asks_who_runs(statement.test):  # type: ignore[attr-defined]
            continue
        found.append(Imported(statement, guarded, owner))
        if kind in _WITHOUT_BLOCKS:
            continue
        inner = f"{owner}.{statement.name}".lstrip(".") if isinstance(statement, ast.ClassDef) else owner
        below = guarded or isinstance(statement, (ast.If, ast.Match, ast.While))
        for block in _blocks(statement):
            _add_imported(block, below, inner, found)


#: What holds no statements that an import runs.
_WITHOUT_BLOCKS = frozenset(
    (
        ast.FunctionDef,
        ast.AsyncFunctionDef,
        ast.Assign,
        ast.AnnAssign,
        ast.AugAssign,
        ast.Expr,
        ast.Import,
        ast.ImportFrom,
    )
)


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(statement, name, None)
        if isinstance(block, list):
            yield block
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield part.body


def _asks_who_runs(test: ast.expr) -> bool:
    """Does a condition ask whether the module runs as a script, or under a type checker?"""
    names = {
        dotted_name(node).rpartition(".")[2] for node in ast.walk(test) if isinstance(node, (ast.Name, ast.Attribute))
    }
    return not names.isdisjoint({"__name__", "TYPE_CHECKING", "__file__", "argv"})


def defaults(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[tuple[ast.arg, ast.expr]]:
    """The parameters that have a default, with it: evaluated when the ``def`` runs."""
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    with_default = plain[len(plain) - len(arguments.defaults) :]
    pairs = list(zip(with_default, arguments.defaults, strict=True))
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return pairs + [(argument, default) for argument, default in keywords if default is not None]


def bound(statement: ast.stmt) -> tuple[str, ast.expr] | None:
    """The one plain name that a statement binds, and the value; None for anything else."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target: ast.expr = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    else:
        return None
    return (target.id, statement.value) if isinstance(target, ast.Name) and statement.value is not None else None


def in_library(ctx: Context) -> bool:
    """Does another module of the project, no test, import the file at hand? Asks the project: ask last."""
    project, path = ctx.project, ctx.absolute_path
    return project is not None and not project.is_test(path) and project.importable(path)


def used_later(name: str, syntax: Syntax) -> bool:
    """Does a function of the file, or a class in its body, read a module-level name?"""
    for function in functions(syntax):
        if any(_reads(name, node) for node in running(function.body)):
            around = [each for each in syntax.ancestors(function) if isinstance(each, _FUNCTIONS)]
            if not any(name in local_names(each) for each in (function, *around)):
                return True
    classes = syntax.statements(ast.ClassDef)
    return any(_reads(name, node) for each in classes for part in each.body for node in expressions(part))


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _reads(name: str, node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)


__all__ = ["Imported", "bound", "defaults", "imported", "in_library", "used_later"]
