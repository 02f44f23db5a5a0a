"""The parseable format of Pylint, which many build servers read: ``path:row: [CODE] message``.

May not: name a row that the file does not have: a notebook's cells have no rows of their own in its JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic
from mllint.output.options import Options, findings
from mllint.output.places import file_place, message_with_cell
from mllint.output.style import printable

if TYPE_CHECKING:
    from mllint.checking.report import Report


def render(reports: Sequence[Report], options: Options) -> str:
    """The lines, each with its newline."""
    return "".join(_line(found) + "\n" for found, _ in findings(reports))


def _line(found: Diagnostic) -> str:
    row = file_place(found.begin).row
    return f"{printable(found.path)}:{row}: [{found.code}] {printable(message_with_cell(found))}"
