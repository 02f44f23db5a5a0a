"""Places where code asks whether one of its own variables exists.

May not: judge. Names that the interpreter or a tool may or may not provide are not the code's own.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mllint.analysis.liveness.blocks import bound_names, own_nodes
from mllint.analysis.syntax import Scope, Syntax, expressions

#: The literal first, its left edge afterwards: a tenth of the time of the other way round.
_ASKING = tuple(re.compile(rb"%s(?<=\b%s)[ \t]*\([ \t]*\)" % (word, word)) for word in (b"locals", b"vars", b"dir"))
_ERRORS = frozenset({"NameError", "UnboundLocalError"})

#: Names of Python 2, and those that notebooks, profilers and the import system provide.
_PROVIDED = frozenset(dir(builtins)).union(
    (
        "__IPYTHON__",
        "__builtin__",
        "__builtins__",
        "__file__",
        "__path__",
        "__spec__",
        "__version__",
        "WindowsError",
        "apply",
        "basestring",
        "buffer",
    ),
    (
        "cmp",
        "coerce",
        "cursor",
        "dbutils",
        "display",
        "execfile",
        "file",
        "get_ipython",
        "intern",
        "ipython",
        "long",
        "profile",
        "raw_input",
        "reduce",
        "reload",
    ),
    ("spark", "unichr", "unicode", "xrange"),
)

_HOLDERS = (
    ast.If,
    ast.While,
    ast.Assign,
    ast.AnnAssign,
    ast.AugAssign,
    ast.Expr,
    ast.Return,
    ast.Assert,
    ast.For,
    ast.With,
    ast.Raise,
)


@dataclass(frozen=True)
class Probe:
    """``node`` asks, by ``means`` (``locals()``, ``except NameError``), whether ``name`` exists; ``at_top`` where
    that happens at module level."""

    node: ast.expr | ast.ExceptHandler
    name: str
    means: str
    at_top: bool


def probes(syntax: Syntax, data: bytes) -> Iterator[Probe]:
    """Every such place whose name the scope around it really binds on some way."""
    rows = {data.count(b"\n", 0, match.start()) + 1 for asking in _ASKING for match in asking.finditer(data)}
    if rows:
        for statement in syntax.statements(*_HOLDERS):
            if not rows.isdisjoint(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)):
                yield from _asked(statement, syntax)
    if b"NameError" in data:
        for tried in syntax.statements(ast.Try):
            yield from _tried(tried, syntax)


def _asked(statement: ast.stmt, syntax: Syntax) -> Iterator[Probe]:
    scope = syntax.scope(statement)
    for node in expressions(statement):
        name, call = _question(node)
        if name and call is not None and name not in _PROVIDED and _is_variable(name, scope):
            yield Probe(node, name, f"{ast.unparse(call.func)}()", isinstance(scope, ast.Module))


def _question(node: ast.expr) -> tuple[str, ast.Call | None]:
    """The name and the call in ``"x" in locals()``, ``"x" not in dir()`` or ``locals().get("x")``."""
    name: ast.expr | None = None
    call: ast.expr | None = None
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], (ast.In, ast.NotIn)):
        name, call = node.left, node.comparators[0]
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "keys":
            call = call.func.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        name, call = node.args[0], node.func.value
    if (
        isinstance(name, ast.Constant)
        and isinstance(name.value, str)
        and isinstance(call, ast.Call)
        and not call.args
        and not call.keywords
        and isinstance(call.func, ast.Name)
        and call.func.id in ("locals", "vars", "dir")
    ):
        return name.value, call
    return "", None


def _is_variable(name: str, scope: Scope) -> bool:
    """Does a function or module bind the name itself, on some way? A parameter always exists, code run by ``exec``
    binds what it likes, and a class body is a namespace that people look at."""
    if isinstance(scope, ast.ClassDef) or name not in bound_names(scope.body):
        return False
    declared, runs = False, False
    for node in own_nodes(scope.body):
        declared |= isinstance(node, (ast.Global, ast.Nonlocal)) and name in node.names
        runs |= isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "exec"
    return not declared and not runs


def _tried(tried: ast.Try, syntax: Syntax) -> Iterator[Probe]:
    """``try: x`` or ``try: y = x``, with ``except NameError``, where x is bound somewhere else too."""
    name = _only_name(tried.body)
    if not name or name in _PROVIDED:
        return
    for handler in tried.handlers:
        if _catches_only_missing(handler) and _is_bound_beside(name, tried, handler, syntax):
            at_top = isinstance(syntax.scope(tried), ast.Module)
            yield Probe(handler, name, "except NameError", at_top)


def _only_name(body: list[ast.stmt]) -> str:
    """The name that a block does nothing but read."""
    value = body[0].value if len(body) == 1 and isinstance(body[0], (ast.Expr, ast.Assign, ast.Return)) else None
    while isinstance(value, ast.Attribute):
        value = value.value
    return value.id if isinstance(value, ast.Name) else ""


def _catches_only_missing(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return all(isinstance(each, ast.Name) and each.id in _ERRORS for each in caught)


def _is_bound_beside(name: str, tried: ast.Try, handler: ast.ExceptHandler, syntax: Syntax) -> bool:
    """Does the code bind the name elsewhere than in the handler, which may stand in for a tool that provides it?"""
    scope = syntax.scope(tried)
    own = {*handler.body, *tried.body}
    if name in bound_names(scope.body, own):
        return True
    return not isinstance(scope, ast.Module) and name in bound_names(syntax.module.body, own)


__all__ = ["Probe", "probes"]
