"""``mllint new-rule`` and ``mllint test-rules``: what they write, what they refuse, what they say about a rule that is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mllint.authoring.scaffold import new_rule_fault, new_rule_files
from mllint.authoring.trial import render, try_pack

STEM = "acme001_bare_call"


def mllint(folder: Path, *arguments: str, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *python, "-m", "mllint", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A pack with the rule that ``new-rule`` writes."""
    for name, text in new_rule_files("ACME001", "bare-call").items():
        path = tmp_path / "lint" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path


def change(project: Path, old: str, new: str, name: str = f"{STEM}.py") -> None:
    path = project / "lint" / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_a_new_rule_keeps_every_promise(project: Path) -> None:
    done = mllint(project, "test-rules", "lint")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "ok    ACME001 bare-call: 10 of 10 promises kept\n\n1 rule passed.\n"
    # What its file imports, and keywords: no names for its class.
    for number, name in enumerate(("rule", "meta", "iterator", "none", "true"), start=2):
        mllint(project, "new-rule", f"ACME{number:03}", name)
    assert mllint(project, "test-rules", "lint/").returncode == 0
    assert mllint(project, "test-rules", f"lint/{STEM}.py").returncode == 0


def test_a_new_rule_passes_strict_types_and_lint(project: Path) -> None:
    ruff = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--select",
        "E,F,I,UP,B",
        "--line-length",
        "120",
        "lint",
    ]
    assert subprocess.run(ruff, cwd=project, capture_output=True, check=False).returncode == 0


def test_the_next_steps_know_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "mllint.toml").write_text('rules = ["tools/rules"]\n')
    done = mllint(tmp_path, "new-rule", "ACME001", "bare-call")
    assert done.stdout.startswith(f"Wrote tools/rules/{STEM}.py\n") and "rules = " not in done.stdout
    done = mllint(tmp_path, "new-rule", "ACME002", "other-call", "--pack", "more")
    assert '       rules = ["more"]\n' in done.stdout and "[tool.mllint]" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["acme002", "x"], "code 'acme002' must be capital letters and three digits"),
        (["ACME2", "x"], "code 'ACME2' must be capital letters and three digits"),
        (["ML555", "x"], "codes that begin with `ML` are mllint's own"),
        (["ACME002", "Bare_Call"], "name 'Bare_Call' must be lower-case words joined by `-`"),
        (["ACME002", "../../x"], "must be lower-case words joined by `-`"),
        (["ACME002", "duplicate-definition"], "is that of mllint's own ML501"),
        (["ACME002", "gradients"], "is that of a family of rules"),
        (["ACME001", "other-call"], f"`ACME001` is taken by {STEM}.py; take another code"),
        (["ACME002", "bare-call"], f"`bare-call` is taken by {STEM}.py; take another name"),
        (["ACME002", "other", "--pack", "notes.txt"], "notes.txt is no folder"),
        (["ACME003", "half-there"], "lint/fixtures/acme003_half_there/good.py exists already; nothing was written"),
    ],
)
def test_new_rule_refuses(arguments: list[str], message: str, project: Path) -> None:
    (project / "notes.txt").write_text("")
    half = project / "lint/fixtures/acme003_half_there/good.py"
    half.parent.mkdir(parents=True)
    half.write_text("kept")
    before = sorted(project.rglob("*"))
    done = mllint(project, "new-rule", *arguments)
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert sorted(project.rglob("*")) == before and half.read_text() == "kept"


def test_a_stem_is_compared_whole() -> None:
    assert new_rule_fault("ACME010", "call", [STEM]) == ""


def test_every_rule_is_tried(project: Path) -> None:
    mllint(project, "new-rule", "ACME002", "other-call")
    change(project, "is called", "is called.")
    done = mllint(project, "test-rules", "lint")
    assert done.returncode == 1
    assert done.stdout == (
        "FAIL  ACME001 bare-call: 9 of 10 promises kept\n"
        "      broken  messages follow the convention\n"
        "        one line without a full stop: `example.call_to_find` is called.\n"
        "ok    ACME002 other-call: 10 of 10 promises kept\n"
        "\n1 of 2 rules failed.\n"
    )


FIX = """        if ctx.name(node.func) == "example.call_to_find":  # through imports and aliases
            fix = ctx.fix("Call another", ctx.replace(node.func, "example.another_call"))
            yield ctx.report(node, "`example.call_to_find` is called", fix=fix)
"""


def with_fix(project: Path) -> None:
    change(project, FIX.splitlines()[0] + "\n", FIX)
    change(project, '            yield ctx.report(node, "`example.call_to_find` is called")\n', "")
    change(project, 'since="0.1.0",', 'since="0.1.0",\n        fix=Safety.SAFE,')
    change(project, "Severity\n", "Safety, Severity\n")
    change(project, "    ## Known limits", "    ## Fix safety\n\n    Safe.\n\n    ## Known limits")


