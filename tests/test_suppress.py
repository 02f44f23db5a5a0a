"""Suppressions: which findings a comment hides, in each host, and what ML001 says and does about the useless ones."""

from __future__ import annotations

import re

import pytest

from mllint.checking.directives import mentions_directive
from mllint.checking.fix import apply_edits, in_comment_way
from mllint.checking.suppress import apply
from mllint.diagnostic import Diagnostic, Severity
from mllint.reading.source import Kind, Source
from mllint.rule import Meta

NAMES = {
    "syntax-error": "ML000",
    "unused-suppression": "ML001",
    "rule-crashed": "ML002",
    "fill-in-backward": "ML201",
    "detached-loss": "ML202",
    "non-ascii-kernel-source": "ML301",
    "kill-by-pattern": "ML401",
}
ACTIVE = frozenset(NAMES.values()) - {"ML202"}
ML001 = Meta("ML001", "unused-suppression", Severity.WARNING, "0.1")


def finding(source: Source, start: int, end: int, code: str = "ML201") -> Diagnostic:
    place = source.place
    return Diagnostic(source.path, start, end, code, "", Severity.ERROR, "m", place(start), place(end))


def run(
    text: str | bytes,
    kind: Kind = "python",
    code: str = "ML201",
    unused: bool = True,
    ignore_noqa: bool = False,
    active: frozenset[str] = ACTIVE,
) -> tuple[int, int, list[Diagnostic], Source]:
    """Findings kept and suppressed where the text says BAD (or B{…}D over several lines), and the ML001 ones."""
    data = text if isinstance(text, bytes) else text.encode()
    source = Source("f", kind, data)
    found = [finding(source, m.start(), m.end(), code) for m in re.finditer(rb"BAD|B\{[\s\S]*?\}D", data)]
    meta = ML001 if unused else None
    kept, suppressed = apply(source, found, active=active, unused=meta, ignore_noqa=ignore_noqa, names=NAMES)
    stale = [one for one in kept if one.code == "ML001" and one not in found]
    return len(kept) - len(stale), suppressed, stale, source


SUPPRESSED = {
    "code": "BAD  # mllint: ignore[ML201] because",
    "name": "BAD  # mllint: ignore[fill-in-backward]",
    "prefix": "BAD  # mllint: ignore[ML2]",
    "family": "BAD  # mllint: ignore[gradients]",
    "list": "BAD  # mllint: ignore[ML301, fill-in-backward]",
    "all": "BAD  # mllint: ignore",
    "all with a reason": "BAD  # mllint: ignore the tests need it",
    "no blanks": "BAD #mllint:ignore[ML201]",
    "behind another comment": "BAD  # type: ignore  # mllint: ignore[ML201]",
    "behind another comment, no blank": "BAD  # pragma: no cover# noqa: ML201",
    "before another comment": "BAD  # mllint: ignore[ML201]  # fmt: skip",
    "noqa": "BAD  # noqa: ML201",
    "noqa in capitals, among others": "BAD  # NOQA : E501,ML301 ML201",
    "noqa without comma": "BAD  #noqa:E501ML201",
    "noqa with a reason": "BAD  # noqa: ML201 the graph is static",
    "noqa in two comments": "BAD  # noqa: E501 # noqa: ML201",
    "any line of the span": "x = B{(\n  1,  # mllint: ignore[ML201]\n)}D\n",
    "last line of the span": "x = B{(\n  1,\n)}D  # noqa: ML201\n",
    "end of a string": 'x = """\n  BAD\n"""  # mllint: ignore[ML201]\n',
    "end of an f-string": 'x = f"""\n {a}\n  BAD\n"""  # mllint: ignore[ML201]\n',
    "two strings in a row": 'x = """\nBAD\n""" + """\n"""  # noqa: ML201\n',
    "backslash": "x = BAD + \\\n  1 + \\\n  2  # noqa: ML201\n",
    "own line": "# mllint: ignore[ML201]\nBAD\n",
    "own line, indented": "if a:\n    # mllint: ignore[ML201]\n\n    # and so\n    BAD\n",
    "own line, whole statement": "# mllint: ignore[ML201]\nx = f(\n    1,\n    BAD,\n)\n",
    "own line, header of a definition": "# mllint: ignore[ML201]\ndef f(\n    a=BAD,\n):\n    pass\n",
    "own line, decorators": "# mllint: ignore[ML201]\n@a\n@b(\n    1)\ndef f(a=BAD):\n    pass\n",
    "own line after a decorator": "@a\n# mllint: ignore[ML201]\ndef f(a=BAD):\n    pass\n",
    "own line in brackets": "x = [\n    # mllint: ignore[ML201]\n    BAD,\n    2,\n]\n",
    "own line in brackets, string": 'x = [\n    # mllint: ignore[ML201]\n    """\n   BAD""",\n    2,\n]\n',
    "file": "BAD\nx = 1\n# mllint: ignore-file[ML201]\n",
    "file, all": "# mllint: ignore-file\nBAD\n",
    "bytes beyond ASCII": 'x = "αβγ", BAD  # mllint: ignore[ML201]\n',
    "CRLF": "x = 1\r\n# mllint: ignore[ML201]\r\nBAD\r\n",
    "form feed": "x = 1\n\x0cBAD  # noqa: ML201\n",
}


