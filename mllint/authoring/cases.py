"""A rule and its folder of examples: which files are there, what they promise, what mllint finds in them.

May not: judge. It serves the built-in rules and users' packs alike.

A fixture folder is named like its rule file and holds ``bad.<type>`` (each expected finding marked by a comment
``# ML201`` at the end of its line, or listed as ``row CODE`` in ``bad.expected``), ``good.<type>`` (silent),
``fixed.<type>`` (``bad`` after its fixes), and ``bad_project/``, ``good_project/`` where several files matter.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mllint.checking.engine import answer, check, survey
from mllint.checking.packs import Packs, builtin_folder, builtin_rules, known_rules, pack_rules, rule_file
from mllint.checking.projects import ProjectStore
from mllint.checking.report import Report
from mllint.checking.ruleset import RuleSet
from mllint.checking.select import Selection
from mllint.diagnostic import Diagnostic
from mllint.reading.files import Target, kind_of, list_project
from mllint.reading.notebook import read_notebook
from mllint.reading.source import DecodeFailure, Source, read_source
from mllint.rule import Rule
from mllint.settings import Settings

_CODE = r"[A-Z]{2,}\d{3}"
_MARKER = re.compile(rf"(?:#|//|;|/\*|<!--)[ ]*({_CODE}(?:[ ,]+{_CODE})*)[ ]*(?:\*/|-->)?[ ]*$")
_LISTED = re.compile(r"[0-9]+\s+[A-Z]+[0-9]+")
_SIZE_LIMIT = 10_000_000


class Broken(AssertionError):
    """A promise that a rule does not keep. An AssertionError for pytest; raised even under ``python -O``."""


def hold(promise: object, otherwise: str) -> None:
    """Raise Broken where a promise is not kept."""
    if not promise:
        raise Broken(otherwise)


@dataclass(frozen=True)
class RuleCase:
    """One rule of a pack and its fixture folder."""

    rule: Rule
    known: tuple[Rule, ...]
    folder: Path

    @property
    def code(self) -> str:
        return self.rule.meta.code

    @property
    def alone(self) -> RuleSet:
        """A rule set in which only this rule is on, its info findings included."""
        return RuleSet(self.known, Selection(frozenset({self.code}), frozenset({self.code})))


class Ungated(RuleSet):
    """A rule set that any bytes wake."""

    def woken(self, data: bytes) -> tuple[list[Rule], list[Rule]]:
        return list(self.active), []


def rule_cases(pack: Path, fixtures: Path | None = None) -> list[RuleCase]:
    """One case for each rule of a pack, a folder or a file; its fixtures lie in the folder ``fixtures`` beside its
    rule files, unless another one is named. Raises PackError."""
    if pack.resolve() == builtin_folder().resolve():
        own = known = builtin_rules()
    else:
        path = str(pack.resolve())
        own, known = pack_rules(path), known_rules(Packs((path,)))
    beside = (pack if pack.is_dir() else pack.parent) / "fixtures"
    folder = fixtures or beside
    return [RuleCase(rule, known, folder / Path(rule_file(rule)).stem) for rule in own]


def read_fixture(path: Path, shown: str = "") -> Source:
    """A fixture file as a source. Raises Broken for a type of file that no rule reads, and for what is no text."""
    kind = kind_of(path.name)
    if kind is None:
        raise Broken(f"{path}: no rule reads files of this type")
    name, raw = shown or path.name, path.read_bytes()
    try:
        return read_notebook(name, raw) if kind == "notebook" else read_source(name, kind, raw)
    except DecodeFailure as failure:
        raise Broken(f"{path}: {failure}") from failure


def check_source(source: Source, rules: RuleSet) -> Report:
    """One file on its own."""
    return check(source, rules)


def check_folder(folder: Path, rules: RuleSet) -> dict[str, Report]:
    """A small project: every readable file below ``folder``, with ``folder`` as the configuration root."""
    root = folder.resolve().as_posix()
    listing = list_project(root, Settings(root=root))
    store = ProjectStore(
        lambda target: root, lambda target, root: listing.python, _SIZE_LIMIT, lambda root: listing.texts
    )
    reports: dict[str, Report] = {}
    for path in sorted(folder.rglob("*")):
        kind = kind_of(path.name) if path.is_file() else None
        if kind is None:
            continue
        shown = path.relative_to(folder).as_posix()
        source = read_fixture(path, shown)
        absolute = path.resolve().as_posix()
        first = survey(source, rules, absolute)
        project = store.of(Target(shown, absolute, kind, Settings()))
        reports[shown] = answer(source, rules, first, project, absolute)
    return reports


def expected_findings(path: Path) -> list[tuple[int, str]]:
    """Rows and codes that a bad fixture promises, from its markers or its ``.expected`` file. Raises Broken."""
    sidecar = path.with_name(path.stem + ".expected")
    if sidecar.is_file():
        listed = [line for line in sidecar.read_text("utf-8").splitlines() if line.strip()]
        for line in listed:
            hold(
                _LISTED.fullmatch(line.strip()),
                f"{sidecar}: a line is a row and a code, as `3 ACME001`: {line.strip()}",
            )
        return sorted((int(row), code) for row, code in map(str.split, listed))
    found = []
    for row, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), start=1):
        marker = _MARKER.search(line)
        if marker:
            found += [(row, code) for code in re.split(r"[ ,]+", marker[1])]
    return sorted(found)


def bad_files(case: RuleCase) -> list[Path]:
    """The bad fixtures of one file each."""
    return named(case.folder, "bad")


def good_files(case: RuleCase) -> list[Path]:
    """The good fixtures of one file each."""
    return named(case.folder, "good")


def runtime_files(case: RuleCase, kind: str) -> list[Path]:
    """Models to probe and stored traces of a rule with a runtime half (authoring/runtime.py)."""
    return [*sorted(case.folder.glob(f"model_{kind}*.py")), *sorted(case.folder.glob(f"trace_{kind}*.json"))]


def named(folder: Path, stem: str) -> list[Path]:
    """``bad.py``, ``bad_more.py``, ``bad.Dockerfile``… but no golden output."""
    return [
        path
        for path in sorted(folder.glob(f"{stem}*"))
        if path.is_file() and path.suffix not in (".out", ".expected") and kind_of(path.name) is not None
    ]


def strangers(folder: Path) -> list[Path]:
    """Files that are called like fixtures, but are of a type that no rule reads: nothing would ever look at them."""
    return [
        path
        for path in sorted(folder.glob("*"))
        if re.match(r"(bad|good|fixed)[_.]", path.name)
        and path.is_file()
        and path.suffix not in (".out", ".expected")
        and kind_of(path.name) is None
    ]


def corpus_of(cases: Sequence[RuleCase]) -> list[Source]:
    """All fixtures of a pack, as far as they are text: what a rule says about its neighbours' counts too."""
    return [
        source
        for case in cases
        for path in sorted(case.folder.rglob("*"))
        if path.is_file() and kind_of(path.name) is not None and (source := _decoded(path)) is not None
    ]


