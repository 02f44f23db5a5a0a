"""Python string literals, decoded so that each character remembers the bytes it was written with.

May not: parse Python; it is given the text between the quotes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from mllint.reading.located import Located, locate

#: Everything in a literal that does not stand for itself. Groups tell the kinds apart.
_SPECIAL = re.compile(
    r"""\\(?:
        (?P<octal>[0-7]{1,3})
      | x(?P<hex>[0-9a-fA-F]{2})
      | (?P<wide>N\{[^}]*\}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})
      | (?P<joined>\r\n|\r|\n)
      | (?P<simple>[\\'"abfnrtv])
    )
    | (?P<newline>\r\n|\r)
    | (?P<brace>\{\{|\}\})
    """,
    re.VERBOSE,
)
_RAW_SPECIAL = re.compile(r"(?P<newline>\r\n|\r)|(?P<brace>\{\{|\}\})")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def decode(body: str, start: int, *, raw: bool = False, binary: bool = False, formatted: bool = False) -> Located:
    """What the text between a literal's quotes denotes; ``start`` is its byte offset in the file.

    ``formatted``: text of an f-string, where ``{{`` is one brace. Bytes become the characters that they spell
    in UTF-8, or in Latin-1 where they are no UTF-8.
    """
    if (
        body.isascii()
        and "\r" not in body
        and (raw or "\\" not in body)
        and not (formatted and ("{" in body or "}" in body))
    ):
        return locate(body.encode("ascii"), start)
    characters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at = start
    for written, character in _units(body, raw=raw, binary=binary, formatted=formatted):
        end = at + len(written.encode("utf-8"))
        if character:
            characters.append(character)
            starts.append(at)
            ends.append(end)
        at = end
    located = Located("".join(characters), tuple(starts), tuple(ends))
    return as_utf8(located) if binary and not located.text.isascii() else located


def as_utf8(located: Located) -> Located:
    """Latin-1 characters that stand for bytes, regrouped into the characters they spell in UTF-8 if they do."""
    try:
        text = located.text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return located
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    for character in text:
        size = len(character.encode("utf-8"))
        starts.append(located.starts[at])
        ends.append(located.ends[at + size - 1])
        at += size
    return Located(text, tuple(starts), tuple(ends), located.path)


def _units(body: str, *, raw: bool, binary: bool, formatted: bool) -> Iterator[tuple[str, str]]:
    """The pieces of a literal as written, each with the one character (or nothing) that it denotes."""
    at = 0
    for match in (_RAW_SPECIAL if raw else _SPECIAL).finditer(body):
        written = match.group()
        character = _meaning(match, binary=binary, formatted=formatted)
        if character is None:
            continue
        for plain in body[at : match.start()]:
            yield plain, plain
        yield written, character
        at = match.end()
    for plain in body[at:]:
        yield plain, plain


def _meaning(match: re.Match[str], *, binary: bool, formatted: bool) -> str | None:
    """The character that a special piece denotes, "" for a joined line, None where it stands for itself."""
    kind, written = match.lastgroup, match.group()
    if kind == "newline":
        return "\n"
    if kind == "brace":
        return written[0] if formatted else None
    if kind == "joined":
        return ""
    if kind == "simple":
        return _SIMPLE.get(written[1], written[1])
    if kind == "octal":
        value = int(written[1:], 8)
        return chr(value & 0xFF if binary else value)
    if kind == "hex":
        return chr(int(written[2:], 16))
    return None if binary else _wide(written)


def _wide(written: str) -> str | None:
    try:
        if written[1] == "N":
            return unicodedata.lookup(written[3:-1])
        return chr(int(written[2:], 16))
    except (KeyError, ValueError):
        return None
