"""Write a suppression for each finding of a file: the edits, each verified like a fix.

May not: write files, or decide which findings deserve it. What cannot be shown to be a mere comment is taken back.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from mllint.analysis.index import SyntaxFault, parse
from mllint.checking.comments import Layout, lay_out, read_comments
from mllint.checking.directives import Directive, directives_in
from mllint.checking.fix import Check, all_known, apply_edits, less
from mllint.checking.report import Report
from mllint.checking.suppress import NEVER
from mllint.diagnostic import Diagnostic, Edit
from mllint.reading.source import Source


@dataclass(frozen=True, slots=True)
class Added:
    """A file with its new suppressions: ``data`` are the bytes to write if ``count`` is not 0, ``left`` is the
    report for them. ``count`` are the findings that are suppressed now."""

    data: bytes
    count: int
    left: Report


def add_ignores(
    source: Source,
    report: Report,
    check: Check,
    reason: str = "",
    new: Callable[[Report], Report] = lambda report: report,
) -> Added:
    """Suppress every finding that ``new`` leaves of a report; ``check`` is the check that it came from.

    Notebooks, and files that their own encoding cannot give back, stay as they are."""
    if source.kind == "notebook" or not source.exact:
        return Added(source.data, 0, report)
    begun, count = source, 0
    behind = source.kind not in ("dockerfile", "makefile")  # there the shell would get the comment, and make print it
    for places in (_beside, _above) if behind else (_above, _beside):
        wanted = [found for found in new(report).diagnostics if found.code not in NEVER]
        if not wanted:
            break
        trial = _Trial(source, report, check)
        trial.settle(_slots(source, wanted, places, reason))
        source, report = trial.source, trial.report
        count += sum(len(slot.findings) for slot in trial.held)
    return Added(begun.restore(source.data), count, report)


# -- where ---------------------------------------------------------------------------------------------------------


@dataclass
class _Slot:
    """One comment to be written, or the list of an existing one (``known`` codes) to be made longer, at an offset."""

    start: int
    end: int
    before: str
    after: str
    known: tuple[str, ...] = ()
    findings: list[Diagnostic] = field(default_factory=list)

    @property
    def edit(self) -> Edit:
        codes = [code for code in dict.fromkeys(found.code for found in self.findings) if code not in self.known]
        return Edit(self.start, self.end, self.before + ", ".join(codes) + self.after)


_Places = Callable[["_Text", Diagnostic, str], "_Slot | None"]


def _slots(source: Source, wanted: Sequence[Diagnostic], places: _Places, reason: str) -> list[_Slot]:
    """Where the findings are to be suppressed, those of one place together."""
    text = _Text(source)
    found: dict[tuple[int, int], _Slot] = {}
    for finding in wanted:
        slot = places(text, finding, reason)
        if slot is not None:
            found.setdefault((slot.start, slot.end), slot).findings.append(finding)
    return list(found.values())


@dataclass
class _Text:
    """What is asked about a file's text while comments are placed in it."""

    source: Source
    layout: Layout | None = None
    ignores: list[Directive] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.source.kind == "python":
            self.layout = lay_out(self.source)
        comments, _ = read_comments(self.source)
        self.comments = comments
        directives = [found for comment in comments for found in directives_in(comment)]
        self.ignores = [found for found in directives if found.form == "ignore" and found.selectors]

    def continued(self, row: int) -> bool:
        """Does a backslash join this row to the next one?"""
        return row >= 1 and self.source.line(row).endswith("\\")

    def last_joined(self, row: int) -> int:
        """The row behind whose code a comment for this row can stand."""
        if self.layout is not None:
            return self.layout.end_of_joined(row)
        while self.continued(row) and row < len(self.source.line_starts):
            row += 1
        return row

    def first_joined(self, row: int) -> int:
        """The row above which a comment for the statement in this row can stand."""
        if self.layout is not None:
            return self.layout.first_of_line(row)
        for comment in self.comments:  # a comment of several rows cannot hold another one
            if comment.row < row <= self.source.row(comment.end - 1):
                row = comment.row
        while self.continued(row - 1):
            row -= 1
        return row


def _beside(text: _Text, found: Diagnostic, reason: str) -> _Slot | None:
    """In a suppression that covers the finding already, else behind the code."""
    source = text.source
    first, last = source.row(found.start), source.row(max(found.start, found.end - 1))
    for directive in text.ignores:
        if directive.covers(first, last):
            at = directive.selectors[-1].end
            return _Slot(at, at, ", ", "", tuple(selector.text for selector in directive.selectors))
    row = text.last_joined(first)
    line = source.line(row)
    end = source.line_starts[row - 1] + len(line.encode())
    mark = "//" if source.kind == "kernel" else "#"
    return _Slot(
        end - len(line.encode()) + len(line.rstrip().encode()), end, f"  {mark} mllint: ignore[", f"]{_why(reason)}"
    )