@pytest.mark.parametrize("text", SUPPRESSED.values(), ids=SUPPRESSED.keys())
def test_suppressed(text: str) -> None:
    kept, suppressed, _, _ = run(text)
    assert (kept, suppressed) == (0, 1)


KEPT = {
    "no comment": "BAD\n",
    "other code": "BAD  # mllint: ignore[ML301]\n",
    "other prefix": "BAD  # mllint: ignore[ML3]\n",
    "bare noqa": "BAD  # noqa\n",
    "ruff's noqa for a file": "# ruff: noqa: ML201\nBAD\n",
    "flake8's noqa for a file": "# flake8: noqa: ML201\nBAD\n",
    "noqa on the line before": "# noqa: ML201\nBAD\n",
    "in a string": 'BAD, "# mllint: ignore[ML201]"\n',
    "in a docstring": '"""\n# mllint: ignore-file[ML201]\n"""\nBAD\n',
    "quoted in a comment": "BAD  # write `# mllint: ignore[ML201]` here\n",
    "next statement only": "# mllint: ignore[ML201]\nx = 1\nBAD\n",
    "header only": "# mllint: ignore[ML201]\ndef f():\n    BAD\n",
    "next line in brackets only": "x = [\n    # mllint: ignore[ML201]\n    1,\n    BAD,\n]\n",
    "not understood": "BAD  # mllint: ignor[ML201]\n",
    "unclosed": "BAD  # mllint: ignore[ML201\n",
    "empty brackets": "BAD  # mllint: ignore[]\n",
    "file, but behind code": "x = 1  # mllint: ignore-file[ML201]\nBAD\n",
    "a word that begins alike": "BAD  # mllint: ignored\n",
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT.keys())
def test_kept(text: str) -> None:
    kept, suppressed, _, _ = run(text)
    assert (kept, suppressed) == (1, 0)


