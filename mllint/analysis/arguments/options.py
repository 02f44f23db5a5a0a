"""The options that ``add_argument`` calls declare, and under which name their values are read.

May not: say whether the receiver is a parser (see `receivers`), or follow a call into another function.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mllint.analysis.syntax import Syntax


@dataclass(frozen=True, slots=True)
class Option:
    """One ``add_argument`` call. ``flags`` as written (``--size``, or ``size`` for a positional argument), with the
    source of an f-string's holes in braces; ``dest`` as argparse derives it, "" where the file does not say."""

    call: ast.Call
    statement: ast.AST
    receiver: ast.expr
    flags: tuple[str, ...]
    dest: str
    keywords: Mapping[str, ast.expr]

    @property
    def positional(self) -> bool:
        return bool(self.flags) and not self.flags[0].startswith("-")


def options(syntax: Syntax) -> Iterator[Option]:
    """The options that statements of a file declare, in order."""
    found: list[ast.Expr | ast.Assign] = syntax.statements(ast.Expr, ast.Assign)
    for statement in found:
        option = option_of(statement.value, statement)
        if option is not None:
            yield option


def option_of(node: ast.expr, statement: ast.AST) -> Option | None:
    """The option that an expression of a statement declares; None for anything but an ``add_argument`` call."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "add_argument":
        return None
    flags = tuple(text(argument) for argument in node.args)
    keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None}
    starred = len(keywords) < len(node.keywords)  # ``**more`` may hold a dest
    dest = "" if starred or not all(flags) else _dest(flags, keywords.get("dest"))
    return Option(node, statement, node.func.value, flags, dest, keywords)


def text(node: ast.expr) -> str:
    """The text of a string literal, with the source of an f-string's holes in braces; "" for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        parts = (
            f"{{{ast.unparse(part.value)}}}" if isinstance(part, ast.FormattedValue) else text(part)
            for part in node.values
        )
        return "".join(parts)
    return ""


def _dest(flags: tuple[str, ...], named: ast.expr | None) -> str:
    """argparse's rule: ``dest=``, else the first long option, else the first one; dashes become underscores."""
    if named is not None:
        return text(named)
    if not flags:
        return ""
    if not flags[0].startswith("-"):
        return flags[0]
    first = next((flag for flag in flags if flag.startswith("--")), flags[0])
    return first.lstrip("-").replace("-", "_")
