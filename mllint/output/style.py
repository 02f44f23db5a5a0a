"""Characters on a terminal: colours, widths, and what must not reach it raw.

May not: ask whether there is a terminal; the caller says whether to colour.
"""

from __future__ import annotations

import unicodedata

_LOOKS = {
    "bold": "1",
    "red": "1;31",
    "yellow": "1;33",
    "green": "1;32",
    "blue": "1;34",
    "cyan": "1;36",
    "minus": "31",
    "plus": "32",
}

#: A tab goes to the next multiple of this many columns.
TAB = 4

#: Shown for a character that would move the cursor, change the direction of writing, or cannot be encoded.
_REPLACED = "\N{REPLACEMENT CHARACTER}"

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def paint(text: str, look: str, on: bool) -> str:
    """The text in a colour of ``_LOOKS``, or as it is."""
    return f"\x1b[{_LOOKS[look]}m{text}\x1b[0m" if on and text else text


def severity_look(severity: str) -> str:
    """The colour of a severity."""
    return {"error": "red", "warning": "yellow"}.get(severity, "blue")


def printable(text: str) -> str:
    """One line that is safe to print: no control characters, no direction marks, no lone surrogates."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_REPLACED if _unsafe(character) else character for character in text)


def encodable(text: str) -> str:
    """The text without lone surrogates, which no encoding can write: those of a file name that is no UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _unsafe(character: str) -> bool:
    return character in _BIDI or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def columns(text: str) -> list[str]:
    """A line as terminal columns: a wide character is followed by "", a combining one joins the column before it."""
    if text.isascii() and text.isprintable():
        return list(text)
    cells: list[str] = []
    for character in text:
        if character == "\t":
            cells.extend(" " * (TAB - len(cells) % TAB))
        elif _unsafe(character):
            cells.append(_REPLACED)
        elif unicodedata.category(character) in ("Mn", "Me", "Cf"):
            if cells:
                last = -2 if cells[-1] == "" and len(cells) > 1 else -1
                cells[last] += character
        else:
            cells.append(character)
            if unicodedata.east_asian_width(character) in ("W", "F"):
                cells.append("")
    return cells


def window(cells: list[str], left: int, width: int) -> str:
    """The columns ``left`` to ``left + width``, with ``…`` where something is cut off; no blanks at the end."""
    shown = cells[left : left + width]
    if shown and left > 0:
        shown[0] = "…"
        if len(shown) > 1 and shown[1] == "":
            shown[1] = " "
    if len(cells) > left + width and shown:
        if shown[-1] == "" and len(shown) > 1:
            shown[-2] = " "
        shown[-1] = "…"
    return "".join(shown).rstrip()
