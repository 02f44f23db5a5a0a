"""Machine formats: read as ruff's do, hold what their public specifications ask, survive odd names and texts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from test_output import OPTIONS, PAGE, finding, reports, source, span, swap

from mllint.authoring.explain import RulePage
from mllint.checking.report import Report
from mllint.cli import main
from mllint.diagnostic import Diagnostic, Edit, Fix, Place, Related, Safety, Severity
from mllint.output.formats import FORMATS, MACHINE_FORMATS, render
from mllint.output.options import Options
from mllint.reading.source import Source

# -- as ruff prints them ---------------------------------------------------------------------------------------

#: A repository with rows and columns of different widths, a finding over several rows, safe and unsafe fixes.
SCRATCH = {
    "a.py": "import os\nx = 1;\n" + "\n" * 8 + "import sys, re\ny = x == None\nf = lambda: (\n    1)\n",
    "d é,%/b c.py": "import os\nif 1: import os.path\n",
    "clean.py": "z = 1\n",
}
RULES = "F401,E401,E701,E703,E711,E731"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scratch")
    for name, text in SCRATCH.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return folder


def ruff(output: str, folder: Path) -> str:
    options = ("--isolated", "--no-cache", f"--select={RULES}", f"--output-format={output}")
    command = [sys.executable, "-m", "ruff", "check", *options, "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False).stdout


def ruffs_findings(folder: Path) -> tuple[list[Report], Options]:
    """What ruff finds, as reports of ours, and options that know ruff's pages."""
    by_path: dict[str, list[Any]] = {}
    for row in json.loads(ruff("json", folder)):
        by_path.setdefault(Path(row["filename"]).relative_to(folder).as_posix(), []).append(row)
    result: list[Report] = []
    pages: dict[str, RulePage] = {}
    for path, rows in by_path.items():
        where = source(path, (folder / path).read_text(encoding="utf-8"))
        result.append(Report(path, tuple(_of_ruff(row, where) for row in rows), where))
        pages |= {row["code"]: replace(PAGE, url=row["url"]) for row in rows}
    return result, Options(root=str(folder), rules=pages)


def _of_ruff(row: dict[str, Any], where: Source) -> Diagnostic:
    def offset(place: dict[str, int]) -> int:
        line = where.line(place["row"])
        return where.offset(place["row"], len(line[: place["column"] - 1].encode())) if line else len(where.data)

    start, end = offset(row["location"]), offset(row["end_location"])
    fix = None
    if row["fix"]:
        edits = (
            Edit(offset(edit["location"]), offset(edit["end_location"]), edit["content"])
            for edit in row["fix"]["edits"]
        )
        fix = Fix(row["fix"]["message"], tuple(edits), Safety(row["fix"]["applicability"]))
    begin, finish = where.place(start), where.place(end)
    severity = Severity(row["severity"])
    text = row["message"]
    return Diagnostic(where.path, start, end, row["code"], row["name"], severity, text, begin, finish, fix=fix)


