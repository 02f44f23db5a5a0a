"""Every format over the same hand-made reports, compared with golden files; SARIF against the public schema."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from mllint.authoring.explain import RulePage, Section
from mllint.checking.report import Report
from mllint.diagnostic import Diagnostic, Edit, Fix, Place, Related, Safety, Severity
from mllint.output import progress, show_fixes, statistics
from mllint.output.diff import diff
from mllint.output.formats import FORMATS, render
from mllint.output.frame import WIDTH, frame
from mllint.output.options import Options
from mllint.output.style import columns, printable, window
from mllint.output.summary import summary
from mllint.reading.source import Kind, Source

Golden = Callable[[str, str], None]

PAGE = RulePage(
    "ML201",
    "fill-in-backward",
    Severity.ERROR,
    "high",
    Safety.UNSAFE,
    "0.1.0",
    "A fill with a large negative number overflows a gradient",
    (
        Section("Why", "The gradient of a masked logit is *zero*."),
        Section("Bad", "```python\nx.masked_fill(m, -1e9)\n```"),
    ),
    "https://example.org/rules/ml201_fill_in_backward.py",
)
OPTIONS = Options(root="/home/me/project", version="1.2.3", rules={"ML201": PAGE})


def source(path: str, text: str, kind: Kind = "python", cells: tuple[int, ...] = ()) -> Source:
    return Source(path, kind, text.encode(), cell_rows=cells)


def span(where: Source, marked: str) -> tuple[int, int]:
    start = where.data.index(marked.encode())
    return start, start + len(marked.encode())


def finding(where: Source, marked: str, code: str = "ML201", **changes: Any) -> Diagnostic:
    start, end = span(where, marked)
    name = {"ML201": "fill-in-backward", "ML301": "non-ascii-kernel-source", "ML702": "sync-in-loop"}[code]
    found = Diagnostic(
        where.path,
        start,
        end,
        code,
        name,
        Severity.ERROR,
        f"`{marked.split()[0]}` is wrong here",
        where.place(start),
        where.place(end),
        why="A fill with a large negative number overflows a gradient",
    )
    return replace(found, **changes)


def swap(where: Source, old: str, new: str, safety: Safety, title: str = "Fill with 0") -> Fix:
    return Fix(title, (Edit(*span(where, old), new),), safety)


def reports() -> list[Report]:
    """One file a difficulty."""
    plain = source(
        "train.py", "import torch\n\n\ndef backward(ctx, g):\n    g = g.masked_fill(ctx.mask, -1e9)\n    return g\n"
    )
    tabs = source("pkg/tabs.py", "def f(x):\n\tif x:\n\t\treturn x.item()\t# sync\n\treturn 0\n")
    wide = source("wide.py", 'title = "日本語 é e\u0301", kernel("λ")\n')
    rows = source("rows.py", "x = call(\n    1,\n    2,\n)\n\nif x:\n    y = other(\n        3)\n")
    notebook = source("n.ipynb", "import torch\nx = 1\ny = x\nz = y.item()\n", "notebook", (1, 3))
    crlf = source("a b,c%.py", "a = 1\r\nb = 2\r\nc = 3\r\n")
    related = Related("pkg/tabs.py", Place(3, 10), "the helper is here")
    return [
        Report(
            "train.py",
            (
                finding(
                    plain,
                    "g.masked_fill(ctx.mask, -1e9)",
                    fix=swap(plain, "-1e9", "0", Safety.SAFE),
                    related=(related,),
                ),
            ),
            plain,
        ),
        Report(
            "pkg/tabs.py",
            (
                finding(
                    tabs,
                    "x.item()",
                    "ML702",
                    severity=Severity.WARNING,
                    why="",
                    fix=swap(tabs, "x.item()", "x", Safety.UNSAFE, "Keep the tensor"),
                ),
            ),
            tabs,
        ),
        Report(
            "wide.py",
            (
                finding(wide, "日本語", "ML301"),
                finding(
                    wide,
                    "λ",
                    "ML301",
                    severity=Severity.INFO,
                    fix=swap(wide, "λ", "lambda", Safety.SAFE, "Write ASCII"),
                ),
            ),
            wide,
        ),
        Report("rows.py", (finding(rows, "x = call(\n    1,\n    2,\n)"), finding(rows, "other(\n        3)")), rows),
        Report(
            "n.ipynb",
            (finding(notebook, "y.item()", fix=swap(notebook, "z = y.item()\n", "", Safety.SAFE, "Remove the line")),),
            notebook,
        ),
        Report("ok.py"),
        Report(
            "a b,c%.py",
            (
                finding(
                    crlf,
                    "b = 2",
                    message="100% wrong,\r\nhere: there",
                    fix=swap(crlf, "b = 2\r\n", "b = 0\r\nb2 = 0\r\n", Safety.DISPLAY),
                ),
            ),
            crlf,
        ),
        Report(
            "missing.py",
            (
                Diagnostic(
                    "missing.py",
                    0,
                    0,
                    "ML000",
                    "syntax-error",
                    Severity.ERROR,
                    "unexpected `)`",
                    Place(3, 7),
                    Place(3, 8),
                ),
            ),
        ),
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_format(name: str, golden: Golden) -> None:
    golden(f"output/{name}.txt", render(name, reports(), OPTIONS))


def test_full_in_colour(golden: Golden) -> None:
    text = render("full", reports()[:4], replace(OPTIONS, color=True, unsafe_fixes=True))
    golden("output/full_color.txt", text.replace("\x1b", "␛"))


@pytest.mark.parametrize("options", [OPTIONS, replace(OPTIONS, unsafe_fixes=True)], ids=["safe", "unsafe"])
def test_statistics_and_summary(options: Options, golden: Golden, request: pytest.FixtureRequest) -> None:
    text = (
        statistics.render(reports(), options) + statistics.render_json(reports(), options) + summary(reports(), options)
    )
    golden(f"output/statistics_{'unsafe' if options.unsafe_fixes else 'safe'}.txt", text)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_found(name: str) -> None:
    text = render(name, [Report("ok.py")], OPTIONS)
    if name == "sarif":
        assert json.loads(text)["runs"][0]["results"] == []
    elif name == "rdjson":
        assert json.loads(text)["diagnostics"] == []
    elif name == "junit":
        assert 'tests="1" failures="0"' in text
    else:
        assert text == ("[]\n" if name in ("json", "gitlab") else "")


def test_summary_of_other_outcomes() -> None:
    assert summary([Report("ok.py")], Options()) == "All checks passed!\n"
    assert summary([Report("ok.py")], Options(), fixed=2) == "Found 2 findings (2 fixed, 0 remaining).\n"
    unsafe = reports()[1:2]
    assert (
        summary(unsafe, Options())
        == "Found 1 finding (1 warning).\nNo safe fixes (1 fixable with `--fix --unsafe-fixes`)\n"
    )
    assert (
        summary(unsafe, Options(unsafe_fixes=True))
        == "Found 1 finding (1 warning).\n[*] 1 fixable with the `--fix` option\n"
    )
    assert summary(reports()[-2:-1], Options()) == "Found 1 finding (1 error).\n"  # a fix for display only


def test_show_fixes() -> None:
    rule = ("ML301", "non-ascii-kernel-source")
    text = show_fixes.render({"a.py": [rule, ("ML201", "fill-in-backward"), rule], "b.py": []}, {"c.py": [rule]})
    assert text == (
        "Fixed 3 errors:\n- a.py:\n    2 × ML301 (non-ascii-kernel-source)\n    1 × ML201 (fill-in-backward)\n"
        "Left 1 error as before, because the fix could not be verified:\n- c.py:\n    1 × ML301 (non-ascii-kernel-source)\n"
    )
    assert show_fixes.render({}) == ""


def test_unknown_format() -> None:
    with pytest.raises(ValueError, match="xml"):
        render("xml", [], OPTIONS)


def sarif_schema() -> dict[str, Any]:
    """The schema as OASIS published it, read from a package that ships it; its code is never imported."""
    try:
        package = metadata.distribution("linceo")
    except metadata.PackageNotFoundError:
        pytest.skip("linceo, which ships the SARIF schema, is not installed (it needs Python 3.11)")
    file = Path(str(package.locate_file("linceo/data/sarif-schema-2.1.0.json")))
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema


@pytest.mark.parametrize("options", [OPTIONS, Options()], ids=["all", "bare"])
def test_sarif_follows_the_schema(options: Options) -> None:
    from jsonschema.validators import validator_for

    schema = sarif_schema()
    validator = validator_for(schema)(schema)
    log = json.loads(render("sarif", reports(), options))
    assert [error.message for error in validator.iter_errors(log)] == []
    del log["runs"][0]["tool"]["driver"]["name"]
    assert not validator.is_valid(log), "the schema must be able to refuse something"


def test_sarif_addresses() -> None:
    def uri(path: str, root: str = "/home/me/project") -> dict[str, str]:
        where = source(path, "x = 1\n")
        log = json.loads(render("sarif", [Report(path, (finding(where, "x"),), where)], Options(root=root)))
        address: dict[str, str] = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
        return address

    for root, base in (("/", "file:///"), ("/a b/", "file:///a%20b/"), ("C:\\me", "file:///C:/me/")):
        log = json.loads(render("sarif", [], Options(root=root)))
        assert log["runs"][0]["originalUriBaseIds"] == {"SRCROOT": {"uri": base}}
    assert uri("./a b/ü.py") == {"uri": "a%20b/%C3%BC.py", "uriBaseId": "SRCROOT"}
    assert uri("/home/me/project/x.py") == {"uri": "x.py", "uriBaseId": "SRCROOT"}
    assert uri("/home/me/project2/x.py") == {"uri": "file:///home/me/project2/x.py"}
    assert uri("/x.py", root="/") == {"uri": "x.py", "uriBaseId": "SRCROOT"}
    assert uri("/x.py", root="") == {"uri": "file:///x.py"}
    assert uri("../other/x.py") == {"uri": "file:///home/me/other/x.py"}
    assert uri("a:b.py") == {"uri": "a%3Ab.py", "uriBaseId": "SRCROOT"}, "a colon would make the rest a scheme"
    assert uri("pkg\\x.py", "C:\\me") == {"uri": "pkg/x.py", "uriBaseId": "SRCROOT"}
    assert uri("D:\\x.py", "C:\\me") == {"uri": "file:///D:/x.py"}
    assert uri("odd\\name.py") == {"uri": "odd%5Cname.py", "uriBaseId": "SRCROOT"}


def test_json_edits_rebuild_the_file() -> None:
    """Places of edits are exact: applying them by row and column gives what the byte offsets give."""
    report = reports()[0]
    assert report.source is not None
    (edit,) = json.loads(render("json", [report], OPTIONS))[0]["fix"]["edits"]
    lines = report.source.text.splitlines(keepends=True)
    line = lines[edit["location"]["row"] - 1]
    assert edit["location"]["row"] == edit["end_location"]["row"]
    assert line[edit["location"]["column"] - 1 : edit["end_location"]["column"] - 1] == "-1e9"


def test_the_same_shape_as_ruff(tmp_path: Path) -> None:
    """Readers of Ruff's JSON and annotations can read ours: every field that Ruff has, in the same order and form."""
    (tmp_path / "a.py").write_text("import os\n", newline="\n")
    where = source("a.py", "import os\n")
    fix = Fix("Remove unused import: `os`", (Edit(0, 10, ""),), Safety.SAFE)
    found = finding(where, "os", message="`os` imported but unused", fix=fix)
    ours = [Report("a.py", (found,), where)]
    options = Options(root=str(tmp_path))

    theirs = json.loads(ruff("json", tmp_path))[0]
    mine = json.loads(render("json", ours, options))[0]
    assert mine.pop("related") == []
    for both in (theirs, mine):
        del both["code"], both["name"], both["url"]
    assert mine == theirs and list(mine) == list(theirs)
    assert render("json", ours, options).splitlines()[:3] == ruff("json", tmp_path).splitlines()[:3]

    line = ruff("github", tmp_path).replace("ruff (F401)", "mllint (ML201)").replace("F401", "ML201")
    assert render("github", ours, options) == line


