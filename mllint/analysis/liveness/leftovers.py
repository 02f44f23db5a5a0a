"""Functions and methods that nothing in a project mentions, though only the project could use them.

May not: report. Public names are left alone unless they say themselves that they are the old version of a neighbour.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from mllint.analysis.index import FileIndex
from mllint.analysis.liveness.blocks import is_empty
from mllint.analysis.liveness.composed import may_be_composed
from mllint.analysis.liveness.hooks import is_plain_decorator, is_protocol_name, warns_of_removal
from mllint.analysis.liveness.mentions import is_mentioned_elsewhere, is_mentioned_here
from mllint.analysis.liveness.overriding import base_files, is_closed_locally
from mllint.analysis.names import dotted_name
from mllint.analysis.project import Project
from mllint.analysis.syntax import Scope, Syntax
from mllint.analysis.words import LEFTOVER_ENDINGS

Function = ast.FunctionDef | ast.AsyncFunctionDef

#: Folders of copied code, which naturally holds more than is used.
_COPIES = frozenset({"_vendor", "external", "externals", "extern", "third_party", "thirdparty", "vendor", "vendored"})


@dataclass(frozen=True)
class Leftover:
    """A function that its own file does not use; ``scope`` is what it stands in, ``is_public`` by its name."""

    node: Function
    scope: Scope
    is_public: bool

    @property
    def rows(self) -> tuple[int, int]:
        """First and last row, decorators included."""
        first = min([self.node.lineno, *(each.lineno for each in self.node.decorator_list)])
        return first, self.node.end_lineno or self.node.lineno


def unused_here(index: FileIndex, syntax: Syntax, data: bytes) -> Iterator[Leftover]:
    """Functions that look left over, as far as one file can tell."""
    if index.path.endswith(".pyi") or not _COPIES.isdisjoint(index.path.split("/")):
        return
    for node in syntax.statements(ast.FunctionDef, ast.AsyncFunctionDef):
        name = node.name
        if not (name.startswith("_") or name.endswith(LEFTOVER_ENDINGS)) or name.startswith("test"):
            continue
        if is_protocol_name(name) or any(not _is_plain(each, index) for each in node.decorator_list):
            continue
        found = Leftover(node, syntax.scope(node), not name.startswith("_"))
        if is_mentioned_here(name, data, found.rows) or _is_extension_point(found):
            continue
        if found.is_public and not (_has_successor(found) and not warns_of_removal(node)):
            continue
        if not isinstance(found.scope, ast.ClassDef) or is_closed_locally(found.scope, name, index, syntax):
            yield found


def unused_anywhere(found: Leftover, index: FileIndex, project: Project) -> bool:
    """Does nothing else in the project mention the function, build its name, or call it as a hook?"""
    name, near = found.node.name, {index.path}
    if is_mentioned_elsewhere(name, index.path, project):
        return False
    if isinstance(found.scope, ast.ClassDef):
        if name.startswith("__") and project.mentioned(f"_{found.scope.name.lstrip('_')}{name}"):
            return False
        bases = base_files(found.scope, name, index, project)
        if bases is None:
            return False
        near |= bases
    elif found.is_public and _is_star_imported(index.path, project):
        return False
    return not may_be_composed(name, near, project)


def _is_plain(decorator: ast.expr, index: FileIndex) -> bool:
    callee = decorator.func if isinstance(decorator, ast.Call) else decorator
    return is_plain_decorator(index.dotted(dotted_name(callee)))


def _is_extension_point(found: Leftover) -> bool:
    """Is it a method without content, for subclasses that may live elsewhere?"""
    body = found.node.body
    raises = isinstance(body[-1], ast.Raise) and is_empty(body[:-1])
    return isinstance(found.scope, ast.ClassDef) and (is_empty(body) or raises)


def _has_successor(found: Leftover) -> bool:
    """Does a neighbour bear the name without the ending (``resize`` beside ``resize_old``), or with another one?"""
    name = found.node.name
    stem = next(name.removesuffix(ending) for ending in LEFTOVER_ENDINGS if name.endswith(ending))
    others = [each.name for each in found.scope.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    return any(other == stem or (other.startswith(f"{stem}_") and other != name) for other in others)


def _is_star_imported(path: str, project: Project) -> bool:
    """Does some module hand on all public names of this one?"""
    for importer in project.importers(path):
        index = project.index(importer)
        for dotted in index.imports if index else ():
            module = dotted.removesuffix("*")
            if module != dotted and project.module(module.rstrip(".") or module, importer) == path:
                return True
    return False


__all__ = ["Function", "Leftover", "unused_anywhere", "unused_here"]
