"""Apply fixes and verify each of them: what cannot be shown to have worked is taken back.

May not: read or write files, or print. Bytes outside the edits never change.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace

from mllint.analysis.index import SyntaxFault, parse
from mllint.checking.comments import read_comments
from mllint.checking.report import Report
from mllint.diagnostic import Diagnostic, Edit, Fix, Safety
from mllint.reading.source import Source
from mllint.record import dataclass

#: Overlapping fixes are applied in rounds. Every round that changes something leaves fewer findings, so this
#: only bounds the time.
_ROUNDS = 10

Check = Callable[[Source], Report]


@dataclass(frozen=True, slots=True)
class FixOutcome:
    """A file after its fixes: ``data`` are the bytes to write if ``changed``, ``left`` is the report for them.

    ``applied`` holds (code, rule name, title) of each fix that held; ``rolled_back`` are the findings, as
    they stand in ``left``, whose fix was tried and taken back.
    """

    data: bytes
    applied: tuple[tuple[str, str, str], ...]
    left: Report
    rolled_back: tuple[Diagnostic, ...]
    changed: bool


def in_comment_way(source: Source, fix: Fix) -> bool:
    """Would one of the edits swallow, split or cut a comment? Edits wholly inside one are fine, and so is
    removing a whole comment with the blanks around it and nothing else."""
    doubtful = [edit for edit in fix.edits if _comment_near(source, edit)]
    if not doubtful:
        return False
    comments, exact = read_comments(source)
    if not exact:
        return True
    return any(_harms(source.data, edit, comment.start, comment.end) for edit in doubtful for comment in comments)


def _comment_near(source: Source, edit: Edit) -> bool:
    """Could there be a comment on the lines of the edit? Saves tokenising the file for nearly all fixes."""
    if source.kind in ("kernel", "markdown"):
        return True  # their comments span lines
    starts = source.line_starts
    last = bisect_right(starts, edit.end)
    end = starts[last] if last < len(starts) else len(source.data)
    return b"#" in source.data[starts[bisect_right(starts, edit.start) - 1] : end]


def _harms(data: bytes, edit: Edit, start: int, end: int) -> bool:
    """Does the edit harm the comment at ``start`` to ``end``?"""
    closer = {b"/*": b"*/", b"<!": b"-->"}.get(data[start : start + 2], b"")
    text = edit.text.encode("utf-8", "replace")
    if edit.start == end and not closer:  # whatever comes right behind the comment becomes part of it
        return (edit.end > end or bool(text)) and not text.startswith((b"\n", b"\r"))
    if edit.end <= start or edit.start >= end:
        return False
    if start <= edit.start and edit.end <= end:
        opener = data[start : start + (2 if closer or data[start : start + 1] == b"/" else 1)]
        rest = data[start : edit.start] + text + data[edit.end : end]
        return (
            b"\n" in text
            or b"\r" in text
            or bool(rest.strip() and not (rest.startswith(opener) and rest.endswith(closer)))
        )
    around = data[edit.start : start] + data[end : edit.end]
    return edit.start > start or edit.end < end or bool(around.strip() or text.strip())


def apply_edits(data: bytes, edits: Iterable[Edit]) -> bytes:
    """The bytes with all edits made; equal edits are made once. Raises ValueError where they overlap or lie outside."""
    pieces: list[bytes] = []
    at = 0
    for edit in sorted(set(edits)):
        if not at <= edit.start <= edit.end <= len(data):
            raise ValueError(
                f"edit {edit.start} to {edit.end} overlaps another one or lies outside the {len(data)} bytes"
            )
        pieces += (data[at : edit.start], edit.text.encode("utf-8"))
        at = edit.end
    return b"".join((*pieces, data[at:]))


def fix_source(
    source: Source, check: Check, allowed: frozenset[Safety], codes: Container[str] | None = None
) -> FixOutcome:
    """Apply the fixes of these safeties (and codes, if given) and verify them.

    A fix holds if the file still parses, its finding is gone and nothing new was found; else it is taken
    back alone. Notebooks, and files that their own encoding cannot give back, are never changed. ``check`` has to be the check that the file is judged by.
    """
    report = check(source)
    if source.kind == "notebook" or not source.exact:
        return FixOutcome(source.data, (), report, (), False)
    before = source.restore(source.data)
    applied: list[tuple[str, str, str]] = []
    refused: frozenset[_Spot] = frozenset()

    def eligible(found: Diagnostic) -> bool:
        return (
            found.fix is not None
            and found.fix.safety in allowed
            and (codes is None or found.code in codes)
            and _spot(found) not in refused
        )

    for _ in range(_ROUNDS):
        chosen = _without_overlaps([found for found in report.diagnostics if eligible(found)])
        if not chosen:
            break
        trial = _Trial(source, report, check)
        trial.settle(chosen)
        edits = _edits(trial.held)
        applied += [(found.code, found.name, found.fix.title) for found in trial.held if found.fix]
        refused |= {_spot(found) for found in trial.failed}
        refused = frozenset((code, _moved(start, edits), _moved(end, edits)) for code, start, end in refused)
        source, report = trial.source, trial.report
    rolled_back = tuple(found for found in report.diagnostics if found.fix and _spot(found) in refused)
    after = source.restore(source.data)
    return FixOutcome(after, tuple(applied), report, rolled_back, after != before)


#: A finding apart from its words: code, start, end.
_Spot = tuple[str, int, int]


def _spot(found: Diagnostic) -> _Spot:
    return found.code, found.start, found.end


def _edits(findings: Iterable[Diagnostic]) -> list[Edit]:
    return sorted({edit for found in findings if found.fix for edit in found.fix.edits})


def _moved(offset: int, edits: Sequence[Edit]) -> int:
    """Where an offset lies after these (sorted) edits; one inside an edit goes to that edit's start."""
    shift = 0
    for edit in edits:
        if edit.start >= offset and (edit.start, edit.end) != (offset, offset):
            break
        if edit.end > offset:
            return edit.start + shift
        shift += len(edit.text.encode("utf-8", "replace")) - (edit.end - edit.start)
    return offset + shift


