"""What a check says: plain, frozen values of ints, strings and tuples.

May not: hold a syntax node, tensor, callable or exception, or import more than the standard library and `record`.
"""

from __future__ import annotations

from enum import Enum

from mllint.record import dataclass


class Severity(str, Enum):
    """How bad a finding is; the first letters are the catalogue's levels."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for error: comparable where the names are not."""
        return ("info", "warning", "error").index(self.value)


class Safety(str, Enum):
    """Who may apply a fix: anyone, the careful, nobody."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    DISPLAY = "display"


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Replace bytes ``start`` to ``end`` (half open, of the normalised UTF-8 source) by ``text``."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """One change: all edits together or none. ``title`` is an imperative."""

    title: str
    edits: tuple[Edit, ...]
    safety: Safety


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position a person can go to: one-based row and column (in characters); ``cell`` in a notebook."""

    row: int
    column: int
    cell: int | None = None


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that belongs to a finding, in this file or another one of the project."""

    path: str
    place: Place
    message: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. ``start`` and ``end`` are byte offsets of the normalised source; ``why`` is one line."""

    path: str
    start: int
    end: int
    code: str
    name: str
    severity: Severity
    message: str
    begin: Place
    finish: Place
    why: str = ""
    fix: Fix | None = None
    related: tuple[Related, ...] = ()

    @property
    def sort_key(self) -> tuple[str, int, int, str, str]:
        """Results are shown in this order, whatever order they were found in."""
        return (self.path, self.start, self.end, self.code, self.message)


@dataclass(frozen=True, slots=True)
class Problem:
    """A path that could not be checked at all, with what to do about it. Any problem means exit code 2."""

    path: str
    message: str


#: The longest message there may be, in characters.
LONGEST_MESSAGE = 100


def fitting(*messages: str) -> str:
    """The first of these messages, fullest first, that is short enough; the last one cut to be."""
    return next((each for each in messages if len(each) <= LONGEST_MESSAGE), messages[-1][:LONGEST_MESSAGE])
