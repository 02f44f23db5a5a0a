"""Checking a repository never runs what came with it, unless the user says so; and it is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MARKER = "the-pack-has-run"
RULE = '''"""A rule whose import leaves a file behind."""

import pathlib

from mllint.rule import Meta, Rule, Severity

pathlib.Path(__file__).with_name("{marker}").touch()


class Forbidden(Rule):
    """It is called."""

    meta = Meta(code="ACME001", name="forbidden-call", severity=Severity.ERROR, since="1.0")

    def visit_Call(self, node, ctx):
        yield ctx.report(node, "a call")
'''
SELECTING = (
    'rules = ["./lint"]\nextend-select = ["ACME001", "forbidden-call"]\nignore = ["ACME0"]\n[options.ACME001]\nx = 1\n'
)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A repository that brings rules along, with a configuration that names them in every way."""
    files = {
        "repo/mllint.toml": SELECTING,
        "repo/lint/acme001_forbidden_call.py": RULE.format(marker=MARKER),
        "repo/train.py": "f()  # mllint: ignore[ACME001]\n",
        "repo/sub/mllint.toml": 'rules = ["../lint/acme001_forbidden_call.py"]\n',
        "repo/sub/more.py": "f()\n",
        "home/mllint/.keep": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path / "repo"


def mllint(
    folder: Path, *arguments: str, standard_input: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    home = next(above for above in (folder, *folder.parents) if (above / "home").is_dir())
    return subprocess.run(
        [sys.executable, "-m", "mllint", *arguments],
        cwd=folder,
        env={**os.environ, "XDG_CONFIG_HOME": str(home / "home"), "NO_COLOR": "1", **environment},
        input=standard_input,
        capture_output=True,
        text=True,
        check=False,
    )


def has_run(repository: Path) -> bool:
    """Has anything run the pack? Asked once: the trace is removed."""
    marker = repository / "lint" / MARKER
    found = marker.exists()
    marker.unlink(missing_ok=True)
    return found


#: Every command that comes near a configuration, and the exit code it has to have.
COMMANDS: list[tuple[list[str], int]] = [
    (["check"], 0),
    (["check", "."], 0),
    (["check", "train.py", "sub/more.py", "lint"], 0),
    (["check", "--select", "ACME,ML", "--fix", "--unsafe-fixes"], 0),
    (["check", "--no-cache", "-j2"], 0),
    (["check", "-q"], 0),
    (["check", "--output-format", "sarif"], 0),
    (["check", "--statistics"], 0),
    (["check", "--diff"], 0),
    (["check", "-"], 0),
    (["check", "--stdin-filename", "train.py", "-"], 0),
    (["check", "--stdin-filename", "sub/more.py", "--show-settings"], 0),
    (["check", "--show-files"], 0),
    (["check", "--show-settings"], 0),
    (["check", "--isolated"], 0),
    (["check", "--write-baseline", "--baseline", "b.json"], 0),
    (["check", "--add-ignore"], 0),
    (["check", "--config", "jobs = 1"], 0),
    (["rule", "ACME001"], 2),
    (["rule", "ML501"], 0),
    (["rule", "--all"], 0),
    (["linter"], 0),
    (["linter", "--output-format", "json"], 0),
    (["config"], 0),
    (["config", "rules"], 0),
    (["test-rules"], 2),
    (["new-rule", "ACME002", "another-call"], 0),
    (["version"], 0),
    (["clean"], 0),
]


@pytest.mark.parametrize(("arguments", "code"), COMMANDS, ids=[" ".join(arguments) for arguments, _ in COMMANDS])
def test_nothing_runs_what_came_with_the_code(arguments: list[str], code: int, foreign: Path) -> None:
    done = mllint(foreign, *arguments, standard_input="f()\n")
    assert not has_run(foreign)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_permission_does_run_it(foreign: Path) -> None:
    """The control: the marker works."""
    done = mllint(foreign / "sub", "check", "--allow-packs")
    assert has_run(foreign) and done.returncode == 1 and "ACME001" in done.stdout
    done = mllint(foreign, "check", "--allow-packs")
    assert has_run(foreign) and done.returncode == 2 and "ACME001 has no options" in done.stderr


def test_it_is_said_once_for_each_configuration(foreign: Path) -> None:
    """The run goes on with the other rules; nothing that names the withheld rule is a mistake."""
    (foreign / "twice.py").write_text("def f():\n    return 1\n\n\ndef f():\n    return 2\n")
    for quiet in ([], ["-q"]):
        done = mllint(foreign, "check", "--output-format", "json", "--select", "ALL,forbidden-call", *quiet)
        assert {(Path(row["filename"]).name, row["code"]) for row in json.loads(done.stdout)} == {("twice.py", "ML501")}
        lines = done.stderr.splitlines()
        assert len(lines) == 2 and all(line.startswith("warning: ") and "`--allow-packs`" in line for line in lines)
        assert lines[0].startswith("warning: mllint.toml: ") and "`lint`" in lines[0]
        assert lines[1].startswith("warning: sub/mllint.toml: ") and "`lint/acme001_forbidden_call.py`" in lines[1]


def test_a_wrong_selector_stays_an_error(foreign: Path) -> None:
    done = mllint(foreign, "check", "--select", "ACME002")
    assert done.returncode == 2 and "unknown rule selector `ACME002`" in done.stderr


def test_what_the_user_names_runs(foreign: Path) -> None:
    for arguments in (
        ["check", "--rules", "lint", "sub"],
        ["check", "--isolated", "--rules", "lint", "sub"],
        ["check", "--config", 'rules = ["lint"]', "sub"],
        ["check", "--config", "sub/mllint.toml"],
        ["test-rules", "lint"],
        ["rule", "ACME001", "--rules", "lint"],
        ["linter", "--allow-packs"],
        ["check", "--rules", "lint", "--stdin-filename", "sub/x.py", "-"],
    ):
        done = mllint(foreign, *arguments, standard_input="f()\n")
        assert has_run(foreign), (arguments, done.stderr)


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("", False),
        ('allow-packs = ["{repo}"]\n', True),
        ('allow-packs = ["{repo}/"]\n', True),
        ('allow-packs = ["{above}"]\n', True),
        ('allow-packs = ["{repo}2"]\n', False),
        ('allow-packs = ["{repo}/lint"]\n', False),
        ('allow-packs = ["{link}"]\n', True),
        ('rules = ["{repo}/lint"]\n', True),
        ('rules = ["{repo}/other"]\n', False),
    ],
)
def test_the_users_own_configuration_gives_permission(text: str, runs: bool, foreign: Path) -> None:
    link = foreign.parent / "link"
    link.symlink_to(foreign, target_is_directory=True)
    own = text.format(repo=foreign, above=foreign.parent, link=link)
    (foreign.parent / "home/mllint/mllint.toml").write_text(own)
    (foreign / "mllint.toml").write_text('rules = ["lint"]\n')
    done = mllint(foreign, "check", "train.py")
    assert has_run(foreign) == runs, done.stderr
    assert ("--allow-packs" in done.stderr) != runs


