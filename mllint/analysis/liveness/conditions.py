"""Conditions that have the same value in every run, as far as they show it.

May not: judge, or know what a name stands for unless it is told.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

_NO_FLAGS: Mapping[str, bool] = {}


def truth(test: ast.expr, flags: Mapping[str, bool] = _NO_FLAGS) -> bool | None:
    """The value that a condition always has; None where it may differ. ``flags`` are names with a known value."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.Name):
        return flags.get(test.id)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        value = truth(test.operand, flags)
        return None if value is None else not value
    if isinstance(test, ast.BoolOp):
        decides = isinstance(test.op, ast.Or)  # one True decides an ``or``, one False an ``and``
        values = [truth(part, flags) for part in test.values]
        if decides in values:
            return decides
        return None if None in values else not decides
    return None


def deciding(test: ast.expr, value: bool, flags: Mapping[str, bool] = _NO_FLAGS) -> ast.expr:
    """The part of a condition that gives it its value: ``False`` in ``a and False``, ``"b"`` in ``x == "a" or "b"``."""
    if isinstance(test, ast.BoolOp):
        return next((deciding(part, value, flags) for part in test.values if truth(part, flags) is value), test)
    return test


def is_spared(test: ast.expr, part: ast.expr) -> bool:
    """Is only a name, an attribute, a constant or a comparison of those evaluated besides ``part``?

    Then nothing is lost when the condition is no longer evaluated.
    """
    pending: list[ast.AST] = [test]
    while pending:
        node = pending.pop()
        if node is part:
            continue
        if isinstance(node, (ast.Call, ast.Await, ast.NamedExpr, ast.Yield, ast.YieldFrom)):
            return False
        pending.extend(ast.iter_child_nodes(node))
    return True


__all__ = ["deciding", "is_spared", "truth"]