HOSTS: list[tuple[Kind, str, int]] = [  # suppressed ones; the others are kept
    ("notebook", "BAD  # mllint: ignore[ML201]\nBAD\n", 1),
    ("shell", "BAD  # mllint: ignore[ML201]\nBAD '# mllint: ignore[ML201]'\nBAD$#mllint: ignore\n", 1),
    ("shell", "# mllint: ignore[ML201]\nBAD \\\n  BAD\nBAD\n", 2),
    ("shell", "BAD \\\n  -f  # noqa: ML201\n", 1),
    ("shell", "# mllint: ignore[ML201]\nssh a '\n  BAD'\nBAD\n", 1),
    ("shell", "# mllint: ignore[ML201]\nssh a <<EOF\nx\nBAD\nEOF\nBAD\n", 1),
    ("shell", "# mllint: ignore[ML201]\nps |\n  BAD\nBAD\n", 1),
    ("makefile", "a:\n\t# mllint: ignore[ML201]\n\tBAD\n\tBAD\n", 1),
    ("dockerfile", "# mllint: ignore[ML201]\nRUN a && \\\n    BAD\nRUN BAD\n", 1),
    ("yaml", "- run: BAD  # mllint: ignore[ML201]\n- run: BAD\n", 1),
    ("yaml", "# mllint: ignore[ML201]\n- run: |\n    a\n\n    BAD\n  x: BAD\n", 1),
    ("markdown", "BAD <!-- mllint: ignore[ML201] -->\nBAD\n", 1),
    ("markdown", "<!-- mllint: ignore[ML201] -->\n\n```bash\na\nBAD\n```\nBAD\n", 1),
    ("markdown", "```bash\nBAD  # mllint: ignore[ML201]\nBAD\n```\nBAD # mllint: ignore[ML201]\n", 1),
    ("markdown", "```python\nBAD  # mllint: ignore[ML201]\n```\n", 0),
    ("markdown", "Write `<!-- mllint: ignore[ML201] -->` BAD\n", 0),
    ("markdown", "Write `# noqa` or <!-- mllint: ignore[ML201] --> BAD\n", 1),
    ("markdown", "<!-- mllint: ignore-file[ML201] -->\n\nBAD\n", 1),
    ("markdown", "````\n```\n<!-- mllint: ignore-file -->\nBAD\n````\nBAD\n", 0),
    ("kernel", 'BAD; // mllint: ignore[ML201]\nBAD; char *s = "// mllint: ignore[ML201]";\n', 1),
    ("kernel", "BAD; /* mllint: ignore[ML201] */ BAD;\nBAD;\n", 2),
    ("kernel", "// mllint: ignore[ML201]\n__global__ void f(int a,\n  int BAD) {\n  BAD;\n}\n", 1),
    ("kernel", "int a = 1'000'000; char b = '\"'; BAD; // noqa: ML201\n", 1),
    ("kernel", 'auto s = R"x(" // )x"; BAD; // mllint: ignore[ML201]\n', 1),
    ("kernel", "/* mllint: ignore-file[ML201]\n*/\nBAD\n", 1),
    ("kernel", "// mllint: ignore[ML201]\n#define A \\\n  BAD\nBAD;\n", 1),
]


@pytest.mark.parametrize(
    ("kind", "text", "expected"), HOSTS, ids=[f"{kind}-{n}" for n, (kind, _, _) in enumerate(HOSTS)]
)
def test_hosts(kind: Kind, text: str, expected: int) -> None:
    kept, suppressed, _, _ = run(text, kind)
    assert (kept, suppressed) == (text.count("BAD") - expected, expected)


@pytest.mark.parametrize("code", ["ML000", "ML002"])
def test_syntax_errors_and_crashes_are_never_suppressed(code: str) -> None:
    kept, suppressed, stale, _ = run("BAD  # mllint: ignore\n# mllint: ignore-file[ML000, ML002, ML301]\n", code=code)
    assert (kept, suppressed) == (1, 0)
    assert stale == []  # who knows what a broken file or a crashed rule would have found


def test_a_file_that_cannot_be_tokenised_is_read_line_by_line() -> None:
    text = "BAD  # mllint: ignore[ML201]\nx = 1  # mllint: ignore[ML301]\ny = (\n"
    assert run(text)[:3] == (0, 1, [])


def test_a_comment_does_not_reach_into_the_next_notebook_cell() -> None:
    data = b"BAD  # mllint: ignore[ML201]\n# mllint: ignore[ML201]\nBAD\n"
    found = [finding(Source("f", "notebook", data), 0, 3), finding(Source("f", "notebook", data), 53, 56)]
    for cells, expected in (((1,), 2), ((1, 3), 1)):
        source = Source("f", "notebook", data, cell_rows=cells)
        assert apply(source, found, active=ACTIVE, unused=None, names=NAMES)[1] == expected


def test_ignore_noqa_ignores_every_suppression() -> None:
    for text in (
        "BAD  # noqa: ML201\nx = 1  # noqa: ML301\n",
        "BAD  # mllint: ignore[ML201]\n",
        "# mllint: disable\nBAD\n",
    ):
        assert run(text, ignore_noqa=True)[:3] == (1, 0, [])


