"""``--add-ignore``: where the comment goes in each host, and that nothing but a comment comes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mllint.checking.add_ignore import Added, add_ignores
from mllint.checking.report import Report
from mllint.checking.suppress import apply
from mllint.cli import main
from mllint.diagnostic import Diagnostic, Severity
from mllint.reading.source import Kind, Source, read_source
from mllint.rule import Meta

NAMES = {
    "syntax-error": "ML000",
    "unused-suppression": "ML001",
    "rule-crashed": "ML002",
    "fill-in-backward": "ML201",
    "kill-by-pattern": "ML401",
}
CODES = {b"BAD": "ML201", b"WORSE": "ML401", b"BROKEN": "ML000"}
ML001 = Meta("ML001", "unused-suppression", Severity.WARNING, "0.1")


def check(source: Source) -> Report:
    """A finding at each BAD and SPAN(…) (ML201), WORSE (ML401), BROKEN (ML000), suppressions applied."""
    found = []
    for match in re.finditer(rb"BAD|SPAN\([\s\S]*?\)|WORSE|BROKEN", source.data):
        start, end = match.span()
        code, place = CODES.get(match[0], "ML201"), source.place
        found.append(Diagnostic(source.path, start, end, code, "", Severity.ERROR, "m", place(start), place(end)))
    kept, suppressed = apply(source, found, active=frozenset(NAMES.values()), unused=ML001, names=NAMES)
    return Report(source.path, tuple(kept), source, suppressed)


def add(text: str | bytes, kind: Kind = "python", reason: str = "") -> Added:
    raw = text.encode() if isinstance(text, str) else text
    source = read_source("f", kind, raw)
    return add_ignores(source, check(source), check, reason)


PYTHON = {
    "x = BAD\n": "x = BAD  # mllint: ignore[ML201]\n",
    "x = BAD": "x = BAD  # mllint: ignore[ML201]",
    "x = BAD, WORSE, BAD\n": "x = BAD, WORSE, BAD  # mllint: ignore[ML201, ML401]\n",
    "x = BAD   \n": "x = BAD  # mllint: ignore[ML201]\n",
    "x = BAD  # a comment\n": "x = BAD  # a comment  # mllint: ignore[ML201]\n",
    "x = BAD  # noqa: E501\n": "x = BAD  # noqa: E501  # mllint: ignore[ML201]\n",
    "x = BAD, WORSE  # mllint: ignore[ML401] why\n": "x = BAD, WORSE  # mllint: ignore[ML401, ML201] why\n",
    "x = BAD, WORSE  # mllint: ignore[kill-by-pattern]  # z\n": (
        "x = BAD, WORSE  # mllint: ignore[kill-by-pattern, ML201]  # z\n"
    ),
    "# mllint: ignore[ML401] why\nx = BAD, WORSE\n": "# mllint: ignore[ML401, ML201] why\nx = BAD, WORSE\n",
    "x = f(\n    BAD,\n    WORSE,\n)\n": (
        "x = f(\n    BAD,  # mllint: ignore[ML201]\n    WORSE,  # mllint: ignore[ML401]\n)\n"
    ),
    "x = SPAN(\n  1,\n)\n": "x = SPAN(  # mllint: ignore[ML201]\n  1,\n)\n",
    "x = SPAN(\n  1,\n)  # mllint: ignore[ML401]\ny = WORSE\n": (
        "x = SPAN(\n  1,\n)  # mllint: ignore[ML401, ML201, ML001]\ny = WORSE  # mllint: ignore[ML401]\n"
    ),
    "x = BAD + \\\n  1 + \\\n  2\n": "x = BAD + \\\n  1 + \\\n  2  # mllint: ignore[ML201]\n",
    'x = """\n  BAD\n"""\n': 'x = """\n  BAD\n"""  # mllint: ignore[ML201]\n',
    'x = """BAD # 1\n""" + """\n"""; y = WORSE\n': (
        'x = """BAD # 1\n""" + """\n"""; y = WORSE  # mllint: ignore[ML201, ML401]\n'
    ),
    'x = f"""\n  BAD {a}\n {b}"""\n': 'x = f"""\n  BAD {a}\n {b}"""  # mllint: ignore[ML201]\n',
    'x = (f"""\n  BAD\n""" \\\n  "b",\n 1)\n': 'x = (f"""\n  BAD\n""" \\\n  "b",  # mllint: ignore[ML201]\n 1)\n',
    "# BAD in a comment\n": "# BAD in a comment  # mllint: ignore[ML201]\n",
    "# BAD\nBROKEN\n": "# BAD  # mllint: ignore[ML201]\nBROKEN\n",
    "BROKEN\n": "BROKEN\n",
    "x = 1  # mllint: ignore[ML401]\n": "x = 1  # mllint: ignore[ML401, ML001]\n",
    "x = 1  # mllint: ignor[ML401]\n": "x = 1  # mllint: ignor[ML401]  # mllint: ignore[ML001]\n",
    "def f():\r\n    BAD\r\n": "def f():\r\n    BAD  # mllint: ignore[ML201]\r\n",
    "\ufeffé = BAD\n": "\ufeffé = BAD  # mllint: ignore[ML201]\n",
    "x = 1\n\x0cBAD\n": "x = 1\n\x0cBAD  # mllint: ignore[ML201]\n",
    "# mllint: disable[ML401]\nBAD, WORSE\n": "# mllint: disable[ML401]\nBAD, WORSE  # mllint: ignore[ML201]\n",
}


