"""How many findings each rule has: a table, or the same as JSON.

May not: count what is suppressed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mllint.output.options import Options, findings, fixable
from mllint.output.style import paint

if TYPE_CHECKING:
    from mllint.checking.report import Report


@dataclass(frozen=True, slots=True)
class Count:
    """Findings of one rule; ``fixable`` of them would be repaired by ``--fix`` with the given options."""

    code: str
    name: str
    count: int
    fixable: int


def counts(reports: Sequence[Report], options: Options) -> list[Count]:
    """One entry a rule with findings, the most frequent first, equal ones by code."""
    found: dict[str, tuple[str, int, int]] = {}
    for diagnostic, _ in findings(reports):
        _, count, fixed = found.get(diagnostic.code, ("", 0, 0))
        found[diagnostic.code] = (diagnostic.name, count + 1, fixed + fixable(diagnostic, options.unsafe_fixes))
    every = [Count(code, *entry) for code, entry in found.items()]
    return sorted(every, key=lambda entry: (-entry.count, entry.code))


def render(reports: Sequence[Report], options: Options) -> str:
    """The table: count, code, ``[*]`` (all fixable) or ``[-]`` (some), name; the column of marks only where needed."""
    entries = counts(reports, options)
    digits = max((len(str(entry.count)) for entry in entries), default=0)
    width = max((len(entry.code) for entry in entries), default=0)
    marked = any(entry.fixable for entry in entries)
    lines = []
    for entry in entries:
        mark = f"[{paint(_mark(entry), 'cyan', options.color)}] " if marked else ""
        code = paint(f"{entry.code:<{width}}", "red", options.color)
        lines.append(f"{entry.count:>{digits}}\t{code}\t{mark}{entry.name}\n")
    return "".join(lines)


def render_json(reports: Sequence[Report], options: Options) -> str:
    """The same as a list of objects with Ruff's field names."""
    from mllint.output.json_ import dumped

    return dumped(
        [
            {
                "code": entry.code,
                "name": entry.name,
                "count": entry.count,
                "fixable": entry.fixable == entry.count,
                "fixable_count": entry.fixable,
            }
            for entry in counts(reports, options)
        ]
    )


def _mark(entry: Count) -> str:
    if entry.fixable == 0:
        return " "
    return "*" if entry.fixable == entry.count else "-"