#: text -> messages of ML001 in order, text after all its fixes
STALE: dict[str, tuple[list[str], str]] = {
    "x = 1  # mllint: ignore[ML201] why\n": (["`ML201` suppresses nothing here"], "x = 1\n"),
    "x = 1  # mllint: ignore[ML202]\n": ([], "x = 1  # mllint: ignore[ML202]\n"),
    "x = 1  # mllint: ignore[ML2]\n": ([], "x = 1  # mllint: ignore[ML2]\n"),
    "x = 1  # mllint: ignore[ML3]\n": (["`ML3` suppresses nothing here"], "x = 1\n"),
    "BAD  # mllint: ignore[ML301, ML201] why\n": (
        ["`ML301` suppresses nothing here"],
        "BAD  # mllint: ignore[ML201] why\n",
    ),
    "BAD  # mllint: ignore[ML201,kill-by-pattern]\n": (
        ["`kill-by-pattern` suppresses nothing here"],
        "BAD  # mllint: ignore[ML201]\n",
    ),
    "x = 1  # noqa: E501, ML201\n": (["`ML201` suppresses nothing here"], "x = 1  # noqa: E501\n"),
    "x = 1  # noqa: ML201,E501 long\n": (["`ML201` suppresses nothing here"], "x = 1  # noqa: E501 long\n"),
    "x = 1  # noqa: E501, F401\n": ([], "x = 1  # noqa: E501, F401\n"),
    "x = 1  # type: ignore  # noqa: ML201\n": (["`ML201` suppresses nothing here"], "x = 1  # type: ignore\n"),
    "x = 1  # noqa: ML201  # type: ignore\n": (["`ML201` suppresses nothing here"], "x = 1  # type: ignore\n"),
    "x = 1  # a # noqa: ML201 # b\n": (["`ML201` suppresses nothing here"], "x = 1  # a # b\n"),
    "x = 1  # noqa: ML999\n": (["unknown code `ML999` in a suppression"], "x = 1\n"),
    "x = 1  # mllint: ignore[no-such-rule]\n": (["unknown code `no-such-rule` in a suppression"], "x = 1\n"),
    "x = 1  # mllint: ignore[ML000]\n": (["`ML000` cannot be suppressed"], "x = 1\n"),
    "x = 1  # mllint: ignor[ML201]\n": (["suppression not understood"], "x = 1  # mllint: ignor[ML201]\n"),
    "x = 1  # mllint: ignore[\n": (["suppression not understood"], "x = 1  # mllint: ignore[\n"),
    "x = 1  # mllint: ignore-file[ML201]\n": (
        ["`ignore-file` works only on a line of its own"],
        "x = 1  # mllint: ignore-file[ML201]\n",
    ),
    "a\n    # mllint: ignore[ML201]\r\nx = 1\n".replace("a\n", "if a:\r\n"): (
        ["`ML201` suppresses nothing here"],
        "if a:\r\nx = 1\n",
    ),
    "x = 1\n# mllint: ignore-file[ML301]": (["`ML301` suppresses nothing here"], "x = 1\n"),
    "# noqa: ML201\nBAD\n": (["`ML201` suppresses nothing here"], "BAD\n"),
    "x = 1  # mllint: ignore[ML201, ML001]\n": ([], "x = 1  # mllint: ignore[ML201, ML001]\n"),
    "x = 1  # mllint: ignore[ML201]  # mllint: ignore[ML001] kept for older versions\n": (
        [],
        "x = 1  # mllint: ignore[ML201]  # mllint: ignore[ML001] kept for older versions\n",
    ),
    "x = 1  # mllint: ignore[ML001]\n": (["`ML001` suppresses nothing here"], "x = 1\n"),
    "# mllint: ignore-file[ML001]\nx = 1  # noqa: ML201\n": (
        [],
        "# mllint: ignore-file[ML001]\nx = 1  # noqa: ML201\n",
    ),
    "x = 1  # mllint: ignore\n": ([], "x = 1  # mllint: ignore\n"),  # ML202 did not run
    "é = 1  # é # noqa: ML201, E1\n": (["`ML201` suppresses nothing here"], "é = 1  # é # noqa: E1\n"),
}


@pytest.mark.parametrize("text", STALE, ids=lambda text: repr(text)[:60])
def test_unused_suppressions(text: str) -> None:
    expected, fixed = STALE[text]
    _, _, stale, source = run(text)
    assert [found.message for found in stale] == expected
    data = source.data
    for found in stale:
        assert source.data[found.start : found.end].decode().startswith("#")
        assert found.fix is None or not in_comment_way(source, found.fix)
    data = apply_edits(data, [edit for found in stale if found.fix for edit in found.fix.edits])
    assert data.decode() == fixed


def test_a_suppression_of_everything_is_unused_only_where_everything_ran() -> None:
    text, every = "x = 1  # mllint: ignore\n", frozenset(NAMES.values())
    assert run(text, active=every - {"ML301"})[2] == []
    stale = run(text, active=every)[2]
    assert [found.message for found in stale] == ["this suppression suppresses nothing"]


