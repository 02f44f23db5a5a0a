"""Leave out what a comment suppresses, and report the suppressions that suppress nothing (ML001).

May not: read configuration, or suppress a syntax error (ML000) or a crashed rule (ML002).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mllint.checking.comments import read_comments
from mllint.checking.directives import Directive, directives_in, mentions_directive, removal
from mllint.checking.ranges import Ranges, Spot, ranges
from mllint.checking.select import FAMILIES, begins
from mllint.diagnostic import Diagnostic, Fix, Safety
from mllint.reading.source import Source
from mllint.rule import Meta

#: Codes that no comment suppresses.
NEVER = frozenset({"ML000", "ML002"})
_OURS = re.compile(r"ML\d{1,3}")
_FAMILY_PREFIXES = {name: prefix for prefix, (name, _) in FAMILIES.items()}


def apply(
    source: Source,
    diagnostics: Sequence[Diagnostic],
    *,
    active: Container[str],
    unused: Meta | None,
    ignore_noqa: bool = False,
    names: Mapping[str, str],
) -> tuple[tuple[Diagnostic, ...], int]:
    """The findings that no comment suppresses, those of ML001 included, and how many were suppressed.

    ``active`` are the codes that were checked: a suppression of any other may be needed in another run, so
    it is not called unused. ``unused`` is ML001's meta, None when that is off; ``names`` maps rule names to
    codes and so tells which codes there are. ``ignore_noqa``: no comment suppresses anything, as in ruff.
    """
    if ignore_noqa or not mentions_directive(source.data, names.values()):
        return tuple(diagnostics), 0
    comments, exact = read_comments(source)
    ledger = _Ledger(source, names, [found for comment in comments for found in directives_in(comment)])
    kept = [found for found in diagnostics if not ledger.suppresses(found)]
    if unused is not None and exact and not any(found.code in NEVER for found in diagnostics):
        stale = [found for found in ledger.stale(unused, active) if not ledger.suppresses(found)]
        kept += (*stale, *ledger.stale_about_itself(unused))
    return tuple(kept), ledger.suppressed


@dataclass
class _Ledger:
    """The suppressions of one file and which of them were of use."""

    source: Source
    names: Mapping[str, str]
    directives: Sequence[Directive]
    suppressed: int = 0
    used: set[Spot] = field(default_factory=set)
    ranges: Ranges = field(init=False)

    def __post_init__(self) -> None:
        self.ranges = ranges(self.directives, self._codes)

    def suppresses(self, finding: Diagnostic) -> bool:
        """Is the finding suppressed? Every suppression that covers it counts as used."""
        if finding.code in NEVER or finding.path != self.source.path:
            return False
        first, last = self.source.row(finding.start), self.source.row(max(finding.start, finding.end - 1))
        hits = [
            (number, position)
            for number, directive in enumerate(self.directives)
            for position in self._hits(directive, finding.code)
            if directive.covers(first, last)
            or (directive.form == "disable" and self.ranges.holds((number, position), finding.code, first))
        ]
        self.used.update(hits)
        self.suppressed += bool(hits)
        return bool(hits)

    def _hits(self, directive: Directive, code: str) -> list[int]:
        """Positions of the selectors that mean this code. ML001 has to be named: ``ignore`` alone would
        otherwise always hide that it is unused."""
        if not directive.selectors:
            return [] if code == "ML001" else [0]
        return [
            position
            for position, selector in enumerate(directive.selectors)
            if self._prefix(selector.text) == code or (code != "ML001" and begins(self._prefix(selector.text), code))
        ]

    def _codes(self, directive: Directive, position: int) -> frozenset[str]:
        """All codes that a selector of a directive means."""
        return frozenset(code for code in self.names.values() if position in self._hits(directive, code))

    def _prefix(self, selector: str) -> str:
        """The code or prefix that a selector stands for; what is neither matches no code."""
        if selector in self.names:
            return self.names[selector]
        return _FAMILY_PREFIXES.get(selector) or (selector.upper() if _is_code(selector) else selector)

    def stale(self, unused: Meta, active: Container[str]) -> Iterator[Diagnostic]:
        """ML001 for everything that was of no use, except for what names ML001 itself."""
        known = frozenset(self.names.values())
        all_ran = all(code in active for code in known - NEVER)
        for number, directive in enumerate(self.directives):
            if directive.form == "bad":
                yield self._report(unused, directive, directive.fault, None)
            elif directive.form == "enable":
                yield from self._ends_nothing(unused, number, directive)
                continue
            elif not directive.selectors and all_ran and (number, 0) not in self.used:
                yield self._report(unused, directive, "this suppression suppresses nothing", 0)
            for position, selector in enumerate(directive.selectors):
                prefix = self._prefix(selector.text)
                foreign = directive.form == "noqa" and prefix not in known and not _OURS.fullmatch(prefix)
                if foreign or prefix == unused.code or (number, position) in self.used:
                    continue
                codes = {code for code in known if begins(prefix, code)}
                if not codes and not _of_another_pack(prefix, known):
                    yield self._report(unused, directive, f"unknown code `{selector.text}` in a suppression", position)
                elif codes and codes <= NEVER:
                    yield self._report(unused, directive, f"`{selector.text}` cannot be suppressed", position)
                elif codes and all(code in active for code in codes - NEVER):
                    yield self._report(unused, directive, f"`{selector.text}` suppresses nothing here", position)

    def _ends_nothing(self, unused: Meta, number: int, directive: Directive) -> Iterator[Diagnostic]:
        """ML001 for each selector of an ``enable`` that no ``disable`` before it in the block has."""
        if not directive.selectors and (number, 0) not in self.ranges.enders:
            yield self._report(unused, directive, "nothing is disabled here", 0)
        for position, selector in enumerate(directive.selectors):
            if (number, position) not in self.ranges.enders:
                known = self._codes(directive, position)
                if not known and _of_another_pack(self._prefix(selector.text), self.names.values()):
                    continue
                message = f"`{selector.text}` is not disabled here"
                if not known:
                    message = f"unknown code `{selector.text}` in a suppression"
                elif known <= NEVER:
                    message = f"`{selector.text}` cannot be suppressed"
                yield self._report(unused, directive, message, position)

    def stale_about_itself(self, unused: Meta) -> Iterator[Diagnostic]:
        """ML001 for naming ML001 where there was nothing of it to suppress. Asked last."""
        for number, directive in enumerate(self.directives):
            for position, selector in enumerate(directive.selectors if directive.form != "enable" else ()):
                if self._prefix(selector.text) == unused.code and (number, position) not in self.used:
                    yield self._report(unused, directive, f"`{selector.text}` suppresses nothing here", position)

    def _report(self, unused: Meta, directive: Directive, message: str, position: int | None) -> Diagnostic:
        fix = None
        if position is not None and self.source.kind != "notebook":
            several = len(directive.selectors) > 1
            title = f"Remove `{directive.selectors[position].text}`" if several else "Remove the suppression"
            edits = [removal(self.source, directive, {position})]
            if directive.form == "disable":  # what ended only this would be the next thing to report
                enders = self.ranges.only_for((self.directives.index(directive), position))
                edits += (removal(self.source, self.directives[other], these) for other, these in enders.items())
            fix = Fix(title, tuple(edits), Safety.SAFE)
        start, end = directive.start, directive.end
        begin, finish = self.source.place(start), self.source.place(end)
        return Diagnostic(
            self.source.path, start, end, unused.code, unused.name, unused.severity, message, begin, finish, fix=fix
        )


def _of_another_pack(selector: str, known: Iterable[str]) -> bool:
    """May it be the code of a user's rule that this run does not load? Not with the letters of one that it does."""
    return re.fullmatch(r"[A-Z]{2,}\d{3}", selector) is not None and not any(
        begins(selector[:-3], code) for code in known
    )


def _is_code(selector: str) -> bool:
    return re.fullmatch(r"[A-Za-z]+\d*", selector) is not None
