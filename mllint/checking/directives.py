"""What a comment says to mllint: ``mllint: ignore[…]``, ``ignore-file[…]``, ``disable[…]`` and ``enable[…]``, ``noqa: ML…``.

May not: know which findings there are. Comments in, directives and the edits that remove them out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Literal, get_args

from mllint.checking.comments import Comment
from mllint.diagnostic import Edit
from mllint.reading.source import Source
from mllint.record import dataclass

Form = Literal["ignore", "ignore-file", "disable", "enable", "noqa", "bad"]

#: What has to stand on a line of its own.
_OWN_LINE: tuple[Form, ...] = ("ignore-file", "disable", "enable")


@dataclass(frozen=True, slots=True)
class Selector:
    """A code, prefix or rule name as written, with its byte offsets."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Directive:
    """One suppression in a comment, reason included; ``following`` is where the comment's next part begins.

    ``form`` is ``bad`` for what was meant for mllint but cannot be read; ``fault`` then says why. No selectors: all codes.
    """

    form: Form
    comment: Comment
    start: int
    end: int
    selectors: tuple[Selector, ...] = ()
    following: int | None = None
    fault: str = ""

    def covers(self, first: int, last: int) -> bool:
        """Does it, by itself, apply to a finding that stands in these rows? (How far a ``disable`` reaches depends
        on the others: ranges.py.)"""
        if self.form == "ignore-file":
            return True
        if self.form in ("bad", "disable", "enable"):
            return False
        comment = self.comment
        lowest, highest = comment.first, comment.last
        if self.form == "noqa" and comment.own:  # as in flake8 and ruff it never speaks for another line
            lowest = highest = comment.row
        return first <= highest and last >= lowest


def mentions_directive(data: bytes, codes: Iterable[str]) -> bool:
    """Could there be a directive in these bytes, for rules with these codes?

    Costs a byte search; tokenising costs a hundred times more, and ``noqa`` for other tools is common.
    """
    if b"mllint:" in data:
        return True
    if b"noqa" not in data.lower():
        return False
    families = "|".join(sorted({re.escape(code.rstrip("0123456789")) for code in codes}))
    return re.search(rf"noqa\s*:[^\r\n]*(?:{families})\d".encode(), data, re.IGNORECASE) is not None


#: Where a part of a comment begins: its own delimiter, or one inside it that a directive or a word follows.
_PART = re.compile(
    r"""\A(?:\#+|//+|/\*+|<!--)"""
    r"""|(?<![`'"])(?:\#+|//+)(?=\s*(?:[Nn][Oo][Qq][Aa]\b|mllint:))"""
    r"""|(?<!\S)(?:\#+|//+)(?=\s*[A-Za-z])"""
)
_OWN = re.compile(
    r"\s*mllint:\s*(?P<keyword>ignore-file|ignore|disable|enable)(?:\s*\[(?P<inside>[^\[\]]*)\]|(?=\s|\Z)(?!\s*\[))"
)
_NOQA = re.compile(r"\s*[Nn][Oo][Qq][Aa]\s*:\s*(?P<codes>(?:(?:[A-Z]+|ml)\d+(?![a-z0-9_-])[\s,]*)+)")
_CODE = re.compile(r"(?:[A-Z]+|ml)\d+")
_NAME = re.compile(r"[A-Za-z][\w-]*")


def directives_in(comment: Comment) -> Iterator[Directive]:
    """The directives of one comment, in order; a comment may hold several, and other text."""
    text = comment.text
    inner_end = len(text)
    for opening, closing in (("/*", "*/"), ("<!--", "-->")):
        if text.startswith(opening) and text.endswith(closing):
            inner_end -= len(closing)
    parts = list(_PART.finditer(text, 0, inner_end))
    for part, after in zip(parts, [*parts[1:], None], strict=True):
        end = after.start() if after else inner_end
        end = part.end() + len(text[part.end() : end].rstrip())
        found = _read_part(comment, part.start(), part.end(), end, after.start() if after else None)
        if found is not None:
            yield found


def _read_part(comment: Comment, start: int, body: int, end: int, following: int | None) -> Directive | None:
    """The directive between two indices of a comment's text, ``body`` being the first one past its delimiter."""
    text = comment.text[:end]

    def offset(index: int) -> int:
        return comment.start + len(text[:index].encode())

    after = None if following is None else comment.start + len(comment.text[:following].encode())
    bad = Directive("bad", comment, offset(start), offset(end), (), after, "suppression not understood")
    noqa = _NOQA.match(text, body)
    if noqa:
        begin, stop = noqa.span("codes")
        selectors = [
            Selector(item[0], offset(item.start()), offset(item.end())) for item in _CODE.finditer(text, begin, stop)
        ]
        return Directive("noqa", comment, offset(start), offset(end), tuple(selectors), after)
    if not text[body:].lstrip().startswith("mllint:"):
        return None
    own = _OWN.match(text, body)
    if own is None:
        return bad
    form = next(known for known in get_args(Form) if known == own["keyword"])
    if form in _OWN_LINE and not comment.own:
        return replace(bad, fault=f"`{form}` works only on a line of its own")
    if own["inside"] is None:
        return Directive(form, comment, offset(start), offset(end), (), after)
    pieces = own["inside"].rstrip().removesuffix(",").split(",")
    at, selectors = own.start("inside"), []
    for piece in pieces:
        name = piece.strip()
        if not _NAME.fullmatch(name):
            return bad
        begin = at + piece.index(name)
        selectors.append(Selector(name, offset(begin), offset(begin + len(name))))
        at += len(piece) + 1
    return Directive(form, comment, offset(start), offset(end), tuple(selectors), after)


def removal(source: Source, directive: Directive, positions: Collection[int]) -> Edit:
    """The edit that removes these selectors, or the whole directive where none would be left (or there are none)."""
    selectors = directive.selectors
    kept = [selector.text for number, selector in enumerate(selectors) if number not in positions]
    if kept and len(positions) == 1:
        [position] = positions
        if position:
            return Edit(selectors[position - 1].end, selectors[position].end, "")
        return Edit(selectors[0].start, selectors[1].start, "")
    if kept:
        return Edit(selectors[0].start, selectors[-1].end, ", ".join(kept))
    if directive.following is not None:
        return Edit(directive.start, directive.following, "")
    data, comment = source.data, directive.comment
    if directive.start > comment.start:  # other text before it stays
        ahead = data[comment.start : directive.start].rstrip()
        return Edit(comment.start + len(ahead), directive.end, "")
    return _comment_removal(source, comment)


def _comment_removal(source: Source, comment: Comment) -> Edit:
    """Remove a whole comment: with its lines, or with the blanks that set it off from the code beside it."""
    data, starts = source.data, source.line_starts
    line_start = starts[comment.row - 1]
    end_row = source.row(comment.end - 1)
    line_end = starts[end_row] if end_row < len(starts) else len(data)
    if comment.own:
        return Edit(line_start, line_end, "")
    behind = data[comment.end : line_end].rstrip(b"\r\n")
    blanks = len(behind) - len(behind.lstrip(b" \t"))
    ahead = data[line_start : comment.start].rstrip(b" \t")
    if not ahead:  # code only behind it: the indentation stays
        return Edit(comment.start, comment.end + blanks, "")
    if blanks == len(behind):  # code only before it
        return Edit(line_start + len(ahead), comment.end + blanks, "")
    if blanks or line_start + len(ahead) < comment.start:
        return Edit(line_start + len(ahead), comment.end, "" if blanks else " ")
    return Edit(comment.start, comment.end, " ")  # it was all that kept two words apart
