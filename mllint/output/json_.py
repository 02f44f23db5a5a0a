"""Findings as JSON, with Ruff's field names so that its readers work; ``related`` is added.

May not: write a place in bytes; rows and columns are one-based, columns in characters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Fix, Place, Related
from mllint.output.options import Options, findings
from mllint.output.places import absolute, edit_places
from mllint.output.style import encodable, printable
from mllint.reading.source import Source

if TYPE_CHECKING:
    from mllint.checking.report import Report

#: A file that does not parse has no row where a suppression would help.
_UNSUPPRESSIBLE = "ML000"

#: Characters that end a line for ``str.splitlines`` or JavaScript, though not for JSON, which leaves them raw.
_LINE_ENDS = {code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}


def render(reports: Sequence[Report], options: Options) -> str:
    """A list of objects, keys in alphabetical order."""
    return dumped([as_object(found, source, options) for found, source in findings(reports)])


def dumped(value: object) -> str:
    """JSON as this package writes it everywhere: indented, not escaped, with a newline at the end."""
    return encodable(json.dumps(value, indent=2, ensure_ascii=False)) + "\n"


def dumped_line(value: object) -> str:
    """JSON in one line. What some readers take for the end of a line is escaped."""
    text = encodable(json.dumps(value, separators=(",", ":"), ensure_ascii=False))
    return text.translate(_LINE_ENDS) + "\n"


def as_object(found: Diagnostic, source: Source | None, options: Options) -> dict[str, object]:
    """A finding, keys in alphabetical order."""
    page = options.rules.get(found.code)
    return {
        "cell": found.begin.cell,
        "code": found.code,
        "end_location": _place(found.finish),
        "filename": absolute(options.root, found.path),
        "fix": _fix(found.fix, source),
        "location": _place(found.begin),
        "message": found.message,
        "name": found.name,
        "noqa_row": None if found.code == _UNSUPPRESSIBLE else found.begin.row,
        "related": [_related(place, options) for place in found.related],
        "severity": found.severity.value,
        "url": (page.url or None) if page else None,
    }


def _place(place: Place) -> dict[str, int]:
    return {"column": place.column, "row": place.row}


def _fix(fix: Fix | None, source: Source | None) -> dict[str, object] | None:
    if fix is None or source is None:
        return None
    edits = []
    for edit in fix.edits:
        start, end = edit_places(source, edit)
        edits.append({"content": edit.text, "end_location": _place(end), "location": _place(start)})
    return {"applicability": fix.safety.value, "edits": edits, "message": fix.title}


def _related(related: Related, options: Options) -> dict[str, object]:
    return {
        "cell": related.place.cell,
        "filename": absolute(options.root, related.path),
        "location": _place(related.place),
        "message": printable(related.message),
    }
