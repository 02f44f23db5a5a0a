"""Annotations for GitHub Actions: one workflow command a finding.

May not: exceed one line a command; GitHub reads line by line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.output.options import Options, findings
from mllint.output.places import absolute, at
from mllint.output.style import encodable

if TYPE_CHECKING:
    from mllint.checking.report import Report

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(reports: Sequence[Report], options: Options) -> str:
    """The commands, each with its newline."""
    return "".join(_command(found, options) + "\n" for found, _ in findings(reports))


def _command(found: Diagnostic, options: Options) -> str:
    lines = [f"{at(found.path, found.begin)}: {found.code} {found.message}"]
    lines += [f"  {at(related.path, related.place)}: {related.message}" for related in found.related]
    if found.fix is not None:
        lines.append(f"  help: {found.fix.title}")
    properties = {"title": f"mllint ({found.code})", "file": absolute(options.root, found.path), **_region(found)}
    written = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{_COMMANDS[found.severity]} {written}::{_data(chr(10).join(lines))}"


def _region(found: Diagnostic) -> dict[str, int]:
    """Where GitHub puts the annotation.

    It refuses columns that belong to different lines, and cannot show a line of a notebook's cell.
    """
    begin, finish = found.begin, found.finish
    if begin.cell is not None:
        return {"line": 1, "col": 1, "endLine": 1, "endColumn": 1}
    if begin.row != finish.row:
        return {"line": begin.row, "endLine": finish.row}
    return {"line": begin.row, "col": begin.column, "endLine": finish.row, "endColumn": finish.column}


def _data(text: str) -> str:
    """Escaped as GitHub's own toolkit does for the text of a command."""
    return encodable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escaped as GitHub's own toolkit does for a property, where ``:`` and ``,`` are separators too."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
