"""Names as written, from either kind of syntax tree: dotted ones, and those of parameters.

May not: resolve them; what a name stands for is in the index (`FileIndex.dotted`).
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import libcst as cst


def dotted_name(node: ast.expr) -> str:
    """``a.b.c`` for an ``ast`` chain of names, "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(node.id)
    return ".".join(reversed(parts))


def parameter_names(arguments: ast.arguments) -> tuple[str, ...]:
    """Parameter names in the order a call fills them; ``*`` and ``**`` names keep their stars."""
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    if arguments.vararg:
        names.append("*" + arguments.vararg.arg)
    names.extend(argument.arg for argument in arguments.kwonlyargs)
    if arguments.kwarg:
        names.append("**" + arguments.kwarg.arg)
    return tuple(names)


def written_name(node: cst.CSTNode) -> str:
    """``a.b.c`` for a LibCST chain of names, "" for anything else.

    Compares class names, so that asking does not import LibCST.
    """
    parts: list[str] = []
    current: cst.CSTNode = node
    while type(current).__name__ == "Attribute":
        parts.append(current.attr.value)  # type: ignore[attr-defined]
        current = current.value  # type: ignore[attr-defined]
    if type(current).__name__ != "Name":
        return ""
    parts.append(current.value)  # type: ignore[attr-defined]
    return ".".join(reversed(parts))
