"""Names that a program puts together and looks up: ``getattr(self, f"_load_{kind}")``.

May not: parse. What it finds in the text of a file is kept between runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from mllint.analysis.project import Project

#: Files that look objects up by a name they hold.
_LOOKS_UP = re.compile(
    rb"\b(getattr|hasattr|globals|locals|vars|__dict__|methodcaller|attrgetter|getmembers|dir)\s*\(|__dict__"
)
#: In its own file, or in a file of a base class, each of these may reach every method or function.
_REACHES_ALL = re.compile(
    rb"\bdir\s*\(\s*(self|cls|type|sys|\))|\bgetmembers\s*\(|(cls|__class__|\))\.__dict__|\bglobals\s*\(\s*\)|\bvars\s*\(\s*(cls|type)"
)

#: Parts of strings beside a hole: f-strings, ``%s``, ``.format``, ``+``, and tests of how a name begins or ends.
_PARTS = (
    re.compile(rb"""\b[rR]?[fF][rR]?["'](?P<before>\w*)\{[^"'\n]*\}(?P<after>\w*)["']"""),
    re.compile(rb"""["'](?P<before>\w*)%[sd](?P<after>\w*)["']"""),
    re.compile(rb"""["'](?P<before>\w*)\{\w*\}(?P<after>\w*)["']\s*\.\s*format\b"""),
    re.compile(rb"""["'](?P<before>\w+)["']\s*\+(?P<after>)"""),
    re.compile(rb"""(?P<before>)\+\s*["'](?P<after>\w+)["']"""),
    re.compile(rb"""startswith\(\s*\(?\s*["'](?P<before>\w+)["'](?P<after>)"""),
    re.compile(rb"""(?P<before>)endswith\(\s*\(?\s*["'](?P<after>\w+)["']"""),
)
_KEY = "liveness composed"
_FACT = "composed names"
_ALL = "all"


@dataclass(frozen=True, slots=True)
class _Composed:
    """Names that begin and end like this, in these files."""

    before: str
    after: str

    def fits(self, name: str) -> bool:
        return (
            len(name) > len(self.before) + len(self.after)
            and name.startswith(self.before)
            and name.endswith(self.after)
        )

    @property
    def is_telling(self) -> bool:
        """Says more than that the name is private or has a common end."""
        return len(self.before.strip("_")) + len(self.after.strip("_")) >= 3


def may_be_composed(name: str, near: Iterable[str], project: Project) -> bool:
    """May some code of the project build this name and look it up? ``near`` are the files in which even a hint
    that fits any private name counts: the definition's own, and those of its base classes."""
    files = set(near)
    if any(_ALL in project.fact(path, _FACT, composed_names) for path in files):
        return True
    patterns = _patterns(project)
    return any(
        pattern.fits(name) and (pattern.is_telling or not files.isdisjoint(paths))
        for pattern, paths in patterns.items()
    )


def composed_names(data: bytes) -> list[str]:
    """``begin*end`` of the names that a file puts together, if it looks anything up by name; `_ALL` among them where
    it may reach everything that it defines."""
    if not _LOOKS_UP.search(data):
        return []
    matches = (match for part in _PARTS for match in part.finditer(data))
    found = {b"*".join((match["before"], match["after"])).decode("ascii", "replace") for match in matches}
    return sorted(found - {"*"} | ({_ALL} if _REACHES_ALL.search(data) else set()))


def _patterns(project: Project) -> dict[_Composed, set[str]]:
    known = project.memory.get(_KEY)
    if known is None:
        found: dict[_Composed, set[str]] = {}
        for path in sorted(project.files):
            for text in project.fact(path, _FACT, composed_names):
                before, star, after = text.partition("*")
                if not star:
                    continue
                found.setdefault(_Composed(before, after), set()).add(path)
        known = project.memory[_KEY] = found
    return cast("dict[_Composed, set[str]]", known)


__all__ = ["may_be_composed"]
