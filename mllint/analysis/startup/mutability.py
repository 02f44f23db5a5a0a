"""Is this expression a read of mutable configuration: of the environment, or of an object that functions change?

How to call it, from a rule that has a real candidate (every question asks the project, so ask last):

    here = Place(ctx.absolute_path, ctx.index)                # mllint/analysis/startup/places.py
    for read in reads([expression], here, ctx.project): ...   # reads that these nodes themselves make
    for read in function_reads(function, here, ctx.project)   # those of a function's body, locals respected
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

from mllint.analysis.index import Write
from mllint.analysis.names import dotted_name
from mllint.analysis.project import Found, Project
from mllint.analysis.startup.places import Function, Place, called, evaluated, node_of, place_of, running

#: Calls that read one variable of the environment, and the mapping itself.
_ENVIRONMENT_CALLS = frozenset({"os.getenv", "os.environ.get", "os.environ.setdefault", "os.environ.pop"})
_ENVIRONMENT = "os.environ"

#: Methods that change the settings of an object, among those that the index records as changing it.
_CONFIGURING = frozenset(
    "update merge_from_dict merge_from_file merge_from_list merge_with update_from_dict __setattr__ __setitem__".split()
)

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


def reads(nodes: Iterable[ast.AST], place: Place, project: Project) -> Iterator[Read]:
    """The reads of mutable configuration that evaluating these expressions makes, calls not followed."""
    for root in nodes:
        inner: set[int] = set()
        for node in evaluated(root) if isinstance(root, ast.expr) else (root,):
            if not isinstance(node, ast.expr) or id(node) in inner:
                continue
            read = _read(node, place, project)
            if read is not None:
                inner.update(id(each) for each in evaluated(node) if each is not node)
                yield read


def function_reads(function: Function, place: Place, project: Project) -> Iterator[Read]:
    """The reads of mutable configuration that a function's own body makes, calls not followed."""
    inside = place.within(function)
    covered: set[int] = set()
    for node in running(function.body):
        if isinstance(node, ast.expr) and id(node) not in covered:
            read = _read(node, inside, project)
            if read is not None:
                covered.update(id(each) for each in evaluated(node))
                yield read


def written_by(found: Found, steps: tuple[str, ...], project: Project) -> Write | None:
    """The assignment by a function of the project that can change what ``steps`` below a module-level object give.

    Steps are attribute names, and ``["key"]`` for items (``[]``: any). None where nothing changes it but its own
    module at import, tests, and the one function that fills it when it is first needed.
    """
    key = f"mutable {found.path} {found.name} {'.'.join(steps)}"
    if key not in project.memory:
        project.memory[key] = next(_writers(found, steps, project), None)
    known = project.memory[key]
    return known if isinstance(known, Write) else None


def _read(node: ast.expr, place: Place, project: Project) -> Read | None:
    if is_environment_read(node, place.dotted):
        return Read(_shown(node), place.path, node.lineno, None, node=node)
    accessed = _accessed(node, place, project)
    if accessed is None:
        return None
    written = written_by(*accessed, project)
    return Read(_shown(node), place.path, node.lineno, written, node=node) if written is not None else None


def _shown(node: ast.expr) -> str:
    text = " ".join(ast.unparse(node).split()).replace("`", "'")
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


# -- which object is read, and what of it ----------------------------------------------------------------------------


def _accessed(node: ast.expr, place: Place, project: Project) -> tuple[Found, tuple[str, ...]] | None:
    """The module-level object that a chain begins with, and the steps that the chain takes from there."""
    base, steps = _chain(node)
    if base is None or not isinstance(getattr(base, "ctx", ast.Load()), ast.Load):
        return None
    if isinstance(base, ast.Call):
        owner = _handed_out(base, place, project)
        return (owner, steps) if owner is not None and steps else None
    dotted = place.dotted(base)
    if not dotted:
        return None
    parts = dotted.lstrip(".").split(".")
    dots = dotted[: len(dotted) - len(dotted.lstrip("."))]
    for length in range(len(parts), 0, -1):
        found = project.resolve(dots + ".".join(parts[:length]), place.path)
        if found is not None and "." not in found.name:
            return found, (*parts[length:], *steps)
    return None


def _chain(node: ast.expr) -> tuple[ast.expr | None, tuple[str, ...]]:
    """The plain dotted name (or call) at the root of a chain, and the steps after it: ``c["a"].b``, ``c.get("a")``,
    ``getattr(c, "a")``."""
    steps: list[str] = []
    while True:
        if isinstance(node, ast.Subscript):
            steps.append(_item(node.slice))
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _gets(node):
            steps.append(_item(node.args[0]))
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


def _item(key: ast.expr) -> str:
    return f"[{key.value!r}]" if isinstance(key, ast.Constant) else "[]"


def _handed_out(call: ast.Call, place: Place, project: Project) -> Found | None:
    """The module-level object that a call of a project function returns (``get_config()``), as it is."""
    target = called(call, place, project)
    if target is None or isinstance(target[0], ast.ClassDef):
        return None
    function, there = target
    returned = [node.value for node in running(function.body) if isinstance(node, ast.Return) and node.value]
    if len(returned) != 1 or not isinstance(returned[0], ast.Name):
        return None
    dotted = there.within(function).dotted(returned[0])
    return project.resolve(dotted, there.path) if dotted else None


# -- who changes it --------------------------------------------------------------------------------------------------


def _writers(found: Found, steps: tuple[str, ...], project: Project) -> Iterator[Write]:
    for write in project.writes(found):
        if write.function and not project.is_test(write.path) and _changes(write, found, steps, project):
            yield write
    yield from _writing_methods(found, steps, project)


