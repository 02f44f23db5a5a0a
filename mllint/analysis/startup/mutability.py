"""Is this expression a read of mutable configuration: of the environment, or of an object that functions change?

How to call it, from a rule that has a real candidate (every question asks the project, so ask last):

    here = Site(ctx.absolute_path, ctx.index)                # mllint/analysis/startup/sites.py
    for read in reads([expression], here, ctx.project): ...   # reads that these nodes themselves make
    for read in function_reads(function, here, ctx.project)   # those of a function's body, locals respected
    read_of(node, here, ctx.project)                          # the one that a node itself is, or None
    value_reads(expression, here, ctx.project)                # reads that go into a value, through calls that
                                                              # return one (`follow.py`)
    reads_on_the_way(call, here, ctx.project)                 # all reads while a call runs (`follow.py`)

Each gives `Read` objects: ``node`` (where, in ``path``), ``shown`` (as written, for a message in backticks),
``written`` (the assignment that makes it mutable; None for the environment, see `is_environment`).
``is_environment_read(node, ctx.name)`` needs no project.

May not: follow calls (`follow.py` does), or count what tests and modules at import assign.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from mllint.analysis.names import dotted_name
from mllint.analysis.project import Found, Project
from mllint.analysis.startup.sites import Function, Site, called, evaluated, running
from mllint.analysis.startup.writers import item_step, written_by
from mllint.analysis.writes import Write

#: Calls that read one variable of the environment, and the mapping itself.
_ENVIRONMENT_CALLS = frozenset({"os.getenv", "os.environ.get", "os.environ.setdefault", "os.environ.pop"})
_ENVIRONMENT = "os.environ"

#: How much of an expression a message shows.
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Read:
    """One read of mutable configuration. ``via``: the project's functions called on the way, outermost first."""

    shown: str
    path: str
    line: int
    written: Write | None
    via: tuple[str, ...] = ()
    node: ast.expr | None = field(default=None, compare=False, repr=False)

    @property
    def is_environment(self) -> bool:
        return self.written is None


def is_environment_read(node: ast.AST, name: Callable[[ast.expr], str]) -> bool:
    """Does a node itself read a variable of the environment? ``name`` gives dotted names (``ctx.name``)."""
    if isinstance(node, ast.Call):
        return name(node.func) in _ENVIRONMENT_CALLS
    if isinstance(node, ast.Subscript):
        return isinstance(node.ctx, ast.Load) and name(node.value) == _ENVIRONMENT
    if isinstance(node, ast.Compare):
        return any(
            isinstance(operator, (ast.In, ast.NotIn)) and name(right) == _ENVIRONMENT
            for operator, right in zip(node.ops, node.comparators, strict=True)
        )
    return False


def reads(nodes: Iterable[ast.AST], site: Site, project: Project) -> Iterator[Read]:
    """The reads of mutable configuration that evaluating these expressions makes, calls not followed."""
    every = (each for node in nodes if isinstance(node, ast.expr) for each in evaluated(node))
    return _outermost(every, site, project)


def function_reads(function: Function, site: Site, project: Project) -> Iterator[Read]:
    """The reads of mutable configuration that a function's own body makes, calls not followed."""
    return _outermost(running(function.body), site.within(function), project)


def _outermost(nodes: Iterable[ast.AST], site: Site, project: Project) -> Iterator[Read]:
    """The longest chains that are reads; ``nodes`` come from outside in."""
    covered: set[int] = set()
    for node in nodes:
        if not isinstance(node, ast.expr) or id(node) in covered:
            continue
        read = read_of(node, site, project)
        if read is not None:
            covered.update(id(each) for each in evaluated(node))
            yield read
        elif isinstance(node, ast.Call):
            covered.add(id(node.func))  # a method's or function's name is no setting


