"""A file's ``ast`` with the answers that many rules want from it, each computed once.

May not: judge, or look at another file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, TypeAlias, TypeVar, overload

One = TypeVar("One", bound=ast.AST)
Two = TypeVar("Two", bound=ast.AST)
Three = TypeVar("Three", bound=ast.AST)

#: A function or class body, or the whole file.
Scope: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module"

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)

#: The fields that hold blocks, in the order in which they stand in a file.
_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")
_LAST_FIRST = _BLOCKS[::-1]


class Syntax:
    """The statements of a file, exception handlers and ``case`` parts among them.

    Building it visits statements only, never expressions: 0.6 s for the 510,000 statements of transformers,
    where a walk over all nodes takes 3 s.
    """

    def __init__(self, module: ast.Module) -> None:
        self.module = module
        self._parents: dict[ast.AST, ast.AST] = {}
        self._by_kind: dict[type[ast.AST], list[ast.AST]] = {}
        self._place: dict[ast.AST, int] = {}
        self._at_import: list[ast.stmt] | None = None
        #: Where analyses keep what they built for this file, each under a key of its own.
        self.memory: dict[str, Any] = {}
        #: Plain data that an analysis of the first look leaves for the project: `Project.left` has it again.
        self.for_project: dict[str, Any] = {}
        parents, by_kind, place = self._parents, self._by_kind, self._place
        pending: list[ast.AST] = [module]
        while pending:
            node = pending.pop()
            kind = type(node)
            place[node] = len(place)
            if kind in by_kind:
                by_kind[kind].append(node)
            else:
                by_kind[kind] = [node]
            if kind in _FLAT:
                continue
            for field in _LAST_FIRST:
                block = getattr(node, field, None)
                if type(block) is list:
                    for child in block:
                        parents[child] = node
                    pending += block[::-1]

    @overload
    def statements(self, first: type[One], /) -> list[One]: ...
    @overload
    def statements(self, first: type[One], second: type[Two], /) -> list[One | Two]: ...
    @overload
    def statements(self, first: type[One], second: type[Two], third: type[Three], /) -> list[One | Two | Three]: ...
    @overload
    def statements(self, *kinds: type[ast.AST]) -> list[Any]: ...

    def statements(self, *kinds: type[ast.AST]) -> list[Any]:
        """All statements of these classes, in the order of the file."""
        if len(kinds) == 1:
            return list(self._by_kind.get(kinds[0], ()))
        found = [node for kind in kinds for node in self._by_kind.get(kind, ())]
        return sorted(found, key=self._place.__getitem__)

    def all(self) -> list[ast.AST]:
        """Every statement, handler and ``case`` part, in the order of the file."""
        return list(self._place)[1:]

    def at_import(self) -> list[ast.stmt]:
        """The statements that run when the module is imported, conditional ones included; bodies of classes and
        functions are not."""
        if self._at_import is None:
            self._at_import = list(inside(self.module))
        return self._at_import

    def parent(self, node: ast.AST) -> ast.AST:
        """The statement, handler or module that directly holds a statement."""
        return self._parents[node]

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """What holds a statement, from inside out; the module comes last."""
        while node in self._parents:
            node = self._parents[node]
            yield node

    def scope(self, node: ast.AST) -> Scope:
        """The innermost function or class that holds a statement, else the module."""
        for above in self.ancestors(node):
            if isinstance(above, _SCOPES):
                return above
        return self.module

    def function(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The innermost function that a statement runs in, class bodies in between left out; None at module level."""
        for above in self.ancestors(node):
            if isinstance(above, (ast.FunctionDef, ast.AsyncFunctionDef)):
                return above
        return None

    def qualname(self, node: ast.AST) -> str:
        """The dotted name of the scope that a statement stands in; "" at module level."""
        names = [
            above.name
            for above in self.ancestors(node)
            if isinstance(above, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        ]
        return ".".join(reversed(names))

    def block(self, node: ast.AST) -> tuple[list[ast.stmt], int]:
        """The list of statements that a statement stands in, and its position there."""
        holder = self._parents[node]
        for field in _BLOCKS:
            block = _children(holder, field)
            if node in block:
                return block, block.index(node)  # type: ignore[return-value]  # a handler's block is asked for nowhere
        raise ValueError("the node is no statement of this file")


def inside(scope: ast.AST) -> Iterator[ast.stmt]:
    """The statements of a function or class in the order of the file, but for those of definitions in it."""
    pending: list[ast.AST] = [child for field in _LAST_FIRST for child in reversed(_children(scope, field))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, _SCOPES):
            pending += [child for field in _LAST_FIRST for child in reversed(_children(node, field))]


def expressions(statement: ast.AST) -> Iterator[ast.expr]:
    """Every expression node of a statement itself, outermost first; not of the statements nested in it."""
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.expr):
            yield node
        below = parts(node)
        below.reverse()
        pending += below


#: Fields that hold no nodes (of some class), or (of statements) blocks.
_BARE = frozenset(
    {
        "ctx",
        "op",
        "ops",
        "type_comment",
        "kind",
        "conversion",
        "n",
        "s",
        "id",
        "attr",
        "arg",
        "names",
        "asname",
        "module",
    }
    | {"level", "rest", "kwd_attrs", "simple", "is_async"}
)
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {ast.Constant: (), ast.MatchSingleton: ()}


def parts(node: ast.AST) -> list[ast.AST]:
    """The expressions, arguments, clauses and patterns directly below a node, in the order of the file, and no
    statements: half the time of ``ast.iter_child_nodes``."""
    kind = type(node)
    names = _FIELDS.get(kind)
    if names is None:
        blocks = () if issubclass(kind, (ast.expr, ast.match_case)) else _BLOCKS
        skipped = {"body"} if kind is ast.match_case else _BARE | {*blocks}
        names = _FIELDS[kind] = tuple(name for name in kind._fields if name not in skipped)
    found: list[ast.AST] = []
    for name in names:
        value = getattr(node, name, None)
        if type(value) is list:
            found += [item for item in value if item is not None]  # ``**`` in a display stands for no key
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


def _children(node: ast.AST, field: str) -> list[ast.AST]:
    """The statements in one block of a node; a lambda's body is no block."""
    block = getattr(node, field, None)
    return block if type(block) is list else []


#: Statements without a block: nothing below them to look for.
_FLAT = frozenset(
    {
        ast.Assign,
        ast.AnnAssign,
        ast.AugAssign,
        ast.Expr,
        ast.Return,
        ast.Import,
        ast.ImportFrom,
        ast.Raise,
        ast.Pass,
        ast.Assert,
        ast.Delete,
        ast.Global,
        ast.Nonlocal,
        ast.Break,
        ast.Continue,
    }
)

__all__ = ["Scope", "Syntax", "expressions", "inside", "parts"]
