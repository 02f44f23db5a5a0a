"""The fixture harness: one folder of examples a rule, held to everything that a rule promises.

May not: know any rule. It serves the built-in rules and users' packs alike (public as `mllint.testing`).

A fixture folder is named like its rule file and holds ``bad.<type>`` (each expected finding marked by a comment
``# ML201`` at the end of its line, or listed as ``row CODE`` in ``bad.expected``), ``good.<type>`` (silent),
``fixed.<type>`` (``bad`` after its fixes), and ``bad_project/``, ``good_project/`` where several files matter.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mllint.checking.engine import answer, check, survey
from mllint.checking.fix import fix_source
from mllint.checking.packs import load_pack
from mllint.checking.projects import ProjectStore
from mllint.checking.report import Report
from mllint.checking.ruleset import RuleSet
from mllint.checking.select import Selection
from mllint.diagnostic import Diagnostic, Safety
from mllint.reading.files import Target, kind_of
from mllint.reading.notebook import read_notebook
from mllint.reading.source import Source, read_source
from mllint.rule import Rule
from mllint.settings import Settings

_MARKER = re.compile(r"(?:#|//|;|/\*|<!--)[ ]*(ML\d{3}(?:[ ,]+ML\d{3})*)[ ]*(?:\*/|-->)?[ ]*$")
_SIZE_LIMIT = 10_000_000
_MESSAGE_LIMIT = 100


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


def rule_cases(rules_folder: Path, fixtures_folder: Path, package: str = "mllint_rules") -> list[RuleCase]:
    """One case for each rule of a pack."""
    known = load_pack(rules_folder, package)
    return [RuleCase(rule, known, fixtures_folder / type(rule).__module__.rpartition(".")[2]) for rule in known]


def read_fixture(path: Path, shown: str = "") -> Source:
    """A fixture file as a source."""
    kind = kind_of(path.name)
    assert kind is not None, f"{path}: no rule reads files of this type"
    raw = path.read_bytes()
    return read_notebook(shown or path.name, raw) if kind == "notebook" else read_source(shown or path.name, kind, raw)


def check_source(source: Source, rules: RuleSet) -> Report:
    """One file on its own."""
    return check(source, rules)


def check_folder(folder: Path, rules: RuleSet) -> dict[str, Report]:
    """A small project: every readable file below ``folder``, with ``folder`` as the configuration root."""
    root = folder.resolve().as_posix()
    python = [path.resolve().as_posix() for path in sorted(folder.rglob("*.py"))]
    store = ProjectStore(lambda target: root, lambda target, root: python, _SIZE_LIMIT)
    reports: dict[str, Report] = {}
    for path in sorted(folder.rglob("*")):
        kind = kind_of(path.name) if path.is_file() else None
        if kind is None:
            continue
        shown = path.relative_to(folder).as_posix()
        source = read_fixture(path, shown)
        first = survey(source, rules)
        absolute = path.resolve().as_posix()
        project = store.of(Target(shown, absolute, kind, Settings()))
        reports[shown] = answer(source, rules, first, project, absolute)
    return reports


def expected_findings(path: Path) -> list[tuple[int, str]]:
    """Rows and codes that a bad fixture promises, from its markers and its ``.expected`` file."""
    sidecar = path.with_name(path.stem + ".expected")
    if sidecar.is_file():
        rows = (line.split() for line in sidecar.read_text("utf-8").splitlines() if line.strip())
        return sorted((int(row), code) for row, code in rows)
    found = []
    for row, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), start=1):
        marker = _MARKER.search(line)
        if marker:
            found += [(row, code) for code in re.split(r"[ ,]+", marker[1])]
    return sorted(found)


def bad_files(case: RuleCase) -> list[Path]:
    """The bad fixtures of one file each."""
    return _named(case.folder, "bad")


def good_files(case: RuleCase) -> list[Path]:
    """The good fixtures of one file each."""
    return _named(case.folder, "good")


def _named(folder: Path, stem: str) -> list[Path]:
    """``bad.py``, ``bad_more.py``, ``bad.Dockerfile``… but no golden output."""
    return [
        path
        for path in sorted(folder.glob(f"{stem}*"))
        if path.is_file() and path.suffix not in (".out", ".expected") and kind_of(path.name) is not None
    ]


# -- what a rule promises ----------------------------------------------------------------------------------------


def check_exact_lines(case: RuleCase) -> None:
    """Each marked line has its finding, no other line has one."""
    for path in bad_files(case):
        report = check_source(read_fixture(path), case.alone)
        assert _rows(report) == expected_findings(path), _difference(path, report)
    for folder in sorted(case.folder.glob("bad_project*")):
        for shown, report in check_folder(folder, case.alone).items():
            assert _rows(report) == expected_findings(folder / shown), _difference(folder / shown, report)


def check_silence(case: RuleCase) -> None:
    """Nothing is found in good files, and none of them is broken."""
    reports = [(path, check_source(read_fixture(path), case.alone)) for path in good_files(case)]
    for folder in sorted(case.folder.glob("good_project*")):
        reports += [(folder / shown, report) for shown, report in check_folder(folder, case.alone).items()]
    for path, report in reports:
        assert not report.diagnostics, f"{path} is good, but: {[_line(found) for found in report.diagnostics]}"


def check_fixes(case: RuleCase) -> None:
    """``fixed`` is exactly what the fixes make of ``bad``, in LF, CRLF and with a byte-order mark."""
    for path in _named(case.folder, "fixed"):
        bad = path.with_name(path.name.replace("fixed", "bad", 1))
        for name, change in VARIANTS.items():
            got = _fixed(case, bad, change(bad.read_bytes()))
            assert got == change(path.read_bytes()), f"{path} ({name}): the fixes of {bad.name} give something else"


def check_variants(case: RuleCase) -> None:
    """CRLF newlines and a byte-order mark move no finding."""
    for path in bad_files(case):
        kind = kind_of(path.name)
        assert kind is not None
        if kind == "notebook":
            continue
        for name, change in VARIANTS.items():
            source = read_source(path.name, kind, change(path.read_bytes()))
            report = check_source(source, case.alone)
            assert _rows(report) == expected_findings(path), f"{name}: {_difference(path, report)}"


def check_triggers(case: RuleCase, corpus: Sequence[Source] = ()) -> None:
    """With the gate wide open the rule finds nothing that the gate would have hidden."""
    sources = [read_fixture(path) for path in (*bad_files(case), *good_files(case))]
    for source in (*sources, *corpus):
        woken, _ = case.alone.woken(source.data)
        if woken:
            continue
        ungated = Ungated(case.known, case.alone.selection)
        found = [item for item in check_source(source, ungated).diagnostics if item.code == case.code]
        assert not found, f"{source.path}: {case.code} fires where its triggers {case.rule.meta.triggers} say it cannot"


def check_messages(case: RuleCase) -> None:
    """Messages: one line, at most 100 characters, no full stop, backticks in pairs; fix titles are imperatives."""
    for found in findings_of(case):
        message = found.message
        assert 0 < len(message) <= _MESSAGE_LIMIT, f"{len(message)} characters: {message}"
        assert "\n" not in message and not message.endswith("."), message
        assert message.count("`") % 2 == 0, f"unpaired backtick: {message}"
        assert found.why and "\n" not in found.why, f"{found.code} has no one-line why"
        if found.fix is not None:
            assert found.fix.title[:1].isupper() and not found.fix.title.endswith("."), found.fix.title
            assert case.rule.meta.fix is not None, f"{case.code} offers a fix that its meta denies"
            assert _RISK[found.fix.safety] >= _RISK[case.rule.meta.fix], f"{found.fix.title}: safer than its meta says"


def check_pickling(case: RuleCase) -> None:
    """A rule refuses to be pickled, its findings can be."""
    try:
        pickle.dumps(case.rule)
    except TypeError as refusal:
        assert "process boundary" in str(refusal), refusal
    else:
        raise AssertionError(f"{case.code} can be pickled")
    for found in findings_of(case):
        assert pickle.loads(pickle.dumps(found)) == found


def check_pairing(case: RuleCase) -> None:
    """One stem for rule file, fixture folder, code and name; ``bad`` and ``good`` are there."""
    stem = type(case.rule).__module__.rpartition(".")[2]
    expected = f"{case.code.lower()}_{case.rule.meta.name.replace('-', '_')}"
    assert stem == expected, f"{stem}.py holds {case.code} {case.rule.meta.name}: it should be {expected}.py"
    assert case.folder.is_dir(), f"{case.code} has no fixture folder {case.folder.name}/"
    assert bad_files(case) or list(case.folder.glob("bad_project*")), f"{case.folder.name}/ has no bad fixture"
    assert good_files(case), f"{case.folder.name}/ has no good fixture"


def check_examples(case: RuleCase) -> None:
    """The page's Bad example fires and its Good example does not."""
    from mllint.authoring.explain import examples, page

    shown = examples(page(type(case.rule)))
    kinds = {example.kind for example in shown}
    assert {"bad", "good"} <= kinds, f"{case.code}: its page has no {', '.join({'bad', 'good'} - kinds)} example"
    for example in shown:
        name = f"example.{_SUFFIX.get(example.language, example.language)}"
        kind = kind_of(name)
        assert kind is not None, f"{case.code}: example in an unknown language {example.language!r}"
        report = check_source(read_source(name, kind, example.code.encode()), case.alone)
        found = [item for item in report.diagnostics if item.code == case.code]
        assert bool(found) == (example.kind == "bad"), f"{case.code}: {example.kind} example gives {found}"