def ruff(output: str, folder: Path) -> str:
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--no-cache",
        "--select=F401",
        f"--output-format={output}",
        ".",
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False).stdout


def test_long_lines_are_cut_around_the_mark() -> None:
    where = source("long.py", f"x = '{'a' * 300}', needle, '{'b' * 300}'\n")
    lines = frame(where, *span(where, "needle"), "red", False).lines
    text, carets = lines[1], lines[2]
    assert len(text) <= WIDTH + len("1 | ") and text.count("…") == 2
    assert text[carets.index("^") : carets.rindex("^") + 1] == "needle"


def test_long_spans_are_shortened() -> None:
    body = "".join(f"    {number},\n" for number in range(50))
    where = source("long.py", f"x = [\n{body}]\n")
    lines = frame(where, 0, len(where.data) - 1, "red", False).lines
    assert len(lines) < 14 and any(line.startswith("...") for line in lines)
    assert lines[1] == " 1 | / x = [" and lines[-2] == "52 | | ]" and lines[-1] == "   | |_^"


@pytest.mark.parametrize(
    ("text", "marked", "expected"),
    [
        ("a\tb", "b", ("a   b", "    ^")),
        ("日 b", "b", ("日 b", "   ^")),  # a wide character takes two columns of a terminal
        ("e\u0301 b", "b", ("e\u0301 b", "  ^")),
        ("b\x1b[31m c", "c", ("b\ufffd[31m c", "       ^")),
        ("b 日本", "日本", ("b 日本", "  ^^^^")),
    ],
)
def test_marks_stand_under_what_they_mark(text: str, marked: str, expected: tuple[str, str]) -> None:
    where = source("x.py", text + "\n")
    lines = frame(where, *span(where, marked), "red", False).lines
    assert (lines[1][len("1 | ") :], lines[2][len("  | ") :]) == expected


