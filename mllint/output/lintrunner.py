"""Messages for lintrunner: one JSON object a line, the fixes of a file as its whole new text.

May not: put two replacements of one file into a report; lintrunner refuses to apply them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Edit, Severity
from mllint.output.json_ import dumped_line
from mllint.output.options import Options, fixable
from mllint.output.places import absolute, at, message_with_cell

if TYPE_CHECKING:
    from mllint.checking.report import Report

#: The name of the linter, which ``.lintrunner.toml`` has to give too.
CODE = "MLLINT"

_SEVERITIES = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "advice"}


def render(reports: Sequence[Report], options: Options) -> str:
    """The messages, each with its newline. The first finding with a fix carries those of its whole file."""
    lines = []
    for report in reports:
        patch = _patch(report, options)
        for found in report.diagnostics:
            carries = patch is not None and fixable(found, options.unsafe_fixes)
            lines.append(dumped_line(_message(found, patch if carries else None, options)))
            patch = None if carries else patch
    return "".join(lines)


def _message(found: Diagnostic, patch: tuple[str, str] | None, options: Options) -> dict[str, object]:
    original, replacement = patch or (None, None)
    in_cell = found.begin.cell is not None  # a notebook's cells have no rows of their own in its JSON
    return {
        "path": absolute(options.root, found.path),
        "line": None if in_cell else found.begin.row,
        "char": None if in_cell else found.begin.column,
        "code": CODE,
        "severity": _SEVERITIES[found.severity],
        "name": f"{found.code} {found.name}",
        "original": original,
        "replacement": replacement,
        "description": "\n".join(_description(found)),
    }


def _description(found: Diagnostic) -> list[str]:
    lines = [message_with_cell(found)]
    if found.why:
        lines.append(f"why: {found.why}")
    lines += [f"note: {at(related.path, related.place)}: {related.message}" for related in found.related]
    if found.fix is not None:
        lines.append(f"help: {found.fix.title}")
    return lines


def _patch(report: Report, options: Options) -> tuple[str, str] | None:
    """The text of a file before and after its fixes; None where lintrunner could not write it back as it was."""
    source = report.source
    if source is None or source.kind == "notebook" or source.encoding != "utf-8" or not source.exact:
        return None
    edits = _edits_together([found for found in report.diagnostics if fixable(found, options.unsafe_fixes)])
    if not edits:
        return None
    from mllint.checking.fix import apply_edits

    mark = "\ufeff" if source.bom else ""
    return mark + source.text, mark + apply_edits(source.data, edits).decode("utf-8", "replace")


def _edits_together(findings: Sequence[Diagnostic]) -> list[Edit]:
    """The edits of as many fixes as do not touch each other; the others are for the next run."""
    taken: list[Edit] = []
    for found in findings:
        own = found.fix.edits if found.fix else ()
        if not any(new.start <= old.end and old.start <= new.end for new in own for old in taken):
            taken += own
    return taken
