"""Check one file: a first look, the project's answers, suppressions, a report.

May not: read files, print, or look at the clock or the environment. A broken file and a crashing rule are
entries in the result, never exceptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import Any, cast

from mllint.analysis.index import FileIndex
from mllint.analysis.project import Project, Unasked
from mllint.analysis.syntax import Syntax
from mllint.analysis.words import Words
from mllint.checking.fix import in_comment_way
from mllint.checking.look import Look, run_rules
from mllint.checking.report import Report
from mllint.checking.ruleset import RuleSet
from mllint.checking.suppress import apply as apply_suppressions
from mllint.diagnostic import Diagnostic, Severity
from mllint.reading.source import Source
from mllint.record import dataclass


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file alone gives. ``report`` is final unless there are codes in ``asking``, or one in ``waiting``
    turns out to be reached from other files; then `answer` adds to ``found`` what they find with the project.
    ``woken``, ``for_project``, ``words`` and ``index`` are for that project, the index packed (see facts.py) where another
    process made it. ``source`` and ``syntax`` are kept for a second look in the same process.
    """

    report: Report
    asking: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    found: tuple[Diagnostic, ...] = ()
    words: Words | None = None
    index: FileIndex | str | None = None
    woken: tuple[str, ...] = ()
    for_project: Mapping[str, Any] = field(default_factory=dict)
    source: Source | None = None
    syntax: Syntax | None = None


#: What rules are given in the first look: the first question ends it for them.
_UNASKED = cast(Project, Unasked())


def check(
    source: Source, rules: RuleSet, project: Project | None = None, absolute: str = "", *, ignore_noqa: bool = False
) -> Report:
    """Everything that the rules find in one text, suppressions applied; it may differ from the file on the disk."""
    if project is not None:
        project = project.with_text(absolute, source)
    first = survey(source, rules, absolute, ignore_noqa=ignore_noqa, alone=project is None)
    return answer(source, rules, first, project, absolute, ignore_noqa=ignore_noqa)


def survey(source: Source, rules: RuleSet, absolute: str, *, ignore_noqa: bool = False, alone: bool = False) -> Survey:
    """Run the rules as far as this file alone can answer, and say which of them want to ask about others.

    ``alone``: the file belongs to no project, so rules are told at once and the report is final.
    """
    woken, waiting = rules.woken(source.data)
    look = Look(source, rules, None if alone else _UNASKED, absolute)
    run_rules(look, woken)
    found = look.diagnostics()
    asking = tuple(rule.meta.code for rule in woken if rule.meta.code in look.asking)
    report = finish(source, rules, found, ignore_noqa=ignore_noqa)
    return Survey(
        report,
        asking,
        tuple(rule.meta.code for rule in waiting),
        tuple(found) if asking or waiting else (),
        look.words if source.kind == "python" and not alone else None,
        look.index if source.kind == "python" and not alone else None,
        tuple(rule.meta.code for rule in woken),
        look.for_project if not alone else {},
        source,
        look.syntax,
    )


def answer(
    source: Source, rules: RuleSet, first: Survey, project: Project | None, absolute: str, *, ignore_noqa: bool = False
) -> Report:
    """The final report: the survey's, or with what the rules find that asked for the project, or are reached by it."""
    reached = rules.reached(first.waiting, project, absolute)
    if not first.asking and not reached:
        return first.report
    look = Look(source, rules, project, absolute, syntax=first.syntax)
    run_rules(look, [*(rule for rule in rules.active if rule.meta.code in first.asking), *reached])
    return finish(source, rules, [*first.found, *look.diagnostics()], ignore_noqa=ignore_noqa)


def finish(source: Source, rules: RuleSet, diagnostics: Iterable[Diagnostic], *, ignore_noqa: bool = False) -> Report:
    """Drop what is off, suppressed, or a fix in a comment's way; put the rest in order."""
    kept, suppressed = apply_suppressions(
        source,
        sorted(set(diagnostics), key=lambda found: found.sort_key),
        active=rules.checking,
        unused=rules.meta("ML001"),
        ignore_noqa=ignore_noqa,
        names=rules.names,
    )
    shown = [found for found in kept if found.severity is not Severity.INFO or found.code in rules.selection.with_info]
    final = tuple(sorted((_ready(source, found, rules) for found in shown), key=lambda found: found.sort_key))
    crashed = any(found.code == "ML002" for found in final)
    return Report(source.path, final, source if final else None, suppressed, crashed)


def _ready(source: Source, found: Diagnostic, rules: RuleSet) -> Diagnostic:
    """A finding with its why, and without a fix that would swallow a comment or that the settings do not want."""
    fix = rules.allowed(found.code, found.fix)
    fix = None if fix is not None and in_comment_way(source, fix) else fix
    return replace(found, fix=fix, why=found.why or rules.whys[found.code])