@pytest.mark.parametrize("text", PYTHON, ids=lambda text: repr(text)[:50])
def test_python(text: str) -> None:
    added = add(text)
    assert added.data.decode() == PYTHON[text]
    assert ast.dump(ast.parse(added.data)) == ast.dump(ast.parse(text.encode()))
    assert [found.code for found in added.left.diagnostics] == ["ML000"] * text.count("BROKEN")
    again = add(added.data)
    assert (again.count, again.data) == (0, added.data)


#: kind -> text and what becomes of it
HOSTS: list[tuple[Kind, str, str]] = [
    ("shell", "BAD x\n", "BAD x  # mllint: ignore[ML201]\n"),
    ("shell", "a && \\\n  BAD \\\n  b\nc\n", "a && \\\n  BAD \\\n  b  # mllint: ignore[ML201]\nc\n"),
    ("shell", "ssh h '\n  BAD x\n'\n", "ssh h '\n  BAD x  # mllint: ignore[ML201]\n'\n"),
    ("shell", "ssh h <<EOF\nBAD\nEOF\n", "ssh h <<EOF\nBAD  # mllint: ignore[ML201]\nEOF\n"),
    ("shell", "a 'BAD\nb'\n", "# mllint: ignore[ML201]\na 'BAD\nb'\n"),
    ("shell", "a |\n  BAD\n", "a |\n  BAD  # mllint: ignore[ML201]\n"),
    ("makefile", "a:\n\tb\n\tBAD\n", "a:\n\tb\n# mllint: ignore[ML201]\n\tBAD\n"),
    (
        "dockerfile",
        'RUN a && \\\n    BAD\nCMD ["BAD"]\n',
        '# mllint: ignore[ML201]\nRUN a && \\\n    BAD\n# mllint: ignore[ML201]\nCMD ["BAD"]\n',
    ),
    ("yaml", "- run: BAD x\n", "- run: BAD x  # mllint: ignore[ML201]\n"),
    ("yaml", "- run: |\n    BAD x\n    b\n", "- run: |\n    BAD x  # mllint: ignore[ML201]\n    b\n"),
    (
        "yaml",
        "a:\n  - run: >\n      BAD x\n      -b\n",
        "a:\n  # mllint: ignore[ML201]\n  - run: >\n      BAD x\n      -b\n",
    ),
    ("yaml", 'command: ["BAD", "x"]\n', 'command: ["BAD", "x"]  # mllint: ignore[ML201]\n'),
    ("markdown", "# T\n\n```sh\nBAD x\n```\n", "# T\n\n```sh\nBAD x  # mllint: ignore[ML201]\n```\n"),
    ("kernel", "int a; BAD;\n", "int a; BAD;  // mllint: ignore[ML201]\n"),
    ("kernel", "// BAD\nint a;\n", "// BAD  // mllint: ignore[ML201]\nint a;\n"),
    ("kernel", "int a;\n/* one\n BAD\n*/\nint b;\n", "int a;\n/* one\n BAD  // mllint: ignore[ML201]\n*/\nint b;\n"),
    ("kernel", "#define A \\\n  BAD \\\n  1\n", "#define A \\\n  BAD \\\n  1  // mllint: ignore[ML201]\n"),
    ("kernel", "BAD; /* a */\r\n", "BAD; /* a */  // mllint: ignore[ML201]\r\n"),
]


@pytest.mark.parametrize(
    ("kind", "text", "expected"), HOSTS, ids=[f"{kind}-{n}" for n, (kind, _, _) in enumerate(HOSTS)]
)
def test_hosts(kind: Kind, text: str, expected: str) -> None:
    added = add(text, kind)
    assert added.data.decode() == expected
    assert added.left.diagnostics == ()
    assert added.count == text.count("BAD")


def test_a_reason_follows_new_comments_only() -> None:
    added = add("x = BAD\ny = BAD, WORSE  # mllint: ignore[ML401] old\n", reason="later")
    assert added.data == b"x = BAD  # mllint: ignore[ML201] later\ny = BAD, WORSE  # mllint: ignore[ML401, ML201] old\n"


def test_a_reason_that_the_encoding_lacks_is_not_written() -> None:
    text = "# coding: latin-1\nx = BAD, 'é'\n".encode("latin-1")
    assert add(text, reason="später").data == text.replace(b"'\xe9'", b"'\xe9'  # mllint: ignore[ML201] sp\xe4ter")
    added = add(text, reason="\N{EM DASH}")
    assert (added.count, added.data) == (0, text)
    assert [found.code for found in added.left.diagnostics] == ["ML201"]


