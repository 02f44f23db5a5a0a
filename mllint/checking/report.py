"""The result for one file.

May not: do anything; plain data between the engine and what comes after it.
"""

from __future__ import annotations

from mllint.diagnostic import Diagnostic
from mllint.reading.source import Source
from mllint.record import dataclass


@dataclass(frozen=True, slots=True)
class Report:
    """Findings of one file in order, suppressed ones left out (``suppressed`` counts them).

    ``source`` is kept where there are findings, so that output needs no file. ``crashed``: a rule raised
    (its ML002 is among the findings).
    """

    path: str
    diagnostics: tuple[Diagnostic, ...] = ()
    source: Source | None = None
    suppressed: int = 0
    crashed: bool = False
