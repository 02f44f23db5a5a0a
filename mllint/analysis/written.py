"""Who assigns into a module-level object, across the files of a project.

May not: ask for the index of a file that assigns into nothing of this name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.analysis.writes import Write

if TYPE_CHECKING:
    from mllint.analysis.project import Found, Project


def writes_into(project: Project, found: Found) -> Iterator[Write]:
    """Every assignment into a module-level object; a renamed import (``import config as c``) is followed."""
    for path in sorted({found.path, *project.written_in(found.name.rpartition(".")[2])}):
        index = project.index(path)
        for write in index.writes if index else ():
            if _is_target(project, write, path, found):
                yield Write(write.target, write.function, write.line, write.kind, path)


def _is_target(project: Project, write: Write, path: str, found: Found) -> bool:
    """Does a write of one file go into this object?"""
    head = write.target.partition(".")[0].partition("[")[0]
    if path == found.path and head == found.name:
        return True
    index = project.index(path)
    if index is None or head not in index.aliases:
        return False
    plain = index.dotted(write.target.replace("[]", ""))
    parts = plain.lstrip(".").split(".")
    dots = plain[: len(plain) - len(plain.lstrip("."))]
    own = found.name.count(".") + 1
    return any(
        project.resolve(dots + ".".join(parts[:length]), path) == found
        for length in range(max(1, own), len(parts) + 1)
        if parts[length - 1] == found.name.rpartition(".")[2] or length == 1
    )