def test_the_users_own_configuration_holds_where_there_is_no_other(foreign: Path) -> None:
    home = foreign.parent / "home/mllint"
    (home / "mllint.toml").write_text('rules = ["mine"]\nselect = ["ACME"]\n')
    (foreign / "lint").rename(home / "mine")
    plain = foreign.parent / "plain"
    plain.mkdir()
    (plain / "train.py").write_text("f()\n")
    done = mllint(plain, "check", "--output-format", "concise")
    assert done.stdout.startswith("train.py:1:1: ACME001"), done.stderr
    assert mllint(plain, "check", "--isolated").returncode == 0
    assert "ACME001" not in mllint(foreign, "check", "sub", "--config", "rules = []").stdout


def test_a_repository_cannot_allow_itself(foreign: Path) -> None:
    (foreign / "mllint.toml").write_text(f'rules = ["lint"]\nallow-packs = ["{foreign}"]\n')
    done = mllint(foreign, "check")
    assert not has_run(foreign) and done.returncode == 2
    assert done.stderr.startswith(f"error: {foreign}/mllint.toml: `allow-packs` counts in your own configuration only")


def test_nor_by_what_its_configuration_extends(foreign: Path) -> None:
    (foreign / "base.toml").write_text(f'rules = ["lint"]\nallow-packs = ["{foreign}"]\n')
    (foreign / "mllint.toml").write_text('extend = "base.toml"\n')
    done = mllint(foreign, "check")
    assert not has_run(foreign) and "--allow-packs" in done.stderr


