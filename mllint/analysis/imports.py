"""What a file's import statements and plain re-bindings make its names stand for.

May not: look at another file; a relative import keeps its dots.
"""

from __future__ import annotations

import ast

from mllint.analysis.names import dotted_name
from mllint.analysis.syntax import Syntax


def aliases(syntax: Syntax) -> dict[str, str]:
    """Imported names and re-bindings (``opt = torch.optim.Adam``) with what they stand for.

    Names imported inside functions count too, unless a module-level name is the same.
    """
    outer: dict[str, str] = {}
    top = syntax.at_import()
    for statement in top:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            outer.update(_bound(statement))
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, dotted = statement.targets[0], dotted_name(statement.value)
            if isinstance(target, ast.Name) and dotted and dotted != target.id:
                head, dot, rest = dotted.partition(".")
                if head in outer:  # only what can be resolved: a plain copy of a local value is no alias
                    outer[target.id] = outer[head] + dot + rest
    inner: dict[str, str] = {}
    known = set(top)
    for found in syntax.statements(ast.Import, ast.ImportFrom):
        if found not in known:
            inner.update(_bound(found))
    return inner | outer


def imported(syntax: Syntax) -> tuple[str, ...]:
    """Every dotted name that some import statement names, relative ones with their dots; ``a.*`` for a star."""
    names: dict[str, None] = {}
    for statement in syntax.statements(ast.Import, ast.ImportFrom):
        if isinstance(statement, ast.Import):
            names.update((item.name, None) for item in statement.names)
        else:
            names.update((_joined(statement, item.name), None) for item in statement.names)
    return tuple(names)


def _bound(statement: ast.stmt) -> dict[str, str]:
    """The names that one import statement binds."""
    if isinstance(statement, ast.Import):
        return {
            item.asname or item.name.partition(".")[0]: item.name if item.asname else item.name.partition(".")[0]
            for item in statement.names
        }
    assert isinstance(statement, ast.ImportFrom)
    return {item.asname or item.name: _joined(statement, item.name) for item in statement.names}


def _joined(statement: ast.ImportFrom, name: str) -> str:
    base = "." * statement.level + (statement.module or "")
    return base + ("" if base.endswith(".") or not base else ".") + name
