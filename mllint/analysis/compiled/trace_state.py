"""What a traced body reads or changes only while it is traced: the environment, clocks, random numbers, globals, lists
outside of it.

May not: ask the project, or count what stands under a question whether this is a trace.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from mllint.analysis.compiled.traced import Traced, traced_nodes
from mllint.analysis.names import dotted_name
from mllint.analysis.startup.mutability import is_environment_read
from mllint.analysis.startup.sites import Site, local_names
from mllint.analysis.syntax import Syntax

StateKind = Literal["environment", "clock", "random", "global", "append"]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

_CLOCKS = frozenset(
    f"time.{name}"
    for name in [
        "time",
        "time_ns",
        "perf_counter",
        "perf_counter_ns",
        "monotonic",
        "monotonic_ns",
        "process_time",
        "thread_time",
        "localtime",
        "gmtime",
        "ctime",
        "strftime",
    ]
) | {"datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"}

_RANDOM = frozenset(
    [
        "betavariate",
        "choice",
        "choices",
        "expovariate",
        "gauss",
        "getrandbits",
        "lognormvariate",
        "normalvariate",
        "randint",
        "random",
        "randrange",
        "sample",
        "shuffle",
        "triangular",
        "uniform",
        "vonmisesvariate",
    ]
)
#: Functions of ``numpy.random`` that draw; generators made from a seed are constants.
_NUMPY_RANDOM = frozenset(
    [
        "beta",
        "binomial",
        "choice",
        "dirichlet",
        "exponential",
        "gamma",
        "laplace",
        "lognormal",
        "multinomial",
        "multivariate_normal",
        "normal",
        "permutation",
        "poisson",
        "rand",
        "randint",
        "randn",
        "random",
        "random_integers",
        "random_sample",
        "ranf",
        "sample",
        "shuffle",
        "standard_normal",
        "truncnorm",
        "uniform",
    ]
)
_GROWS = frozenset({"append", "extend", "insert", "appendleft"})

#: Counters of traces are meant to change only then.
_COUNTS_TRACES = re.compile(r"trac|compil|graph|debug|count|calls|seen|log", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """One read or change. ``shown`` is it as written, shortened."""

    kind: StateKind
    node: ast.expr | ast.stmt
    shown: str


def states(traced: Traced, syntax: Syntax, site: Site) -> Iterator[State]:
    """Reads of the environment, clocks and random numbers, and changes of globals and outer lists, in one body."""
    here = _inside(traced, syntax, site)
    aliases = site.index.aliases
    covered: set[ast.AST] = set()
    for node in traced_nodes(traced):
        if node in covered or not isinstance(node, (ast.expr, ast.Global, ast.Expr)):
            continue
        if isinstance(node, ast.expr) and is_environment_read(node, here.dotted):
            covered.update(ast.walk(node))
            yield State("environment", node, _shown(node))
        elif isinstance(node, ast.Call):
            kind = _drawn(here.dotted(node.func), dotted_name(node.func), aliases)
            if kind is not None:
                yield State(kind, node, _shown(node))
        elif isinstance(node, ast.Global):
            yield from _assigned(node, traced)
        elif isinstance(node, ast.Expr):
            yield from _grown(node, traced, syntax)


def site_inside(traced: Traced, syntax: Syntax, site: Site) -> Site:
    """The site seen from where the body is defined, not from inside of it."""
    at: ast.AST = traced.body if isinstance(traced.body, ast.stmt) else traced.application.statement
    around = [each for each in syntax.ancestors(at) if isinstance(each, _FUNCTIONS)]
    if not isinstance(traced.body, ast.stmt) and isinstance(at, _FUNCTIONS):
        around.insert(0, at)
    for function in reversed(around):
        site = site.within(function)
    return site


def _inside(traced: Traced, syntax: Syntax, site: Site) -> Site:
    site = site_inside(traced, syntax, site)
    return site.within(traced.body) if isinstance(traced.body, _FUNCTIONS) else site


def _drawn(dotted: str, written: str, aliases: Mapping[str, str]) -> StateKind | None:
    """Is this dotted name a clock, or a function that draws random numbers in Python? Only if it is imported."""
    if written.partition(".")[0] not in aliases:
        return None
    if dotted in _CLOCKS:
        return "clock"
    module, _, last = dotted.rpartition(".")
    if (module == "random" and last in _RANDOM) or (module == "numpy.random" and last in _NUMPY_RANDOM):
        return "random"
    return None


def _assigned(node: ast.Global, traced: Traced) -> Iterator[State]:
    """The globals of a ``global`` statement that the body assigns to, but for counters of traces."""
    for name in node.names:
        stores = [
            each
            for each in traced_nodes(traced)
            if isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Store)
        ]
        if stores and not _COUNTS_TRACES.search(name):
            yield State("global", stores[0], name)


def _grown(statement: ast.Expr, traced: Traced, syntax: Syntax) -> Iterator[State]:
    """``outer.append(x)`` on a list from outside of the traced code. A captured graph's results are kept like that."""
    call = statement.value
    if traced.application.compiler == "capture" or not isinstance(call, ast.Call):
        return
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _GROWS:
        return
    owner = call.func.value
    if not isinstance(owner, ast.Name) or _COUNTS_TRACES.search(owner.id):
        return
    inside = {name for each in ast.walk(traced.outermost) if isinstance(each, _FUNCTIONS) for name in local_names(each)}
    at = traced.body if isinstance(traced.body, ast.stmt) else traced.application.statement
    if owner.id not in inside and _is_list_outside(owner.id, at, syntax):
        yield State("append", call, f"{owner.id}.{call.func.attr}")


def _is_list_outside(name: str, at: ast.AST, syntax: Syntax) -> bool:
    """Is the name bound to a list display around the function?"""
    scopes = [each for each in syntax.ancestors(at) if isinstance(each, (*_FUNCTIONS, ast.Module))]
    for scope in scopes:
        bound = [
            statement.value
            for statement in syntax.statements(ast.Assign, ast.AnnAssign)
            if syntax.scope(statement) is scope and name in _targets(statement)
        ]
        if bound:
            return all(isinstance(value, (ast.List, ast.ListComp)) for value in bound)
        if isinstance(scope, _FUNCTIONS) and name in local_names(scope):
            return False
    return False


def _targets(statement: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _shown(node: ast.expr) -> str:
    text = " ".join(ast.unparse(node).split()).replace("`", "'")
    return text if len(text) <= 32 else text[:31] + "…"


__all__ = ["State", "site_inside", "states"]
