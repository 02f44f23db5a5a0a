"""Baselines: which findings count as known after a change, what is stale, and what the file looks like."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mllint.checking.baseline import (
    BrokenBaseline,
    Entry,
    entries_of,
    read_entries,
    render,
    without_known,
    without_known_fixes,
)
from mllint.checking.report import Report
from mllint.cli import main
from mllint.diagnostic import Diagnostic, Edit, Fix, Safety, Severity
from mllint.reading.notebook import read_notebook
from mllint.reading.source import Kind, Source, read_source

TWICE = "def step():\n    return 1\n\n\ndef step():\n    return 2\n"


def report(text: str | bytes, kind: Kind = "python", path: str = "a.py") -> Report:
    """A file with a finding at each BAD; BAD0 is one of ML000."""
    raw = text.encode() if isinstance(text, str) else text
    source = read_notebook(path, raw) if kind == "notebook" else read_source(path, kind, raw)
    found = tuple(_finding(source, match) for match in re.finditer(rb"BAD(0)?", source.data))
    return Report(path, found, source)


def _finding(source: Source, match: re.Match[bytes]) -> Diagnostic:
    start, end = match.span()
    fix = Fix("Remove it", (Edit(start, end, ""),), Safety.SAFE)
    code = "ML000" if match[1] else "ML201"
    place = source.place
    return Diagnostic(source.path, start, end, code, "", Severity.ERROR, "m", place(start), place(end), fix=fix)


def known(text: str | bytes, kind: Kind = "python") -> frozenset[Entry]:
    return frozenset(entry for _, entry in entries_of(report(text, kind), "a.py") if entry)


def new_rows(before: str | bytes, after: str | bytes, kind: Kind = "python") -> list[int]:
    """Rows of what is new in a later text of a file whose first text went into the baseline."""
    left, _ = without_known(report(after, kind), "a.py", known(before, kind))
    return [found.begin.row for found in left.diagnostics]


BEFORE = "import a\n\n\ndef f(x):\n    y = 1\n    BAD(x, 1)\n    return y\n\n\nclass A:\n    def f(self):\n        BAD(x, 1)\n"

#: name -> (the text that went into the baseline, a later text, rows of what is new in it)
LATER: dict[str, tuple[str, str, list[int]]] = {
    "nothing changed": (BEFORE, BEFORE, []),
    "lines added above": (BEFORE, "import b\n\n" + BEFORE, []),
    "functions in another order": (
        BEFORE,
        "class A:\n    def f(self):\n        BAD(x, 1)\n\n\ndef f(x):\n    y = 1\n    BAD(x, 1)\n    return y\n",
        [],
    ),
    "indented more, other blanks": (
        BEFORE,
        BEFORE.replace("    BAD(x, 1)\n    r", "    if y:\n        BAD(x,  1)\t\n    r"),
        [],
    ),
    "a comment came": (BEFORE, BEFORE.replace("BAD(x, 1)", "BAD(x, 1)  # noqa: E501"), []),
    "a comment went": ("BAD  # one\n", "BAD\n", []),
    "a comment that the finding is in": ("x  # BAD one\n", "x  # BAD two\n", [1]),
    "CRLF": (BEFORE, BEFORE.replace("\n", "\r\n"), []),
    "byte-order mark": (BEFORE, "\ufeff" + BEFORE, []),
    "the line was edited": (BEFORE, BEFORE.replace("    BAD(x, 1)\n    r", "    BAD(x, 2)\n    r"), [6]),
    "the function was renamed": (BEFORE, BEFORE.replace("def f(x)", "def g(x)"), [6]),
    "moved into another function": (BEFORE, BEFORE.replace("def f(self)", "def g(self)"), [12]),
    "a second copy": (BEFORE, BEFORE.replace("    return y", "    BAD(x, 1)\n    return y"), [7]),
    "a copy elsewhere": (BEFORE, BEFORE + "\n\nBAD(x, 1)\n", [15]),
    "twice on a line, once more": ("BAD, BAD\n", "BAD, BAD\nx\nBAD, BAD\n", [3, 3]),
    "one of two went": ("BAD\nBAD\n", "BAD\n", []),
    "decorated": ("@d\ndef f():\n    BAD\n", "@d\n@e\ndef f():\n    BAD\n", []),
    "nested": ("def f():\n  def g():\n    BAD\n", "def f():\n  def g():\n    pass\n  def h():\n    BAD\n", [5]),
    "in a string over several lines": ('x = """\n BAD # 1\n"""\n', 'y = 1\nx = """\n  BAD # 1\n"""\n', []),
    "text that looks like a comment": ('x = """\n BAD # 1\n"""\n', 'x = """\n BAD # 2\n"""\n', [2]),
    "no longer Python": (BEFORE, BEFORE + "BAD (\n", [6, 12, 13]),
}


