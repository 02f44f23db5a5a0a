"""Expressions and the file they stand in: what they call, which of their names are local, what runs in them.

May not: judge, or look at another file than the project gives.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from mllint.analysis.index import FileIndex
from mllint.analysis.names import dotted_name, parameter_names
from mllint.analysis.project import Found, Project
from mllint.analysis.syntax import Syntax, parts

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Defined: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

_DEFINED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Site:
    """A file in which an expression stands: ``Site(ctx.absolute_path, ctx.index)``, or `site_of`.

    ``hidden`` are names of the enclosing function that do not mean what the module means by them; ``given`` those among
    them that a caller filled with a module-level object of the project, or with something below one.
    """

    path: str
    index: FileIndex
    hidden: frozenset[str] = frozenset()
    given: tuple[tuple[str, Found, tuple[str, ...]], ...] = ()

    def dotted(self, node: ast.expr) -> str:
        """What a chain of names stands for; "" for other nodes and for names that are local here."""
        written = dotted_name(node)
        return "" if written.partition(".")[0] in self.hidden else self.index.dotted(written)

    def within(self, function: Function) -> Site:
        """The same file, seen from inside a function of it."""
        return replace(self, hidden=self.hidden | local_names(function))


def site_of(path: str, project: Project) -> Site | None:
    """A file of the project as a site; None where it cannot be read."""
    index = project.index(path)
    return Site(path, index) if index is not None else None


def node_of(found: Found, project: Project) -> Defined | None:
    """The definition at a site, the last one where a file has several."""
    key = f"startup definitions {found.path}"
    if key not in project.memory:
        syntax = project.syntax(found.path)
        project.memory[key] = _definitions(syntax) if syntax is not None else {}
    table = project.memory[key]
    assert isinstance(table, dict)
    node = table.get(found.name)
    return node if isinstance(node, _DEFINED) else None


def _definitions(syntax: Syntax) -> dict[str, Defined]:
    nodes: list[Defined] = [*functions(syntax), *syntax.statements(ast.ClassDef)]
    return {".".join(filter(None, (syntax.qualname(node), node.name))): node for node in sorted(nodes, key=_line)}


def _line(node: Defined) -> int:
    return node.lineno


def functions(syntax: Syntax) -> list[Function]:
    """Every function and method of a file."""
    return [*syntax.statements(ast.FunctionDef), *syntax.statements(ast.AsyncFunctionDef)]


def called(call: ast.Call, site: Site, project: Project) -> tuple[Defined, Site] | None:
    """The project's function or class that a call calls, and its file; None for anything else."""
    dotted = site.dotted(call.func)
    found = project.resolve(dotted, site.path) if dotted else None
    node = node_of(found, project) if found else None
    there = site_of(found.path, project) if found else None
    return (node, there) if node is not None and there is not None else None


def local_names(function: Function) -> frozenset[str]:
    """Names that a function binds for itself; those that it only imports keep their meaning."""
    names = {name.lstrip("*") for name in parameter_names(function.args)}
    shared: set[str] = set()
    for node in _within(function.body):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (*_DEFINED, ast.ExceptHandler)):
            names.add(node.name or "")
        elif isinstance(node, ast.Global):
            shared.update(node.names)
    return frozenset(names - shared)


def running(statements: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    """Every node that runs when these statements run: without bodies of nested functions, lambdas and classes'
    methods, and without annotations."""
    return (node for node in _within(statements) if not isinstance(node, (ast.arguments, ast.arg)))


def evaluated(node: ast.expr) -> Iterator[ast.expr]:
    """An expression and every expression in it that is evaluated with it: not the bodies of lambdas."""
    return (each for each in _within((node,)) if isinstance(each, ast.expr))


def _within(roots: Iterable[ast.AST]) -> Iterator[ast.AST]:
    pending: list[ast.AST] = list(reversed(list(roots)))
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, ast.Lambda):
            children: Iterable[ast.AST] = (*node.args.defaults, *filter(None, node.args.kw_defaults))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            children = (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults))
        elif isinstance(node, ast.AnnAssign):
            children = filter(None, (node.target, node.value))
        else:
            children = parts(node) if isinstance(node, ast.expr) else ast.iter_child_nodes(node)
        pending.extend(reversed(list(children)))


__all__ = [
    "Defined",
    "Function",
    "Site",
    "called",
    "evaluated",
    "functions",
    "local_names",
    "node_of",
    "running",
    "site_of",
]