def _changes(write: Write, found: Found, steps: tuple[str, ...], project: Project) -> bool:
    """Can this assignment change what the steps give?"""
    own = _steps_of(write, found, project)
    if write.kind == "rebind" or (write.kind == "attribute" and not own and "." in write.target):
        return not own and not _fills_once(write, project)
    statement = _statement(write, project)
    if statement is None:
        return False
    if write.kind == "call" or (write.kind == "attribute" and not own):  # ``c.update(…)``, ``setattr(c, name, …)``
        return len(steps) > len(own) and own == steps[: len(own)] and _configures(statement)
    if write.kind == "attribute":
        return own == steps[: len(own)] and not _fills_once(write, project)
    return _is_item_write(statement, own[:-1], steps, found, project)


def _steps_of(write: Write, found: Found, project: Project) -> tuple[str, ...]:
    """What a write names below the object: ``config.data.size`` in a file that imports ``config`` gives data, size."""
    parts = write.target.replace("[]", ".[]").split(".")
    if write.path == found.path and parts[0] == found.name:
        return tuple(parts[1:])
    index = project.index(write.path)
    head = index.dotted(parts[0]) if index else parts[0]
    at = 0 if head.rpartition(".")[2] == found.name or found.name not in parts else parts.index(found.name)
    return tuple(parts[at + 1 :])


def _statement(write: Write, project: Project) -> ast.stmt | None:
    syntax = project.syntax(write.path)
    kinds = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete, ast.Expr)
    return next((each for each in syntax.statements(*kinds) if each.lineno == write.line), None) if syntax else None


def _configures(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return False
    name = statement.value.func
    return dotted_name(name) == "setattr" or (isinstance(name, ast.Attribute) and name.attr in _CONFIGURING)


def _fills_once(write: Write, project: Project) -> bool:
    """Does the writing function look at the object first (``if _cache is None``)? Then it fills it, and no more."""
    node = node_of(Found(write.path, write.function), project)
    if node is None or isinstance(node, ast.ClassDef):
        return False
    tests = [each.test for each in running(node.body) if isinstance(each, (ast.If, ast.IfExp, ast.While))]
    word = write.target.replace("[]", "")
    return any(dotted_name(each) == word for test in tests for each in evaluated(test))


def _is_item_write(
    statement: ast.stmt, own: tuple[str, ...], steps: tuple[str, ...], found: Found, project: Project
) -> bool:
    """``settings["size"] = n`` changes ``settings["size"]``. With a key that is not known, only where the object began
    with settings in it: one that began empty is a registry or a cache."""
    if own != steps[: len(own)] or len(steps) == len(own) or not steps[len(own)].startswith("["):
        return False
    targets = statement.targets if isinstance(statement, (ast.Assign, ast.Delete)) else [getattr(statement, "target", None)]
    keys = {_item(each.slice) for target in targets if target for each in ast.walk(target) if isinstance(each, ast.Subscript)}
    asked = steps[len(own)]
    if asked in keys and asked != "[]":
        return True
    return bool(keys & {"[]"}) and asked != "[]" and _began_with(found, asked, project)


def _began_with(found: Found, item: str, project: Project) -> bool:
    """Does the display that an object is bound to at module level have this key?"""
    syntax = project.syntax(found.path)
    for statement in syntax.at_import() if syntax else ():
        value = getattr(statement, "value", None)
        if isinstance(value, ast.Dict) and isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(dotted_name(target) == found.name for target in targets):
                return any(_item(key) == item for key in value.keys if key is not None)
    return False


def _writing_methods(found: Found, steps: tuple[str, ...], project: Project) -> Iterator[Write]:
    """Methods of the object's own class that set the attribute, where some function calls them on the object."""
    index = project.index(found.path)
    made = [each.value for each in index.bindings if each.name == found.name] if index else []
    if not steps or len(made) != 1 or not made[0].endswith("()") or index is None:
        return
    class_found = project.resolve(index.dotted(made[0].removesuffix("()")), found.path)
    owner = node_of(class_found, project) if class_found else None
    if class_found is None or not isinstance(owner, ast.ClassDef) or place_of(class_found.path, project) is None:
        return
    for method in owner.body:
        if not isinstance(method, ast.FunctionDef) or method.name.startswith("__"):
            continue
        line = _sets_own(method, steps[0])
        if line and _is_called_on(found, method.name, project):
            yield Write(f"self.{steps[0]}", f"{owner.name}.{method.name}", line, "attribute", class_found.path)


def _sets_own(method: ast.FunctionDef, attribute: str) -> int:
    """The line where a method assigns ``self.<attribute>``, 0 where it does not."""
    for node in running(method.body):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if node.attr == attribute and dotted_name(node.value) == "self":
                return node.lineno
        elif isinstance(node, ast.Call) and dotted_name(node.func) == "setattr" and len(node.args) == 3:
            if dotted_name(node.args[0]) == "self" and not isinstance(node.args[1], ast.Constant):
                return node.lineno
    return 0


def _is_called_on(found: Found, method: str, project: Project) -> bool:
    """Does a function of the project, no test, call this method of the object?"""
    for path in sorted(project.matching(rf"\b{found.name}\s*\.\s*{method}\s*\(")):
        syntax, place = project.syntax(path), place_of(path, project)
        if syntax is None or place is None or project.is_test(path):
            continue
        for statement in syntax.statements(ast.FunctionDef, ast.AsyncFunctionDef):
            for node in running(statement.body):
                if isinstance(node, ast.Attribute) and node.attr == method:
                    dotted = place.within(statement).dotted(node.value)
                    if dotted and project.resolve(dotted, path) == found:
                        return True
    return False


__all__ = ["Read", "function_reads", "is_environment_read", "reads", "written_by"]
