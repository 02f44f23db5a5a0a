"""A fix as a small diff: removed and added rows with a row of context.

May not: apply the fix to anything but the rows it shows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from mllint.diagnostic import Edit
from mllint.output.frame import WIDTH, cell_bounds
from mllint.output.style import columns, paint, window
from mllint.reading.source import Source

#: Unchanged rows shown before and after a change.
CONTEXT = 1

#: A longer diff is cut here.
LONGEST = 40


@dataclass(frozen=True, slots=True)
class _Hunk:
    """Edits that touch the same rows ``first`` to ``last``, or rows so near that they are shown together."""

    first: int
    last: int
    edits: tuple[Edit, ...]


#: A row to show: sign, row number in the new text (None for a removed row), text.
_Row = tuple[str, "int | None", str]


def diff(source: Source, edits: Sequence[Edit], color: bool) -> list[str]:
    """The lines of the diff, with numbers of the new text beside kept and added rows."""
    blocks: list[tuple[str, list[_Row]]] = []
    shift = 0
    cell_before = -1
    for hunk in _hunks(source, edits):
        low, _ = cell_bounds(source, hunk.first)
        if low != cell_before:
            shift, cell_before = (1 - low if source.cell_rows else 0), low
        rows, grown = _rows(source, hunk, shift)
        blocks.append((f"cell {bisect_right(source.cell_rows, low)}" if source.cell_rows else "", rows))
        shift += grown
    return _drawn(blocks, color) if blocks else []


def _hunks(source: Source, edits: Sequence[Edit]) -> list[_Hunk]:
    """Edits by the rows that they touch, neighbours joined."""
    hunks: list[_Hunk] = []
    for edit in sorted(edits):
        first, last = source.row(edit.start), _last_row(source, edit)
        near = hunks[-1] if hunks else None
        same_cell = near is not None and cell_bounds(source, near.first)[0] == cell_bounds(source, first)[0]
        if near is not None and same_cell and first <= near.last + 2 * CONTEXT:
            hunks[-1] = _Hunk(near.first, max(near.last, last), (*near.edits, edit))
        else:
            hunks.append(_Hunk(first, last, (edit,)))
    return hunks


def _last_row(source: Source, edit: Edit) -> int:
    """The last row that an edit changes: the following one too where the edit takes away a newline in between."""
    last = source.row(max(edit.start, edit.end - 1))
    starts = source.line_starts
    takes_newline = last < len(starts) and edit.end == starts[last] and edit.end > edit.start
    from_row_start = edit.start == starts[source.row(edit.start) - 1]
    whole_rows = edit.text.endswith(("\n", "\r")) or (not edit.text and from_row_start)
    return min(last + 1, cell_bounds(source, last)[1]) if takes_newline and not whole_rows else last


def _rows(source: Source, hunk: _Hunk, shift: int) -> tuple[list[_Row], int]:
    """The rows of a hunk, and by how many rows the text grows there."""
    low, high = cell_bounds(source, hunk.first)
    before, after = max(low, hunk.first - CONTEXT), min(high, hunk.last + CONTEXT)
    start = source.line_starts[before - 1]
    end = source.line_starts[after] if after < len(source.line_starts) else len(source.data)
    old = source.data[start:end]
    new = _applied(old, hunk.edits, start)
    old_lines, new_lines = _lines(old), _lines(new)
    rows: list[_Row] = []
    for tag, i, j, k, m in SequenceMatcher(None, old_lines, new_lines, autojunk=False).get_opcodes():
        if tag == "equal":
            rows.extend((" ", before + shift + row, new_lines[row]) for row in range(k, m))
            continue
        rows.extend(("-", None, line) for line in old_lines[i:j])
        rows.extend(("+", before + shift + row, new_lines[row]) for row in range(k, m))
    return _trimmed(rows), len(new_lines) - len(old_lines)


def _applied(data: bytes, edits: Sequence[Edit], base: int) -> bytes:
    for edit in reversed(edits):
        data = data[: edit.start - base] + edit.text.encode("utf-8", "replace") + data[edit.end - base :]
    return data


def _lines(data: bytes) -> list[str]:
    return [line.decode("utf-8", "replace") for line in data.splitlines()]


def _trimmed(rows: list[_Row]) -> list[_Row]:
    """Without kept rows that are farther than `CONTEXT` from a change."""
    changed = [at for at, row in enumerate(rows) if row[0] != " "]
    return [row for at, row in enumerate(rows) if any(abs(at - other) <= CONTEXT for other in changed)]


def _drawn(blocks: Sequence[tuple[str, list[_Row]]], color: bool) -> list[str]:
    numbers = [number for _, rows in blocks for _, number, _ in rows if number is not None]
    gutter = len(str(max(numbers, default=1)))
    bar = paint(f"{'':>{gutter}} |", "blue", color)
    lines: list[str] = []
    shown_cell = ""
    for at, (cell, rows) in enumerate(blocks):
        if cell != shown_cell:
            lines.append(paint(f"{'':>{gutter}}::: ", "blue", color) + cell)
            shown_cell = cell
        lines.append(bar if at == 0 or cell else "...")
        lines.extend(_row_lines(rows, gutter, color))
    if len(lines) > LONGEST:
        lines[LONGEST:] = [f"... {len(lines) - LONGEST} more lines"]
    return [*lines, bar]


def _row_lines(rows: Sequence[_Row], gutter: int, color: bool) -> Iterator[str]:
    for sign, number, text in rows:
        left = paint(f"{'' if number is None else number:>{gutter}} {'|' if sign == ' ' else ''}", "blue", color)
        shown = window(columns(text), 0, WIDTH)
        if sign == " ":
            yield f"{left} {shown}".rstrip(" ")
        else:
            yield left + paint(f"{sign} {shown}".rstrip(), "minus" if sign == "-" else "plus", color)
