"""Functions and methods that nothing in a project mentions, though only the project could use them.

May not: report. Public names are left alone unless they say themselves that they are the old version of a neighbour.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mllint.analysis.index import FileIndex
from mllint.analysis.liveness.blocks import is_empty
from mllint.analysis.liveness.composed import may_be_composed
from mllint.analysis.liveness.hooks import is_plain_decorator, is_protocol_name
from mllint.analysis.liveness.mentions import is_mentioned, is_mentioned_elsewhere
from mllint.analysis.liveness.overriding import base_files, is_closed_locally
from mllint.analysis.names import dotted_name
from mllint.analysis.project import Project
from mllint.analysis.syntax import Scope, Syntax
from mllint.analysis.words import LEFTOVER_ENDINGS
from mllint.reading.source import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef

#: Folders of copied code, which naturally holds more than is used.
_COPIES = frozenset({"_vendor", "external", "externals", "extern", "third_party", "thirdparty", "vendor", "vendored"})

_ON_PURPOSE = re.compile(
    r"(?i)DeprecationWarning|FutureWarning|\bdeprecated\b(?!\()|\bbackwards?[- ]compat|\bcompat(ibility)? with|\bdownstream (users?|code|projects?|packages?)\b"
    r"|\b(kept|left)( here)? for\b|\bdo(n't| not) (remove|delete)\b"
)


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


def unused_here(index: FileIndex, syntax: Syntax, source: Source) -> Iterator[Leftover]:
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
        if is_mentioned(name, source.data, _bytes(found, source)) or _is_extension_point(found):
            continue
        if (
            _hands_on(found, source)
            or _is_kept_on_purpose(found, source)
            or (found.is_public and not _has_successor(found))
        ):
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


def _bytes(found: Leftover, source: Source) -> tuple[int, int]:
    """Where the function's own text begins and ends."""
    first, last = found.rows
    return source.offset(first, 0), source.offset(last, found.node.end_col_offset or 0)


def _is_kept_on_purpose(found: Leftover, source: Source) -> bool:
    """Does the function, or the row above it, say that it is there for users, or until they have moved on?"""
    first, last = found.rows
    above = source.line(first - 1)
    rows = [above if above.lstrip().startswith("#") else "", *(source.line(row) for row in range(first, last + 1))]
    return _ON_PURPOSE.search("\n".join(rows)) is not None


def _is_plain(decorator: ast.expr, index: FileIndex) -> bool:
    callee = decorator.func if isinstance(decorator, ast.Call) else decorator
    return is_plain_decorator(index.dotted(dotted_name(callee)))


def _hands_on(found: Leftover, source: Source) -> bool:
    """Does a method call the method of that name of something that it holds? Then it stands for that thing, and is
    called by those who call it there (an iterator around torch's, whose ``_reset`` the loader calls)."""
    name = found.node.name
    if name.isascii() and source.data.count(name.encode(), *_bytes(found, source)) < 2:
        return False  # only the definition itself: spares nearly all of them the walk
    return isinstance(found.scope, ast.ClassDef) and any(
        isinstance(node, ast.Attribute) and node.attr == name and not isinstance(node.value, ast.Name)
        for node in ast.walk(found.node)
    )


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
