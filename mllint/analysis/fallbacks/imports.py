"""Names that stand for None when an import fails, and that inner functions call as if it had not.

May not: look at another file; any test of the name, or of anything bound beside it, counts as a check.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mllint.analysis.fallbacks.handlers import callee, nodes
from mllint.analysis.syntax import Syntax, expressions

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

#: Functions that raise, or tell, where a package is missing.
_ASKS = re.compile(r"assert|require|ensure|check|verify|need|installed|available|import", re.IGNORECASE)


def captured_imports(syntax: Syntax) -> Iterator[tuple[ast.ExceptHandler, str]]:
    """Handlers around an import that set a name to None, where a function inside a function calls it unchecked."""
    fallen: dict[str, tuple[ast.ExceptHandler, set[str]]] = {}
    for handler in syntax.statements(ast.ExceptHandler):
        tried = syntax.parent(handler)
        if isinstance(tried, ast.Try) and isinstance(syntax.parent(tried), ast.Module):
            bound = _imported(tried)
            beside = _flags(tried)
            for name in bound & _set_to_none(handler):
                fallen[name] = (handler, beside)
    if not fallen:
        return
    called, tested = _called_inside(syntax, frozenset(fallen)), _tested(syntax)
    for name, (handler, beside) in fallen.items():
        if name in called and not tested & {name, *beside} and not _is_asked_for(name, syntax):
            yield handler, name


def _imported(tried: ast.Try) -> set[str]:
    return {
        item.asname or item.name.partition(".")[0]
        for each in tried.body
        if isinstance(each, (ast.Import, ast.ImportFrom))
        for item in each.names
    }


def _set_to_none(handler: ast.ExceptHandler) -> set[str]:
    found = set[str]()
    for each in handler.body:
        if isinstance(each, ast.Raise):
            return set()
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant) and each.value.value is None:
            found.update(target.id for target in each.targets if isinstance(target, ast.Name))
    return found


def _flags(tried: ast.Try) -> set[str]:
    """Everything else that the statement binds: flags, and the other names of the import."""
    blocks = [*tried.body, *tried.orelse, *(each for handler in tried.handlers for each in handler.body)]
    stored = {node.id for node in nodes(blocks) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return stored | _imported(tried)


def _called_inside(syntax: Syntax, names: frozenset[str]) -> set[str]:
    """Those of the names that a function inside another function calls."""
    found = set[str]()
    for function in syntax.statements(*_FUNCTIONS):
        if not any(isinstance(above, _FUNCTIONS) for above in syntax.ancestors(function)):
            continue
        for node in nodes(function.body):
            if isinstance(node, ast.Call):
                head = node.func
                while isinstance(head, ast.Attribute):
                    head = head.value
                if isinstance(head, ast.Name) and head.id in names:
                    found.add(head.id)
    return found


def _tested(syntax: Syntax) -> set[str]:
    """Every name that some condition of the file mentions, and those handed to functions that may check them."""
    found = set[str]()
    kinds = (ast.If, ast.While, ast.Assert)
    tests: list[ast.AST] = [statement.test for statement in syntax.statements(*kinds)]
    for function in syntax.statements(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef):
        tests += function.decorator_list
    for statement in syntax.statements(ast.Return, ast.Assign, ast.Expr, ast.Raise):
        for node in expressions(statement):
            if isinstance(node, (ast.IfExp, ast.BoolOp, ast.Compare, ast.UnaryOp)):
                tests.append(node)
            elif isinstance(node, ast.Call):
                tests += node.args
    for test in tests:
        found.update(node.id for node in ast.walk(test) if isinstance(node, ast.Name))
    return found


def _is_asked_for(name: str, syntax: Syntax) -> bool:
    """Does the file call a function that asks for the package, by its name (``assert_fastscan_installed()``)?"""
    wanted = name.replace("_", "").lower()
    for statement in syntax.statements(ast.Expr, ast.Assign, ast.Return):
        for node in expressions(statement):
            if isinstance(node, ast.Call):
                asked = callee(node).rpartition(".")[2]
                if _ASKS.search(asked) and wanted in asked.replace("_", "").lower():
                    return True
    return False
