"""Which assignment of the project can change a module-level object, or something below it, after the import?

May not: say what is a read, or count what tests and modules at import assign.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mllint.analysis.names import dotted_name
from mllint.analysis.project import Found, Project
from mllint.analysis.startup.sites import evaluated, functions, node_of, running, site_of
from mllint.analysis.syntax import expressions
from mllint.analysis.writes import Write

#: Methods that change the settings of an object, among those that the index records as changing it.
_CONFIGURING = frozenset({"update", "update_from_dict", "__setattr__", "__setitem__"}) | frozenset(
    {"merge_from_dict", "merge_from_file", "merge_from_list", "merge_with"}
)


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


def item_step(key: ast.expr) -> str:
    """The step that an item takes: ``['key']``, ``[]`` where the key is not known."""
    return f"[{key.value!r}]" if isinstance(key, ast.Constant) else "[]"


def _writers(found: Found, steps: tuple[str, ...], project: Project) -> Iterator[Write]:
    for write in project.writes(found):
        if write.kind == "rebind" and (write.path, write.target) != (found.path, found.name):
            continue  # ``width = config.width``, later ``global width``: no longer the object's
        if not write.function or project.is_test(write.path) or not _changes(write, found, steps, project):
            continue
        if not _runs_at_import(write, project):
            yield write
    yield from _writing_methods(found, steps, project)


def _runs_at_import(write: Write, project: Project) -> bool:
    """Does the module of the writing function call it when it is imported, to set the object up?"""
    syntax = project.syntax(write.path)
    calls = (
        node
        for statement in (syntax.at_import() if syntax else ())
        for node in expressions(statement)
        if isinstance(node, ast.Call)
    )
    return any(dotted_name(call.func) == write.function for call in calls)


def _changes(write: Write, found: Found, steps: tuple[str, ...], project: Project) -> bool:
    """Can this assignment change what the steps give?"""
    own = _steps_of(write, found, project)
    if write.kind == "rebind" or (write.kind == "attribute" and not own and "." in write.target):
        return not own and not _fills_once(write, project)
    statement = _statement(write, project)
    if statement is None:
        return False
    if write.kind == "call" or (write.kind == "attribute" and not own):  # ``c.update(…)``, ``setattr(c, name, …)``
        below = steps[len(own)] if len(steps) > len(own) and own == steps[: len(own)] else ""
        return bool(below) and _configures(statement, below)
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


def _configures(statement: ast.stmt, step: str) -> bool:
    """Is a statement a call that changes settings, and may change the one that a step takes?"""
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return False
    call, name = statement.value, statement.value.func
    is_setattr = dotted_name(name) == "setattr"
    if not is_setattr and not (isinstance(name, ast.Attribute) and name.attr in _CONFIGURING):
        return False
    given = call.args[1:] if is_setattr else call.args
    if len(given) != 2 or not isinstance(given[0], ast.Constant):
        return True
    return given[0].value == step or item_step(given[0]) == step  # ``c.update("size", 3)`` changes nothing else


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
    targets = (
        statement.targets if isinstance(statement, (ast.Assign, ast.Delete)) else [getattr(statement, "target", None)]
    )
    keys = {
        item_step(each.slice)
        for target in targets
        if target
        for each in ast.walk(target)
        if isinstance(each, ast.Subscript)
    }
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
                return any(item_step(key) == item for key in value.keys if key is not None)
    return False


def _writing_methods(found: Found, steps: tuple[str, ...], project: Project) -> Iterator[Write]:
    """Methods of the object's own class that set the attribute, where some function calls them on the object."""
    index = project.index(found.path)
    made = [each.value for each in index.bindings if each.name == found.name] if index else []
    if not steps or len(made) != 1 or not made[0].endswith("()") or index is None:
        return
    class_found = project.resolve(index.dotted(made[0].removesuffix("()")), found.path)
    owner = node_of(class_found, project) if class_found else None
    if class_found is None or not isinstance(owner, ast.ClassDef) or site_of(class_found.path, project) is None:
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
        elif isinstance(node, ast.Call) and dotted_name(node.func) == "setattr" and dotted_name(node.args[0]) == "self":
            return node.lineno
    return 0


def _is_called_on(found: Found, method: str, project: Project) -> bool:
    """Does a function of the project, no test, call this method of the object?"""
    for path in sorted(project.matching(rf"{found.name}(?<=\b{found.name})\s*\.\s*{method}\s*\(")):
        syntax, site = project.syntax(path), site_of(path, project)
        if syntax is None or site is None or project.is_test(path):
            continue
        for function in functions(syntax):
            for node in running(function.body):
                if isinstance(node, ast.Attribute) and node.attr == method:
                    dotted = site.within(function).dotted(node.value)
                    if dotted and project.resolve(dotted, path) == found:
                        return True
    return False


__all__ = ["item_step", "written_by"]
