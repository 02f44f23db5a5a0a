"""Which module-level names a file binds, and which module-level objects it assigns into.

May not: look at another file, or say whose object an imported name is.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import Literal

from mllint.analysis.names import dotted_name, parameter_names
from mllint.analysis.syntax import Syntax, inside
from mllint.record import dataclass

WriteKind = Literal["rebind", "attribute", "item", "call"]


@dataclass(frozen=True, slots=True)
class Binding:
    """A name bound at module level. ``value``: a literal as ``repr`` gives it, a dotted name, ``name()`` for a
    call, ``[]``, ``{}`` or ``{1}`` for a display, "" for anything else. ``conditional``: below an if, try, loop."""

    name: str
    line: int
    value: str
    conditional: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """An assignment into an object that is not local: ``target`` as written (``config.data.size``, ``sizes[]``),
    ``function`` the qualified name of where it happens ("" at module level), ``path`` its file (in a project)."""

    target: str
    function: str
    line: int
    kind: WriteKind
    path: str = ""


#: Methods that change the object they are called on. Those of configuration libraries are among them.
MUTATORS = frozenset(
    {
        *("add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"),
        *("setdefault", "update", "update_from_dict", "__setattr__", "__setitem__"),
        *("merge_from_dict", "merge_from_file", "merge_from_list", "merge_with"),
    }
)

_LOOPS = (ast.For, ast.AsyncFor)
_WITHS = (ast.With, ast.AsyncWith)


def bindings(syntax: Syntax) -> tuple[Binding, ...]:
    """The names that a module binds when it is imported, but for its definitions and imports."""
    found: list[Binding] = []
    for statement in syntax.at_import():
        conditional = not isinstance(syntax.parent(statement), ast.Module)
        for target, value in _bound(statement):
            for name in _names(target):
                text = (
                    _value(value) if value is not None and target is not None and isinstance(target, ast.Name) else ""
                )
                found.append(Binding(name, statement.lineno, text, conditional))
    return tuple(found)


def _bound(statement: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """Targets that a statement binds, with the value where one goes into the whole target."""
    if isinstance(statement, ast.Assign):
        yield from ((target, statement.value) for target in statement.targets)
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        yield statement.target, statement.value
    elif isinstance(statement, (ast.AugAssign, *_LOOPS)):
        yield statement.target, None
    elif isinstance(statement, _WITHS):
        yield from ((item.optional_vars, None) for item in statement.items if item.optional_vars is not None)


def _names(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Starred):
        yield from _names(target.value)
    elif isinstance(target, (ast.Tuple, ast.List)):
        for element in target.elts:
            yield from _names(element)


def _value(value: ast.expr) -> str:
    if isinstance(value, ast.Constant):
        return repr(value.value)
    if isinstance(value, ast.Call):
        callee = dotted_name(value.func)
        return f"{callee}()" if callee else ""
    for kind, text in ((ast.List, "[]"), (ast.Dict, "{}"), (ast.Set, "{1}")):
        if isinstance(value, kind):
            return text
    return dotted_name(value)


def writes(syntax: Syntax, known: Collection[str]) -> tuple[Write, ...]:
    """Assignments into objects that module-level names stand for; ``known`` are those names.

    A function's own parameters and local names hide a module-level one.
    """
    found: list[Write] = []
    scopes = _Scopes(syntax)
    for statement in syntax.statements(ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete, ast.Expr):
        for target, kind in _written(statement):
            head = target.partition(".")[0].partition("[")[0]
            if head not in known:
                continue
            if kind == "rebind":
                if head not in scopes.globals_of(statement):
                    continue
            elif head in scopes.locals_of(statement):
                continue
            found.append(Write(target, syntax.qualname(statement), statement.lineno, kind))
    return tuple(found)


def _written(statement: ast.stmt) -> Iterator[tuple[str, WriteKind]]:
    """What one statement writes to: rebound names, attributes, items, receivers of mutating methods."""
    if isinstance(statement, ast.Expr):
        if isinstance(statement.value, ast.Call):
            yield from _by_call(statement.value)
        return
    targets: list[ast.expr] = (
        statement.targets if isinstance(statement, (ast.Assign, ast.Delete)) else [statement.target]  # type: ignore[attr-defined]
    )
    while targets:
        target, *targets = targets
        if isinstance(target, (ast.Tuple, ast.List)):
            targets = [*target.elts, *targets]
        elif isinstance(target, ast.Name):
            yield target.id, "rebind"
        elif isinstance(target, ast.Attribute):
            name = dotted_name(target)
            if name:
                yield name, "attribute"
        elif isinstance(target, ast.Subscript):
            name = dotted_name(_without_items(target))
            if name:
                yield f"{name}[]", "item"


def _without_items(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Subscript):
        node = node.value
    return node


def _by_call(call: ast.Call) -> Iterator[tuple[str, WriteKind]]:
    if isinstance(call.func, ast.Attribute) and call.func.attr in MUTATORS:
        name = dotted_name(_without_items(call.func.value))
        if name:
            yield name, "call"
    elif isinstance(call.func, ast.Name) and call.func.id in ("setattr", "delattr") and call.args:
        name = dotted_name(call.args[0])
        attribute = call.args[1].value if len(call.args) > 1 and isinstance(call.args[1], ast.Constant) else None
        if name:
            yield (f"{name}.{attribute}" if isinstance(attribute, str) else name), "attribute"


class _Scopes:
    """Names that functions bind for themselves, read when asked for."""

    def __init__(self, syntax: Syntax) -> None:
        self._syntax = syntax
        self._locals: dict[ast.AST, frozenset[str]] = {}
        self._globals: dict[ast.AST, frozenset[str]] = {}

    def locals_of(self, statement: ast.AST) -> frozenset[str]:
        """Names that are local to some function around a statement."""
        names: frozenset[str] = frozenset()
        for scope in self._syntax.ancestors(statement):
            if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
                names |= self._own(scope)
        return names - self.globals_of(statement)

    def globals_of(self, statement: ast.AST) -> frozenset[str]:
        """Names that the function around a statement declares ``global``."""
        scope = self._syntax.scope(statement)
        if scope not in self._globals:
            if not self._globals:
                self._read_globals()
            self._globals.setdefault(scope, frozenset())
        return self._globals[scope]

    def _read_globals(self) -> None:
        for statement in self._syntax.statements(ast.Global):
            scope = self._syntax.scope(statement)
            self._globals[scope] = self._globals.get(scope, frozenset()) | frozenset(statement.names)

    def _own(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
        """Parameters, and names that statements bind; a walrus is not looked for, which would cost a full walk."""
        if function not in self._locals:
            names = {name.lstrip("*") for name in parameter_names(function.args)}
            for node in inside(function):
                for target, _ in _bound(node):
                    names.update(_names(target))
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    names.add(node.name)
            self._locals[function] = frozenset(names)
        return self._locals[function]
