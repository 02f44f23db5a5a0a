"""JUnit's XML, which test reporters read: a file is a suite, a finding a failed test.

It keeps to Jenkins' schema (junit-10.xsd), so it lacks what ruff adds to that: rows and columns as attributes of a test,
properties of a test, skipped tests counted at the root. May not: write a character that XML 1.0 cannot hold.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from mllint.diagnostic import Diagnostic, Severity
from mllint.output.options import Options, findings
from mllint.output.places import absolute, at

if TYPE_CHECKING:
    from mllint.checking.report import Report

_PACKAGE = "org.mllint"
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(reports: Sequence[Report], options: Options) -> str:
    """One document. Without findings it holds one test that has passed, since readers take an empty one for a failure."""
    every = [found for found, _ in findings(reports)]
    root = ElementTree.Element("testsuites", {"name": "mllint", **_counts(every, "failures", "errors")})
    for path, group in groupby(every, key=lambda found: found.path):
        _add_suite(root, absolute(options.root, path), list(group))
    if not every:
        suite = ElementTree.SubElement(root, "testsuite", _suite_attributes("mllint", every))
        ElementTree.SubElement(suite, "testcase", {"name": "No errors found", "classname": "mllint"})
    ElementTree.indent(root, " " * 4)
    body = ElementTree.tostring(root, encoding="unicode").replace(" />", "/>")  # elsewhere `>` is written as `&gt;`
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _suite_attributes(name: str, group: Sequence[Diagnostic]) -> dict[str, str]:
    return {"name": _xml(name), **_counts(group, "skipped", "errors", "failures"), "package": _PACKAGE}


def _counts(group: Sequence[Diagnostic], *names: str) -> dict[str, str]:
    """How many tests there are, and of which outcome, in the order of the names."""
    skipped = sum(found.severity is Severity.INFO for found in group)
    counts = {"skipped": skipped, "failures": len(group) - skipped, "errors": 0}
    return {"tests": str(len(group) or 1), **{name: str(counts[name]) for name in names}}


def _add_suite(root: ElementTree.Element, path: str, group: Sequence[Diagnostic]) -> None:
    suite = ElementTree.SubElement(root, "testsuite", _suite_attributes(path, group))
    for found in group:
        attributes = {"name": f"{_PACKAGE}.{found.code}", "classname": _xml(posixpath.splitext(path)[0])}
        case = ElementTree.SubElement(suite, "testcase", attributes)
        # what does not fail the run fails no test either, and is still shown
        outcome = "skipped" if found.severity is Severity.INFO else "failure"
        told = {"type": found.severity.value, "message": _xml(found.message)}
        ElementTree.SubElement(case, outcome, told).text = _text(found)


def _text(found: Diagnostic) -> str:
    cell = "" if found.begin.cell is None else f"cell {found.begin.cell}, "
    lines = [f"{cell}line {found.begin.row}, col {found.begin.column}, {found.message}"]
    lines += [f"{at(related.path, related.place)}: {related.message}" for related in found.related]
    return _xml("\n".join(lines))


def _xml(text: str) -> str:
    """The text with ``\\n`` newlines (a parser would make them so) and without what XML forbids."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n").replace("\r", "\n"))