def test_each_code_of_a_comment_is_reported_and_removed_in_its_turn() -> None:
    text = "x = 1  # mllint: ignore[ML201, ML301, ML401] why\n"
    for left in (3, 2, 1):
        _, _, stale, source = run(text)
        assert len(stale) == left
        assert stale[0].fix is not None
        text = apply_edits(source.data, stale[0].fix.edits).decode()
    assert text == "x = 1\n"


@pytest.mark.parametrize(
    ("kind", "text", "fixed"),
    [
        ("kernel", "int a;  // mllint: ignore[ML201]\n", "int a;\n"),
        ("kernel", "int/* mllint: ignore[ML201] */a;\n", "int a;\n"),
        ("kernel", "int /* mllint: ignore[ML201] */ a;\n", "int a;\n"),
        ("kernel", "  /* mllint: ignore[ML201] */ int a;\n", "  int a;\n"),
        ("kernel", "int a; /* mllint: ignore[ML201] */ \n", "int a;\n"),
        ("kernel", "/* mllint: ignore[ML201]\n */\nint a;\n", "int a;\n"),
        ("markdown", "a\n\n<!-- mllint: ignore[ML201] -->\n```\n```\n", "a\n\n```\n```\n"),
        ("shell", "a\t# mllint: ignore[ML201] why\n", "a\n"),
    ],
)
def test_removal_in_hosts(kind: Kind, text: str, fixed: str) -> None:
    _, _, stale, source = run(text, kind)
    [found] = stale
    assert found.fix is not None
    assert not in_comment_way(source, found.fix)
    assert apply_edits(source.data, found.fix.edits).decode() == fixed


def test_ml001_off_reports_nothing_and_notebooks_get_no_fix() -> None:
    assert run("x = 1  # mllint: ignore[ML201]\n", unused=False)[2] == []
    [found] = run("x = 1  # mllint: ignore[ML201]\n", "notebook")[2]
    assert found.fix is None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"x  # noqa: F401", False),
        (b"x  # NoQA : F401,ML201", True),
        (b"x  # noqa", False),
        (b"# mllint: x", True),
        (b"mllint", False),
    ],
)
def test_nothing_is_tokenised_without_a_directive(data: bytes, expected: bool) -> None:
    assert mentions_directive(data, NAMES.values()) is expected


# -- ranges: disable … enable --------------------------------------------------------------------------------------