def _above(text: _Text, found: Diagnostic, reason: str) -> _Slot | None:
    """On a line of its own above the statement, or above the block (YAML's ``run: |``, a fenced one in Markdown)."""
    source = text.source
    row = text.first_joined(source.row(found.start))
    if source.kind in ("yaml", "markdown"):
        row = _opener(source, row) or row
    line = source.line(row)
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    start = source.line_starts[row - 1]
    opening, closing = {"kernel": ("// ", ""), "markdown": ("<!-- ", " -->")}.get(source.kind, ("# ", ""))
    if source.kind == "makefile" and indent.startswith("\t"):
        indent = ""  # make's own comment: behind a tab it would be the shell's, and printed
    before = f"{indent}{opening}mllint: ignore["
    after = f"]{_why(reason)}{closing}{source.newline}"
    if source.kind == "markdown":
        after += source.newline  # or the block would be part of the comment's paragraph of HTML
    return _Slot(start, start, before, after)


def _opener(source: Source, row: int) -> int | None:
    """The row that opens the block scalar or code block that a row stands in."""
    from mllint.checking.host_comments import statement_end

    for above in range(row - 1, 0, -1):
        opens = re.match(r"\s*(?:```|~~~)" if source.kind == "markdown" else r".*[|>][+-]?\d?\s*$", source.line(above))
        if opens and statement_end(source, above - 1) >= row:
            return above
    return None


def _why(reason: str) -> str:
    return f" {reason}" if reason else ""


# -- whether -------------------------------------------------------------------------------------------------------


class _Trial:
    """Which of the slots hold together, and the source and report they lead to."""

    def __init__(self, source: Source, report: Report, check: Check) -> None:
        self._before = source
        self._old = report
        self._check = check
        self._meaning = _meaning(source)
        self.source = source
        self.report = report
        self.held: list[_Slot] = []

    def settle(self, batch: Sequence[_Slot]) -> None:
        """Keep what holds; of a batch that does not, try the halves."""
        if not batch or self._holds([*self.held, *batch]) or len(batch) == 1:
            return
        middle = len(batch) // 2
        self.settle(batch[:middle])
        self.settle(batch[middle:])

    def _holds(self, slots: list[_Slot]) -> bool:
        """Write these comments; remember the result if nothing but their findings went, and nothing came."""
        edits = sorted(slot.edit for slot in slots)
        source = replace(self._before, data=apply_edits(self._before.data, edits))
        try:
            source.restore(source.data)
        except UnicodeError:  # a character of the reason that the file's encoding lacks
            return False
        if self._meaning is None or _meaning(source) != self._meaning:
            return False
        report = self._check(source)
        others = less(self._old.diagnostics, [found for slot in slots for found in slot.findings])
        if not all_known(report.diagnostics, source, others, self._before, edits):
            return False
        self.source, self.report, self.held = source, report, slots
        return True


def _meaning(source: Source) -> object:
    """What a file says apart from its comments: its syntax tree, its commands, its text without blanks.

    None where that cannot be told: Python with a syntax error."""
    if source.kind == "python":
        tree = parse(source)
        return None if isinstance(tree, SyntaxFault) else [_apart(node) for node in ast.walk(tree)]
    if source.kind == "kernel":
        comments, _ = read_comments(source)
        return _without(source.data, ((comment.start, comment.end) for comment in comments)).split()
    from mllint.reading.shell import Command, commands_in

    def said(command: Command) -> object:
        inner = [said(one) for one in (*command.upstream, *command.substituted)]
        return [word.text for word in command.words], command.via, command.background, inner

    return [said(command) for command in commands_in(source)]


def _apart(node: ast.AST) -> object:
    """A node without its place and what stands below it. (`ast.dump` would recurse: a sum of 400 terms is too deep.)"""
    values = [(name, value if isinstance(value, list) else [value]) for name, value in ast.iter_fields(node)]
    return type(node), [
        (name, [None if isinstance(one, ast.AST) else repr(one) for one in many]) for name, many in values
    ]


def _without(data: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    pieces, at = [], 0
    for start, end in spans:
        pieces.append(data[at:start])
        at = end
    return b" ".join((*pieces, data[at:]))
