"""The format for people: each finding with its source, why it matters, related places and the fix as a diff.

May not: print, or look at the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Fix, Safety
from mllint.output.diff import diff
from mllint.output.frame import frame
from mllint.output.options import Options, findings, fixable
from mllint.output.places import at
from mllint.output.style import paint, printable, severity_look
from mllint.reading.source import Source

if TYPE_CHECKING:
    from mllint.checking.report import Report

_NOTES = {Safety.SAFE: "", Safety.UNSAFE: " (unsafe)", Safety.DISPLAY: " (display only)"}


def render(reports: Sequence[Report], options: Options) -> str:
    """One block a finding, a blank line after each."""
    return "".join("\n".join(_block(found, source, options)) + "\n\n" for found, source in findings(reports))


def _block(found: Diagnostic, source: Source | None, options: Options) -> Iterator[str]:
    color, look = options.color, severity_look(found.severity.value)
    star = f" [{paint('*', 'cyan', color)}]" if fixable(found, options.unsafe_fixes) else ""
    yield f"{paint(found.code, look, color)}{star} {paint(printable(found.message), 'bold', color)}"
    where = at(found.path, found.begin)
    if source is None:
        yield f"{paint(' -->', 'blue', color)} {where}"
    else:
        picture = frame(source, found.start, found.end, look, color)
        yield f"{' ' * picture.gutter}{paint('-->', 'blue', color)} {where}"
        yield from picture.lines
    if found.why:
        yield f"{paint('why', 'bold', color)}: {printable(found.why)}"
    for related in found.related:
        yield f"{paint('note', 'bold', color)}: {at(related.path, related.place)}: {printable(related.message)}"
    if found.fix is not None:
        yield from _help(found.fix, source, color)


def _help(fix: Fix, source: Source | None, color: bool) -> Iterator[str]:
    yield f"{paint('help', 'cyan', color)}: {printable(fix.title)}{_NOTES[fix.safety]}"
    if source is not None:
        yield from diff(source, fix.edits, color)