@pytest.mark.parametrize(("before", "after", "rows"), LATER.values(), ids=LATER.keys())
def test_what_is_new(before: str, after: str, rows: list[int]) -> None:
    assert new_rows(before, after) == rows


HOSTS: list[tuple[Kind, str, str, list[int]]] = [
    ("shell", "set -e\nBAD x # 1\n", "BAD  x\n", []),
    ("shell", "BAD x\n", "BAD x\nBAD x\n", [2]),
    ("yaml", "- run: BAD x\n", "a: 1\nb:\n  - run: BAD x  # why\n", []),
    ("kernel", "int a; BAD; // one\n", "int b;\n  int a;  BAD; /* two */\n", []),
    ("kernel", "int a; BAD;\n", "float a; BAD;\n", [1]),
    ("markdown", "```sh\nBAD\n```\n", "# Title\n\n```sh\nBAD\n```\n", []),
]


@pytest.mark.parametrize(("kind", "before", "after", "rows"), HOSTS)
def test_other_hosts(kind: Kind, before: str, after: str, rows: list[int]) -> None:
    assert new_rows(before, after, kind) == rows


def notebook(*cells: str) -> bytes:
    code = [{"cell_type": "code", "source": cell, "metadata": {}, "outputs": []} for cell in cells]
    return json.dumps({"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def test_a_notebook_cell_may_move() -> None:
    before = notebook("import a\n", "def f():\n    BAD\n")
    assert new_rows(before, notebook("def f():\n    BAD\n", "import a\n", "x = 1"), "notebook") == []
    assert new_rows(before, notebook("import a\n", "def f():\n    BAD\n", "def f():\n    BAD"), "notebook") == [2]
    [entry] = known(before, "notebook")
    assert (entry.within, entry.line) == ("f", "BAD")


def test_syntax_errors_and_crashes_are_never_known() -> None:
    assert known("BAD0\n") == frozenset()
    left, matched = without_known(report("BAD0\nBAD\n"), "a.py", known("BAD\n"))
    assert ([found.code for found in left.diagnostics], len(matched)) == (["ML000"], 1)


def test_what_is_known_has_no_fix() -> None:
    held = without_known_fixes(report("BAD\nx = BAD\n"), "a.py", known("BAD\n"))
    assert [found.fix is None for found in held.diagnostics] == [True, False]


def test_a_long_line_is_kept_short_and_still_told_apart() -> None:
    [first], [second] = known("BAD" + "1" * 5000 + "\n"), known("BAD" + "1" * 4999 + "2\n")
    assert len(first.line) < 250
    assert first.line != second.line


# -- the file --------------------------------------------------------------------------------------------------


def test_the_text_is_sorted_and_comes_back() -> None:
    entries = known(BEFORE) | known("BAD é \u2028\n")
    text = render(sorted(entries, reverse=True))
    assert read_entries(text) == entries
    assert text == render(entries)
    assert text.startswith('{\n  "version": 1,\n  "findings": [\n    {"path": "a.py", "code": "ML201", "within": "", ')
    assert text.endswith("}\n  ]\n}\n")
    assert read_entries(render(())) == frozenset()


def test_equal_entries_are_numbered_without_a_gap() -> None:
    text = render([Entry("a.py", "ML201", "f", "x", 3), Entry("a.py", "ML201", "f", "x", 5)])
    assert {entry.ordinal for entry in read_entries(text)} == {1, 2}


BROKEN = {
    "": "no valid JSON at line 1: ",
    "<<<<<<< HEAD\n{}": "no valid JSON at line 1: ",
    "[]": "no object with `version` and `findings`",
    '{"version": 1}': "no object with `version` and `findings`",
    '{"version": true, "findings": []}': "no object with `version` and `findings`",
    '{"version": 2, "findings": []}': "version 2, and this mllint knows version 1",
    '{"version": 1, "findings": [{}]}': "entry 1 does not have `path`, `code`, `within`, `line`, `ordinal`",
    '{"version": 1, "findings": [[]]}': "entry 1 does not have ",
    '{"version": 1, "findings": [{"path": "a", "code": "b", "within": "", "line": 1, "ordinal": 1}]}': "entry 1 does",
    "[" * 100_000: "JSON that no baseline holds",
}


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:60])
def test_a_broken_baseline_says_why(text: str) -> None:
    with pytest.raises(BrokenBaseline, match=re.escape(BROKEN[text])):
        read_entries(text)