#: name -> text; what is to be suppressed says BAD, and what is to be kept says B{kept}D
RANGES: dict[str, tuple[Kind, str]] = {
    "to the enable": ("python", "B{kept}D\n# mllint: disable[ML201]\nBAD\nBAD\n# mllint: enable[ML201]\nB{kept}D\n"),
    "to the end of the file": ("python", "B{kept}D\n# mllint: disable[ML201] why\ndef f():\n    BAD\nBAD\n"),
    "names and codes end each other": (
        "python",
        "# mllint: disable[fill-in-backward]\nBAD\n# mllint: enable[ML201]\nB{kept}D\n",
    ),
    "part of a family ends": ("python", "# mllint: disable[gradients]\nBAD\n# mllint: enable[ML201]\nB{kept}D\n"),
    "another part of a family ends": ("python", "# mllint: disable[gradients]\nBAD\n# mllint: enable[ML202]\nBAD\n"),
    "one of two ends": ("python", "# mllint: disable[ML201, ML301]\nBAD\n# mllint: enable[ML301]\nBAD\n"),
    "enable ends everything": (
        "python",
        "# mllint: disable[ML201]\n# mllint: disable[ML301]\nBAD\n# mllint: enable\nB{kept}D\n",
    ),
    "disable means everything": ("python", "# mllint: disable\nBAD\n# mllint: enable\nB{kept}D\n"),
    "everything but one": ("python", "# mllint: disable\nBAD\n# mllint: enable[ML201]\nB{kept}D\n"),
    "once more": (
        "python",
        "# mllint: disable[ML201]\nBAD\n# mllint: enable[ML201]\nB{kept}D\n# mllint: disable[ML201]\nBAD\n",
    ),
    "to the end of the block": (
        "python",
        "def f():\n    # mllint: disable[ML201]\n    BAD\n    if a:\n        BAD\n\n    BAD\nB{kept}D\n",
    ),
    "to the end of a class": (
        "python",
        "class A:\n    a = 1\n    # mllint: disable[ML201]\n    def f():\n        BAD\n    BAD\nclass B:\n    B{kept}D\n",
    ),
    "to the end of a branch": (
        "python",
        "if a:\n\t# mllint: disable[ML201]\n\tBAD\nelse:\n        B{kept}D\n",
    ),
    "indented less than what follows it": ("python", "def f():\n    x = 1\n# mllint: disable[ML201]\n    BAD\nBAD\n"),
    "nothing of its block follows": ("python", "def f():\n    x = 1\n    # mllint: disable[ML201]\nB{kept}D\n"),
    "enable in an inner block": (
        "python",
        "# mllint: disable[ML201]\nif a:\n    # mllint: enable[ML201]\n    BAD\nBAD\n",
    ),
    "enable in an outer block": (
        "python",
        "if a:\n    # mllint: disable[ML201]\n    BAD\n# mllint: enable[ML201]\nB{kept}D\n",
    ),
    "enable in the next block": (
        "python",
        "if a:\n    # mllint: disable[ML201]\n    BAD\nif b:\n    # mllint: enable[ML201]\n    B{kept}D\n",
    ),
    "in brackets": (
        "python",
        "x = [\n    # mllint: disable[ML201]\n    BAD,\n  BAD,\n    # mllint: enable[ML201]\n    B{kept}D,\n]\n",
    ),
    "to the end of the brackets": ("python", "x = [\n  # mllint: disable[ML201]\n    BAD,\n BAD]\nB{kept}D\n"),
    "a statement that begins inside": (
        "python",
        "# mllint: disable[ML201]\nx = (1,\nBAD)\n# mllint: enable[ML201]\nB{kept}D\n",
    ),
    "ignore-file knows no end": ("python", "# mllint: ignore-file[ML201]\n# mllint: enable[ML201]\nBAD\n"),
    "behind code": ("python", "x = 1  # mllint: disable[ML201]\nB{kept}D\n"),
    "in a string": ("python", 'x = """\n# mllint: disable[ML201]\n"""\nB{kept}D\n'),
    "CRLF": ("python", "# mllint: disable[ML201]\r\nBAD\r\n# mllint: enable[ML201]\r\nB{kept}D\r\n"),
    "notebook": ("notebook", "# mllint: disable[ML201]\nBAD\n# mllint: enable[ML201]\nB{kept}D\n"),
    "cannot be tokenised": ("python", "# mllint: disable[ML201]\nBAD\n# mllint: enable[ML201]\nB{kept}D\ny = (\n"),
    "shell": ("shell", "# mllint: disable[ML201]\nBAD\n  # mllint: enable[ML201]\nB{kept}D\n"),
    "makefile": ("makefile", "# mllint: disable[ML201]\na:\n\tBAD\n# mllint: enable\nb:\n\tB{kept}D\n"),
    "dockerfile": ("dockerfile", "# mllint: disable[ML201]\nRUN a && \\\n  BAD\n# mllint: enable\nRUN B{kept}D\n"),
    "yaml": ("yaml", "# mllint: disable[ML201]\n- run: |\n    BAD\n# mllint: enable[ML201]\n- run: B{kept}D\n"),
    "kernel": ("kernel", "// mllint: disable[ML201]\nBAD;\n/* mllint: enable[ML201] */\nB{kept}D;\n"),
    "markdown": (
        "markdown",
        "<!-- mllint: disable[ML201] -->\n\nBAD\n\n<!-- mllint: enable[ML201] -->\n\nB{kept}D\n",
    ),
    "markdown, to the end of a code block": (
        "markdown",
        "```sh\nB{kept}D\n# mllint: disable[ML201]\nBAD\n```\n\n```sh\nB{kept}D\n```\n",
    ),
}


@pytest.mark.parametrize(("kind", "text"), RANGES.values(), ids=RANGES.keys())
def test_ranges(kind: Kind, text: str) -> None:
    kept, suppressed, _, source = run(text, kind)
    assert (kept, suppressed) == (text.count("B{kept}D"), text.count("BAD"))
    rows = {row for row in range(1, len(source.line_starts) + 1) if "B{kept}D" in source.line(row)}
    data = source.data
    found = [finding(source, m.start(), m.end()) for m in re.finditer(rb"BAD|B\{kept\}D", data)]
    left, _ = apply(source, found, active=ACTIVE, unused=None, names=NAMES)
    assert {found.begin.row for found in left} == rows


