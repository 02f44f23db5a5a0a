"""A piece of source with line numbers and a mark under what a finding is about.

May not: know rules, messages or fixes.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from mllint.output.style import columns, paint, window
from mllint.reading.source import Source

#: Rows shown before and after the marked ones.
CONTEXT = 2

#: Columns of source shown; longer lines are cut around the mark.
WIDTH = 120

#: A marked span of more rows than this is shown as its first and last rows only.
LONGEST = 9
_HEAD, _TAIL = 5, 3


@dataclass(frozen=True, slots=True)
class Frame:
    """``lines`` of a frame, and how wide its line numbers are (the arrow above it and the bars beside it align)."""

    lines: tuple[str, ...]
    gutter: int


def cell_bounds(source: Source, row: int) -> tuple[int, int]:
    """First and last row that belong together with ``row``: of its notebook cell, else of the file."""
    total = len(source.line_starts)
    if total > 1 and source.line_starts[-1] == len(source.data):
        total -= 1  # what follows the last newline is no line
    if not source.cell_rows:
        return 1, max(total, row)
    cell = bisect_right(source.cell_rows, row)
    last = source.cell_rows[cell] - 1 if cell < len(source.cell_rows) else total
    return source.cell_rows[cell - 1], max(last, row)


def frame(source: Source, start: int, end: int, look: str, color: bool) -> Frame:
    """The rows of the bytes ``start`` to ``end`` with context, marked in the colour ``look``."""
    first, last = source.row(start), source.row(max(start, end - 1))
    low, high = cell_bounds(source, first)
    last = min(last, high)
    before, after = _context(source, first, last, low, high)
    top = low - 1 if source.cell_rows else 0
    gutter = len(str(after - top))
    from_column, to_column = _marked(source, first, last, start, end)
    left = _left(source, range(before, after + 1), from_column, to_column, first == last)
    page = _Page(source, top, gutter, left, color, look)
    if first == last:
        page.rows(before, first, "")
        page.single(from_column, to_column)
        page.rows(last + 1, after, "")
    else:
        page.rows(before, first - 1, "  ")
        opens_row = not source.data[source.line_starts[first - 1] : start].strip()
        page.several(first, last, from_column, to_column, opens_row)
        page.rows(last + 1, after, "  ")
    if after > last:
        page.bar("")
    return Frame(tuple(page.lines), gutter)


def _context(source: Source, first: int, last: int, low: int, high: int) -> tuple[int, int]:
    """First and last row to show: `CONTEXT` rows around the marked ones, without blank rows at the edges."""
    before, after = max(low, first - CONTEXT), min(high, last + CONTEXT)
    while before < first and not source.line(before).strip():
        before += 1
    while after > last and not source.line(after).strip():
        after -= 1
    return before, after


def _marked(source: Source, first: int, last: int, start: int, end: int) -> tuple[int, int]:
    """Column (zero-based, as shown) of the first and of one past the last marked character."""
    return _column(source, first, start), _column(source, last, max(end, start))


def _column(source: Source, row: int, offset: int) -> int:
    line = source.line(row)
    prefix = source.data[source.line_starts[row - 1] : offset].decode("utf-8", "replace")[: len(line)]
    return len(columns(prefix))


def _left(source: Source, rows: range, from_column: int, to_column: int, one_row: bool) -> int:
    """How many columns are cut off on the left: none, unless the mark would not be seen."""
    if (to_column if one_row else max(from_column, to_column)) <= WIDTH - 10:
        return 0
    if max(len(columns(source.line(row))) for row in rows) <= WIDTH:
        return 0
    return max(0, (from_column if one_row else min(from_column, to_column)) - WIDTH // 4)


@dataclass(slots=True)
class _Page:
    """Collects the lines of one frame."""

    source: Source
    top: int
    gutter: int
    left: int
    color: bool
    look: str
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bar("")

    def bar(self, text: str) -> None:
        """A line without a number."""
        self.lines.append(f"{self._margin('')} {text}" if text else self._margin(""))

    def rows(self, first: int, last: int, mark: str) -> None:
        """Source rows, each behind ``mark``."""
        for row in range(first, last + 1):
            text = window(columns(self.source.line(row)), self.left, WIDTH)
            self.lines.append(f"{self._margin(str(row - self.top))} {mark}{text}".rstrip(" "))

    def single(self, start: int, end: int) -> None:
        """Carets under a span within one row."""
        start, end = self._seen(start), self._seen(end)
        self.bar(" " * start + self._paint("^" * max(1, end - start)))

    def several(self, first: int, last: int, start: int, end: int, opens_row: bool) -> None:
        """A bracket to the left of a span of several rows, from its first to its last character.

        ``opens_row``: nothing but blanks stands before the span, so the bracket may begin beside it.
        """
        start, end = self._seen(start), self._seen(end)
        edge = self._paint("|") + " "
        if opens_row:
            self.rows(first, first, self._paint("/") + " ")
        else:
            self.rows(first, first, "  ")
            self.bar(self._paint(" " + "_" * (start + 1) + "^"))
        if last - first + 1 > LONGEST:
            self.rows(first + 1, first + _HEAD - 1, edge)
            self.lines.append(f"{'...':<{self.gutter + 2}} {self._paint('|')}")
            self.rows(last - _TAIL + 1, last, edge)
        else:
            self.rows(first + 1, last, edge)
        self.bar(self._paint("|" + "_" * max(1, end) + "^"))

    def _seen(self, column: int) -> int:
        return min(max(column - self.left, 0), WIDTH)

    def _margin(self, number: str) -> str:
        return paint(f"{number:>{self.gutter}} |", "blue", self.color)

    def _paint(self, text: str) -> str:
        return paint(text, self.look, self.color)
