"""The objects of the JSON format, each on a line of its own.

May not: let a text break a line for any reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mllint.output.json_ import as_object, dumped_line
from mllint.output.options import Options, findings

if TYPE_CHECKING:
    from mllint.checking.report import Report


def render(reports: Sequence[Report], options: Options) -> str:
    """The objects, each with its newline."""
    return "".join(dumped_line(as_object(found, source, options)) for found, source in findings(reports))