@pytest.mark.parametrize("text", ["", "x", "x\n", "\n\n", "x\r\ny", "\r"])
def test_a_frame_at_every_offset(text: str) -> None:
    where = source("x.py", text)
    for start in range(len(text) + 1):
        for end in range(start, len(text) + 1):
            assert "^" in "\n".join(frame(where, start, end, "red", False).lines)


def test_wide_characters_are_never_halved() -> None:
    cells = columns("日本語")
    assert len(cells) == 6
    for width in range(1, 8):
        for left in range(6):
            shown = window(cells, left, width)
            assert sum(2 if character in "日本語" else 1 for character in shown) <= width


def test_printable_is_one_line() -> None:
    assert printable("a\nb\u202ec\udc80") == "a\ufffdb\ufffdc\ufffd"


@pytest.mark.parametrize(
    ("text", "edits", "expected"),
    [
        ("a\nb\nc\nd\n", [Edit(2, 4, "")], ["1 | a", "  - b", "2 | c"]),
        ("a\nb\nc\nd\n", [Edit(2, 2, "x\n")], ["1 | a", "2 + x", "3 | b"]),
        ("a\nb\nc\nd\n", [Edit(3, 4, "")], ["1 | a", "  - b", "  - c", "2 + bc", "3 | d"]),  # two rows become one
        ("a\nb", [Edit(3, 3, "\nc")], ["2 | b", "3 + c"]),
        (
            "a\n1\n2\n3\n4\nb\n",
            [Edit(0, 1, "x\ny"), Edit(10, 11, "z")],
            ["  - a", "1 + x", "2 + y", "3 | 1", "...", "6 | 4", "  - b", "7 + z"],
        ),
    ],
)
def test_diff(text: str, edits: list[Edit], expected: list[str]) -> None:
    assert diff(source("x.py", text), edits, False) == ["  |", *expected, "  |"]


