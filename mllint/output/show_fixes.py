"""The listing of ``--show-fixes``: what was repaired, file by file, and what could not be.

May not: know how fixes are applied or verified.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from mllint.output.style import paint, printable
from mllint.output.summary import counted

#: For each path the (code, name) of every finding concerned.
ByPath = Mapping[str, Sequence[tuple[str, str]]]


def render(fixed: ByPath, left: ByPath | None = None, color: bool = False) -> str:
    """Two listings: ``fixed``, and ``left``, the findings whose fix was rolled back. Empty ones are left out."""
    text = _listing("Fixed {}:", fixed, color)
    return text + _listing("Left {} as before, because the fix could not be verified:", left or {}, color)


def _listing(title: str, by_path: ByPath, color: bool) -> str:
    total = sum(len(rules) for rules in by_path.values())
    if not total:
        return ""
    lines = [title.format(counted(total, "error"))]
    for path, rules in by_path.items():
        if not rules:
            continue
        lines.append(f"- {paint(printable(path), 'bold', color)}:")
        ordered = sorted(Counter(rules).items(), key=lambda entry: (-entry[1], entry[0]))
        lines += [f"    {count} × {paint(code, 'red', color)} ({name})" for (code, name), count in ordered]
    return "\n".join(lines) + "\n"
