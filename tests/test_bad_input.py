"""Input that no tool should choke on: each gets a message that names the file, the right exit code, and loses nothing."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TWICE = "def step():\n    return 1\n\n\ndef step():\n    return 2\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one ordinary finding, which every case below must still report."""
    (tmp_path / "mllint.toml").write_text("")
    (tmp_path / "ok.py").write_text(TWICE)
    return tmp_path


def check(folder: Path, *arguments: str) -> tuple[int, list[tuple[str, str, str]], str]:
    """Exit code, findings as (file, code, message), and standard error of ``mllint check``."""
    command = [sys.executable, "-m", "mllint", "check", "--output-format", "json", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    rows = json.loads(done.stdout) if done.stdout else []
    return done.returncode, [(Path(row["filename"]).name, row["code"], row["message"]) for row in rows], done.stderr


def codes(rows: list[tuple[str, str, str]]) -> list[tuple[str, str]]:
    return [(name, code) for name, code, _ in rows]


def test_missing_path(project: Path) -> None:
    code, rows, errors = check(project, ".", "gone.py")
    assert (code, codes(rows)) == (2, [("ok.py", "ML501")])
    assert "gone.py" in errors and "no such file" in errors


def test_link_loop(project: Path) -> None:
    (project / "loop").symlink_to(project)
    (project / "self.py").symlink_to("self.py")
    code, rows, _ = check(project, ".")
    assert codes(rows) == [("ok.py", "ML501")]
    code, rows, errors = check(project, "self.py", "ok.py")
    assert (code, codes(rows)) == (2, [("ok.py", "ML501")])
    assert "self.py" in errors


def test_unreadable_file(project: Path) -> None:
    """A folder that is named like a file, and for users other than root a file without permission."""
    (project / "secret.py").write_text(TWICE)
    (project / "secret.py").chmod(0)
    code, rows, errors = check(project, ".")
    if os.geteuid() == 0:
        assert (code, codes(rows)) == (1, [("ok.py", "ML501"), ("secret.py", "ML501")])  # root reads everything
    else:
        assert (code, codes(rows)) == (2, [("ok.py", "ML501")])
        assert "secret.py" in errors and "permission" in errors.lower()


def test_a_pipe_does_not_hang(project: Path) -> None:
    os.mkfifo(project / "pipe.py")
    code, rows, errors = check(project, "pipe.py", "ok.py")
    assert (code, codes(rows)) == (2, [("ok.py", "ML501")])
    assert "pipe.py" in errors


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x7fELF\x02\x01\x01\x00\xff\xfe\x80", "decode"),
        (b"x = 1\n\x00\x00\n", "null"),
        (b'name = "caf\xe9"\n', "decode"),
        (b"# coding: no-such-codec\nx = 1\n", "no-such-codec"),
        (b"print 'hello'\n", "print"),
        (b"\xff\xfex\x00 \x00=\x00 \x001\x00", "UTF-16"),
    ],
    ids=["binary", "null-bytes", "undecodable", "unknown-codec", "python-2", "utf-16"],
)
def test_what_is_no_python_is_a_finding_of_its_own(project: Path, content: bytes, words: str) -> None:
    (project / "bad.py").write_bytes(content)
    code, rows, _ = check(project, ".")
    assert (code, codes(rows)) == (1, [("bad.py", "ML000"), ("ok.py", "ML501")])
    assert words in rows[0][2]


def test_a_huge_file_is_named_and_the_limit_too(project: Path) -> None:
    (project / "huge.py").write_bytes(b"x = 1\n" * 5_000_000)
    code, rows, errors = check(project, ".")
    assert (code, codes(rows)) == (2, [("ok.py", "ML501")])
    assert "huge.py" in errors and "max-file-size" in errors and "30" in errors


@pytest.mark.parametrize(
    "text",
    ["x = " + "(" * 1500 + ")" * 1500, "x = a" + ".f()" * 8000, "x = " + "-" * 5000 + "1", "x = " + "[" * 90_000],
    ids=["parentheses", "chain", "minus", "brackets"],
)
@pytest.mark.parametrize("with_candidate", [False, True], ids=["plain", "candidate"])
def test_nesting_that_crashes_parsers(project: Path, text: str, with_candidate: bool) -> None:
    (project / "deep.py").write_text((TWICE if with_candidate else "") + text + "\n")
    code, rows, errors = check(project, ".")
    assert ("ok.py", "ML501") in codes(rows)
    found = [row for row in rows if row[0] == "deep.py"]
    assert code in (1, 2)
    assert found or "deep.py" in errors or (python_accepts(text) and not with_candidate)


def python_accepts(text: str) -> bool:
    """Newer versions of Python parse deeper than older ones: then there is nothing to report."""
    try:
        ast.parse(text)
    except (SyntaxError, RecursionError, MemoryError):
        return False
    return True


CRASHING_RULE = """
from mllint.rule import Meta, Rule, Severity


class Crashes(Rule):
    \"""Crashes on every call.\"""

    meta = Meta(code="ML999", name="crashes", severity=Severity.ERROR, since="0.1.0")

    def visit_Call(self, node, ctx):
        raise ZeroDivisionError("in the rule")
        yield
"""


