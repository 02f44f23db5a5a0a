"""The parts of names that a text puts together to look them up: ``getattr(self, f"_load_{kind}")``.

May not: parse, or know who asks.
"""

from __future__ import annotations

import re

#: Files that look objects up by a name they hold.
_LOOKS_UP = re.compile(
    rb"\b(getattr|hasattr|globals|locals|vars|__dict__|methodcaller|attrgetter|getmembers|dir)\s*\(|__dict__"
)
#: Most of that in plain words; ``dir`` and ``vars`` end other words too, so there the pattern decides.
_LOOKING = (
    b"getattr(",
    b"hasattr(",
    b"globals(",
    b"locals(",
    b"__dict__",
    b"methodcaller(",
    b"attrgetter(",
    b"getmembers(",
)
_UNCLEAR = (b"dir(", b"vars(", b"attr (")
#: In its own file, or in a file of a base class, each of these may reach every method or function. Plain words: as one
#: pattern they took 2 s for transformers, so 0.1.
_REACHING = (
    *(
        b"dir(self",
        b"dir(cls",
        b"dir(type",
        b"dir(sys",
        b"dir()",
        b"getmembers(",
        b"globals()",
        b"vars(cls",
        b"vars(type",
    ),
    *(b"cls.__dict__", b"__class__.__dict__", b").__dict__"),
)

#: Parts of strings beside a hole: f-strings, ``%s``, ``.format``, ``+``, and tests of how a name begins or ends.
_PARTS = (
    re.compile(rb"""f"(?P<before>\w*)\{[^"'\n]*\}(?P<after>\w*)\""""),  # a literal start: a tenth of the time
    re.compile(rb"""f'(?P<before>\w*)\{[^"'\n]*\}(?P<after>\w*)'"""),
    re.compile(rb"""["'](?P<before>\w*)%[sd](?P<after>\w*)["']"""),
    re.compile(rb"""["'](?P<before>\w*)\{\w*\}(?P<after>\w*)["']\s*\.\s*format\b"""),
    re.compile(rb"""["'](?P<before>\w+)["']\s*\+(?P<after>)"""),
    re.compile(rb"""(?P<before>)\+\s*["'](?P<after>\w+)["']"""),
    re.compile(rb"""startswith\(\s*\(?\s*["'](?P<before>\w+)["'](?P<after>)"""),
    re.compile(rb"""(?P<before>)endswith\(\s*\(?\s*["'](?P<after>\w+)["']"""),
)

#: Stands for every name.
REACHES_ALL = "all"


def composed_names(data: bytes) -> frozenset[str]:
    """``begin*end`` of the names that a file puts together, if it looks anything up by name; `REACHES_ALL` among them where
    it may reach everything that it defines."""
    if not any(word in data for word in _LOOKING) and not (
        any(word in data for word in _UNCLEAR) and _LOOKS_UP.search(data)
    ):
        return frozenset()
    matches = (match for part in _PARTS for match in part.finditer(data))
    found = {b"*".join((match["before"], match["after"])).decode("ascii", "replace") for match in matches}
    return frozenset(found - {"*"} | ({REACHES_ALL} if any(word in data for word in _REACHING) else set()))


__all__ = ["REACHES_ALL", "composed_names"]
