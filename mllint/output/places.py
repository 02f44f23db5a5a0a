"""Places as a person or a program reads them: ``path:cell 2:row:column``, absolute names, ends of edits.

May not: touch the file system; paths are only joined and cleaned as text, with ``/`` between folders.
"""

from __future__ import annotations

import posixpath

from mllint.diagnostic import Diagnostic, Edit, Place
from mllint.output.style import printable
from mllint.reading.source import Source


def at(path: str, place: Place) -> str:
    """``path:row:column``, in a notebook ``path:cell 2:row:column``."""
    cell = "" if place.cell is None else f"cell {place.cell}:"
    return f"{printable(path)}:{cell}{place.row}:{place.column}"


def file_place(place: Place) -> Place:
    """The place for a reader that knows only files: the start of a notebook, whose cells have no rows in its JSON."""
    return place if place.cell is None else Place(1, 1)


def message_with_cell(found: Diagnostic) -> str:
    """The message; in a notebook with the place in its cell, for formats that have no field for one."""
    begin = found.begin
    cell = "" if begin.cell is None else f" (cell {begin.cell}, line {begin.row}, column {begin.column})"
    return found.message + cell


def absolute(root: str, path: str) -> str:
    """The path below ``root``; only cleaned where it is absolute or no root is known."""
    windows = _of_windows(root) or _of_windows(path)
    own = _slashed(path, windows)
    if root and not is_absolute(own):
        own = posixpath.join(_slashed(root, windows), own)
    return printable(posixpath.normpath(own))


def below(root: str, path: str) -> str | None:
    """The path relative to ``root``; None where it is absolute and leads elsewhere."""
    whole = absolute(root, path)
    if not is_absolute(whole):
        return whole
    folder = absolute("", root).rstrip("/") + "/" if root else ""
    return whole[len(folder) :] if folder and whole.startswith(folder) else None


def is_absolute(path: str) -> bool:
    """Does the path start at the root of a file system, or at a drive?"""
    return path.startswith("/") or _of_windows(path)


def edit_places(source: Source, edit: Edit) -> tuple[Place, Place]:
    """Where an edit starts and ends. An edit up to the end of a notebook cell ends in that cell, not in the next."""
    start, end = source.place(edit.start), source.place(edit.end)
    if start.cell != end.cell and start.cell is not None:
        end = Place(source.row(edit.end) - source.cell_rows[start.cell - 1] + 1, 1, start.cell)
    return start, end


def _of_windows(path: str) -> bool:
    """Is this certainly a Windows path? Elsewhere a backslash is a character of a name."""
    return (path[:1].isalpha() and path[1:2] == ":" and path[2:3] in ("/", "\\")) or path.startswith("\\\\")


def _slashed(path: str, windows: bool) -> str:
    return path.replace("\\", "/") if windows else path
