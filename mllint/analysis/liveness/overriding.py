"""May a method be one that a base class, or a framework behind it, calls?

May not: guess: a base that is neither in the project nor known is taken to call anything.
"""

from __future__ import annotations

import ast
import re

from mllint.analysis.index import FileIndex
from mllint.analysis.liveness.hooks import hooks_of, is_elsewhere, is_framework_hook
from mllint.analysis.names import dotted_name
from mllint.analysis.project import Found, Project
from mllint.analysis.syntax import Syntax

#: Names of classes that are made to be derived from, also outside the project.
_FOR_SUBCLASSES = re.compile(r"^_?(Base|Abstract)[A-Z_]|Base$|[Mm]ixin|MIXIN")


def is_closed_locally(owner: ast.ClassDef, name: str, index: FileIndex, syntax: Syntax) -> bool:
    """As far as the file shows: can only this class's own code, and that of its bases in the project, call the method?

    A mixin or a base class is made for classes of others; a decorated class, or one with a metaclass, may be handed
    to a framework.
    """
    if _FOR_SUBCLASSES.search(owner.name) or owner.keywords:
        return False
    if any(not _is_dataclass(each, index) for each in owner.decorator_list):
        return False
    unknown = [each for each in base_names(owner, index) if hooks_of(each) is None]
    if any(not each or is_elsewhere(each) for each in unknown) or (unknown and is_framework_hook(name)):
        return False
    for other in syntax.statements(ast.ClassDef):
        bases = base_names(other, index)
        if owner.name in bases and any(hooks_of(each) is None for each in bases if each != owner.name):
            return False  # a mixin of this file, or the subclass inherits from an unknown class as well
    return all(name not in (hooks_of(each) or ()) for each in base_names(owner, index))


def base_names(owner: ast.ClassDef, index: FileIndex) -> list[str]:
    """Dotted names of the bases; of ``Generic[T]`` the part in front of the bracket."""
    plain = (base.value if isinstance(base, ast.Subscript) else base for base in owner.bases)
    return [index.dotted(dotted_name(base)) for base in plain]


def base_files(owner: ast.ClassDef, name: str, index: FileIndex, project: Project) -> set[str] | None:
    """The files that define the bases of a class; None where one of them is unknown or calls a method of this name."""
    files: set[str] = set()
    seen: set[Found] = set()
    pending = [(base, index.path) for base in base_names(owner, index)]
    while pending:
        base, path = pending.pop()
        found = project.resolve(base, path) if base else None
        definition = project.definition(found) if found else None
        if found is None or definition is None or definition.kind != "class":
            hooks = hooks_of(base)
            if hooks is None or name in hooks:
                return None
            continue
        if found in seen:
            continue
        seen.add(found)
        files.add(found.path)
        there = project.index(found.path)
        pending += [(there.dotted(each) if there else "", found.path) for each in definition.bases]
    return files


def _is_dataclass(decorator: ast.expr, index: FileIndex) -> bool:
    callee = decorator.func if isinstance(decorator, ast.Call) else decorator
    return index.dotted(dotted_name(callee)) in ("dataclasses.dataclass", "typing.final", "functools.total_ordering")


__all__ = ["base_files", "is_closed_locally"]
