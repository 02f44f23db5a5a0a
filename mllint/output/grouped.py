"""Findings under the name of their file, places aligned.

May not: need anything but the findings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic
from mllint.output.options import Options, findings, fixable
from mllint.output.style import paint, printable, severity_look

if TYPE_CHECKING:
    from mllint.checking.report import Report


def render(reports: Sequence[Report], options: Options) -> str:
    """One group a file, a blank line after each."""
    by_path = groupby((found for found, _ in findings(reports)), key=lambda found: found.path)
    return "".join("\n".join(_group(path, list(group), options)) + "\n\n" for path, group in by_path)


def _group(path: str, group: Sequence[Diagnostic], options: Options) -> Iterator[str]:
    yield f"{paint(printable(path), 'bold', options.color)}:"
    rows = max(len(str(found.begin.row)) for found in group)
    columns = max(len(str(found.begin.column)) for found in group)
    for found in group:
        row, column = str(found.begin.row), str(found.begin.column)
        cell = "" if found.begin.cell is None else f"cell {found.begin.cell}:"
        ahead, behind = " " * (2 + rows - len(row)), " " * (1 + columns - len(column))
        code = paint(found.code, severity_look(found.severity.value), options.color)
        star = f" [{paint('*', 'cyan', options.color)}]" if fixable(found, options.unsafe_fixes) else ""
        yield f"{ahead}{cell}{row}:{column}{behind}{code}{star} {printable(found.message)}"