# -- the command -----------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mllint.toml").write_text('baseline = "known.json"\n')
    (tmp_path / "a.py").write_text(TWICE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, stdin: str | None = None) -> Result:
    command = ["check", "--output-format", "concise", "--no-cache", *arguments]
    return CliRunner().invoke(main, command, input=stdin, prog_name="mllint")


def test_write_and_use(project: Path) -> None:
    assert "known.json: no such baseline; write it with `--write-baseline`" in run().stderr
    assert run().exit_code == 2
    written = run("--write-baseline")
    assert (written.exit_code, written.stdout) == (0, "All checks passed!\n")
    assert written.stderr == "Wrote known.json: 1 finding (1 new, 0 gone).\n"
    result = run()
    assert (result.exit_code, result.stdout) == (0, "All checks passed!\n")
    assert result.stderr == "1 finding in the baseline known.json.\n"
    assert run("-q").stderr == ""


def test_a_new_finding_is_shown_and_fails(project: Path) -> None:
    run("--write-baseline")
    (project / "b.py").write_text(TWICE)
    result = run()
    assert result.exit_code == 1
    assert result.stdout.startswith("b.py:5:5: ML501 ")
    assert "Found 1 finding" in result.stdout


def test_stale_entries_are_said_and_dropped(project: Path) -> None:
    (project / "b.py").write_text(TWICE)
    run("--write-baseline")
    (project / "a.py").write_text("x = 1\n")
    result = run()
    assert result.exit_code == 0
    assert "1 entry of it matches nothing any more; `--write-baseline` drops them." in result.stderr
    assert "matches nothing" not in run("b.py").stderr, "a.py was not checked"
    assert "matches nothing" not in run("--select", "ML201").stderr, "ML501 was not looked for"
    (project / "a.py").write_text("x = (\n")
    assert "matches nothing" not in run().stderr, "what a broken file has is not known"
    (project / "a.py").write_text("x = 1\n")
    assert run("--write-baseline").stderr == "Wrote known.json: 1 finding (0 new, 1 gone).\n"


def test_writing_for_some_files_keeps_the_others(project: Path) -> None:
    for name in ("b.py", "c.py"):
        (project / name).write_text(TWICE)
    run("--write-baseline")
    (project / "a.py").write_text("x = 1\n")
    (project / "b.py").unlink()
    result = run("--write-baseline", "a.py")
    assert result.stderr == "Wrote known.json: 1 finding (0 new, 2 gone).\n"
    assert [entry.path for entry in read_entries((project / "known.json").read_text())] == ["c.py"]


def test_writing_for_some_rules_keeps_the_others(project: Path) -> None:
    run("--write-baseline")
    assert run("--write-baseline", "--select", "ML2").stderr == "Wrote known.json: 1 finding (0 new, 0 gone).\n"


def test_a_syntax_error_is_not_put_off(project: Path) -> None:
    run("--write-baseline")
    (project / "a.py").write_text("x = (\n")
    result = run("--write-baseline")
    assert result.exit_code == 1
    assert "ML000" in result.stdout
    assert "1 finding (0 new, 0 gone)" in result.stderr, "the entries of a file that cannot be read now stay"


def test_the_flag_wins_and_starts_from_the_current_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "sub").mkdir()
    (project / "sub" / "b.py").write_text(TWICE)
    monkeypatch.chdir(project / "sub")
    run("--baseline", "mine.json", "--write-baseline", "..")
    paths = {entry.path for entry in read_entries((project / "sub" / "mine.json").read_text())}
    assert paths == {"b.py", "../a.py"}
    assert not (project / "known.json").exists()
    assert run("--baseline", "mine.json", "..").exit_code == 0


