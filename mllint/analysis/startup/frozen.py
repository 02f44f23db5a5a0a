"""Values that an import takes from configuration and keeps: names of the module, and defaults of parameters.

``candidates`` looks at one file and errs towards yielding; whether the configuration is mutable is asked elsewhere.

May not: ask the project, or report.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mllint.analysis.names import dotted_name
from mllint.analysis.project import Found, Project
from mllint.analysis.startup.follow import value_parts
from mllint.analysis.startup.module_level import bound, defaults, imported
from mllint.analysis.startup.mutability import is_environment_read
from mllint.analysis.startup.sites import Site, functions, running
from mllint.analysis.startup.words import CONFIG_WORDS
from mllint.analysis.startup.writers import written_by
from mllint.analysis.syntax import Syntax
from mllint.analysis.writes import Write

#: `CONFIG_WORDS` in what is imported: nothing else is asked about.
_CONFIG = re.compile("|".join(CONFIG_WORDS))

#: Packages that keep no configuration of the project; os.environ is looked at before.
_OUTSIDE = re.compile(
    r"(torch|torchvision|numpy|tensorflow|jax|transformers|diffusers|os|sys|re|typing|typing_extensions|logging|enum|argparse"
    r"|dataclasses|collections|functools|itertools|pathlib|pydantic|click|typer|absl|yaml|json|abc|math|time|packaging)\."
)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A value that is taken at import. ``function``: whose parameter ``name`` is, ``owner``: the class in whose body it
    stands, both "" for a name of the module. ``value`` is None where a ``from`` import copies it: then ``place`` is
    where, and ``name`` is what the module calls it."""

    name: str
    value: ast.expr | None
    place: ast.expr | ast.alias
    function: str = ""
    owner: str = ""


def candidates(syntax: Syntax, site: Site) -> Iterator[Frozen]:
    """The names and parameters whose value could come from configuration, as far as their own file tells."""
    for each in imported(syntax):
        statement = each.statement
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for parameter, default in defaults(statement):
                if _may_read(default, site):
                    yield Frozen(parameter.arg, default, default, statement.name)
        elif isinstance(statement, ast.ImportFrom):
            yield from _copied(statement, site)
        else:
            name, value = bound(statement) or ("", None)
            if value is None or _is_rebound(name, site) or _is_put_back(name, value, syntax):
                continue
            if _may_read(value, site):
                yield Frozen(name, value, value, owner=each.owner)


def _copied(statement: ast.ImportFrom, site: Site) -> Iterator[Frozen]:
    """The names that a ``from`` import takes out of a module that looks like configuration, classes not among them."""
    for item in statement.names:
        name = item.asname or item.name
        plain = item.name.isupper() or item.name.islower()
        if plain and item.name != "*" and _CONFIG.search(site.index.dotted(name)) and not _is_rebound(name, site):
            yield Frozen(name, None, item)


def _is_rebound(name: str, site: Site) -> bool:
    """Does a function of the file set the name anew? Then it is configuration itself, and kept up to date."""
    return name.startswith("__") or any(each.kind == "rebind" and each.target == name for each in site.index.writes)


def _is_put_back(name: str, value: ast.expr, syntax: Syntax) -> bool:
    """Is a value kept only so that it can be put back (``_BEFORE = settings.size``, ``settings.size = _BEFORE``)?"""
    taken = dotted_name(value)
    return bool(taken) and any(
        isinstance(each.value, ast.Name)
        and each.value.id == name
        and any(dotted_name(target) == taken for target in each.targets)
        for each in syntax.statements(ast.Assign)
    )


def _may_read(value: ast.expr, site: Site) -> bool:
    pending = [value]
    while pending:
        node = pending.pop()
        if is_environment_read(node, site.dotted) or _may_be_config(node, site):
            return True
        pending += value_parts(node, site)
    return False


def _may_be_config(node: ast.expr, site: Site) -> bool:
    """Is a node a chain into an object, or a call of a function, that could be the project's configuration?"""
    chain = node.func if isinstance(node, ast.Call) else node
    while isinstance(chain, ast.Subscript):
        chain = chain.value
    dotted = site.dotted(chain)
    if not dotted or _OUTSIDE.match(dotted) or not isinstance(node, (ast.Call, ast.Attribute, ast.Subscript, ast.Name)):
        return False
    *owners, last = dotted.split(".")
    if _is_class(last) or (last.isupper() and any(_is_class(each) for each in owners)):
        return False  # a class, its instance, or a member of an enumeration: 220 of transformers' files hold no more
    head = dotted_name(chain).partition(".")[0]
    if any(each.target.partition(".")[0].partition("[")[0] == head and each.function for each in site.index.writes):
        return True
    if isinstance(node, ast.Name):
        return False
    here = head in site.index.aliases or any(each.name == head for each in site.index.bindings)
    known = any(each.qualname == head for each in site.index.definitions)
    return (here or known) and bool(_CONFIG.search(dotted)) and "log" not in dotted.rpartition(".")[2].lower()


def _is_class(word: str) -> bool:
    """Is a name written as those of classes are?"""
    return word[:1].isupper() and not word.isupper()


def is_value(name: str, syntax: Syntax) -> bool:
    """Do functions read a name as a value of its own: never call it, nor take something of it or from it?"""
    plain = False
    for function in functions(syntax):
        for node in running(function.body):
            if isinstance(node, (ast.Call, ast.Attribute, ast.Subscript)):
                inner = node.func if isinstance(node, ast.Call) else node.value
                if isinstance(inner, ast.Name) and inner.id == name:
                    return False
            plain = plain or (isinstance(node, ast.Name) and node.id == name)
    return plain


def rebound(name: str, site: Site, project: Project) -> Write | None:
    """The assignment by a function of the project that gives an imported name's module another value for it."""
    found = project.resolve(site.index.dotted(name), site.path)
    return written_by(found, (), project) if found is not None and found.path != site.path else None


def used_elsewhere(name: str, path: str, project: Project) -> bool:
    """Does another file of the project take the name from the module?"""
    wanted = Found(path, name)
    for other in project.importers(path):
        index = project.index(other)
        if index and not project.is_test(other):
            taken = (each for each in index.aliases.values() if each.rpartition(".")[2] == name)
            if any(
                project.split(each, other) == (path, name) or project.resolve(each, other) == wanted for each in taken
            ):
                return True
    return False


__all__ = ["Frozen", "candidates", "is_value", "rebound", "used_elsewhere"]