def read_of(node: ast.expr, site: Site, project: Project) -> Read | None:
    """The read of mutable configuration that one node itself is, not what stands in it; None for none."""
    if is_environment_read(node, site.dotted):
        return Read(_variable(node) or _shown(node), site.path, node.lineno, None, node=node)
    accessed = object_of(node, site, project)
    if accessed is None:
        return None
    written = written_by(*accessed, project)
    return Read(_shown(node), site.path, node.lineno, written, node=node) if written is not None else None


def _variable(node: ast.expr) -> str:
    """The environment's variable that a node reads, as an item, without a default; "" where it is computed."""
    key = node.args[0] if isinstance(node, ast.Call) and node.args else getattr(node, "slice", None)
    return f"os.environ[{key.value!r}]" if isinstance(key, ast.Constant) else ""


def _shown(node: ast.expr) -> str:
    text = " ".join(ast.unparse(node).split()).replace("`", "'")
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


# -- which object is read, and what of it ----------------------------------------------------------------------------


def object_of(node: ast.expr, site: Site, project: Project) -> tuple[Found, tuple[str, ...]] | None:
    """The module-level object that a chain begins with, and the steps that the chain takes from there."""
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return None
    base, steps = _chain(node)
    if base is None:
        return None
    if isinstance(base, ast.Call):
        owner = _handed_out(base, site, project)
        return (owner, steps) if owner is not None and steps else None
    written = dotted_name(base).split(".")
    for name, given, below in site.given:
        if name == written[0] and (len(written) > 1 or steps):
            return given, (*below, *written[1:], *steps)
    dotted = site.dotted(base)
    if not dotted or (isinstance(node, ast.Name) and _is_copy(node.id, site)):
        return None
    parts = dotted.lstrip(".").split(".")
    dots = dotted[: len(dotted) - len(dotted.lstrip("."))]
    for length in range(len(parts), 0, -1):
        found = project.resolve(dots + ".".join(parts[:length]), site.path)
        if found is not None and "." not in found.name:
            return found, (*parts[length:], *steps)
    return None


def _is_copy(name: str, site: Site) -> bool:
    """Is a name bound at module level to what another name gave then (``width = settings.width``)?"""
    return name in site.index.aliases and any(each.name == name for each in site.index.bindings)


def _chain(node: ast.expr) -> tuple[ast.expr | None, tuple[str, ...]]:
    """The plain dotted name (or call) at the root of a chain, and the steps after it: ``c["a"].b``, ``c.get("a")``,
    ``getattr(c, "a")``."""
    steps: list[str] = []
    while True:
        if isinstance(node, ast.Subscript):
            steps.append(item_step(node.slice))
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _gets(node):
            steps.append(item_step(node.args[0]))
            node = node.func.value
        elif isinstance(node, ast.Call) and dotted_name(node.func) == "getattr" and len(node.args) > 1:
            name = node.args[1]
            steps.append(name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else "[]")
            node = node.args[0]
        elif isinstance(node, ast.Attribute) and not dotted_name(node):
            steps.append(node.attr)
            node = node.value
        else:
            known = dotted_name(node) or (isinstance(node, ast.Call) and steps)
            return (node if known else None), tuple(reversed(steps))


def _gets(call: ast.Call) -> bool:
    """Is a call ``mapping.get(key)``?"""
    return isinstance(call.func, ast.Attribute) and call.func.attr == "get" and 1 <= len(call.args) <= 2


def _handed_out(call: ast.Call, site: Site, project: Project) -> Found | None:
    """The module-level object that a call of a project function returns (``get_config()``), as it is."""
    target = called(call, site, project)
    function, there = target or (None, site)
    if function is None or isinstance(function, ast.ClassDef):
        return None
    returned = [node.value for node in running(function.body) if isinstance(node, ast.Return) and node.value]
    if len(returned) != 1 or not isinstance(returned[0], ast.Name):
        return None
    dotted = there.within(function).dotted(returned[0])
    return project.resolve(dotted, there.path) if dotted else None


__all__ = ["Read", "function_reads", "is_environment_read", "object_of", "read_of", "reads", "written_by"]
