"""``--changed-only`` and ``--base-ref``: what git says is changed, and what is said where git cannot know."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mllint.cli import main
from mllint.reading.changes import UnknownChanges, changed_files

TWICE = "def step():\n    return 1\n\n\ndef step():\n    return 2\n"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(folder: Path, **files: str) -> None:
    """Write some files (``a`` is ``a.py``) and commit everything."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a branch ``main`` and three committed files."""
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, a=TWICE, b=TWICE, c=TWICE)
    monkeypatch.chdir(folder)
    return folder


def changed(folder: Path, base_ref: str = "", environment: dict[str, str] = ENVIRONMENT) -> list[str]:
    """Names of the Python files below a folder that are changed."""
    files = [path.absolute().as_posix() for path in folder.rglob("*.py")]
    return sorted(
        os.path.relpath(path, folder).replace(os.sep, "/") for path in changed_files(files, base_ref, environment)
    )


def test_against_the_last_commit(repository: Path) -> None:
    assert changed(repository) == []
    (repository / "a.py").write_text("x = 1\n")
    (repository / "b.py").write_text("x = 1\n")
    git(repository, "add", "b.py")
    (repository / "new é.py").write_text("x = 1\n")
    (repository / ".gitignore").write_text("ignored.py\n")
    (repository / "ignored.py").write_text("x = 1\n")
    (repository / "sub").mkdir()
    (repository / "sub" / "deep.py").write_text("x = 1\n")
    assert changed(repository) == ["a.py", "b.py", "new é.py", "sub/deep.py"]
    os.utime(repository / "c.py", (1, 1))
    assert "c.py" not in changed(repository), "only its time changed"


def test_deleted_renamed_and_restored(repository: Path) -> None:
    (repository / "a.py").unlink()
    git(repository, "mv", "b.py", "moved.py")
    git(repository, "rm", "-q", "--cached", "c.py")
    assert changed(repository) == ["c.py", "moved.py"]
    git(repository, "reset", "-q", "--hard")
    (repository / "a.py").write_text("x = 1\n")
    git(repository, "add", "a.py")
    (repository / "a.py").write_text(TWICE)
    assert changed(repository) == [], "the file on the disk is that of the commit"


def test_since_a_branch_left_another(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "topic")
    commit(repository, a="x = 1\n")
    git(repository, "checkout", "-q", "main")
    commit(repository, b="x = 1\n")
    git(repository, "checkout", "-q", "topic")
    (repository / "new.py").write_text("x = 1\n")
    assert changed(repository, "main") == ["a.py", "new.py"], "b.py changed on main only"
    git(repository, "mv", "c.py", "d.py")
    assert changed(repository, "main") == ["a.py", "d.py", "new.py"]
    assert changed(repository, "HEAD") == ["d.py", "new.py"]


def test_before_the_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("")
    (tmp_path / "b.py").write_text("x = 1\n")
    git(tmp_path, "add", "b.py")
    assert changed(tmp_path) == ["a.py", "b.py"]
    with pytest.raises(UnknownChanges, match="no such branch, tag or commit"):
        changed(tmp_path, "main")


def test_the_configuration_of_a_repository_changes_nothing(repository: Path) -> None:
    for key, value in {
        "diff.relative": "true",
        "diff.renames": "copies",
        "diff.external": "false",
        "core.quotePath": "true",
        "diff.noprefix": "true",
        "color.ui": "always",
        "status.showUntrackedFiles": "no",
        "core.fsmonitor": "false && exit 1; #",
    }.items():
        git(repository, "config", key, value)
    (repository / "ü.py").write_text(TWICE)
    (repository / "a.py").write_text("")
    assert changed(repository) == ["a.py", "ü.py"]