def test_a_diff_stays_in_its_cell() -> None:
    where = source("n.ipynb", "a\nb\nc\nd\n", "notebook", (1, 3))
    lines = diff(where, [Edit(2, 4, ""), Edit(4, 5, "x\ny")], False)
    assert lines == [
        *(" ::: cell 1", "  |", "1 | a", "  - b"),
        *(" ::: cell 2", "  |", "  - c", "1 + x", "2 + y", "3 | d", "  |"),
    ]


def test_a_long_diff_is_cut() -> None:
    where = source("x.py", "a\n")
    lines = diff(where, [Edit(0, 1, "\n".join("x" * 100))], False)
    assert len(lines) < 50 and lines[-2].endswith("more lines")


def test_progress() -> None:
    frames = [progress.frame(done, 480, 60) for done in (0, 1, 120, 479, 480, 999)]
    assert frames[2] == f"Checking 120/480 [{'#' * 9}{'-' * 27}]  25%"
    assert {len(frame) for frame in frames} == {len(frames[0])} and len(frames[0]) <= 60
    assert frames[3].endswith(" 99%") and frames[4].endswith("100%") and frames[5] == frames[4]
    assert progress.frame(0, 0, 60).endswith("100%")
    assert progress.frame(1, 480, 20) == "Checking   1/480" and progress.frame(1, 480, 5) == ""


def test_concise_is_light() -> None:
    """No heavy library, and no JSON, for the format that runs on every commit."""
    code = (
        "import sys; before = set(sys.modules); from mllint.output.formats import render; from mllint.output.options import Options;"
        "render('concise', [], Options()); print(sorted({'json', 'libcst', 'click', 'markdown_it', 'difflib'} & (set(sys.modules) - before)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_output_only_returns_text() -> None:
    """No format prints or reads: the names with which Python does it do not occur."""
    forbidden = {"print", "open", "input", "environ", "getenv", "stdout", "stderr", "time", "datetime", "cwd", "getcwd"}
    for file in (Path(__file__).parent.parent / "mllint" / "output").glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not names & forbidden, file.name