def test_a_rule_that_raises(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Exit code 2, a finding that names rule and file, and all other findings."""
    pack = tmp_path_factory.mktemp("pack")
    for path in (Path(__file__).parent.parent / "rules").glob("ml*.py"):
        (pack / path.name).write_text(path.read_text("utf-8"), "utf-8")
    (pack / "ml999_crashes.py").write_text(CRASHING_RULE)
    (project / "calls.py").write_text("f()\n")
    script = (
        "import pathlib, sys\nfrom mllint.checking import packs\n"
        f"packs.builtin_folder = lambda: pathlib.Path({str(pack)!r})\n"
        "from mllint.cli import main\nmain(prog_name='mllint')\n"
    )
    command = [sys.executable, "-c", script, "check", "--output-format", "json", "--no-cache"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    rows = [(Path(row["filename"]).name, row["code"], row["message"]) for row in json.loads(done.stdout)]
    assert codes(rows) == [("calls.py", "ML002"), ("ok.py", "ML501")]
    assert "ML999" in rows[0][2] and "ZeroDivisionError" in rows[0][2]


def shell(folder: Path, line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``line`` as a shell runs it, ``mllint`` being this one."""
    script = f'mllint() {{ "{sys.executable}" -m mllint "$@"; }}\n{line}'
    return subprocess.run(
        ["sh", "-c", script], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(sys.platform != "linux", reason="needs any bytes in names")
def test_names_that_are_no_text(project: Path) -> None:
    """Each keeps its own name and its own content, whatever can be shown of it."""
    folder = os.fsencode(project)
    texts = {
        name: f'K = """\n.version 7.0\n.target sm_70\n// \u2014\n"""\n{name[0]}\n' for name in (b"\xfe.py", b"\xff.py")
    }
    for name, text in texts.items():
        Path(os.fsdecode(folder + b"/" + name)).write_text(text, "utf-8")
    for _ in range(2):
        _, rows, errors = check(project, ".")
        assert codes(rows) == [("\\xfe.py", "ML301"), ("\\xff.py", "ML301"), ("ok.py", "ML501")], errors
    check(project, "--fix", ".")
    for name, text in texts.items():
        assert Path(os.fsdecode(folder + b"/" + name)).read_text("utf-8") == text.replace("\u2014", "-")
    (project / os.fsdecode(b"\xfd")).mkdir()
    (project / os.fsdecode(b"\xfd/a.py")).write_text(TWICE)
    assert codes(check(project / os.fsdecode(b"\xfd"), ".")[1]) == [("a.py", "ML501")]


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("mllint check >&-", 1, ""),
        ("mllint check 2>&-", 1, ""),
        ("mllint check - <&-", 2, "standard input is closed"),
        ("mkdir gone && cd gone && rmdir ../gone && mllint check", 2, "the current folder was removed"),
        ("MLLINT_START_METHOD=none mllint check", 2, "MLLINT_START_METHOD is `none`"),
        ("PYTHONIOENCODING=ascii mllint check --output-format concise", 1, ""),
        ("mllint check >/dev/full", 2, "no space left"),
        ("mllint linter >/dev/full", 2, "no space left"),
        ("mllint check -o ok.py/report", 2, "cannot be written"),
    ],
)
def test_surroundings_that_are_broken(project: Path, line: str, code: int, words: str) -> None:
    if "/dev/full" in line and not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    (project / "k.py").write_text('K = """\n.version 7.0\n.target sm_70\n// \u2014\n"""\n', "utf-8")
    done = shell(project, line)
    assert "Traceback" not in done.stderr
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("signals", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_run_that_is_cut_short_leaves_nobody_behind(project: Path, method: str, signals: signal.Signals) -> None:
    for number in range(80):
        (project / f"f{number}.py").write_text(TWICE + "x = [1, 2, 3]\n" * 10_000)
    command = [sys.executable, "-m", "mllint", "check", "--no-cache", "-j", "2", "."]
    process = subprocess.Popen(
        command,
        cwd=project,
        env={**os.environ, "MLLINT_START_METHOD": method},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(1.0)
    if signals == signal.SIGINT:
        os.killpg(process.pid, signals)  # as a terminal does
    else:
        process.send_signal(signals)
    out, errors = process.communicate(timeout=60)  # ends when the last worker has closed its ends of the pipes
    assert (process.returncode, out) == (130 if signals == signal.SIGINT else -signals, "")
    assert "Traceback" not in errors and (signals == signal.SIGKILL or errors == "\nInterrupted\n")


def test_a_kill_in_the_middle_of_a_fix_leaves_whole_files(project: Path) -> None:
    """Every file is either as it was or as the fix makes it, whenever the process dies."""
    ptx = 'K = """\n.version 7.0\n.target sm_70\n// a \u2014 b\n"""\n' + "x = 1\n" * 20
    names = [f"k{number:03}.py" for number in range(60)]
    for name in names:
        (project / name).write_text(ptx, encoding="utf-8")
    command = [sys.executable, "-m", "mllint", "check", "--fix", "--no-cache", "-q", "."]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    fixed = ptx.replace("\u2014", "-")
    for _ in range(2000):
        if process.poll() is not None or (project / names[5]).read_text("utf-8") == fixed:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    contents = [(project / name).read_text("utf-8") for name in names]
    assert set(contents) <= {ptx, fixed}
    assert fixed in contents, "killed before the first fix: the test shows nothing"
    _, rows, errors = check(project, "--fix", "--no-cache", ".")
    assert codes(rows) == [("ok.py", "ML501")], errors
    assert {(project / name).read_text("utf-8") for name in names} == {fixed}