def test_inside_a_hook(repository: Path, tmp_path: Path) -> None:
    """There git names its repository and index in the environment, which holds for no other repository."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    (other / "x.py").write_text("")
    hook = {**ENVIRONMENT, "GIT_DIR": ".git", "GIT_INDEX_FILE": str(other / "none"), "GIT_WORK_TREE": str(other)}
    assert changed(repository, environment=hook) == []
    assert changed(other, environment=hook) == ["x.py"]


def test_symbolic_links(repository: Path, tmp_path: Path) -> None:
    (repository / "link.py").symlink_to("a.py")
    commit(repository)
    assert changed(repository) == []
    (repository / "a.py").write_text("x = 1\n")
    assert changed(repository) == ["a.py", "link.py"]
    git(repository, "checkout", "-q", "a.py")
    (repository / "link.py").unlink()
    (repository / "link.py").symlink_to("b.py")
    assert changed(repository) == ["link.py"]
    (tmp_path / "door").symlink_to(repository)
    assert changed(tmp_path / "door") == ["link.py"]


def test_a_submodule_is_a_repository_of_its_own(repository: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q", "-b", "main")
    commit(library, old="x = 1\n", same="x = 1\n")
    git(repository, "submodule", "--quiet", "add", str(library), "lib")
    commit(repository)
    git(repository, "checkout", "-q", "-b", "topic")
    assert changed(repository) == []
    commit(repository / "lib", old="x = 2\n")
    (repository / "lib" / "new.py").write_text("")
    assert changed(repository) == ["lib/new.py"], "the commit in the submodule is one"
    commit(repository)
    assert changed(repository, "main") == ["lib/new.py", "lib/old.py"], "main has an older commit of the submodule"
    git(repository, "checkout", "-q", "-b", "before", "main~1")
    git(repository, "checkout", "-q", "topic")
    assert changed(repository, "before") == ["lib/new.py", "lib/old.py", "lib/same.py"], "there it had none"


def test_where_it_cannot_be_known(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UnknownChanges, match=r"--base-ref nowhere: no such branch, tag or commit in .*; fetch it first"
    ):
        changed(repository, "nowhere")
    with pytest.raises(UnknownChanges, match="no such branch"):
        changed(repository, "--all")
    git(repository, "checkout", "-q", "--orphan", "apart")
    commit(repository, a="")
    with pytest.raises(UnknownChanges, match=r"no common ancestor with HEAD in .*; name a branch of the same history"):
        changed(repository, "main")
    with pytest.raises(UnknownChanges, match="git is not installed or not on PATH"):
        changed(repository, environment={"PATH": str(tmp_path)})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.py").write_text("")
    with pytest.raises(UnknownChanges, match=r"x\.py: in no git repository"):
        changed(outside)
    (repository / ".git" / "HEAD").write_text("nonsense")
    with pytest.raises(UnknownChanges, match="git "):
        changed(repository)


def test_a_shallow_clone(repository: Path, tmp_path: Path) -> None:
    git(repository, "checkout", "-q", "-b", "topic")
    commit(repository, a="")
    git(repository, "checkout", "-q", "main")
    commit(repository, b="")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", "--no-single-branch", repository.as_uri(), str(clone))
    git(clone, "checkout", "-q", "topic")
    assert changed(clone) == []
    with pytest.raises(UnknownChanges, match=r"the clone is shallow; run `git fetch --unshallow`"):
        changed(clone, "origin/main")


# -- the command -----------------------------------------------------------------------------------------------


def run(*arguments: str, stdin: str | None = None) -> Result:
    command = ["check", "--output-format", "concise", "--no-cache", *arguments]
    return CliRunner().invoke(main, command, input=stdin, prog_name="mllint")


def test_only_changed_files_are_reported_and_whole(repository: Path) -> None:
    (repository / "a.py").write_text(f"{TWICE}\n\nx = 1\n")
    result = run("--changed-only")
    assert result.exit_code == 1
    assert [line.partition(":")[0] for line in result.stdout.splitlines()[:-1]] == ["a.py"]
    assert run("--changed-only", "b.py").exit_code == 0
    assert run("--changed-only", "a.py", "b.py").exit_code == 1
    assert run("--changed-only", "--show-files").stdout == f"{repository.as_posix()}/a.py\n"


def test_nothing_changed(repository: Path) -> None:
    result = run("--changed-only")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "warning: no file has changed\n"
    assert run("--base-ref", "HEAD").stderr == "warning: no file has changed since `HEAD`\n"
    assert run("--changed-only", "-q").stderr == ""


def test_the_project_is_still_seen_whole(repository: Path) -> None:
    """`deep.py` is reported because of a ``backward`` in a file that has not changed."""
    example = Path(__file__).parent.parent / "fixtures" / "ml201_fill_in_backward" / "bad_project"
    shutil.copytree(example, repository, dirs_exist_ok=True)
    (repository / "mllint.toml").write_text('exclude = ["a.py", "b.py", "c.py"]\n')
    commit(repository)
    deep = repository / "ops" / "deep.py"
    deep.write_text(deep.read_text() + "\n")
    result = run("--select", "ML201", "--changed-only")
    assert result.stdout.startswith("ops/deep.py:4:")
    assert "Found 1 finding" in result.stdout


def test_errors_exit_with_two(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("--base-ref", "nowhere")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: --base-ref nowhere: ")
    assert run("--changed-only", "-", stdin="x = 1\n").exit_code == 2
    (tmp_path / "x.py").write_text("")
    monkeypatch.chdir(tmp_path)
    result = run("--changed-only", "x.py")
    assert (result.exit_code, "in no git repository" in result.stderr) == (2, True)