def test_a_reason_that_would_end_the_comment_is_not_written() -> None:
    added = add("a\n\n> BAD\n", "markdown", reason="--> x")
    assert added.count == 0


def test_one_place_that_cannot_be_does_not_cost_the_others() -> None:
    """Behind a line of folded or quoted text a ``#`` would be text, so the comment goes above all of it."""
    text = "- run: BAD\n- run: >\n    BAD\n    a\n- run: 'BAD\n\n    b'\n"
    expected = "- run: BAD  # mllint: ignore[ML201]\n# mllint: ignore[ML201]\n- run: >\n    BAD\n    a\n"
    added = add(text, "yaml")
    assert added.data.decode() == expected + "# mllint: ignore[ML201]\n- run: 'BAD\n\n    b'\n"
    assert added.count == 3


def test_a_deep_expression() -> None:
    text = "x = " + "a + " * 900 + "BAD\n"
    assert add(text).count == 1


def test_a_broken_file_and_a_notebook_stay_as_they_are() -> None:
    for added in (add("x = BAD +\n"), add("x = BAD\n", "notebook")):
        assert added.count == 0
        assert [found.code for found in added.left.diagnostics] == ["ML201"]


# -- the command -----------------------------------------------------------------------------------------------

TWICE = "def step():\n    return 1\n\n\ndef step():\n    return 2\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mllint.toml").write_text("")
    (tmp_path / "a.py").write_text(TWICE)
    (tmp_path / "run.sh").write_text("pkill -f train.py\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, stdin: str | None = None) -> Result:
    command = ["check", "--output-format", "concise", "--no-cache", *arguments]
    return CliRunner().invoke(main, command, input=stdin, prog_name="mllint")


def test_the_command(project: Path) -> None:
    result = run("--add-ignore", ".")
    assert (result.exit_code, result.stdout) == (0, "All checks passed!\n")
    assert result.stderr == "Suppressed 2 findings.\n"
    assert (project / "a.py").read_text() == TWICE.replace(
        "():\n    return 2", "():  # mllint: ignore[ML501]\n    return 2"
    )
    assert (project / "run.sh").read_text() == "pkill -f train.py  # mllint: ignore[ML401]\n"
    assert run().exit_code == 0
    assert run("--add-ignore").stderr == "Suppressed 0 findings.\n"


def test_a_reason_on_the_command_line(project: Path) -> None:
    run("--add-ignore=for now", "run.sh")
    assert (project / "run.sh").read_text() == "pkill -f train.py  # mllint: ignore[ML401] for now\n"
    assert (project / "a.py").read_text() == TWICE
    result = run("--add-ignore=two\nlines")
    assert (result.exit_code, "one line" in result.stderr) == (2, True)


def test_what_is_left_is_shown_and_fails(project: Path) -> None:
    (project / "b.py").write_text("x = (\n")
    result = run("--add-ignore")
    assert result.exit_code == 1
    assert "b.py:1:" in result.stdout
    assert result.stderr == "Suppressed 2 findings.\n", "of a syntax error nobody expects a suppression"


def test_notebooks_are_left_and_it_is_said(project: Path) -> None:
    cell = (
        '{"cell_type": "code", "source": "import os\\nos.system(\'pkill -f train.py\')", "metadata": {}, "outputs": []}'
    )
    text = f'{{"cells": [{cell}], "metadata": {{}}, "nbformat": 4, "nbformat_minor": 5}}'
    (project / "n.ipynb").write_text(text)
    result = run("--add-ignore", "n.ipynb")
    assert result.exit_code == 1
    assert "No comment could be placed for 1 finding" in result.stderr
    assert (project / "n.ipynb").read_text() == text


def test_what_the_baseline_has_gets_no_comment(project: Path) -> None:
    run("--baseline", "known.json", "--write-baseline", "a.py")
    assert run("--baseline", "known.json", "--add-ignore").stderr.startswith("Suppressed 1 finding.\n")
    assert (project / "a.py").read_text() == TWICE


def test_a_file_that_cannot_be_written(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mllint.cli import edits
    from mllint.reading.files import WriteFailed

    def refuse(absolute: str, data: bytes) -> None:
        raise WriteFailed("not written: no")

    monkeypatch.setattr(edits, "write_atomic", refuse)
    result = run("--add-ignore")
    assert result.exit_code == 2
    assert "error: a.py: not written: no" in result.stderr
    assert "ML501" in result.stdout


@pytest.mark.parametrize("flag", ["--fix", "--fix-only", "--diff", "--ignore-noqa"])
def test_flags_that_it_does_not_go_with(project: Path, flag: str) -> None:
    result = run("--add-ignore", flag)
    assert (result.exit_code, result.stderr[:17]) == (2, "error: cannot use")
    assert (project / "a.py").read_text() == TWICE


def test_it_does_not_go_with_standard_input(project: Path) -> None:
    assert run("--add-ignore", "--stdin-filename", "a.py", "-", stdin=TWICE).exit_code == 2