def _decoded(path: Path) -> Source | None:
    try:
        return read_fixture(path)
    except Broken:
        return None


def findings_of(case: RuleCase) -> Iterator[Diagnostic]:
    """Every finding in the rule's bad fixtures."""
    for path in bad_files(case):
        yield from check_source(read_fixture(path), case.alone).diagnostics
    for folder in sorted(case.folder.glob("bad_project*")):
        for report in check_folder(folder, case.alone).values():
            yield from report.diagnostics


def line_of(source: Source, row: int) -> str:
    """A line for people; a list of expected findings may name one that is not there."""
    return source.line(row).strip() if 0 < row <= len(source.line_starts) else "there is no such line"


def difference(wanted: bytes, got: bytes) -> str:
    """What was wanted and what came, as a unified difference."""
    old, new = (data.decode("utf-8", "replace").splitlines() for data in (wanted, got))
    return "\n".join(f"  {line}" for line in difflib.unified_diff(old, new, "expected", "got", n=1, lineterm=""))


VARIANTS: dict[str, Callable[[bytes], bytes]] = {
    "as written": lambda raw: raw,
    "CRLF": lambda raw: raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "BOM": lambda raw: b"\xef\xbb\xbf" + raw,
}

__all__ = [
    "VARIANTS",
    "Broken",
    "RuleCase",
    "Ungated",
    "bad_files",
    "check_folder",
    "check_source",
    "corpus_of",
    "difference",
    "expected_findings",
    "findings_of",
    "good_files",
    "hold",
    "line_of",
    "named",
    "read_fixture",
    "rule_cases",
    "runtime_files",
    "strangers",
]
