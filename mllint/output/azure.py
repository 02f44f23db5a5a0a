"""Issues for Azure Pipelines: one logging command a finding.

May not: exceed one line a command; the agent reads line by line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.output.options import Options, findings
from mllint.output.places import absolute, at, file_place, message_with_cell
from mllint.output.style import encodable

if TYPE_CHECKING:
    from mllint.checking.report import Report

#: Azure knows no third type.
_TYPES = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "warning"}


def render(reports: Sequence[Report], options: Options) -> str:
    """The commands, each with its newline."""
    return "".join(_command(found, options) + "\n" for found, _ in findings(reports))


def _command(found: Diagnostic, options: Options) -> str:
    place = file_place(found.begin)
    properties = {
        "type": _TYPES[found.severity],
        "sourcepath": absolute(options.root, found.path),
        "linenumber": str(place.row),
        "columnnumber": str(place.column),
        "code": found.code,
    }
    lines = [message_with_cell(found)]
    lines += [f"  {at(related.path, related.place)}: {related.message}" for related in found.related]
    written = "".join(f"{name}={_property(value)};" for name, value in properties.items())
    return f"##vso[task.logissue {written}]{_data(chr(10).join(lines))}"


def _data(text: str) -> str:
    """Escaped as Azure's own task library does for the text of a command; agents since 2021 read ``%AZP25``."""
    return encodable(text).replace("%", "%AZP25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escaped for a property, where ``;`` and ``]`` are the end."""
    return _data(text).replace("]", "%5D").replace(";", "%3B")
