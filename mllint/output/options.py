"""What a format needs to know besides the reports.

May not: read settings, the environment or the terminal; the command line fills this in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Safety
from mllint.reading.source import Source
from mllint.record import dataclass

if TYPE_CHECKING:
    from mllint.authoring.explain import RulePage
    from mllint.checking.report import Report


@dataclass(frozen=True, slots=True)
class Options:
    """``root`` is the folder that relative paths start from, "" where it is not known.

    ``repository`` is the folder of the whole repository, where it is known to be another one (GitLab).
    ``unsafe_fixes`` says that the run would apply (or has applied) unsafe fixes too; ``rules`` holds the
    pages of the rules by code, where a format shows them (SARIF, ``url`` in JSON).
    """

    color: bool = False
    unsafe_fixes: bool = False
    root: str = ""
    version: str = ""
    rules: Mapping[str, RulePage] = field(default_factory=dict)
    repository: str = ""


def findings(reports: Sequence[Report]) -> Iterator[tuple[Diagnostic, Source | None]]:
    """All findings in order, each with the source it stands in."""
    for report in reports:
        for diagnostic in report.diagnostics:
            yield diagnostic, report.source


def fixable(diagnostic: Diagnostic, unsafe_fixes: bool) -> bool:
    """Would ``--fix`` repair this finding? Display-only fixes never count."""
    if diagnostic.fix is None:
        return False
    return diagnostic.fix.safety is Safety.SAFE or (unsafe_fixes and diagnostic.fix.safety is Safety.UNSAFE)