def _without_overlaps(findings: Sequence[Diagnostic]) -> list[Diagnostic]:
    """As many findings as have fixes that do not touch each other, in order of position.

    Equal edits do not collide when making them once serves both: the same replacement, the same whole lines
    added (an import that both need).
    """
    taken: list[Edit] = []
    chosen: list[Diagnostic] = []
    for found in sorted(findings, key=lambda found: (_edits([found])[:1], found.sort_key)):
        own = _edits([found])
        fresh = [edit for edit in own if not _shared(edit, taken)]
        if own and not any(_touches(edit, taken) for edit in fresh):
            chosen.append(found)
            for edit in fresh:
                taken.insert(bisect_left(taken, edit), edit)
    return chosen


def _shared(edit: Edit, taken: Sequence[Edit]) -> bool:
    position = bisect_left(taken, edit)
    once_is_enough = edit.start < edit.end or edit.text.endswith(("\n", "\r"))
    return once_is_enough and position < len(taken) and taken[position] == edit


def _touches(edit: Edit, taken: Sequence[Edit]) -> bool:
    """Does the edit overlap or adjoin one of those taken? (Adjoining ones could mean either order.)"""
    position = bisect_left(taken, edit)
    return any(near.start <= edit.end and edit.start <= near.end for near in taken[max(position - 1, 0) : position + 1])


class _Trial:
    """One round: which of the chosen fixes hold together, and the source and report they lead to."""

    def __init__(self, source: Source, report: Report, check: Check) -> None:
        self._before = source
        self._old = report
        self._check = check
        self.source = source
        self.report = report
        self.held: list[Diagnostic] = []
        self.failed: list[Diagnostic] = []

    def settle(self, batch: Sequence[Diagnostic]) -> None:
        """Keep what holds; of a batch that does not, try the halves, so that one bad fix costs few checks."""
        if self._holds([*self.held, *batch]):
            return
        if len(batch) == 1:
            self.failed.extend(batch)
            return
        middle = len(batch) // 2
        self.settle(batch[:middle])
        self.settle(batch[middle:])

    def _holds(self, findings: list[Diagnostic]) -> bool:
        """Make these fixes; remember the result if it can be verified."""
        edits = _edits(findings)
        try:
            source = replace(self._before, data=apply_edits(self._before.data, edits))
            source.data.decode("utf-8")  # an edit may cut a character in two
            source.restore(source.data)
        except (UnicodeError, ValueError):  # a character that the file's encoding lacks; overlapping edits
            return False
        if source.data == self._before.data:
            return False
        if source.kind == "python" and isinstance(parse(source), SyntaxFault):
            return False
        report = self._check(source)
        others = less(self._old.diagnostics, findings)
        if not all_known(report.diagnostics, source, others, self._before, edits):
            return False
        self.source, self.report, self.held = source, report, findings
        return True


def less(findings: Iterable[Diagnostic], taken: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The findings but those taken, each of them once."""
    left = list(findings)
    for found in taken:
        left.remove(found)
    return left


def all_known(
    now: Sequence[Diagnostic], source: Source, others: Sequence[Diagnostic], before: Source, edits: Sequence[Edit]
) -> bool:
    """Is every finding of now one of the ``others`` from before, each of them taken once?

    Then those that were to be fixed are gone and nothing new appeared. A finding is the same if it only moved;
    else if its message and line (blanks aside) are; else, with equal codes, if both begin in the same edit
    (which rewrote the code around it) or at the same place (an edit inside it changed its end).
    """
    if len(now) > len(others):
        return False
    waiting, candidates = list(now), list(others)
    rewritten = [(_moved(edit.start, edits), edit) for edit in edits if edit.start < edit.end]
    old_zones = [(edit.start, edit.end, start) for start, edit in rewritten]
    new_zones = [(start, start + len(edit.text.encode()), start) for start, edit in rewritten]
    keys: tuple[tuple[Callable[[Diagnostic], object], Callable[[Diagnostic], object]], ...] = (
        (_spot, lambda found: (found.code, _moved(found.start, edits), _moved(found.end, edits))),
        (lambda found: _words(found, source), lambda found: _words(found, before)),
        (
            lambda found: (found.code, _zone(found.start, new_zones, found.start)),
            lambda found: (found.code, _zone(found.start, old_zones, _moved(found.start, edits))),
        ),
    )
    for new_key, old_key in keys:
        pool: dict[object, list[Diagnostic]] = {}
        for found in candidates:
            pool.setdefault(old_key(found), []).append(found)
        rest = []
        for found in waiting:
            same = pool.get(new_key(found))
            if same:
                same.pop()
            else:
                rest.append(found)
        waiting, candidates = rest, [found for group in pool.values() for found in group]
        if not waiting:
            return True
    return not waiting


def _zone(offset: int, zones: Sequence[tuple[int, int, int]], outside: int) -> int:
    """The name of the zone (start, end, name) that an offset lies in."""
    return next((name for start, end, name in zones if start <= offset < end), outside)


def _words(found: Diagnostic, source: Source) -> tuple[str, str, str]:
    """A finding apart from its place."""
    return found.code, found.message, re.sub(r"\s+", "", source.line(source.row(found.start)))
