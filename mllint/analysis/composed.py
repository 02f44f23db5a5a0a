"""The parts of names that a text puts together to look them up: ``getattr(self, f"_load_{kind}")``.

May not: parse, or know who asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from mllint.analysis.triggers import Gate

#: Files that look objects up by a name they hold.
_LOOKS_UP = re.compile(
    rb"\b(getattr|hasattr|globals|locals|vars|__dict__|methodcaller|attrgetter|getmembers|dir)\s*\(|__dict__"
)
#: Most of that in plain words; ``dir`` and ``vars`` end other words too, so there the pattern decides.
_LOOKING = ("getattr(", "hasattr(", "globals(", "locals(", "__dict__", "methodcaller(", "attrgetter(", "getmembers(")
_UNCLEAR = ("dir(", "vars(", "attr (")
#: In its own file, or in a file of a base class, each of these may reach every method or function.
_REACHING = (
    *("dir(self", "dir(cls", "dir(type", "dir(sys", "dir()", "getmembers(", "globals()", "vars(cls", "vars(type"),
    *("cls.__dict__", "__class__.__dict__", ").__dict__"),
)

#: Parts of strings beside a hole that have a literal start: f-strings, and tests of how a name begins or ends.
_PARTS = (
    re.compile(rb"""f"(?P<before>\w*)\{[^"'\n]*\}(?P<after>\w*)\""""),  # a literal start: a tenth of the time
    re.compile(rb"""f'(?P<before>\w*)\{[^"'\n]*\}(?P<after>\w*)'"""),
    re.compile(rb"""(?P<before>)\+\s*["'](?P<after>\w+)["']"""),
    re.compile(rb"""startswith\(\s*\(?\s*["'](?P<before>\w+)["'](?P<after>)"""),
    re.compile(rb"""(?P<before>)endswith\(\s*\(?\s*["'](?P<after>\w+)["']"""),
)
#: The hole of ``"begin%send"`` and of ``"begin{}end".format``, and what follows: the quote before it and the beginning are
#: read backwards from there, as quotes are many (10 ms for accelerate otherwise, so 1).
_HOLES = (
    re.compile(rb"""%[sd](?P<after>\w*)["']"""),
    re.compile(rb"""\{\w*\}(?P<after>\w*)["']\s*\.\s*format\b"""),
)
_BEGINNING = re.compile(rb"""["'](\w*)$""")
_PLUS = re.compile(rb"""["'](\w+)["']\s*$""")
#: No name is longer, nor stands more blanks between a string and its ``+``.
_LONGEST = 200

#: Stands for every name.
REACHES_ALL = "all"


def composed_names(data: bytes) -> frozenset[str]:
    """``begin*end`` of the names that a file puts together, if it looks anything up by name; `REACHES_ALL` among them where
    it may reach everything that it defines."""
    looks, unclear, reaches = _ways(data)
    if not looks and not (unclear and _LOOKS_UP.search(data)):
        return frozenset()
    found = {b"*".join((match["before"], match["after"])) for part in _PARTS for match in part.finditer(data)}
    found.update(_around_holes(data))
    found.update(_before_plus(data))
    names = {name.decode("ascii", "replace") for name in found if name != b"*"}
    return frozenset(names | ({REACHES_ALL} if reaches else set()))


def _ways(data: bytes) -> tuple[bool, bool, bool]:
    """Does a file look names up, may it, and does it reach everything?"""
    passing = _gate().passing(data)
    return 0 in passing, 1 in passing, 2 in passing


@cache
def _gate() -> Gate:
    return Gate([(_LOOKING,), (_UNCLEAR,), (_REACHING,)])


def _around_holes(data: bytes) -> Iterator[bytes]:
    for hole in _HOLES:
        end = 0
        for match in hole.finditer(data):
            start = match.start()
            before = _BEGINNING.search(data, max(end, start - _LONGEST), start)
            if before:
                yield before[1] + b"*" + match["after"]
                end = match.end()


def _before_plus(data: bytes) -> Iterator[bytes]:
    """The beginnings in ``"begin" +``."""
    at = data.find(b"+")
    while at >= 0:
        last = data[at - 1 : at]
        if last in (b'"', b"'") or last.isspace():
            before = _PLUS.search(data, max(0, at - _LONGEST), at)
            if before:
                yield before[1] + b"*"
        at = data.find(b"+", at + 1)


__all__ = ["REACHES_ALL", "composed_names"]
