"""The only traversal of a lossless tree.

May not: know rules; it calls back by node class name. Walks cached dataclass fields in source order, which is
3 to 10 times faster than LibCST's own visitors (336-line file: 5 ms against 15 and 52).
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import fields

from mllint.lazy import cst

#: Fields of each node class that may hold nodes, filled as classes are met.
_FIELDS: dict[type, tuple[str, ...]] = {}

#: Field names that only ever hold punctuation and whitespace: nothing a rule visits stands below them.
_TRIVIA = frozenset(
    {
        "lpar",
        "rpar",
        "lbracket",
        "rbracket",
        "semicolon",
        "comma",
        "equal",
        "leading_lines",
        "lines_after_decorators",
        "header",
        "footer",
        "trailing_whitespace",
        "newline",
        "dot",
        "indent",
        "encoding",
        "default_indent",
        "default_newline",
        "has_trailing_newline",
    }
)


def child_fields(kind: type) -> tuple[str, ...]:
    """The names of a node class's fields in which nodes worth a visit may stand."""
    known = _FIELDS.get(kind)
    if known is None:
        known = tuple(
            field.name for field in fields(kind) if field.name not in _TRIVIA and "whitespace" not in field.name
        )
        _FIELDS[kind] = known
    return known


def children(node: cst.CSTNode) -> list[cst.CSTNode]:
    """The direct child nodes in source order, punctuation and whitespace left out."""
    found: list[cst.CSTNode] = []
    for name in child_fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, (list, tuple)):
            found.extend(value)
        elif hasattr(value, "__slots__") and hasattr(value, "deep_clone"):
            found.append(value)
    return found


def walk(root: cst.CSTNode, wanted: Container[str], visit: Callable[[cst.CSTNode, list[cst.CSTNode]], None]) -> None:
    """Call ``visit(node, ancestors)`` for each node whose class name is ``wanted``, parents before children.

    ``ancestors`` (outermost first) is one list that changes as the walk goes on: copy it to keep it.
    """
    ancestors: list[cst.CSTNode] = []
    pending: list[tuple[cst.CSTNode, int]] = [(root, 0)]
    while pending:
        node, depth = pending.pop()
        del ancestors[depth:]
        if type(node).__name__ in wanted:
            visit(node, ancestors)
        below = children(node)
        if below:
            ancestors.append(node)
            pending.extend((child, depth + 1) for child in reversed(below))


def descendants(root: cst.CSTNode, *, stop: Container[str] = ()) -> list[cst.CSTNode]:
    """Every node below ``root`` (itself excluded) in source order, without what is below nodes named in ``stop``."""
    found: list[cst.CSTNode] = []
    pending = list(reversed(children(root)))
    while pending:
        node = pending.pop()
        found.append(node)
        if type(node).__name__ not in stop:
            pending.extend(reversed(children(node)))
    return found


def summands(node: cst.BaseExpression) -> list[cst.BaseExpression]:
    """``a``, ``b`` and ``c`` of ``a + b + c``, in order; the expression itself where it is no sum."""
    parts: list[cst.BaseExpression] = []
    while isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):  # nests to the left
        parts.append(node.right)
        node = node.left
    return [node, *reversed(parts)]
