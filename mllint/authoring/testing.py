"""The fixture harness: what every rule promises, one function a promise; each raises Broken where it is not kept.

May not: know any rule. It serves the built-in rules and users' packs alike (public as `mllint.testing`), under pytest
and through ``mllint test-rules``; so no promise is an ``assert``, which ``python -O`` would drop.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from mllint.authoring.cases import (
    VARIANTS,
    Broken,
    RuleCase,
    Ungated,
    bad_files,
    check_folder,
    check_source,
    difference,
    expected_findings,
    findings_of,
    good_files,
    hold,
    line_of,
    named,
    read_fixture,
    rule_cases,
    runtime_files,
    strangers,
)
from mllint.checking.fix import fix_source
from mllint.checking.report import Report
from mllint.diagnostic import LONGEST_MESSAGE, Diagnostic, Safety
from mllint.reading.files import kind_of
from mllint.reading.source import Kind, Source, read_source

_RISK = {Safety.SAFE: 0, Safety.UNSAFE: 1, Safety.DISPLAY: 2}
_SUFFIX = {"python": "py", "bash": "sh", "shell": "sh", "console": "md", "dockerfile": "Dockerfile", "cuda": "cu"}


def check_pairing(case: RuleCase) -> None:
    """One stem for rule file, fixture folder, code and name; ``bad`` and ``good`` are there."""
    stem = type(case.rule).__module__.rpartition(".")[2]
    expected = f"{case.code.lower()}_{case.rule.meta.name.replace('-', '_')}"
    hold(stem == expected, f"{stem}.py holds {case.code} {case.rule.meta.name}: it should be {expected}.py")
    hold(case.folder.is_dir(), f"{case.code} has no fixture folder {case.folder}")
    has_bad = bad_files(case) or list(case.folder.glob("bad_project*")) or runtime_files(case, "bad")
    hold(has_bad, f"{case.folder} has no bad fixture: add bad.py, with `# {case.code}` behind each wrong line")
    has_good = good_files(case) or runtime_files(case, "good")
    hold(has_good, f"{case.folder} has no good fixture: add good.py, with what must not be flagged")
    for path in strangers(case.folder):
        raise Broken(f"{path}: no rule reads files of this type")


def check_exact_lines(case: RuleCase) -> None:
    """Each marked line has its finding, no other line has one."""
    for path, source, report in _bad_reports(case):
        hold(rows_of(report) == expected_findings(path), _difference(path, source, report))


def check_marks(case: RuleCase) -> None:
    """At least one line of a bad fixture is marked: otherwise the fixtures say nothing about the rule."""
    marks = [code for path, _, _ in _bad_reports(case) for _, code in expected_findings(path)]
    hold(case.code in marks, f"{case.folder}: no line of a bad fixture is marked with `# {case.code}`")


def check_silence(case: RuleCase) -> None:
    """Nothing is found in good files, and none of them is broken."""
    reports = [(path, check_source(read_fixture(path), case.alone)) for path in good_files(case)]
    for folder in sorted(case.folder.glob("good_project*")):
        reports += [(folder / shown, report) for shown, report in check_folder(folder, case.alone).items()]
    for path, report in reports:
        lines = [f"  {_found(found)}" for found in report.diagnostics]
        hold(not lines, "\n".join([f"{path} is good, but:", *lines]))


def check_variants(case: RuleCase) -> None:
    """CRLF newlines and a byte-order mark move no finding."""
    for path in bad_files(case):
        kind = kind_of(path.name)
        if kind is None or kind == "notebook":
            continue
        written = rows_of(check_source(read_fixture(path), case.alone))
        for name, change in VARIANTS.items():
            source = read_source(path.name, kind, change(path.read_bytes()))
            found = rows_of(check_source(source, case.alone))
            hold(found == written, f"{path}: as written it has {written}, with {name} {found}")


def check_fixes(case: RuleCase) -> None:
    """``fixed`` is exactly what the fixes make of ``bad``, in LF, CRLF and with a byte-order mark; a second run
    changes nothing."""
    files = named(case.folder, "fixed")
    applied = [path for path in bad_files(case) if _is_fixed(case, path)]
    hold(files or not applied, f"{case.folder}: the rule fixes lines of bad fixtures, but there is no fixed file")
    for path in files:
        bad = path.with_name(path.name.replace("fixed", "bad", 1))
        hold(bad.is_file(), f"{path}: there is no {bad.name} that it could come from")
        for name, change in VARIANTS.items():
            got, wanted = _fixed(case, bad, change(bad.read_bytes())), change(path.read_bytes())
            hold(
                got == wanted,
                f"{path} ({name}): the fixes of {bad.name} give something else\n{difference(wanted, got)}",
            )
        again = _fixed(case, path, path.read_bytes())
        hold(
            again == path.read_bytes(), f"{path}: a second run still changes it\n{difference(path.read_bytes(), again)}"
        )


def check_triggers(case: RuleCase, corpus: Sequence[Source] = ()) -> None:
    """With the gate wide open the rule finds nothing that the gate would have hidden."""
    sources = [read_fixture(path) for path in (*bad_files(case), *good_files(case))]
    for source in (*sources, *corpus):
        woken, _ = case.alone.woken(source.data)
        if woken:
            continue
        ungated = Ungated(case.known, case.alone.selection)
        found = [item for item in check_source(source, ungated).diagnostics if item.code == case.code]
        triggers = case.rule.meta.triggers
        hold(not found, f"{source.path}: {case.code} fires where its triggers {triggers} say that it cannot")


def check_messages(case: RuleCase) -> None:
    """Messages: one line, at most 100 characters, no full stop, backticks in pairs; fix titles are imperatives."""
    hold_to_convention(case, findings_of(case))


def hold_to_convention(case: RuleCase, findings: Iterable[Diagnostic]) -> None:
    """What `check_messages` promises, of any findings of the rule."""
    for found in findings:
        message = found.message
        hold(
            0 < len(message) <= LONGEST_MESSAGE,
            f"{len(message)} characters, {LONGEST_MESSAGE} are the limit: {message}",
        )
        hold("\n" not in message and not message.endswith("."), f"one line without a full stop: {message}")
        hold(message.count("`") % 2 == 0, f"unpaired backtick: {message}")
        hold(found.why and "\n" not in found.why, f"{found.code} has no one-line why: its docstring has no summary")
        if found.fix is not None:
            title, claimed = found.fix.title, case.rule.meta.fix
            hold(title[:1].isupper() and not title.endswith("."), f"a fix title is an imperative: {title}")
            hold(claimed is not None, f"{case.code} offers a fix that its meta denies")
            hold(claimed and _RISK[found.fix.safety] >= _RISK[claimed], f"{title}: safer than its meta says")


def check_pickling(case: RuleCase) -> None:
    """A rule refuses to be pickled, its findings can be."""
    try:
        pickle.dumps(case.rule)
    except TypeError as refusal:
        hold("process boundary" in str(refusal), str(refusal))
    else:
        raise Broken(f"{case.code} can be pickled")
    for found in findings_of(case):
        hold(pickle.loads(pickle.dumps(found)) == found, f"a finding changes when it crosses a process: {found}")


def check_examples(case: RuleCase) -> None:
    """The page has its sections; its Bad example fires and its Good example does not."""
    from mllint.authoring.explain import examples, missing, page

    shown = examples(shown_page := page(type(case.rule)))
    lacking = ", ".join(missing(shown_page))
    hold(not lacking, f"{case.code}: its page (the docstring) has no text under {lacking}")
    kinds = {example.kind for example in shown}
    hold({"bad", "good"} <= kinds, f"{case.code}: its page has no {', '.join(sorted({'bad', 'good'} - kinds))} example")
    for example in shown:
        name = f"example.{_SUFFIX.get(example.language, example.language)}"
        kind = kind_of(name)
        if kind is None:
            raise Broken(f"{case.code}: an example in an unknown language {example.language!r}")
        reports = _example_reports(case, name, kind, example.code)
        found = [_found(item) for report in reports for item in report.diagnostics]
        fires = any(item.code == case.code for report in reports for item in report.diagnostics)
        hold(
            fires == (example.kind == "bad"),
            f"{case.code}: the page's {example.kind} example gives {found or 'nothing'}",
        )


def _example_reports(case: RuleCase, name: str, kind: Kind, code: str) -> list[Report]:
    """What is found in an example: one file, or a small project of parts that begin with ``# file: path``."""
    parts = re.split(r"^# file: (\S+)\n", code, flags=re.MULTILINE)
    if len(parts) == 1:
        return [check_source(read_source(name, kind, code.encode()), case.alone)]
    with TemporaryDirectory() as scratch:
        for path, text in zip(parts[1::2], parts[2::2], strict=True):
            file = Path(scratch, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        return list(check_folder(Path(scratch), case.alone).values())


#: Every promise in words, and who checks it.
PROMISES: dict[str, Callable[[RuleCase], None]] = {
    "one stem for file, fixtures, code and name": check_pairing,
    "bad files have marked lines": check_marks,
    "exactly the marked lines are found": check_exact_lines,
    "good files are silent": check_silence,
    "CRLF and a byte-order mark move nothing": check_variants,
    "fixes give the fixed files and converge": check_fixes,
    "messages follow the convention": check_messages,
    "the page's examples hold": check_examples,
    "triggers hide no finding": check_triggers,
    "findings cross processes, rules do not": check_pickling,
}


def _bad_reports(case: RuleCase) -> Iterator[tuple[Path, Source, Report]]:
    for path in bad_files(case):
        source = read_fixture(path)
        yield path, source, check_source(source, case.alone)
    for folder in sorted(case.folder.glob("bad_project*")):
        for shown, report in check_folder(folder, case.alone).items():
            yield folder / shown, read_fixture(folder / shown), report


def _is_fixed(case: RuleCase, path: Path) -> bool:
    """Would ``--fix`` change this file?"""
    allowed = _allowed(case)
    found = check_source(read_fixture(path), case.alone).diagnostics
    return kind_of(path.name) != "notebook" and any(item.fix and item.fix.safety in allowed for item in found)


def _allowed(case: RuleCase) -> frozenset[Safety]:
    """The safeties of fixes that are applied: the unsafe ones where the rule has no other."""
    return frozenset({Safety.SAFE} | ({Safety.UNSAFE} if case.rule.meta.fix is not Safety.SAFE else set()))


def _fixed(case: RuleCase, path: Path, raw: bytes) -> bytes:
    kind = kind_of(path.name)
    if kind is None:
        raise Broken(f"{path}: no rule reads files of this type")
    source = read_source(path.name, kind, raw)
    outcome = fix_source(source, lambda changed: check_source(changed, case.alone), _allowed(case))
    hold(not outcome.rolled_back, f"{path}: fixes that fail their own check: {outcome.rolled_back}")
    return outcome.data


def rows_of(report: Report) -> list[tuple[int, str]]:
    """Rows and codes of a report's findings."""
    return sorted((found.begin.row, found.code) for found in report.diagnostics)


def _found(found: Diagnostic) -> str:
    crash = f" ({found.why})" if found.code == "ML002" else ""
    return f"{found.begin.row}:{found.begin.column} {found.code} {found.message}{crash}"


def _difference(path: Path, source: Source, report: Report) -> str:
    """Where what is found differs from what is marked, line by line."""
    expected, got = expected_findings(path), rows_of(report)
    lines = [
        (row, f"  {row}: {code} is marked, but not found: {line_of(source, row)}")
        for row, code in sorted(set(expected) - set(got))
    ]
    lines += [
        (found.begin.row, f"  {_found(found)}, but it is not marked")
        for found in report.diagnostics
        if (found.begin.row, found.code) not in expected
    ]
    head = f"{path}: {len(expected)} expected, {len(got)} found"
    return "\n".join([head, *(text for _, text in sorted(lines))])


__all__ = [
    "PROMISES",
    "Broken",
    "Diagnostic",
    "RuleCase",
    "Ungated",
    "bad_files",
    "check_exact_lines",
    "check_examples",
    "check_fixes",
    "check_folder",
    "check_marks",
    "check_messages",
    "check_pairing",
    "check_pickling",
    "check_silence",
    "check_source",
    "check_triggers",
    "check_variants",
    "expected_findings",
    "findings_of",
    "good_files",
    "hold",
    "hold_to_convention",
    "read_fixture",
    "rule_cases",
]
