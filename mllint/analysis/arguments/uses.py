"""Every place in one file where a name is read or bound, by the scope that it belongs to.

May not: look at another file, or say what a name holds.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from mllint.analysis.names import parameter_names
from mllint.analysis.syntax import Scope, Syntax, parts

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Use:
    """One occurrence of a name. ``above`` are the nodes that hold it, from inside out, up to its statement."""

    node: ast.Name
    above: tuple[ast.AST, ...]
    statement: ast.AST

    @property
    def parent(self) -> ast.AST:
        return self.above[0]


@dataclass
class Uses:
    """The names of one file. Built in one pass over all its expressions, so only for files that need it; what stands
    around a name is put together when somebody asks for it (half of the time).

    ``tangled`` are (scope, name) pairs that something binds which is no plain statement: a comprehension or lambda
    of the same name nearby, ``del``, ``nonlocal``, ``except … as``, an import.
    """

    syntax: Syntax
    tangled: set[tuple[Scope, str]] = field(default_factory=set)
    _bound: dict[Scope, set[str]] = field(default_factory=dict)
    _global: dict[Scope, set[str]] = field(default_factory=dict)
    _names: dict[str, list[tuple[ast.Name, ast.AST]]] = field(default_factory=dict)
    _holders: dict[ast.AST, ast.AST] = field(default_factory=dict)
    _found: dict[str, list[Use]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for declaration in self.syntax.statements(ast.Global):
            self._global.setdefault(self.syntax.scope(declaration), set()).update(declaration.names)
        for statement in self.syntax.all():
            self._read(statement)

    def named(self, name: str) -> list[Use]:
        """Every use of a name, whoever binds it."""
        if name not in self._found:
            self._found[name] = [
                Use(node, tuple(self._above(node, statement)), statement)
                for node, statement in self._names.get(name, ())
            ]
        return self._found[name]

    def of(self, scope: Scope, name: str) -> list[Use]:
        """The uses of a name that ``scope`` binds, those in functions inside it included."""
        return [use for use in self.named(name) if self.owner(name, use.statement) is scope]

    def _above(self, node: ast.AST, statement: ast.AST) -> Iterator[ast.AST]:
        while node is not statement:
            node = self._holders[node]
            yield node

    def owner(self, name: str, statement: ast.AST) -> Scope:
        """The function, class or module whose variable a name in a statement is."""
        inner: Scope = self.syntax.scope(statement)
        scope = inner
        while not isinstance(scope, ast.Module):
            if name in self._global.get(scope, ()):
                return self.syntax.module
            if name in self._bound.get(scope, ()) and (scope is inner or not isinstance(scope, ast.ClassDef)):
                return scope
            scope = self.syntax.scope(scope)
        return scope

    def binds(self, scope: Scope, name: str) -> bool:
        return name in self._bound.get(scope, ())

    def _read(self, statement: ast.AST) -> None:
        scope = self.syntax.scope(statement)
        bound = self._bound.setdefault(scope, set())
        if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            bound.add(statement.name)
            if isinstance(statement, _FUNCTIONS):
                inner = self._bound.setdefault(statement, set())
                inner.update(name.lstrip("*") for name in parameter_names(statement.args))
        for name in _otherwise_bound(statement):
            bound.add(name)
            self.tangled.add((scope, name))
        holders = self._holders
        pending = parts(statement)
        for child in pending:
            holders[child] = statement
        while pending:
            node = pending.pop()
            if type(node) is ast.Constant:
                continue
            if isinstance(node, ast.Name):
                self._names.setdefault(node.id, []).append((node, statement))
                if not isinstance(node.ctx, ast.Load):
                    if node.id not in self._global.get(scope, ()):
                        bound.add(node.id)
                    if isinstance(node.ctx, ast.Del) or isinstance(holders[node], (ast.comprehension, ast.NamedExpr)):
                        self.tangled.add((scope, node.id))
                continue
            if isinstance(node, ast.Lambda):
                self.tangled.update((scope, name.lstrip("*")) for name in parameter_names(node.args))
            below = parts(node)
            for child in below:
                holders[child] = node
            pending += below


def _otherwise_bound(statement: ast.AST) -> Iterator[str]:
    """Names that a statement binds without a `Name` node of their own."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        for item in statement.names:
            yield item.asname or item.name.partition(".")[0]
    elif isinstance(statement, ast.ExceptHandler) and statement.name:
        yield statement.name
    elif isinstance(statement, ast.Nonlocal):
        yield from statement.names
    elif isinstance(statement, ast.match_case):
        for node in ast.walk(statement.pattern):
            bound = getattr(node, "name", None) or getattr(node, "rest", None)
            if isinstance(bound, str):
                yield bound
