"""What happens to a name between two definitions of it in one block.

May not: report, or guess: whatever might reach the first definition counts as a use of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mllint.analysis.scopes.decorators import compiles_at_once, decorator_name, only_wraps
from mllint.analysis.scopes.reads import Reads, reads
from mllint.analysis.walk import descendants
from mllint.lazy import cst

if TYPE_CHECKING:
    import libcst

    from mllint.analysis.context import Context

#: Mentioned by code that runs, these can reach a definition without its name.
_NAMESPACE_READERS = frozenset(
    {"eval", "exec", "dir", "globals", "locals", "vars"}
    | {"sys.modules", "sys._getframe", "inspect.currentframe", "inspect.getmembers", "inspect.stack"}
    | {"unittest.main", "absltest.main", "doctest.testmod", "tf.test.main", "pytest.main"}
)


def used_between(name: str, body: Sequence[libcst.BaseStatement], first: int, second: int, ctx: Context) -> bool:
    """May anything have reached ``body[first]``, which defines ``name``, before ``body[second]`` defines it again?

    Asked while the walk stands at the block with this ``body``. That is so where code that executes in between
    mentions the name, or something whose body mentions it; where the name is assigned or deleted; and where it
    belongs to another scope.
    """
    between = [_reads(statement, ctx) for statement in body[first + 1 : second]]
    header = _reads(body[second], ctx)  # its decorators, defaults, bases and class body run before the name moves on
    executed = [*between, header]
    if any(name in read.now or not read.now.isdisjoint(_NAMESPACE_READERS) for read in executed):
        return True
    if any(name in read.binds for read in between):
        return True
    scope = _scope(ctx)
    if isinstance(scope, cst.ClassDef):
        return False  # bodies of methods do not see the names of their class
    if scope is not None and _is_declared_outside(name, scope):
        return True
    earlier = [_reads(statement, ctx) for statement in (*_outer_statements(ctx), *body[:first])]
    carriers = _carriers(name, [*earlier, *between])
    return any(not read.run.isdisjoint(carriers) for read in executed)


def mentioned_later(name: str, between: Sequence[libcst.BaseStatement], ctx: Context) -> bool:
    """Do these statements mention a name of their scope in bodies that run later?"""
    return not isinstance(_scope(ctx), cst.ClassDef) and any(name in _reads(one, ctx).later for one in between)


def _carriers(name: str, known: Sequence[Reads]) -> frozenset[str]:
    """What reaches ``name`` when it is called: functions that mention it, classes with such methods, their users."""
    carriers: set[str] = set()
    while True:
        reached = {
            bound
            for read in known
            if name in read.later or not carriers.isdisjoint(read.later | read.now)
            for bound in read.binds
            if bound != name
        }
        if reached <= carriers:
            return frozenset(carriers)
        carriers |= reached


def _outer_statements(ctx: Context) -> list[libcst.BaseStatement]:
    """For a block in an ``if``, ``with`` or loop: the statements around it, up to the scope it belongs to."""
    found: list[libcst.BaseStatement] = []
    for ancestor in reversed(ctx.ancestors):
        if isinstance(ancestor, (cst.FunctionDef, cst.ClassDef)):
            break
        if isinstance(ancestor, (cst.Module, cst.IndentedBlock)):
            found.extend(one for one in ancestor.body if not any(one is above for above in ctx.ancestors))
    return found


def _scope(ctx: Context) -> libcst.FunctionDef | libcst.ClassDef | None:
    """The function or class that a block belongs to; None at module level."""
    for ancestor in reversed(ctx.ancestors):
        if isinstance(ancestor, (cst.FunctionDef, cst.ClassDef)):
            return ancestor
    return None


def _is_declared_outside(name: str, scope: libcst.FunctionDef) -> bool:
    """Does a function declare the name ``global`` or ``nonlocal``?"""
    return any(
        item.name.value == name
        for node in descendants(scope.body)
        if isinstance(node, (cst.Global, cst.Nonlocal))
        for item in node.names
    )


def _reads(statement: libcst.CSTNode, ctx: Context) -> Reads:
    index = ctx.index
    deferred = ctx.source.path.endswith(".pyi") or (
        index is not None and index.aliases.get("annotations") == "__future__.annotations"
    )
    return reads(statement, lambda function: _runs_now(function, ctx), not deferred)


def _runs_now(node: libcst.FunctionDef, ctx: Context) -> bool:
    """May a decorator call or compile the function at once?"""
    names = [decorator_name(decorator, ctx.name) for decorator in node.decorators]
    return any(compiles_at_once(name) or not only_wraps(name) for name in names)
