"""The baseline: findings that are known and put off, kept by what they say and not by where they stand.

An entry is a path, a code, the function or class around the finding, its line without blanks and comment, and a
number among equals. So code may move within its file, and a second copy of the same fault is new. May not: read or
write files, or decide what a finding is.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from itertools import groupby

from mllint.analysis.index import Definition, SyntaxFault, build_index, parse
from mllint.checking.comments import Comment, read_comments
from mllint.checking.report import Report
from mllint.checking.suppress import NEVER
from mllint.diagnostic import Diagnostic
from mllint.reading.source import Source

#: Of the file format. A file of a later version is refused.
VERSION = 1

#: Longer lines (generated code, data) are kept as their beginning and a digest.
_LONGEST = 200


class BrokenBaseline(ValueError):
    """A text that is no baseline. ``str()`` says why, without the path."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One known finding. ``path`` is relative to the baseline's folder, with forward slashes; ``within`` the
    qualified name of the definition around it, "" for none; ``ordinal`` counts equal ones of a file from 1."""

    path: str
    code: str
    within: str
    line: str
    ordinal: int


def entries_of(report: Report, path: str) -> list[tuple[Diagnostic, Entry | None]]:
    """The findings of a report with the entry that each would have; None for those that are never put off."""
    source = report.source
    if source is None:
        return [(found, None) for found in report.diagnostics]
    definitions, (comments, _) = _definitions(source), read_comments(source)
    seen: Counter[tuple[str, str, str]] = Counter()
    pairs: list[tuple[Diagnostic, Entry | None]] = []
    for found in report.diagnostics:
        if found.code in NEVER:
            pairs.append((found, None))
            continue
        key = found.code, _within(definitions, source.row(found.start)), _line(source, found, comments)
        seen[key] += 1
        pairs.append((found, Entry(path, *key, seen[key])))
    return pairs


def _definitions(source: Source) -> Sequence[Definition]:
    """The functions and classes of a file; none where it is no Python."""
    if source.kind not in ("python", "notebook"):
        return ()
    tree = parse(source)
    return () if isinstance(tree, SyntaxFault) else build_index(tree, "").definitions


def _within(definitions: Iterable[Definition], row: int) -> str:
    """The qualified name of the innermost definition around a row."""
    around = [(one.line, one.qualname) for one in definitions if one.line <= row <= one.end_line]
    return max(around)[1] if around else ""


def _line(source: Source, found: Diagnostic, comments: Iterable[Comment]) -> str:
    """The line where a finding begins, without the comment behind it and with single blanks."""
    row = source.row(found.start)
    start, line = source.line_starts[row - 1], source.line(row)
    comment = next((one for one in comments if one.row == row and one.start > found.start), None)
    if comment is not None:
        line = source.data[start : comment.start].decode("utf-8")
    line = re.sub(r"\s+", " ", line).strip()
    if len(line) <= _LONGEST:
        return line
    from hashlib import sha256  # loads OpenSSL, which nearly no run needs

    return f"{line[:_LONGEST]}… {sha256(line.encode()).hexdigest()[:16]}"


def complete(report: Report) -> bool:
    """Is a finding that the report does not have really not there? Not so where a file or a rule broke."""
    return not any(found.code in NEVER for found in report.diagnostics)


def without_known(report: Report, path: str, known: frozenset[Entry]) -> tuple[Report, frozenset[Entry]]:
    """The report with only what is new, and the entries that are in the baseline."""
    pairs = entries_of(report, path)
    matched = frozenset(entry for _, entry in pairs if entry is not None) & known
    new = tuple(found for found, entry in pairs if entry not in known)
    return replace(report, diagnostics=new, source=report.source if new else None), matched


def without_known_fixes(report: Report, path: str, known: frozenset[Entry]) -> Report:
    """The whole report, but what is in the baseline has no fix: it is put off, as under a suppression."""
    pairs = entries_of(report, path)
    return replace(
        report, diagnostics=tuple(replace(found, fix=None) if entry in known else found for found, entry in pairs)
    )


def rewritten(
    old: Iterable[Entry], report: Report, path: str, asked: Callable[[str], bool]
) -> tuple[Report, frozenset[Entry]]:
    """What is left of a report whose findings all go into the baseline, and the file's entries from now on.

    ``old`` are its entries so far: those for codes that were not ``asked`` for stay.
    """
    pairs = entries_of(report, path)
    kept = {entry for entry in old if not (complete(report) and asked(entry.code))}
    left = tuple(found for found, entry in pairs if entry is None)
    now = frozenset(entry for _, entry in pairs if entry is not None) | kept
    return replace(report, diagnostics=left, source=report.source if left else None), now


# -- the file's text ---------------------------------------------------------------------------------------------

_FIELDS = tuple(field.name for field in fields(Entry))


def render(entries: Iterable[Entry]) -> str:
    """The baseline as JSON: sorted and one entry a line, so that a diff shows what came and went."""
    rows = [
        "    " + json.dumps(dict(zip(_FIELDS, astuple(entry), strict=True)), ensure_ascii=False)
        for entry in _numbered(entries)
    ]
    body = "[\n" + ",\n".join(rows) + "\n  ]" if rows else "[]"
    return f'{{\n  "version": {VERSION},\n  "findings": {body}\n}}\n'


def _numbered(entries: Iterable[Entry]) -> list[Entry]:
    """The entries in order, equal ones numbered without a gap."""
    found: list[Entry] = []
    for _, equal in groupby(sorted(entries), key=lambda entry: astuple(entry)[:-1]):
        found += (replace(entry, ordinal=number) for number, entry in enumerate(equal, start=1))
    return found


def read_entries(text: str) -> frozenset[Entry]:
    """The entries of a baseline. Raises BrokenBaseline."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise BrokenBaseline(f"no valid JSON at line {error.lineno}: {error.msg.lower()}") from error
    except (ValueError, RecursionError) as error:
        raise BrokenBaseline("JSON that no baseline holds") from error
    version = content.get("version") if isinstance(content, dict) else None
    if type(version) is not int or not isinstance(content.get("findings"), list):
        raise BrokenBaseline("no object with `version` and `findings`")
    if version != VERSION:
        raise BrokenBaseline(f"version {version}, and this mllint knows version {VERSION}")
    return frozenset(_entry(row, number) for number, row in enumerate(content["findings"], start=1))


def _entry(row: object, number: int) -> Entry:
    match row:
        case {"path": str(path), "code": str(code), "within": str(within), "line": str(line), "ordinal": int(ordinal)}:
            return Entry(path, code, within, line, ordinal)
    raise BrokenBaseline(f"entry {number} does not have {', '.join(f'`{name}`' for name in _FIELDS)}")
