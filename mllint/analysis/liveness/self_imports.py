"""``from ... import ...`` statements that name the module they stand in.

May not: judge, or take a package of the same name for the module.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from posixpath import basename, dirname, join

from mllint.analysis.liveness.blocks import bound_by, own_nodes
from mllint.analysis.project import Project
from mllint.analysis.syntax import Syntax

#: Ways to give a module names that no statement binds.
_DYNAMIC = re.compile(rb"\b(__getattr__|__dict__|exec|globals|locals|modules|setattr|vars)\b")
_ASKS_WHO_RUNS = ("__name__", "TYPE_CHECKING")


def self_imports(syntax: Syntax, path: str) -> Iterator[ast.ImportFrom]:
    """The imports that mean the module itself, as far as its path shows, in code that runs when it is imported."""
    if basename(path) in ("", "__init__.py", "__main__.py") or not path.endswith(".py"):
        return  # a package imports its own modules like that; a stub and a script never run as a module
    stem = path.removesuffix(".py")
    for statement in syntax.statements(ast.ImportFrom):
        if _target(statement, stem) == stem and not _is_for_scripts(statement, syntax):
            yield statement


def _target(statement: ast.ImportFrom, stem: str) -> str:
    """The path that an import names, taking for granted that an absolute one begins in the right folder."""
    parts = (statement.module or "").split(".")
    if not statement.level:
        known = parts[0] in sys.stdlib_module_names
        return stem if not known and ("/" + stem).endswith("/" + "/".join(parts)) else ""
    folder = dirname(stem)
    for _ in range(statement.level - 1):
        if not folder:
            return ""  # above what the path shows
        folder = dirname(folder)
    return join(folder, *parts)


def _is_for_scripts(statement: ast.stmt, syntax: Syntax) -> bool:
    """Is the statement below ``if __name__ == "__main__"`` (a second copy of the module, to pickle from) or
    ``if TYPE_CHECKING``?"""
    return any(
        isinstance(above, ast.If) and any(word in ast.unparse(above.test) for word in _ASKS_WHO_RUNS)
        for above in syntax.ancestors(statement)
    )


def is_surely_itself(statement: ast.ImportFrom, path: str, project: Project) -> bool:
    """Does Python take this module for the one that the import names?

    A package of the same name beside the module goes first. An absolute import must begin with the module's own
    outermost package, in a folder from which it is installed: ``tests/third_party/vllm/utils.py`` that imports from
    ``vllm.utils`` wants the installed one. A script ``peft.py`` that imports from ``peft`` means itself only where a
    script beside it does too.
    """
    if path.removesuffix(".py") + "/__init__.py" in project.files:
        return False
    if statement.level:
        return True
    package, folder = [basename(path).removesuffix(".py")], dirname(path)
    while f"{folder}/__init__.py" in project.files:
        package.append(basename(folder))
        folder = dirname(folder)
    if ".".join(reversed(package)) != statement.module:
        return False
    if len(package) == 1:
        return _is_imported_beside(path, project)
    return folder == project.root or basename(folder) == "src" or f"{folder}/setup.py" in project.files


def _is_imported_beside(path: str, project: Project) -> bool:
    """Does another script of the folder import, by the module's bare name, something that the module defines?"""
    index = project.index(path)
    defined = {each.qualname for each in index.definitions} if index else set()
    stem = basename(path).removesuffix(".py")
    for importer in project.importers(path):
        imports = getattr(project.index(importer), "imports", ()) if dirname(importer) == dirname(path) else ()
        if any(dotted.partition(".")[0] == stem and dotted.partition(".")[2] in defined for dotted in imports):
            return True
    return False


def first_binding(name: str, syntax: Syntax, without: ast.ImportFrom) -> int:
    """The first line in which the module binds a name at its top level, but for one import; 0 for none."""
    nodes = own_nodes(syntax.module.body, {without})
    return min((getattr(node, "lineno", 0) for node in nodes if name in bound_by(node)), default=0)


def may_come_unseen(name: str, syntax: Syntax, data: bytes) -> bool:
    """May the module get a name in a way that no statement at its top level shows?"""
    return (
        name == "*"
        or _DYNAMIC.search(data) is not None
        or any(item.name == "*" for each in syntax.statements(ast.ImportFrom) for item in each.names)
        or any(name in each.names for each in syntax.statements(ast.Global))
    )


__all__ = ["first_binding", "is_surely_itself", "may_come_unseen", "self_imports"]
