"""One line a finding: ``path:row:col: CODE [*] message``.

May not: need anything but the findings; this format is also what editors and scripts read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic
from mllint.output.options import Options, findings, fixable
from mllint.output.places import at
from mllint.output.style import paint, printable, severity_look

if TYPE_CHECKING:
    from mllint.checking.report import Report


def render(reports: Sequence[Report], options: Options) -> str:
    """The lines, each with its newline."""
    return "".join(_line(found, options) + "\n" for found, _ in findings(reports))


def _line(found: Diagnostic, options: Options) -> str:
    code = paint(found.code, severity_look(found.severity.value), options.color)
    star = f" [{paint('*', 'cyan', options.color)}]" if fixable(found, options.unsafe_fixes) else ""
    return f"{paint(at(found.path, found.begin), 'bold', options.color)}: {code}{star} {printable(found.message)}"
