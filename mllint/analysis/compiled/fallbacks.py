"""Where a failure to compile is swallowed: broad handlers around it that go on without telling anybody.

May not: judge what the code does instead. A handler that calls anything which may be a message counts as telling.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterator
from typing import TypeAlias

from mllint.analysis.compiled.applications import Application
from mllint.analysis.names import dotted_name
from mllint.analysis.syntax import Syntax

Swallower: TypeAlias = ast.ExceptHandler | ast.With

_BROAD = frozenset({"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"})

#: A call with a word like this in its name may tell somebody, or end the run or the test.
_TELLING = (
    *("abort", "alert", "critical", "debug", "echo", "emit", "err", "event", "exception", "exit", "fail", "info"),
    *("log", "message", "notif", "panic", "print", "record", "report", "secho", "skip", "status", "warn", "write"),
)
_MATHEMATICS = ("logit", "logsum", "logprob", "logp", "logdet", "logsoftmax", "logaddexp")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def swallower(statement: ast.AST, syntax: Syntax, name: Callable[[ast.expr], str]) -> Swallower | None:
    """The handler, or ``with suppress(Exception)``, that would silently take an exception raised in a statement."""
    inner = statement
    for above in syntax.ancestors(statement):
        if isinstance(above, _SCOPES):
            return None
        if isinstance(above, ast.Try) and inner in above.body:
            handler = broad_handler(above, name)
            if handler is not None:
                silent = not _tells(handler) and not _asked_later(above, handler, syntax)
                return handler if silent and not tries_imports(above.body) else None
            if above.handlers:
                return None  # a narrower one may be meant for exactly this
        if isinstance(above, ast.With) and any(_suppresses(item.context_expr, name) for item in above.items):
            return above
        inner = above
    return None


def keeps_result(application: Application) -> bool:
    """Does the compiled thing replace the eager one, so that a failure leaves the eager one in place?"""
    statement = application.statement
    value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Return)) else None
    if isinstance(value, ast.IfExp):
        return application.node in (value.body, value.orelse)
    return value is application.node


def outlives(application: Application, by: Swallower, syntax: Syntax) -> bool:
    """Is the compiled thing used after what swallows the failure? A local name that is not replaces nothing."""
    statement = application.statement
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if not targets or not all(isinstance(target, ast.Name) for target in targets):
        return True
    scope = syntax.function(statement)
    if scope is None:
        return True
    attempt = syntax.parent(by) if isinstance(by, ast.ExceptHandler) else by
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    inside = set(ast.walk(attempt))
    return any(
        isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names and node not in inside
        for node in ast.walk(scope)
    )


def compiled_names(found: Collection[Application]) -> frozenset[str]:
    """Names and attributes (as written) that this file binds to something compiled lazily."""
    names: set[str] = set()
    for each in found:
        if each.compiler not in ("torch.compile", "tf.function"):
            continue
        if isinstance(each.statement, ast.Assign) and each.statement.value is each.node:
            names.update(filter(None, map(dotted_name, each.statement.targets)))
    return frozenset(names)


def eager_instead(handler: ast.ExceptHandler) -> bool:
    """Does the handler call something, as one does that computes the same without the compiler?"""
    return any(isinstance(node, ast.Call) for node in _own_nodes(handler.body))


def may_tell(call: ast.Call) -> bool:
    """Could this call be a message, or the end of the run?"""
    words = [word.lower() for word in _WORD.findall(ast.unparse(call.func))]
    return any(word.startswith(_TELLING) and not word.startswith(_MATHEMATICS) for word in words)


def broad_handler(node: ast.Try, name: Callable[[ast.expr], str]) -> ast.ExceptHandler | None:
    for handler in node.handlers:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        if any(kind is None or name(kind) in _BROAD for kind in kinds):
            return handler
    return None


def _tells(handler: ast.ExceptHandler) -> bool:
    for node in _own_nodes(handler.body):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Name) and handler.name is not None and node.id == handler.name:
            return True
        if isinstance(node, ast.Call) and may_tell(node):
            return True
    return False


def _asked_later(node: ast.Try, handler: ast.ExceptHandler, syntax: Syntax) -> bool:
    """Does the code after the ``try`` look at what the handler set, and tell then?"""
    marks = {
        dotted_name(target)
        for statement in handler.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
    } - {""}
    block, position = syntax.block(node)
    for later in block[position + 1 :]:
        if isinstance(later, ast.If) and any(
            isinstance(each, (ast.Name, ast.Attribute)) and dotted_name(each) in marks for each in ast.walk(later.test)
        ):
            inside = list(_own_nodes([later]))
            if any(isinstance(each, ast.Raise) or (isinstance(each, ast.Call) and may_tell(each)) for each in inside):
                return True
    return False


def tries_imports(body: list[ast.stmt]) -> bool:
    """Is the ``try`` about whether something can be imported?"""
    for node in _own_nodes(body):
        if isinstance(node, ast.ImportFrom):
            return True
        if isinstance(node, ast.Import) and any(item.name != "torch" for item in node.names):
            return True
    return False


def _suppresses(node: ast.expr, name: Callable[[ast.expr], str]) -> bool:
    if not isinstance(node, ast.Call) or name(node.func) != "contextlib.suppress":
        return False
    return any(name(argument) in _BROAD for argument in node.args)


def _own_nodes(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """All nodes of some statements, but for those in functions and classes that they define."""
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, _SCOPES):
            pending.extend(ast.iter_child_nodes(node))
