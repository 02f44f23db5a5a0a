"""The closing lines: how many findings, how many of them a fix would repair.

May not: decide the exit code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mllint.diagnostic import Safety, Severity
from mllint.output.options import Options, findings
from mllint.output.style import paint

if TYPE_CHECKING:
    from mllint.checking.report import Report


def summary(reports: Sequence[Report], options: Options, fixed: int = 0) -> str:
    """The closing lines. ``reports`` hold what remains, ``fixed`` counts what this run has repaired."""
    found = [diagnostic for diagnostic, _ in findings(reports)]
    if not found and not fixed:
        return paint("All checks passed!", "green", options.color) + "\n"
    severities = Counter(diagnostic.severity for diagnostic in found)
    shares = [counted(severities[level], level.value) for level in Severity if severities[level]]
    if fixed:
        shares = [f"{fixed} fixed", f"{len(found)} remaining"]
        text = f"Found {counted(len(found) + fixed, 'finding')} ({', '.join(shares)}).\n"
    else:
        text = f"Found {counted(len(found), 'finding')} ({', '.join(shares)}).\n"
    safeties = Counter(diagnostic.fix.safety for diagnostic in found if diagnostic.fix is not None)
    return text + _fixes(safeties[Safety.SAFE], safeties[Safety.UNSAFE], options)


def _fixes(safe: int, unsafe: int, options: Options) -> str:
    """What ``--fix`` would repair now, and what it would repair with ``--unsafe-fixes``."""
    if options.unsafe_fixes:
        safe, unsafe = safe + unsafe, 0
    star = f"[{paint('*', 'cyan', options.color)}]"
    if safe:
        more = f" ({unsafe} more with `--unsafe-fixes`)" if unsafe else ""
        return f"{star} {safe} fixable with the `--fix` option{more}\n"
    return f"No safe fixes ({unsafe} fixable with `--fix --unsafe-fixes`)\n" if unsafe else ""


def counted(count: int, noun: str) -> str:
    """``1 finding``, ``2 findings``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
