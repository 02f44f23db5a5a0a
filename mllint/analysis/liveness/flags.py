"""Module-level switches that nothing ever turns: bound once, to True or False.

May not: judge, or look at another file (but for `turned_elsewhere`, which asks the project).
"""

from __future__ import annotations

import ast
import re
from collections import Counter

from mllint.analysis.index import FileIndex
from mllint.analysis.liveness.blocks import bound_names, parameters
from mllint.analysis.project import Found, Project
from mllint.analysis.syntax import Scope, Syntax

#: Words in the name of a switch that a person turns by hand while looking for something.
_DEBUG = re.compile(r"(?i)debug|verbose|trace|profil|print|bench|plot|dry_?run|type_checking|mypy|typing")
_OLD = re.compile(r"(?i)(^|_)(legacy|old|deprecated|fallback|obsolete|previous)(_|$)")
#: What can turn a switch of its own module without naming it.
_BY_NAME = re.compile(rb"\b(globals|locals|exec|vars|setattr|__dict__|sys\.modules)\b")


def constant_flags(index: FileIndex, syntax: Syntax, data: bytes) -> dict[str, bool]:
    """Names that this file binds once, at its top level, to True or False, and never again."""
    bound = Counter(binding.name for binding in index.bindings)
    flags = {
        binding.name: binding.value == "True"
        for binding in index.bindings
        if binding.value in ("True", "False") and not binding.conditional and bound[binding.name] == 1
    }
    if not flags or _BY_NAME.search(data):
        return {}
    taken = {definition.qualname for definition in index.definitions} | set(index.aliases)
    for statement in syntax.statements(ast.Global):
        taken.update(statement.names)
    return {
        name: value
        for name, value in flags.items()
        if name not in taken and not _DEBUG.search(name) and not name.startswith("__")
    }


def is_about_the_past(name: str) -> bool:
    """Does the name of a switch say that it selects an implementation that was replaced?"""
    return _OLD.search(name) is not None


def is_hidden(name: str, statement: ast.stmt, syntax: Syntax) -> bool:
    """Is the name something else where the statement stands: a parameter or a variable of a function?"""
    scope: Scope = syntax.scope(statement)
    while not isinstance(scope, ast.Module):
        if name in bound_names(scope.body) or (not isinstance(scope, ast.ClassDef) and name in parameters(scope)):
            return True
        scope = syntax.scope(scope)
    return False


def turned_elsewhere(name: str, path: str, project: Project) -> bool:
    """May another file turn the switch, or another text ask people to?"""
    others = project.mentioned(name) - {path}
    quoted = re.compile(rb"[\"'][\w.]*\b%s[\"']" % name.encode())
    return (
        bool(project.writes(Found(path, name)))
        or any(quoted.search(project.load_bytes(other) or b"") for other in others)
        or project.mentioned_in_texts(name)
    )


__all__ = ["constant_flags", "is_about_the_past", "is_hidden", "turned_elsewhere"]