def findings_of(case: RuleCase) -> Iterator[Diagnostic]:
    """Every finding in the rule's bad fixtures."""
    for path in bad_files(case):
        yield from check_source(read_fixture(path), case.alone).diagnostics
    for folder in sorted(case.folder.glob("bad_project*")):
        for report in check_folder(folder, case.alone).values():
            yield from report.diagnostics


VARIANTS: dict[str, Callable[[bytes], bytes]] = {
    "as written": lambda raw: raw,
    "CRLF": lambda raw: raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "BOM": lambda raw: b"\xef\xbb\xbf" + raw,
}

_SUFFIX = {"python": "py", "bash": "sh", "shell": "sh", "console": "md", "dockerfile": "Dockerfile", "cuda": "cu"}
_RISK = {Safety.SAFE: 0, Safety.UNSAFE: 1, Safety.DISPLAY: 2}


def _fixed(case: RuleCase, path: Path, raw: bytes) -> bytes:
    kind = kind_of(path.name)
    assert kind is not None
    source = read_source(path.name, kind, raw)
    allowed = {Safety.SAFE} | ({Safety.UNSAFE} if case.rule.meta.fix is not Safety.SAFE else set())
    outcome = fix_source(source, lambda changed: check_source(changed, case.alone), frozenset(allowed))
    assert not outcome.rolled_back, f"{path}: fixes that fail their own check: {outcome.rolled_back}"
    return outcome.data


def _rows(report: Report) -> list[tuple[int, str]]:
    return sorted((found.begin.row, found.code) for found in report.diagnostics)


def _line(found: Diagnostic) -> str:
    return f"{found.begin.row}:{found.begin.column} {found.code} {found.message}"


def _difference(path: Path, report: Report) -> str:
    expected, got = expected_findings(path), _rows(report)
    missing = [row for row in expected if row not in got]
    surplus = [_line(found) for found in report.diagnostics if (found.begin.row, found.code) not in expected]
    return f"{path}: missing {missing}, surplus {surplus}, expected {len(expected)}, got {len(got)}"