def test_the_default_name_lies_beside_the_configuration(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "mllint.toml").write_text("")
    (project / "sub").mkdir()
    (project / "sub" / "b.py").write_text(TWICE)
    monkeypatch.chdir(project / "sub")
    result = run("--write-baseline", ".")
    assert (project / ".mllint-baseline.json").exists()
    assert "baseline = " in result.stderr, "nothing uses it yet, so it is said how"
    assert run(".").exit_code == 1
    assert run("--baseline", "../.mllint-baseline.json").exit_code == 0


def test_several_configurations_have_several_baselines(project: Path) -> None:
    (project / "sub").mkdir()
    (project / "sub" / "mllint.toml").write_text('baseline = "own.json"\n')
    (project / "sub" / "b.py").write_text(TWICE)
    run("--write-baseline")
    assert [entry.path for entry in read_entries((project / "known.json").read_text())] == ["a.py"]
    assert [entry.path for entry in read_entries((project / "sub" / "own.json").read_text())] == ["b.py"]
    assert run().exit_code == 0


def test_symbolic_links(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    run("--write-baseline")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "link").symlink_to(project)
    assert run(str(elsewhere / "link")).exit_code == 0
    (project / "same.py").symlink_to(project / "a.py")
    assert run("same.py").exit_code == 0
    (elsewhere / "known.json").write_bytes((project / "known.json").read_bytes())
    (project / "known.json").unlink()
    (project / "known.json").symlink_to(elsewhere / "known.json")
    run("--write-baseline")
    assert (project / "known.json").is_symlink(), "the file behind the link is written"
    assert run().exit_code == 0


def test_a_broken_file_is_an_error_even_for_writing(project: Path) -> None:
    (project / "known.json").write_text("{")
    for flags in ((), ("--write-baseline",)):
        result = run(*flags)
        assert result.exit_code == 2
        assert "known.json: not a baseline: no valid JSON at line 1" in result.stderr
    assert (project / "known.json").read_text() == "{"


def test_a_file_that_cannot_be_written(project: Path) -> None:
    (project / "known.json").mkdir()
    result = run("--write-baseline")
    assert result.exit_code == 2
    assert "the baseline cannot be" in result.stderr
    assert not [name for name in os.listdir(project) if name.startswith("known.json.")]


def test_standard_input(project: Path) -> None:
    run("--write-baseline")
    assert run("--stdin-filename", "a.py", "-", stdin=TWICE).exit_code == 0
    assert run("--stdin-filename", "b.py", "-", stdin=TWICE).exit_code == 1
    assert run("--stdin-filename", "a.py", "--write-baseline", "-", stdin=TWICE).exit_code == 2


#: ML001 with a safe fix.
UNUSED = "x = 1  # mllint: ignore[ML201]\n"


def test_what_is_known_is_not_fixed(project: Path) -> None:
    (project / "a.py").write_text(UNUSED)
    run("--write-baseline")
    (project / "a.py").write_text(UNUSED + UNUSED.replace("x", "y"))
    assert run("--fix").exit_code == 0
    assert (project / "a.py").read_text() == UNUSED + "y = 1\n"
    piped = run("--fix", "--stdin-filename", "a.py", "-", stdin=UNUSED + UNUSED)
    assert piped.stdout == UNUSED + "x = 1\n"
    assert run("--diff").stdout == ""


def test_fixing_and_writing_at_once_keeps_what_remains(project: Path) -> None:
    (project / "a.py").write_text(TWICE + UNUSED)
    result = run("--fix", "--write-baseline")
    assert result.exit_code == 0
    assert (project / "a.py").read_text() == TWICE + "x = 1\n"
    assert {entry.code for entry in read_entries((project / "known.json").read_text())} == {"ML501"}


@pytest.mark.parametrize("flags", [("--write-baseline", "--diff"), ("--write-baseline", "--add-ignore")])
def test_flags_that_exclude_each_other(project: Path, flags: tuple[str, ...]) -> None:
    result = run(*flags)
    assert (result.exit_code, result.stderr[:17]) == (2, "error: cannot use")
    assert (project / "a.py").read_text() == TWICE