#: text -> messages of ML001 in order, text after the fix of each of them in its turn
STALE_RANGES: dict[str, tuple[list[str], str]] = {
    "# mllint: disable[ML201]\nx = 1\n# mllint: enable[ML201]\n": (["`ML201` suppresses nothing here"], "x = 1\n"),
    "# mllint: disable[ML201]\nx = 1\n": (["`ML201` suppresses nothing here"], "x = 1\n"),
    "# mllint: disable[ML201]\nBAD\n": ([], "# mllint: disable[ML201]\nBAD\n"),
    "# mllint: disable[ML201,ML301]\nBAD\n# mllint: enable[ML301, ML201]\n": (
        ["`ML301` suppresses nothing here"],
        "# mllint: disable[ML201]\nBAD\n# mllint: enable[ML201]\n",
    ),
    "# mllint: disable[ML201,ML301]\nBAD\n# mllint: enable\n": (
        ["`ML301` suppresses nothing here"],
        "# mllint: disable[ML201]\nBAD\n# mllint: enable\n",
    ),
    "# mllint: disable[ML3]\nx = 1\n# mllint: enable\n": (["`ML3` suppresses nothing here"], "x = 1\n"),
    "# mllint: disable[ML0, ML3, ML4]\nx = 1\n# mllint: enable[ML301, ML401, ML4]\n": (
        [
            "`ML0` suppresses nothing here",
            "`ML3` suppresses nothing here",
            "`ML4` suppresses nothing here",
            "`ML4` is not disabled here",
        ],
        "x = 1\n",
    ),
    "BAD\n# mllint: enable[ML201]\nx = 1\n": (["`ML201` is not disabled here"], "BAD\nx = 1\n"),
    "x = 1\n# mllint: enable\n": (["nothing is disabled here"], "x = 1\n"),
    "# mllint: disable[ML201]\nBAD\n# mllint: enable[ML201]\n# mllint: enable[ML201]\n": (
        ["`ML201` is not disabled here"],
        "# mllint: disable[ML201]\nBAD\n# mllint: enable[ML201]\n",
    ),
    "if a:\n    # mllint: disable[ML201]\n    BAD\n# mllint: enable[ML201]\n": (
        ["`ML201` is not disabled here"],
        "if a:\n    # mllint: disable[ML201]\n    BAD\n",
    ),
    "# mllint: disable[no-such]\nx = 1\n# mllint: enable[no-such]\n": (
        ["unknown code `no-such` in a suppression"] * 2,
        "x = 1\n",
    ),
    "# mllint: disable[ML000]\nx = 1\n# mllint: enable[ML000]\n": (["`ML000` cannot be suppressed"], "x = 1\n"),
    "# mllint: disable[ML202]\nx = 1\n# mllint: enable[ML202]\n": (
        [],  # it did not run
        "# mllint: disable[ML202]\nx = 1\n# mllint: enable[ML202]\n",
    ),
    "x = 1  # mllint: disable[ML201]\n": (
        ["`disable` works only on a line of its own"],
        "x = 1  # mllint: disable[ML201]\n",
    ),
    "# mllint: disabled[ML201]\nx = 1\n": (["suppression not understood"], "# mllint: disabled[ML201]\nx = 1\n"),
    "# mllint: disable[ML001]\nx = 1  # mllint: ignore[ML201]\n": (
        [],
        "# mllint: disable[ML001]\nx = 1  # mllint: ignore[ML201]\n",
    ),
    "# mllint: disable[ML001]\nx = 1\n": (["`ML001` suppresses nothing here"], "x = 1\n"),
    "# fmt: off  # mllint: disable[ML201]\nx = 1\n# fmt: on  # mllint: enable[ML201]\n": (
        ["`ML201` suppresses nothing here"],
        "# fmt: off\nx = 1\n# fmt: on\n",
    ),
}


@pytest.mark.parametrize("text", STALE_RANGES, ids=lambda text: repr(text)[:60])
def test_unused_ranges(text: str) -> None:
    expected, fixed = STALE_RANGES[text]
    assert [found.message for found in run(text)[2]] == expected
    while True:
        _, _, stale, source = run(text)
        fixes = [found.fix for found in stale if found.fix]
        if not fixes:
            break
        assert not in_comment_way(source, fixes[0])
        text = apply_edits(source.data, fixes[0].edits).decode()
        assert len(run(text)[2]) < len(stale), "the fix leaves something else to report"
    assert text == fixed
