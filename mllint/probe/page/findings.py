"""Findings with their source lines, and the notes that nobody has to act on.

May not: judge or reorder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mllint.diagnostic import Diagnostic
from mllint.probe.judge import Verdict
from mllint.probe.page.html import element, text
from mllint.reading.source import Source

#: Rows of source before and after the one that a finding is about.
_AROUND = 2


def findings(verdict: Verdict, sources: Mapping[str, Source]) -> str:
    """The findings, or a sentence that there is none; then the notes, folded."""
    found = [one for report in verdict.reports for one in report.diagnostics]
    found.sort(key=lambda one: (-one.severity.rank, one.sort_key))
    parts = [element("h2", "Findings"), *(_finding(one, sources) for one in found)]
    if not found:
        parts.append(element("p", "No check that ran found a fault."))
    if verdict.notes:
        told = "".join(_finding(one, sources) for one in verdict.notes)
        title = f"{len(verdict.notes)} {'note' if len(verdict.notes) == 1 else 'notes'}: seen, explained, no fault"
        parts.append(element("details", element("summary", text(title)), told))
    return "".join(parts)


def _finding(found: Diagnostic, sources: Mapping[str, Source]) -> str:
    level = found.severity.value
    head = element(
        "div",
        element("span", text(f"{found.code} {found.name}"), class_=level),
        element("b", text(found.message)),
        element("span", text(f"{found.path}:{found.begin.row}"), class_="path"),
        class_="head",
    )
    related = [
        element("li", element("span", text(f"{one.path}:{one.place.row}"), class_="path"), " ", text(one.message))
        for one in found.related
    ]
    return element(
        "div",
        head,
        excerpt(sources.get(found.path), found.begin.row),
        element("p", text(found.why)),
        element("ul", *related) if related else "",
        class_=f"finding {level}",
    )


def excerpt(source: Source | None, row: int) -> str:
    """Some rows of source around one that is marked; "" where the source is not at hand."""
    if source is None or not 0 < row <= len(source.line_starts):
        return ""
    rows = range(max(1, row - _AROUND), min(len(source.line_starts), row + _AROUND) + 1)
    width = len(str(rows[-1]))
    return element("pre", *_lines(source, rows, row, width))


def _lines(source: Source, rows: Sequence[int], marked: int, width: int) -> Iterable[str]:
    for row in rows:
        line = element(
            "span", text_of(f"{row:>{width}}  {source.line(row).rstrip()}"), class_="hit" if row == marked else None
        )
        yield line + ("" if row == rows[-1] else "\n")


def text_of(line: str) -> str:
    """Source text as markup: backticks are its own."""
    from html import escape

    return escape(line)
