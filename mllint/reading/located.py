"""Text that remembers where each of its characters stands in a file.

May not: parse anything. A string literal, a shell script inside one, and a whole file are all `Located`,
so one reader of commands or kernels serves them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mllint.record import dataclass

#: Stands in the text for a part that is not known statically (an f-string field, say).
HOLE = "\N{OBJECT REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Located:
    """``text``, and for each of its characters the byte offsets where it starts and ends in a file.

    ``path`` names that file; it is empty for the file at hand. Both sequences are as long as ``text``.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]
    path: str = ""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Byte offsets in the file of the characters ``start`` to ``end`` (half open, not empty)."""
        return self.starts[start], self.ends[end - 1]

    def part(self, start: int, end: int) -> Located:
        """The characters ``start`` to ``end`` (half open), still located."""
        return Located(self.text[start:end], self.starts[start:end], self.ends[start:end], self.path)


def locate(data: bytes, start: int = 0, path: str = "") -> Located:
    """A UTF-8 file, or a piece of one that begins at byte ``start``, as located text."""
    if data.isascii():
        return Located(
            data.decode("ascii"), range(start, start + len(data)), range(start + 1, start + len(data) + 1), path
        )
    text = data.decode("utf-8")
    bounds = [start]
    for character in text:
        bounds.append(bounds[-1] + len(character.encode("utf-8")))
    return Located(text, tuple(bounds[:-1]), tuple(bounds[1:]), path)


def hole(start: int, end: int, path: str = "") -> Located:
    """One `HOLE` in place of the bytes ``start`` to ``end``."""
    return Located(HOLE, (start,), (end,), path)


def join(parts: Iterable[Located]) -> Located:
    """The parts one after the other as one text, all of the same file (the first part's ``path``)."""
    pieces = list(parts)
    if len(pieces) == 1:
        return pieces[0]
    return Located(
        "".join(piece.text for piece in pieces),
        tuple(offset for piece in pieces for offset in piece.starts),
        tuple(offset for piece in pieces for offset in piece.ends),
        pieces[0].path if pieces else "",
    )
