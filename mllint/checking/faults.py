"""What mllint itself has to say about a file: ML000 for a broken one, ML002 for a crash of its own.

May not: look at the file; it is told what went wrong.
"""

from __future__ import annotations

from mllint.analysis.context import Context
from mllint.analysis.index import SyntaxFault
from mllint.checking.ruleset import RuleSet
from mllint.diagnostic import Diagnostic
from mllint.reading.source import Source


def crash(source: Source, rules: RuleSet, who: str, error: BaseException) -> Diagnostic:
    """ML002: who crashed on this file, and where in the code."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace is not None else "?"
    why = f"{type(error).__name__}: {error}".splitlines()[0]
    return Context(source, rules.metas["ML002"], why).report(
        (0, 0), f"{who} crashed on this file: {type(error).__name__} at {where}"
    )


def unreadable_tree(source: Source, rules: RuleSet, error: Exception) -> Diagnostic:
    """Python accepts the file, but the lossless parser does not: our failure, said as one."""
    meta = rules.metas["ML002"]
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return Context(source, meta, reason).report((0, 0), "the lossless parser cannot read this file; exclude it")


def syntax_error(source: Source, rules: RuleSet, fault: SyntaxFault) -> tuple[Diagnostic, ...]:
    """ML000, where Python's parser stopped."""
    meta = rules.metas.get("ML000")
    if meta is None:
        return ()
    row = min(max(fault.row, 1), len(source.line_starts))
    line = source.line(row)
    start = source.offset(row, len(line[: fault.column - 1].encode()))
    return (Context(source, meta, rules.whys["ML000"]).report((start, start), fault.message),)
