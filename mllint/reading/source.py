"""One file's text, normalised once: encoding, byte-order mark, newlines, offsets and places.

May not: open files, or know what the text means.
"""

from __future__ import annotations

import codecs
import io
import tokenize
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Literal

from mllint.diagnostic import Place

Kind = Literal["python", "notebook", "shell", "makefile", "dockerfile", "yaml", "markdown", "kernel"]


class DecodeFailure(ValueError):
    """The bytes are no text in the encoding they claim. ``str()`` says why, ``offset`` where (or -1)."""

    def __init__(self, reason: str, offset: int = -1) -> None:
        super().__init__(reason)
        self.offset = offset


@dataclass(frozen=True)
class Source:
    """A file as the rules see it.

    ``path`` is what a person sees; ``data`` is UTF-8 without a byte-order mark, newlines as they are in the
    file. All offsets in mllint are byte offsets into ``data``. ``cell_rows`` holds the first row (one-based)
    of each notebook cell's text, else it is empty; a cell that is no Python has no rows, so the next one begins
    in the same row. ``exact``: decoding and encoding again gave the very bytes of the file.
    """

    path: str
    kind: Kind
    data: bytes
    encoding: str = "utf-8"
    bom: bool = False
    cell_rows: tuple[int, ...] = ()
    exact: bool = True

    @cached_property
    def text(self) -> str:
        """The same content as ``data``, as a string."""
        return self.data.decode("utf-8")

    @cached_property
    def newline(self) -> str:
        """The newline that inserted text should use: the first one of the file."""
        at = self.data.find(b"\n")
        if at > 0 and self.data[at - 1 : at] == b"\r":
            return "\r\n"
        return "\r" if at < 0 and b"\r" in self.data else "\n"

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """Byte offset of the start of each line, as Python counts lines (``\\n``, ``\\r\\n`` or ``\\r`` ends one)."""
        data = self.data
        lines = data.splitlines(keepends=True)  # bytes.splitlines splits at exactly these three
        starts = list(accumulate(map(len, lines), initial=0))
        if len(starts) > 1 and not data.endswith((b"\n", b"\r")):
            starts.pop()
        return tuple(starts)

    def offset(self, row: int, column_bytes: int) -> int:
        """The byte offset of a one-based row and a zero-based column in bytes, as ``ast`` gives them."""
        return self.line_starts[row - 1] + column_bytes

    def row(self, offset: int) -> int:
        """The one-based row of a byte offset, of the whole text also in a notebook."""
        return bisect_right(self.line_starts, offset)

    def place(self, offset: int) -> Place:
        """Row and column of a byte offset, both one-based, the column in characters; in a notebook per cell."""
        row = self.row(offset)
        start = self.line_starts[row - 1]
        column = len(self.data[start:offset].decode("utf-8", "replace")) + 1
        if self.cell_rows:
            cell = bisect_right(self.cell_rows, row)
            return Place(row - self.cell_rows[cell - 1] + 1, column, cell)
        return Place(row, column)

    def line(self, row: int) -> str:
        """The text of a one-based row of the whole text, without its newline; empty past the end."""
        if not 1 <= row <= len(self.line_starts):
            return ""
        start = self.line_starts[row - 1]
        end = self.line_starts[row] if row < len(self.line_starts) else len(self.data)
        return self.data[start:end].decode("utf-8").rstrip("\r\n")

    def restore(self, data: bytes) -> bytes:
        """Edited ``data`` in the file's own encoding, with its byte-order mark.

        Raises UnicodeEncodeError where an edit brought a character that the encoding lacks. Untouched text may
        change as well unless ``exact``; what comes out for a notebook is the Python of its cells, not its file.
        """
        if self.encoding != "utf-8":
            data = data.decode("utf-8").encode(self.encoding)
        return codecs.BOM_UTF8 + data if self.bom else data


def read_source(path: str, kind: Kind, raw: bytes) -> Source:
    """Normalise a file's bytes. Python files follow their coding cookie, all others are UTF-8.

    Raises DecodeFailure with a reason a person can act on.
    """
    encoding = "utf-8"
    bom = raw.startswith(codecs.BOM_UTF8)
    if kind == "python":
        encoding = _declared_encoding(raw)
    body = raw[len(codecs.BOM_UTF8) :] if bom else raw
    try:
        text = body.decode(encoding)
        data = body if encoding == "utf-8" else text.encode("utf-8")
    except UnicodeDecodeError as error:
        offset = error.start + len(raw) - len(body)
        raise DecodeFailure(_reason(raw, encoding, offset), offset) from error
    except (LookupError, UnicodeError) as error:  # a codec that is none for text, or one that gives half characters
        raise DecodeFailure(f"the declared encoding {encoding} does not decode it: {error}") from error
    return Source(path, kind, data, encoding, bom, exact=encoding == "utf-8" or _comes_back(text, encoding, body))


def _reason(raw: bytes, encoding: str, offset: int) -> str:
    """Why a file's bytes are no text."""
    reason = f"byte {raw[offset]:#04x} at offset {offset} is not valid {encoding}"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        reason += " (it looks like UTF-16; save it as UTF-8)"
    return reason


def _comes_back(text: str, encoding: str, body: bytes) -> bool:
    """Does a codec give the file's bytes again? Not so UTF-7 and others that shift between character sets."""
    try:
        return text.encode(encoding) == body
    except UnicodeError:
        return False


def _declared_encoding(raw: bytes) -> str:
    """The codec of a Python file, ``utf-8`` unless a coding cookie in its first two lines says otherwise."""
    if b"coding" not in raw[: raw.find(b"\n", raw.find(b"\n") + 1) + 1 or None]:
        return "utf-8"
    try:
        name, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
        normal = codecs.lookup(name).name
    except (SyntaxError, LookupError) as error:  # unknown codec, or a first line that is not UTF-8
        raise DecodeFailure(str(error)) from error
    return "utf-8" if normal in ("utf-8", "utf-8-sig") else normal