def unread(project: Path) -> None:
    (project / "lint/fixtures" / STEM / "bad.expected").write_text("one ACME001\n")


#: What is done to a rule that keeps every promise, and a part of what has to be said.
WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "name": (lambda p: change(p, 'name="bare-call"', 'name="bare-shout"'), "it should be acme001_bare_shout.py"),
    "fixtures": (
        lambda p: (p / "lint/fixtures" / STEM).rename(p / "lint/fixtures/acme001_other"),
        "acme001_other: no rule file has this name",
    ),
    "no fixtures": (
        lambda p: (p / "lint/fixtures" / STEM).rename(p / "away"),
        f"no fixture folder lint/fixtures/{STEM}",
    ),
    "no good": (lambda p: (p / "lint/fixtures" / STEM / "good.py").unlink(), "no good fixture: add good.py"),
    "no marks": (lambda p: change(p, "  # ACME001", "", f"fixtures/{STEM}/bad.py"), "is marked with `# ACME001`"),
    "unmarked": (
        lambda p: change(p, "call_to_find()  # ACME001\ncall", "call_to_find()\ncall", f"fixtures/{STEM}/bad.py"),
        "4:1 ACME001 `example.call_to_find` is called, but it is not marked",
    ),
    "not silent": (
        lambda p: change(p, "example.another_call()", "example.call_to_find()", f"fixtures/{STEM}/good.py"),
        "good.py is good, but:\n          8:1 ACME001",
    ),
    "crash": (lambda p: change(p, "yield ctx", "1 / 0; yield ctx"), "(ZeroDivisionError: division by zero)"),
    "triggers": (
        lambda p: change(p, '(("call_to_find",),)', '(("call_to_fin_",),)'),
        "triggers (('call_to_fin_',),) say",
    ),
    "bad example": (
        lambda p: change(p, "    example.call_to_find()\n", "    pass\n"),
        "the page's bad example gives nothing",
    ),
    "good example": (
        lambda p: change(p, "    example.another_call()\n", "    example.call_to_find()\n"),
        "the page's good example gives ['3:1",
    ),
    "page": (lambda p: change(p, "## Why", "## Because"), "no text under Why"),
    "long": (lambda p: change(p, 'is called")', "is called" + " again" * 20 + '")'), "characters, 100 are the limit"),
    "no fixed file": (with_fix, "there is no fixed file"),
    "list": (unread, "bad.expected: a line is a row and a code, as `3 ACME001`: one ACME001"),
    "no such row": (
        lambda p: (p / "lint/fixtures" / STEM / "bad.expected").write_text("99 ACME001\n"),
        "99: ACME001 is marked, but not found: there is no such line",
    ),
    "not text": (
        lambda p: (p / "lint/fixtures" / STEM / "bad_more.py").write_bytes(b"\xff\xfe"),
        f"{STEM}/bad_more.py: byte 0xff at offset 0",
    ),
    "type": (
        lambda p: (p / "lint/fixtures" / STEM / "good.txt").write_text("x"),
        "good.txt: no rule reads files of this type",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_said_about_a_rule_that_is_wrong(name: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    harm, message = WRONG[name]
    harm(project)
    monkeypatch.chdir(project)
    trials = try_pack(Path("lint"))
    assert any(trial.failures for trial in trials) and message in render(trials)


def test_promises_hold_under_python_o_too(project: Path) -> None:
    WRONG["unmarked"][0](project)
    done = mllint(project, "test-rules", "lint", python=("-O",))
    assert done.returncode == 1 and WRONG["unmarked"][1] in done.stdout


def test_fixes_are_compared_and_shown(project: Path) -> None:
    with_fix(project)
    fixed = project / "lint/fixtures" / STEM / "fixed.py"
    right = "import example\nfrom example import call_to_find\n\nexample.another_call()  # ACME001\n"
    fixed.write_text(right + "call_to_find()\n")
    done = mllint(project, "test-rules", "lint")
    assert done.returncode == 1
    assert "          -call_to_find()\n          +example.another_call()  # ACME001\n" in done.stdout
    fixed.write_text(right + "example.another_call()  # ACME001\n")
    assert mllint(project, "test-rules", "lint").returncode == 0


def test_a_pack_that_cannot_be_loaded_is_no_failed_test(project: Path) -> None:
    change(project, "import annotations", "import annotation")
    done = mllint(project, "test-rules", "lint")
    assert done.returncode == 2 and done.stdout == "" and f"{STEM}.py:3: not valid Python" in done.stderr
    assert mllint(project, "test-rules", "nowhere").returncode == 2


def test_trials_are_plain_data(project: Path) -> None:
    (trial,) = try_pack(project / "lint")
    assert (trial.code, trial.failures) == ("ACME001", ())