@pytest.mark.parametrize("pack", ["nothing-here", "train.py", "broken"])
def test_a_broken_pack_that_may_not_run_is_no_error(pack: str, foreign: Path) -> None:
    (foreign / "broken").mkdir()
    (foreign / "broken" / "acme009_x.py").write_bytes(b"\xff\x00 def (")
    (foreign / "mllint.toml").write_text(f'rules = ["{pack}"]\n')
    done = mllint(foreign, "check", "train.py")
    assert done.returncode in (0, 1) and f"`{pack}`" in done.stderr


def test_no_link_borrows_the_trust_of_another_project(foreign: Path) -> None:
    """A configuration of a trusted project, reached through a link in the foreign one, would mean the foreign folder."""
    trusted = foreign.parent / "trusted"
    (trusted / "sub").mkdir(parents=True)
    (trusted / "mllint.toml").write_text('rules = ["lint"]\n')
    (trusted / "sub/mllint.toml").write_text('rules = ["../lint"]\n')
    (trusted / "sub/x.py").write_text("f()\n")
    (foreign.parent / "home/mllint/mllint.toml").write_text(f'allow-packs = ["{trusted}"]\n')
    (foreign / "mllint.toml").unlink()
    (foreign / "mllint.toml").symlink_to(trusted / "mllint.toml")
    (foreign / "linked").symlink_to(trusted / "sub", target_is_directory=True)
    for path in ("train.py", "linked/x.py"):
        done = mllint(foreign, "check", path)
        assert not has_run(foreign) and "--allow-packs" in done.stderr
    (foreign / "lint").rename(trusted / "lint")
    mllint(trusted, "check", "sub/x.py")  # the control
    assert has_run(trusted)


def test_a_file_that_is_called_like_a_setting_is_not_the_users(foreign: Path) -> None:
    (foreign / "mllint.toml").unlink()
    (foreign / "fix=true").write_text('rules = ["lint"]\n')
    done = mllint(foreign, "check", "--config", "fix=true", "train.py")
    assert not has_run(foreign) and done.returncode == 0, done.stderr


@pytest.mark.parametrize("home", [".", "~"])
def test_without_a_home_nobody_stands_in_for_it(home: str, foreign: Path) -> None:
    """`~` stays what it is where no home folder is known (HOME is missing, the user has no entry)."""
    (foreign / "mllint.toml").unlink()
    for folder in (foreign / ".config/mllint", foreign / "~/.config/mllint"):
        folder.mkdir(parents=True)
        (folder / "mllint.toml").write_text(f'rules = ["{foreign}/lint"]\n')
    done = mllint(foreign, "check", "train.py", XDG_CONFIG_HOME="", HOME=home)
    assert not has_run(foreign) and done.returncode in (0, 1)
    (foreign.parent / "home/mllint/mllint.toml").write_text('rules = ["~nobody-at-all/lint"]\n')
    (foreign / "lint").rename(foreign / "~nobody-at-all")
    done = mllint(foreign, "check", "train.py")
    assert done.returncode == 2 and "no home folder is known" in done.stderr


def test_modules_in_the_current_folder_are_not_imported(foreign: Path) -> None:
    for name in ("click", "libcst", "json"):
        (foreign / f"{name}.py").write_text('open("lint/the-pack-has-run", "w")\n')
    done = mllint(foreign, "check", "train.py")
    assert not has_run(foreign) and done.returncode == 0, done.stderr
