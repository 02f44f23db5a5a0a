"""Statements behind which a block does not go on, and what a piece of code that cannot run consists of.

May not: judge, or decide which dead code matters.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Sequence

from mllint.analysis.names import parameter_names

_JUMPS = (ast.Return, ast.Raise, ast.Break, ast.Continue)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def leaves(statement: ast.stmt) -> bool:
    """Does the block of a statement never go on behind it?

    A ``with`` may swallow an exception and a loop may end, so neither counts.
    """
    if isinstance(statement, _JUMPS):
        return True
    if isinstance(statement, ast.If):
        return block_leaves(statement.body) and block_leaves(statement.orelse)
    if isinstance(statement, ast.Try):
        if block_leaves(statement.finalbody):
            return True
        ends = block_leaves(statement.orelse or statement.body)
        return ends and all(block_leaves(handler.body) for handler in statement.handlers)
    return False


def block_leaves(block: Sequence[ast.stmt]) -> bool:
    """Does a block never reach its end?"""
    return bool(block) and leaves(block[-1])


def yields(nodes: Iterable[ast.AST]) -> bool:
    """Is there a ``yield`` that makes the surrounding function a generator?"""
    return any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in own_nodes(nodes))


def own_nodes(nodes: Iterable[ast.AST], without: Collection[ast.AST] = ()) -> Iterator[ast.AST]:
    """The nodes below some nodes, without the insides of functions (which run at another time)."""
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if node not in without:
            yield node
            if not isinstance(node, _FUNCTIONS):
                pending.extend(ast.iter_child_nodes(node))


def bound_names(nodes: Iterable[ast.AST], without: Collection[ast.AST] = ()) -> frozenset[str]:
    """The names that some code of one scope binds, deletes or declares."""
    return frozenset(name for node in own_nodes(nodes, without) for name in bound_by(node))


def bound_by(node: ast.AST) -> Iterable[str]:
    """The names that one node binds by itself."""
    if isinstance(node, ast.Name):
        return () if isinstance(node.ctx, ast.Load) else (node.id,)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return (node.name,)
    if isinstance(node, ast.alias):
        return ((node.asname or node.name).partition(".")[0],)
    if isinstance(node, (ast.Global, ast.Nonlocal)):
        return node.names
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        return (node.name,) if node.name else ()
    if isinstance(node, ast.MatchMapping):
        return (node.rest,) if node.rest else ()
    return ()


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    """The names of all parameters of a function."""
    return frozenset(name.lstrip("*") for name in parameter_names(function.args))


def only_imports(block: Iterable[ast.stmt]) -> bool:
    """Does a block do nothing but import? ``if False: import x`` shows the import to tools that never run it."""
    return all(isinstance(each, (ast.Import, ast.ImportFrom, ast.Pass)) for each in block)


def is_empty(block: Iterable[ast.stmt]) -> bool:
    """Does a block do nothing at all: ``pass``, ``...``, strings?"""
    return all(isinstance(each, ast.Pass) or _is_constant(each) for each in block)


def _is_constant(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def shows_only(block: Iterable[ast.stmt]) -> bool:
    """Does a block print, log, plot or stop for a debugger, and hand nothing on? Such a block is a debug switch."""
    nodes = list(own_nodes(block))
    if any(isinstance(node, (ast.Return, ast.Raise, ast.Yield, ast.YieldFrom)) for node in nodes):
        return False
    return any(isinstance(node, ast.Call) and _shows(node.func) for node in nodes)


#: Last parts of the names of functions that show something to a person.
_SHOWING = frozenset(
    {"breakpoint", "debug", "imshow", "info", "plot", "pprint", "print", "print_exc", "savefig", "set_trace", "warning"}
)


def _shows(function: ast.expr) -> bool:
    name = (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )
    return name in _SHOWING or name.startswith("print_") or name.endswith("_print")


__all__ = [
    "block_leaves",
    "bound_by",
    "bound_names",
    "is_empty",
    "leaves",
    "only_imports",
    "own_nodes",
    "parameters",
    "shows_only",
    "yields",
]