#: Format -> what is known to differ: (pattern, what it becomes) on ruff's side and on ours.
Swaps = list[tuple[str, str]]
DIFFERENCES: dict[str, tuple[Swaps, Swaps]] = {
    "concise": ([(r"Found \d+ errors(.|\n)*", "")], []),
    "grouped": ([(r"Found \d+ errors(.|\n)*", "")], []),
    "json": ([], [(r'    "related": \[\],\n', "")]),
    "json-lines": ([], [(r'"related":\[\],', "")]),
    "github": ([("é,%/b c.py,", "é%2C%25/b c.py,"), ("é,%/b", "é,%25/b")], []),  # escaped as GitHub's toolkit does
    "pylint": ([], []),
    "azure": ([("%", "%AZP25")], []),  # ruff leaves what the agent would decode as it is
    "gitlab": ([('"[0-9a-f]{16}"', '"fingerprint"')], [('"[0-9a-f]{32}"', '"fingerprint"')]),
    "junit": (  # what ruff adds to the schema that reporters hold to
        [
            (r"\n +<properties>\n.*\n +</properties>", ""),
            (r' line="\d+" column="\d+">', ">"),
            (r'(<testsuites .*) skipped="0"', r"\1"),
        ],
        [('<failure type="error" ', "<failure ")],
    ),
    "rdjson": (
        [(r',\n    "url": "https://docs.astral.sh/ruff"', "")],
        [(r'",\n      "severity": "ERROR"', '"')],
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_same_text_as_ruff(name: str, scratch: Path) -> None:
    found, options = ruffs_findings(scratch)
    theirs, ours = ruff(name, scratch), render(name, found, options)
    for pattern, text in DIFFERENCES[name][0]:
        theirs = re.sub(pattern, text, theirs)
    for pattern, text in DIFFERENCES[name][1]:
        ours, count = re.subn(pattern, text, ours)
        assert count
    assert ours.rstrip("\n") == re.sub(r"\bruff\b(?!/)", "mllint", theirs).rstrip("\n")
    assert sum(len(report.diagnostics) for report in found) >= 9


@pytest.mark.parametrize("name", ["gitlab", "junit", "rdjson", "json-lines", "pylint", "azure", "github", "json"])
def test_an_empty_run_is_as_ruffs(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    theirs = ruff(name, tmp_path).replace(',\n    "url": "https://docs.astral.sh/ruff"', "").replace("ruff", "mllint")
    theirs = re.sub('(<testsuites .*) skipped="0"', r"\1", theirs)
    assert render(name, [Report("a.py")], Options()).rstrip("\n") == theirs.rstrip("\n")
    assert render(name, [], Options()).rstrip("\n") == theirs.rstrip("\n")


def test_the_page_names_every_format() -> None:
    page = (Path(__file__).parent.parent / "docs" / "output-formats.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert sorted(name for row in rows for name in re.findall("`([^`]+)`", row.split("|")[1])) == sorted(FORMATS)


# -- as the specifications ask ---------------------------------------------------------------------------------


def _object(required: str, optional: str = "", **properties: Any) -> dict[str, Any]:
    known = {key: properties.get(key, {"type": "string"}) for key in (required + " " + optional).split()}
    return {"type": "object", "required": required.split(), "additionalProperties": False, "properties": known}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


NUMBER = {"type": "integer", "minimum": 1}
NUMBER_OR_NULL = {"type": ["integer", "null"], "minimum": 1}
TEXT_OR_NULL = {"type": ["string", "null"]}

_GITLAB_PLACE = _object("line column", line=NUMBER, column=NUMBER)
_GITLAB_LOCATION = _object(
    "path positions",
    path={"type": "string", "pattern": r"^[^/]"},
    positions=_object("begin end", begin=_GITLAB_PLACE, end=_GITLAB_PLACE),
)
GITLAB = _list(
    _object(
        "description check_name fingerprint severity location",
        "other_locations",
        severity={"enum": ["info", "minor", "major", "critical", "blocker"]},
        location=_GITLAB_LOCATION,
        other_locations=_list(_GITLAB_LOCATION),
    )
)

_RD_RANGE = _object(
    "start",
    "end",
    start=_object("line", "column", line=NUMBER, column=NUMBER),
    end=_object("line", "column", line=NUMBER, column=NUMBER),
)
_RD_LOCATION = _object("path", "range", range=_RD_RANGE)
_RD_SEVERITY = {"enum": ["ERROR", "WARNING", "INFO"]}
RDJSON = _object(
    "diagnostics source severity",
    source=_object("name", "url"),
    severity=_RD_SEVERITY,
    diagnostics=_list(
        _object(
            "message location severity code",
            "suggestions related_locations",
            location=_RD_LOCATION,
            severity=_RD_SEVERITY,
            code=_object("value", "url"),
            suggestions=_list(_object("range text", range=_RD_RANGE)),
            related_locations=_list(_object("message location", location=_RD_LOCATION)),
        )
    ),
)

LINTRUNNER = _object(
    "path line char code severity name original replacement description",
    line=NUMBER_OR_NULL,
    char=NUMBER_OR_NULL,
    code={"const": "MLLINT"},
    severity={"enum": ["error", "warning", "advice", "disabled"]},
    original=TEXT_OR_NULL,
    replacement=TEXT_OR_NULL,
)


@pytest.mark.parametrize("options", [OPTIONS, replace(OPTIONS, unsafe_fixes=True), Options()])
@pytest.mark.parametrize(("name", "schema"), [("gitlab", GITLAB), ("rdjson", RDJSON), ("lintrunner", LINTRUNNER)])
def test_json_formats_follow_their_schema(name: str, schema: dict[str, Any], options: Options) -> None:
    Draft202012Validator.check_schema(schema)
    text = render(name, reports(), options)
    documents = [json.loads(line) for line in text.splitlines()] if name == "lintrunner" else [json.loads(text)]
    for document in documents:
        assert [error.message for error in Draft202012Validator(schema).iter_errors(document)] == []
    assert not Draft202012Validator(schema).is_valid({}), "the schema must be able to refuse something"


#: What Jenkins' junit-10.xsd lets the elements that we write hold.
#: Element -> attributes that it must have, may have; children.
JUNIT = {
    "testsuites": ("", "name time tests failures errors", "testsuite"),
    "testsuite": ("name tests failures errors", "skipped package", "testcase"),
    "testcase": ("name", "classname time", "skipped failure"),
    "skipped": ("", "type message", ""),
    "failure": ("", "type message", ""),
}


def faults(element: ElementTree.Element) -> list[str]:
    required, optional, children = (names.split() for names in JUNIT[element.tag])
    found = [f"{element.tag}: {name}" for name in element.attrib if name not in required + optional]
    found += [f"{element.tag}: no {name}" for name in required if name not in element.attrib]
    found += [f"{element.tag}: {child.tag}" for child in element if child.tag not in children]
    counts = (("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped"), ("errors", "error"))
    for key, tag in counts if element.tag.startswith("testsuite") else ():
        counted = str(len(list(element.iter(tag))))
        if element.attrib.get(key, counted) != counted:
            found.append(f"{element.tag}: {key} miscounted")
    return found + [fault for child in element for fault in faults(child)]


@pytest.mark.parametrize("found", [reports(), []], ids=["findings", "none"])
def test_junit_has_the_usual_shape(found: list[Report]) -> None:
    text = render("junit", found, OPTIONS)
    root = ElementTree.fromstring(text.encode())
    assert faults(root) == []
    outcomes = {case.findtext("failure") is None for case in root.iter("testcase")}
    assert outcomes == ({True, False} if found else {True})
    broken = ElementTree.fromstring(text.replace("<testsuite ", '<testsuite surplus="1" ', 1).encode())
    assert faults(broken) == ["testsuite: surplus"], "the check must be able to refuse something"


# -- odd names and texts ---------------------------------------------------------------------------------------

ODD_PATH = "d é/x];%0A,:\t\u2028.py"
ODD_MESSAGE = "a]]> \x00\x1b[31m & <b> \ufffe \udc80 100%0A;\r\nnext ##vso[x]y \u2028 \x85 λ"


def odd() -> list[Report]:
    where = source(ODD_PATH, "é = λ(1)\nb = 2\n")
    related = Related(ODD_PATH, Place(2, 1), ODD_MESSAGE)
    edits = (Edit(*span(where, "é"), "e"), Edit(*span(where, "2"), "3"))
    fix = Fix(ODD_MESSAGE, edits, Safety.SAFE)
    return [
        Report(ODD_PATH, (finding(where, "λ(1)", message=ODD_MESSAGE, fix=fix, related=(related,)),), where),
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_odd_names_and_texts(name: str) -> None:
    """Every text can be written as UTF-8, and a format of lines keeps one finding in one line for every reader."""
    text = render(name, odd(), OPTIONS)
    text.encode("utf-8")
    if name == "junit":
        assert ElementTree.fromstring(text.encode()).tag == "testsuites"
    elif name in ("json", "gitlab", "rdjson", "sarif"):
        json.loads(text)
    elif name in ("json-lines", "lintrunner"):
        assert text.count("\n") == len(text.splitlines()) == 1 and json.loads(text)
    elif name in ("azure", "github"):
        assert text.count("\n") == 1 and "\r" not in text
    elif name in ("pylint", "concise"):
        assert len(text.splitlines()) == 1 and "\x1b" not in text


def test_azure_reads_back() -> None:
    """The agent's own way to read a command gives the path and the message again."""
    line = render("azure", odd(), OPTIONS)
    inside, _, message = line.rstrip("\n").removeprefix("##vso[task.logissue ").partition("]")
    values = dict(part.split("=", 1) for part in inside.split(";") if part)
    assert _decoded(values["sourcepath"]) == "/home/me/project/d é/x];%0A,:\ufffd\ufffd.py"
    assert values["type"] == "error" and values["code"] == "ML201"
    assert _decoded(message).startswith(ODD_MESSAGE.replace("\udc80", "?") + "\n  d é/x];%0A")


def _decoded(text: str) -> str:
    for written, character in (("%3B", ";"), ("%5D", "]"), ("%0D", "\r"), ("%0A", "\n"), ("%AZP25", "%")):
        text = text.replace(written, character)
    return text


# -- one thing a format ----------------------------------------------------------------------------------------


def fingerprints(text: str, options: Options = OPTIONS) -> list[str]:
    where = source("a.py", text)
    starts = [match.start() for match in re.finditer("bad", text)]
    found = [replace(finding(where, "bad"), start=at, end=at + 3, begin=where.place(at)) for at in starts]
    return [
        issue["fingerprint"] for issue in json.loads(render("gitlab", [Report("a.py", tuple(found), where)], options))
    ]


def test_gitlab_fingerprints() -> None:
    before = fingerprints("x = bad\nx = bad\ny = bad\n")
    assert len(set(before)) == 3, "GitLab keeps one finding a fingerprint"
    assert fingerprints("# more\n\n  x  = bad\n\nx = bad  \ny = bad\n") == before, "moved, not changed"
    assert fingerprints("x = bad\ny = bad\n") == [before[0], before[2]]
    assert fingerprints("z = bad\n")[0] not in before


def test_gitlab_paths_start_at_the_repository() -> None:
    def path(name: str, root: str = "", repository: str = "") -> str:
        where = source(name, "x = 1\n")
        options = Options(root=root, repository=repository)
        issues = json.loads(render("gitlab", [Report(name, (finding(where, "x"),), where)], options))
        result: str = issues[0]["location"]["path"]
        return result

    assert path("./a/b.py") == path("/r/p/a/b.py", root="/r/p") == "a/b.py"
    assert path("a/b.py", root="/r/p", repository="/r") == path("/r/p/a/b.py", repository="/r/") == "p/a/b.py"
    assert path("../q/b.py", root="/r/p", repository="/r") == "q/b.py"
    assert path("a.py", root="/r/p", repository="/elsewhere") == "a.py"


def test_places_in_a_notebook_are_never_taken_for_rows_of_its_file() -> None:
    (report,) = [report for report in reports() if report.path == "n.ipynb"]
    told = "`y.item()` is wrong here (cell 2, line 2, column 5)"
    texts = {name: render(name, [report], OPTIONS) for name in FORMATS}
    assert texts["pylint"] == f"n.ipynb:1: [ML201] {told}\n"
    assert ";linenumber=1;columnnumber=1;" in texts["azure"] and told in texts["azure"]
    assert "  cell 2:2:5 ML201" in texts["grouped"] and ":n.ipynb:cell 2:2:5: " in texts["github"]
    assert ">cell 2, line 2, col 5, `y" in texts["junit"]
    (issue,) = json.loads(texts["gitlab"])
    assert issue["description"] == f"ML201: {told}"
    assert issue["location"]["positions"]["begin"] == issue["location"]["positions"]["end"] == {"line": 1, "column": 1}
    (diagnostic,) = json.loads(texts["rdjson"])["diagnostics"]
    assert diagnostic["message"] == told and diagnostic["location"] == {"path": "/home/me/project/n.ipynb"}
    assert "suggestions" not in diagnostic
    message = json.loads(texts["lintrunner"])
    assert (message["line"], message["char"], message["replacement"]) == (None, None, None)
    assert message["description"].startswith(told)


def test_severities() -> None:
    where = source("a.py", "x = 1\n")
    levels = (Severity.ERROR, Severity.WARNING, Severity.INFO)
    found = [Report("a.py", tuple(finding(where, "x", severity=level) for level in levels), where)]
    texts = {name: render(name, found, OPTIONS) for name in FORMATS}
    assert [line.split(" ")[0] for line in texts["github"].splitlines()] == ["::error", "::warning", "::notice"]
    assert re.findall("type=([a-z]+)", texts["azure"]) == ["error", "warning", "warning"]
    assert [issue["severity"] for issue in json.loads(texts["gitlab"])] == ["major", "minor", "info"]
    rdjson = json.loads(texts["rdjson"])["diagnostics"]
    assert [each["severity"] for each in rdjson] == ["ERROR", "WARNING", "INFO"]
    messages = [json.loads(line)["severity"] for line in texts["lintrunner"].splitlines()]
    assert messages == ["error", "warning", "advice"]
    suite = ElementTree.fromstring(texts["junit"])[0]
    assert [case[-1].tag for case in suite] == ["failure", "failure", "skipped"]


def test_reviewdog_counts_columns_in_bytes_and_gets_whole_fixes() -> None:
    (report,) = odd()
    assert report.source is not None
    (diagnostic,) = json.loads(render("rdjson", [report], OPTIONS))["diagnostics"]
    assert diagnostic["location"]["range"]["start"] == {"column": len("é = ".encode()) + 1, "line": 1}
    (suggestion,) = diagnostic["suggestions"]
    lines = report.source.data.splitlines(keepends=True)
    start, end = suggestion["range"]["start"], suggestion["range"]["end"]
    kept = [*lines[: start["line"] - 1], lines[start["line"] - 1][: start["column"] - 1]]
    rest = [lines[end["line"] - 1][end["column"] - 1 :], *lines[end["line"] :]]
    assert b"".join([*kept, suggestion["text"].encode(), *rest]).decode() == "e = λ(1)\nb = 3\n"


def lintrunner_texts(where: Source, *fixes: Fix, unsafe: bool = False) -> list[tuple[str | None, str | None]]:
    found = tuple(finding(where, "x", fix=fix) for fix in fixes)
    text = render("lintrunner", [Report(where.path, found, where)], replace(OPTIONS, unsafe_fixes=unsafe))
    return [(message["original"], message["replacement"]) for message in map(json.loads, text.splitlines())]


def test_lintrunner_gets_one_new_text_a_file() -> None:
    where = source("a.py", "x = 1\ny = 2\r\nz = 3\n")
    one, two = swap(where, "1", "10", Safety.SAFE), swap(where, "2", "20", Safety.SAFE)
    crossing, unsafe = swap(where, "= 1", "= 11", Safety.SAFE), swap(where, "3", "30", Safety.UNSAFE)
    shown = swap(where, "z", "w", Safety.DISPLAY)
    new = "x = 10\ny = 20\r\nz = 3\n"
    none = (None, None)
    assert lintrunner_texts(where, shown, one, crossing, two, unsafe) == [none, (where.text, new), none, none, none]
    assert lintrunner_texts(where, unsafe, unsafe=True) == [(where.text, "x = 1\ny = 2\r\nz = 30\n")]
    assert lintrunner_texts(replace(where, bom=True), one)[0][0] == "\ufeff" + where.text
    assert lintrunner_texts(replace(where, encoding="latin-1"), one) == [none], "it would be written back as UTF-8"


# -- on the command line ---------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.mllint]\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.py").write_text("def step():\n    return 1\n\n\ndef step():\n    return 2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", MACHINE_FORMATS)
def test_problems_and_notes_stay_on_standard_error(name: str, project: Path) -> None:
    (project / "b.py").write_bytes(b"\xff\xfe")
    result = CliRunner().invoke(main, ["check", "--output-format", name, "missing.py", "sub"])
    assert result.exit_code == 2 and "missing.py" in result.stderr and "missing.py" not in result.stdout
    assert "ML501" in result.stdout and "Found" not in result.stdout
    empty = CliRunner().invoke(main, ["check", "--output-format", name, "--exclude", "*.py", "sub"])
    assert (empty.exit_code, empty.stdout) == (0, render(name, [], Options(root=str(project), version=version())))


def version() -> str:
    from mllint import __version__

    return __version__


def test_gitlabs_variable_names_the_repository(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "sub")
    monkeypatch.setenv("CI_PROJECT_DIR", str(project))
    output = CliRunner().invoke(main, ["check", "--output-format", "gitlab"]).stdout
    assert json.loads(output)[0]["location"]["path"] == "sub/a.py"


def test_statistics_have_no_such_form(project: Path) -> None:
    result = CliRunner().invoke(main, ["check", "--statistics", "--output-format", "junit"])
    assert result.exit_code == 2 and "`--statistics` has no form for `junit`" in result.stderr and not result.stdout
    assert "ML501" in CliRunner().invoke(main, ["check", "--statistics", "--output-format", "grouped"]).stdout


def test_arguments_from_a_file(project: Path) -> None:
    """lintrunner hands over the paths in a file; ruff reads one too."""
    (project / "paths").write_text("--output-format\nconcise\nsub/a.py\n\n")
    (project / "@odd").mkdir()
    (project / "@odd" / "b.py").write_text("x = 1\n")
    assert CliRunner().invoke(main, ["check", "@paths"]).stdout.startswith("sub/a.py:5:5: ML501 ")
    assert CliRunner().invoke(main, ["check", "@odd/b.py"]).stdout == "All checks passed!\n", "a path that exists"
    result = CliRunner().invoke(main, ["check", "@nowhere"])
    assert result.exit_code == 2 and "@nowhere: the arguments in this file cannot be read" in result.stderr


def test_what_goes_into_a_pipe_is_utf_8(tmp_path: Path) -> None:
    """Whatever the system would write: on Windows that is a code page, and JSON would be none."""
    (tmp_path / "größe.py").write_text("def f():\n    return 1\n\n\ndef f():\n    return 2\n")
    command = [sys.executable, "-m", "mllint", "check", "--no-cache", "--output-format", "json"]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert [Path(row["filename"]).name for row in json.loads(done.stdout.decode("utf-8"))] == ["größe.py"]
