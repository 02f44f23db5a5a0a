"""Which exception handlers catch everything, and which of those keep it to themselves.

May not: say whether what they do instead matters.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from mllint.analysis.names import dotted_name
from mllint.analysis.syntax import Syntax

_EVERYTHING = frozenset({"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"})

#: A callee like this tells somebody: a log, a person, a counter, a list of errors, a status.
_TELLS = re.compile(
    r"log|warn|print|echo|error|exception|fail|report|notify|alert|abort|exit|traceback|append|add$|put|send|write|"
    r"record|emit|inc|callback|display|stderr|stdout|message|count|update|setattr|stat|bad|skip|invalid|quarantine|die",
    re.IGNORECASE,
)

#: A name like this keeps what went wrong.
_KEEPS = re.compile(r"err|fail|exc|bad|skip|invalid|miss|corrupt|ok$|success|valid|status|reason", re.IGNORECASE)

#: A person has seen that the handler catches everything and says that it is meant.
MEANT = re.compile(r"#.*\b(BLE001|S110|S112|broad-except|broad-exception-caught|W0703|W0718)\b|#\s*noqa\s*(?:$|[^:\s])")


def catches_everything(handler: ast.ExceptHandler) -> bool:
    """``except:``, ``except Exception:``, ``except BaseException:``, or a tuple with one of the two."""
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(dotted_name(kind) in _EVERYTHING for kind in kinds)


def is_silent(handler: ast.ExceptHandler) -> bool:
    """Does a handler neither raise, nor tell, count or keep what went wrong? What only a debug log gets is untold."""
    debug = [call for call in calls(handler.body) if callee(call).endswith(".debug")]
    whispered = set(nodes(debug))
    for node in nodes(handler.body):
        if isinstance(node, (ast.Raise, ast.AugAssign, ast.Assert, ast.Try, ast.Yield)):
            return False
        if isinstance(node, ast.Name) and node.id == handler.name and node not in whispered:
            return False
        if _KEEPS.search(_stored(node)):
            return False
        if isinstance(node, ast.Call) and _TELLS.search(callee(node)) and not callee(node).endswith(".debug"):
            return False
    return True


def _stored(node: ast.AST) -> str:
    """The name or attribute that a node assigns to, "" for any other node."""
    if not isinstance(node, (ast.Name, ast.Attribute)) or not isinstance(node.ctx, ast.Store):
        return ""
    return node.id if isinstance(node, ast.Name) else node.attr


def callee(call: ast.Call) -> str:
    """What is called, as far as it is names; of a method of anything else, the method's name."""
    return dotted_name(call.func) or (call.func.attr if isinstance(call.func, ast.Attribute) else "")


def nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of a few statements, without the bodies of functions and classes defined there."""
    pending = list(body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            pending.extend(ast.iter_child_nodes(node))


def calls(body: Iterable[ast.AST]) -> Iterator[ast.Call]:
    """The calls in a few statements."""
    return (node for node in nodes(body) if isinstance(node, ast.Call))


def silent_handlers(syntax: Syntax) -> Iterator[tuple[ast.Try, ast.ExceptHandler]]:
    """The handlers of a file that catch everything and keep it to themselves, each with its ``try``."""
    for handler in syntax.statements(ast.ExceptHandler):
        above = syntax.parent(handler)
        if isinstance(above, ast.Try) and catches_everything(handler) and is_silent(handler):
            yield above, handler
