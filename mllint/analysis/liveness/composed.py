"""Names that a program puts together and looks up: ``getattr(self, f"_load_{kind}")``.

May not: parse, or read a text: which parts of names a file puts together is known from its words.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from mllint.analysis.composed import REACHES_ALL
from mllint.analysis.project import Project
from mllint.record import dataclass

_KEY = "liveness composed"


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
    if any(REACHES_ALL in project.load_words(path).composed for path in files):
        return True
    patterns = _patterns(project)
    return any(
        pattern.fits(name) and (pattern.is_telling or not files.isdisjoint(paths))
        for pattern, paths in patterns.items()
    )


def _patterns(project: Project) -> dict[_Composed, set[str]]:
    known = project.memory.get(_KEY)
    if known is None:
        found: dict[_Composed, set[str]] = {}
        for path in sorted(project.files):
            for text in project.load_words(path).composed:
                before, star, after = text.partition("*")
                if not star:
                    continue
                found.setdefault(_Composed(before, after), set()).add(path)
        known = project.memory[_KEY] = found
    return cast("dict[_Composed, set[str]]", known)


__all__ = ["may_be_composed"]
