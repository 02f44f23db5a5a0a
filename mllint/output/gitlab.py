"""GitLab's Code Quality report, which merge requests show.

May not: let a fingerprint depend on where in its file a finding stands: GitLab compares two branches by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Place, Severity
from mllint.output.json_ import dumped
from mllint.output.options import Options, findings
from mllint.output.places import absolute, below, file_place, message_with_cell
from mllint.reading.source import Source

if TYPE_CHECKING:
    from mllint.checking.report import Report

_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.INFO: "info"}

#: What stays the same when a finding moves: path, code, its first line apart from blanks.
_Identity = tuple[str, str, str]


def render(reports: Sequence[Report], options: Options) -> str:
    """A list of objects with Ruff's fields."""
    seen: Counter[_Identity] = Counter()
    issues = []
    for found, source in findings(reports):
        identity = _identity(found, source, options)
        seen[identity] += 1
        issues.append(_issue(found, _fingerprint(identity, seen[identity]), options))
    return dumped(issues)


def _issue(found: Diagnostic, fingerprint: str, options: Options) -> dict[str, object]:
    issue: dict[str, object] = {
        "check_name": found.code,
        "description": f"{found.code}: {message_with_cell(found)}",
        "severity": _SEVERITIES[found.severity],
        "fingerprint": fingerprint,
        "location": _location(found.path, found.begin, found.finish, options),
    }
    if found.related:  # of Code Climate's specification, on which GitLab's report rests
        issue["other_locations"] = [_location(each.path, each.place, each.place, options) for each in found.related]
    return issue


def _identity(found: Diagnostic, source: Source | None, options: Options) -> _Identity:
    line = source.line(source.row(found.start)) if source is not None else found.message
    return _path(found.path, options), found.code, " ".join(line.split())


def _fingerprint(identity: _Identity, ordinal: int) -> str:
    """``ordinal`` tells equal findings of a file apart: GitLab drops all but the first of one fingerprint."""
    return sha256("\0".join((*identity, str(ordinal))).encode("utf-8", "replace")).hexdigest()[:32]


def _location(path: str, begin: Place, finish: Place, options: Options) -> dict[str, object]:
    positions = {"begin": _position(begin), "end": _position(finish)}
    return {"path": _path(path, options), "positions": positions}


def _position(place: Place) -> dict[str, int]:
    shown = file_place(place)
    return {"line": shown.row, "column": shown.column}


def _path(path: str, options: Options) -> str:
    """The path from the repository's folder, which is the only form that GitLab knows; else from where we run."""
    whole = absolute(options.root, path)
    inside = below(options.repository, whole) if options.repository else None
    return inside or below(options.root, path) or whole
