"""Who imports a module of a project.

May not: ask for the index of a file whose imports do not name the module.
"""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import basename, dirname
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mllint.analysis.project import Project


def importers_of(project: Project, path: str) -> Iterator[str]:
    """The files that import a module, those near it first; importing a module of a package from outside imports the
    package too."""
    stem = basename(dirname(path)) if basename(path) == "__init__.py" else basename(path).rpartition(".")[0]
    near = dirname(path)
    naming = project.imported_in(stem)
    candidates = sorted(naming, key=lambda other: (not other.startswith(near + "/"), other))
    for other in candidates:
        if other != path and _imports(project, other, path):
            yield other


def _imports(project: Project, importer: str, path: str) -> bool:
    index = project.index(importer)
    if index is None:
        return False
    package = dirname(path) + "/" if basename(path) == "__init__.py" else ""
    for dotted in index.imports:
        name = dotted.removesuffix("*").rstrip(".") or dotted
        found = project.module(name, importer)
        if found is None and not dotted.endswith("*"):
            split = project.split(dotted, importer)
            found = split[0] if split else None
        if found == path or (found and package and found.startswith(package) and not importer.startswith(package)):
            return True
    return False
