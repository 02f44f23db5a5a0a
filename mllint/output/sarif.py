"""SARIF 2.1.0, as GitHub code scanning and editors read it.

May not: state a place that is not one of the file's: a notebook's cells have no rows of their own in its JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mllint.diagnostic import Diagnostic, Fix, Place, Safety, Severity
from mllint.output.json_ import dumped
from mllint.output.options import Options, findings
from mllint.output.places import absolute, below, edit_places
from mllint.reading.source import Source

if TYPE_CHECKING:
    from mllint.authoring.explain import RulePage
    from mllint.checking.report import Report

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

#: Stands for the folder that relative paths start from.
ROOT_ID = "SRCROOT"

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}

#: A JSON object.
Object = dict[str, Any]


def render(reports: Sequence[Report], options: Options) -> str:
    """One log with one run. The driver lists the rules that have findings."""
    found = list(findings(reports))
    described = {(diagnostic.code, diagnostic.name): diagnostic for diagnostic, _ in found}
    rules = sorted(described)
    driver: Object = {
        "name": "mllint",
        "rules": [_rule(described[rule], _page(described[rule], options)) for rule in rules],
    }
    if options.version:
        driver["version"] = options.version
    run: Object = {
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": not any(report.crashed for report in reports)}],
        "results": [_result(diagnostic, source, rules, options) for diagnostic, source in found],
        "tool": {"driver": driver},
    }
    if options.root:
        run["originalUriBaseIds"] = {ROOT_ID: {"uri": _file_uri(absolute("", options.root), folder=True)}}
    return dumped({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _page(diagnostic: Diagnostic, options: Options) -> RulePage | None:
    """The page of a finding's rule. Packs of two projects may have a rule of one code each, of which one page is known."""
    page = options.rules.get(diagnostic.code)
    return page if page is not None and page.name == diagnostic.name else None


def _rule(diagnostic: Diagnostic, page: RulePage | None) -> Object:
    """A rule's entry: from its page, else what the finding itself tells."""
    severity = page.severity if page else diagnostic.severity
    rule: Object = {
        "id": diagnostic.code,
        "name": diagnostic.name,
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": {"problem.severity": {"info": "recommendation"}.get(severity.value, severity.value)},
    }
    if page is None:
        return rule
    rule["shortDescription"] = {"text": page.summary}
    rule["fullDescription"] = {"text": page.why or page.summary}
    rule["help"] = {"text": page.help, "markdown": page.help}
    rule["properties"]["precision"] = page.confidence
    if page.url:
        rule["helpUri"] = page.url
    return rule


def _result(found: Diagnostic, source: Source | None, rules: Sequence[tuple[str, str]], options: Options) -> Object:
    result: Object = {
        "ruleId": found.code,
        "ruleIndex": rules.index((found.code, found.name)),
        "level": _LEVELS[found.severity],
        "message": {"text": found.message},
        "locations": [_location(found.path, found.begin, found.finish, options)],
    }
    if found.related:
        result["relatedLocations"] = [
            {**_location(each.path, each.place, each.place, options), "id": number, "message": {"text": each.message}}
            for number, each in enumerate(found.related, start=1)
        ]
    if found.fix is not None and source is not None and _applicable(found, found.fix):
        result["fixes"] = [_fix(found.path, found.fix, source, options)]
    return result


def _applicable(found: Diagnostic, fix: Fix) -> bool:
    """May a reader of the log apply the fix? Not a displayed one, and not in a notebook, whose edits are per cell."""
    return fix.safety is not Safety.DISPLAY and found.begin.cell is None and bool(fix.edits)


def _location(path: str, begin: Place, finish: Place, options: Options) -> Object:
    physical: Object = {"artifactLocation": _artifact(path, options)}
    if begin.cell is not None:
        physical["region"] = _region(Place(1, 1), Place(1, 1))
        name = f"cell {begin.cell}"
        cell = {"name": name, "fullyQualifiedName": f"{name}:{begin.row}:{begin.column}", "kind": "element"}
        return {"physicalLocation": physical, "logicalLocations": [cell]}
    physical["region"] = _region(begin, finish)
    return {"physicalLocation": physical}


def _region(begin: Place, finish: Place) -> dict[str, int]:
    """One-based, the end column exclusive, as in mllint itself."""
    return {"startLine": begin.row, "startColumn": begin.column, "endLine": finish.row, "endColumn": finish.column}


def _artifact(path: str, options: Options) -> dict[str, str]:
    """The file relative to the root where it lies below it, else its whole address."""
    relative = below(options.root, path)
    if relative is None or relative.startswith("../"):
        return {"uri": _file_uri(absolute(options.root, path))}
    return {"uri": quote(relative), "uriBaseId": ROOT_ID}


def _file_uri(path: str, folder: bool = False) -> str:
    """The address of a file; that of a folder ends in a slash."""
    end = "/" if folder and not path.endswith("/") else ""
    return f"file://{'' if path.startswith('/') else '/'}{quote(path, safe='/:')}{end}"


def _fix(path: str, fix: Fix, source: Source, options: Options) -> Object:
    replacements = []
    for edit in fix.edits:
        replacement: Object = {"deletedRegion": _region(*edit_places(source, edit))}
        if edit.text:
            replacement["insertedContent"] = {"text": edit.text}
        replacements.append(replacement)
    unsafe = " (unsafe)" if fix.safety is Safety.UNSAFE else ""
    return {
        "description": {"text": fix.title + unsafe},
        "artifactChanges": [{"artifactLocation": _artifact(path, options), "replacements": replacements}],
    }
