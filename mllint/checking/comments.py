"""The comments of a file, in its host's syntax, and the rows that a suppression in each of them covers.

May not: know what a suppression looks like, or which findings there are.
"""

from __future__ import annotations

import token
import tokenize
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import field

from mllint.reading.source import Source
from mllint.record import dataclass


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment with its delimiters; ``start`` and ``end`` are byte offsets of the normalised source.

    ``row`` is the one-based row of its start. ``first`` to ``last`` are the rows that a suppression in it
    covers: for a comment behind code, its own row and the rows before it that a string or a backslash joins
    to it; for a comment on its ``own`` line, that line and the header of the next statement.

    ``block`` tells the blocks of code around an own-line comment apart (in Python by indentation and
    brackets, in Markdown a fenced block, elsewhere the whole file) and ``block_end`` is that block's last row.
    Two comments stand in one block if ``block`` is the same and the later one is not past ``block_end``.
    """

    text: str
    start: int
    end: int
    row: int
    first: int
    last: int
    own: bool
    block: int = 0
    block_end: int = 0


def read_comments(source: Source) -> tuple[tuple[Comment, ...], bool]:
    """The comments in order, and whether they are exact: False for Python that cannot be tokenised.

    Such a file is read line by line, as well as that goes.
    """
    if source.kind not in ("python", "notebook"):
        return _host_comments(source), True
    found = _python_comments(source)
    return (_host_comments(source), False) if found is None else (found, True)


def _host_comments(source: Source) -> tuple[Comment, ...]:
    from mllint.checking.host_comments import comment_spans  # for the few files that are no Python

    return tuple(_host_comment(source, start, end) for start, end in comment_spans(source))


def _host_comment(source: Source, start: int, end: int) -> Comment:
    starts, data = source.line_starts, source.data
    row, end_row = source.row(start), source.row(max(start, end - 1))
    line_end = starts[end_row] if end_row < len(starts) else len(data)
    own = not data[starts[row - 1] : start].strip() and not data[end:line_end].strip()
    first, last = row, end_row
    block, block_end = 0, len(starts)
    if own:
        from mllint.checking.host_comments import block_around, statement_end

        last = max(end_row, statement_end(source, end_row))
        block, block_end = block_around(source, row)
    else:
        while first > 1 and data.endswith((b"\\\n", b"\\\r\n"), 0, starts[first - 1]):
            first -= 1
    return Comment(data[start:end].decode("utf-8"), start, end, row, first, last, own, block, block_end)


#: Tokens that begin no statement.
_LAYOUT = frozenset({token.NL, token.COMMENT, token.INDENT, token.DEDENT, token.NEWLINE, token.ENDMARKER})
#: f-strings are one token before Python 3.12 and a bracketed group of tokens since (t-strings: 3.14).
_OPENERS = frozenset(getattr(token, name) for name in ("FSTRING_START", "TSTRING_START") if hasattr(token, name))
_CLOSERS = frozenset(getattr(token, name) for name in ("FSTRING_END", "TSTRING_END") if hasattr(token, name))


@dataclass(slots=True)
class Layout:
    """What the tokens of a file say about its rows; each list is in order.

    ``headers`` are the rows (first, last) of each logical line and whether it is a decorator, ``indents`` how
    far each of them is indented; ``joined`` the rows of each multi-line string and backslash continuation;
    ``code`` the rows on which tokens begin.
    """

    comments: list[tokenize.TokenInfo] = field(default_factory=list)
    headers: list[tuple[int, int, bool]] = field(default_factory=list)
    indents: list[int] = field(default_factory=list)
    joined: list[tuple[int, int]] = field(default_factory=list)
    code: list[int] = field(default_factory=list)

    def covered(self, row: int, own: bool) -> tuple[int, int]:
        """The rows that a comment in this row covers."""
        if not own:
            first = row
            for start, end in reversed(self.joined):
                if start < first <= end:
                    first = start
            return first, row
        position = bisect_right(self.headers, (row, 0, False))
        if position and self.headers[position - 1][1] > row:  # inside brackets: what follows on the next line
            following = bisect_right(self.code, row)
            last = self.code[following] if following < len(self.code) else row
            for start, end in self.joined:
                if start <= last < end:
                    last = end
            return row, last
        for _, last, decorator in self.headers[position:]:
            if not decorator:
                return row, last
        return row, row

    def end_of_joined(self, row: int) -> int:
        """The row where a comment can stand behind code for this row: its own, or where the string or the
        backslashes that it is part of end."""
        for first, last in self.joined:
            if first <= row < last:
                row = last
        return row

    def first_of_line(self, row: int) -> int:
        """The first row of the logical line that this row is part of."""
        position = bisect_right(self.headers, (row + 1, 0, False)) - 1
        return self.headers[position][0] if position >= 0 and self.headers[position][1] >= row else row

    def block(self, row: int, indent: int, rows: int) -> tuple[int, int]:
        """`Comment.block` and ``block_end`` of an own-line comment indented this far, in a file of so many rows.

        A comment may be indented like any of the blocks around it, and one that opens a block like that block.
        """
        position = bisect_right(self.headers, (row, 0, False))
        if position and self.headers[position - 1][1] > row:  # inside brackets
            return -self.headers[position - 1][0], self.headers[position - 1][1]
        around = next((width for width in reversed(self.indents[:position]) if width <= indent), 0)
        ahead = self.indents[position] if position < len(self.indents) else 0
        if around < ahead <= indent:
            around = ahead
        for (first, _, _), width in zip(self.headers[position:], self.indents[position:], strict=True):
            if width < around:
                return around, first - 1
        return around, rows


def indent_of(line: str) -> int:
    """How far a line is indented, as Python counts: a tab goes to the next multiple of eight."""
    blanks = line[: len(line) - len(line.lstrip(" \t\f"))]
    return len(blanks.rpartition("\f")[2].expandtabs(8))


def _python_comments(source: Source) -> tuple[Comment, ...] | None:
    """Comments through ``tokenize``, or None where that fails."""
    layout = lay_out(source)
    if layout is None:
        return None
    lines = [line.decode("utf-8") for line in source.data.splitlines()]
    found = []
    for item in layout.comments:
        row, column = item.start
        before = lines[row - 1][:column]
        own = not before.strip()
        start = source.line_starts[row - 1] + len(before.encode())
        first, last = layout.covered(row, own)
        if bisect_right(source.cell_rows, last) != bisect_right(source.cell_rows, row):
            last = row  # the next statement stands in the next notebook cell
        block, block_end = layout.block(row, indent_of(before), len(lines)) if own else (0, 0)
        end = start + len(item.string.encode())
        found.append(Comment(item.string, start, end, row, first, last, own, block, block_end))
    return tuple(found)


def lay_out(source: Source) -> Layout | None:
    """The layout of a Python file; None where that cannot be tokenised."""
    lines = [line.decode("utf-8") + "\n" for line in source.data.splitlines()]
    try:
        return _sorted(tokenize.generate_tokens(iter(lines).__next__))
    except (tokenize.TokenError, SyntaxError):
        return None


def _sorted(items: Iterable[tokenize.TokenInfo]) -> Layout | None:
    """Sort the tokens into a layout; None where one of them is no Python."""
    layout = Layout()
    begun, decorator, indent, opened = 0, False, 0, []
    before: tokenize.TokenInfo | None = None
    for item in items:
        if item.type == token.ERRORTOKEN:  # before 3.12 also what other versions raise for
            return None
        if item.type == token.COMMENT:
            layout.comments.append(item)
        if item.type == token.NEWLINE:
            layout.headers.append((begun or item.start[0], item.start[0], decorator))
            layout.indents.append(indent)
            begun = 0
        if item.type in _LAYOUT:
            before = None
            continue
        if not begun:
            begun, decorator, indent = item.start[0], item.string == "@", indent_of(item.line)
        if not layout.code or layout.code[-1] != item.start[0]:
            layout.code.append(item.start[0])
        if before is not None and before.end[0] < item.start[0]:  # only a backslash ends a line without a token
            layout.joined.append((before.end[0], item.start[0]))
        if item.type in _OPENERS:
            opened.append(item.start[0])
        first = opened.pop() if item.type in _CLOSERS else item.start[0]
        if first < item.end[0] and item.type not in _OPENERS:
            layout.joined.append((first, item.end[0]))
        before = item
    return layout
