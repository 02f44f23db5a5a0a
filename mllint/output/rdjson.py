"""Reviewdog's diagnostic format: findings as review comments, fixes as suggested changes.

May not: suggest half a fix: each suggestion can be accepted alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Fix, Place, Related, Safety, Severity
from mllint.output.json_ import dumped
from mllint.output.options import Options, findings
from mllint.output.places import absolute, message_with_cell
from mllint.reading.source import Source

if TYPE_CHECKING:
    from mllint.checking.report import Report

_SEVERITIES = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.INFO: "INFO"}

#: A JSON object; keys are written in alphabetical order, as Ruff does.
Object = dict[str, object]


def render(reports: Sequence[Report], options: Options) -> str:
    """One DiagnosticResult."""
    diagnostics = [_diagnostic(found, source, options) for found, source in findings(reports)]
    return dumped({"diagnostics": diagnostics, "severity": "WARNING", "source": {"name": "mllint"}})


def _diagnostic(found: Diagnostic, source: Source | None, options: Options) -> Object:
    page = options.rules.get(found.code)
    code = {"url": page.url, "value": found.code} if page and page.url else {"value": found.code}
    location: Object = {"path": absolute(options.root, found.path)}
    if found.begin.cell is None:  # a notebook's cells have no rows of their own in its JSON
        location["range"] = _span(source, found.start, found.end) if source else _places(found.begin, found.finish)
    result: Object = {"code": code, "location": location, "message": message_with_cell(found)}
    if found.related:
        result["related_locations"] = [_related(each, options) for each in found.related]
    result["severity"] = _SEVERITIES[found.severity]
    if found.fix is not None and source is not None and _applicable(found.fix, source):
        result["suggestions"] = [_suggestion(found.fix, source)]
    return result


def _applicable(fix: Fix, source: Source) -> bool:
    """Could a reviewer accept the fix? Not a displayed one, and not in a notebook, whose file has other lines."""
    return fix.safety is not Safety.DISPLAY and bool(fix.edits) and source.kind != "notebook"


def _suggestion(fix: Fix, source: Source) -> Object:
    """All edits of a fix as one replacement, with the text between them."""
    edits = sorted(fix.edits)
    at, parts = edits[0].start, []
    for edit in edits:
        parts += [source.data[at : edit.start].decode("utf-8", "replace"), edit.text]
        at = edit.end
    return {"range": _span(source, edits[0].start, at), "text": "".join(parts)}


def _related(related: Related, options: Options) -> Object:
    """Another place, to its row: the text that would give a column in bytes is not at hand."""
    location: Object = {"path": absolute(options.root, related.path)}
    if related.place.cell is None:
        location["range"] = {"start": {"line": related.place.row}}
    return {"location": location, "message": related.message}


def _span(source: Source, start: int, end: int) -> Object:
    return {"end": _position(source, end), "start": _position(source, start)}


def _position(source: Source, offset: int) -> dict[str, int]:
    """One-based; the specification counts columns in bytes of UTF-8 (Ruff counts characters)."""
    row = source.row(offset)
    return {"column": offset - source.line_starts[row - 1] + 1, "line": row}


def _places(begin: Place, finish: Place) -> Object:
    return {
        "end": {"column": finish.column, "line": finish.row},
        "start": {"column": begin.column, "line": begin.row},
    }
