"""Finding, reading and replacing files. Rows about patterns were tried with ruff and git themselves."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mllint.reading import content
from mllint.reading.config import Finder
from mllint.reading.files import (
    Found,
    Unreadable,
    WriteFailed,
    discover,
    kind_of,
    list_project,
    read,
    stamp,
    write_atomic,
)
from mllint.reading.ignore import ignore_file
from mllint.settings import ConfigError, Flags, Settings

ROOT = Path(__file__).parent.parent
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="pipes, modes and signals of POSIX")


def tree(root: Path, *paths: str, **texts: str) -> None:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x = 1\n")


def look(root: Path, *paths: str, **flags: object) -> Found:
    cwd = root.as_posix()
    return discover(paths or (".",), Finder(cwd, Flags(cwd=cwd, **flags)))  # type: ignore[arg-type]


def shown(found: Found) -> list[str]:
    assert not found.problems
    return [target.path for target in found.targets]


# -- kinds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("python", "a.py a.pyw a.pyi A.PY x/y.z/a.py"),
        ("notebook", "a.ipynb"),
        ("shell", "a.sh a.bash a.sbatch a.slurm a.pbs"),
        ("makefile", "Makefile makefile GNUmakefile x/rules.mk"),
        ("dockerfile", "Dockerfile Dockerfile.gpu Dockerfile.v1.2 a.dockerfile Containerfile Containerfile.x"),
        ("yaml", "a.yml .github/workflows/a.yaml"),
        ("markdown", "a.md a.markdown Dockerfile.md"),
        ("kernel", "a.ptx a.cu a.cuh a.cl"),
        (
            None,
            "a a.txt a.pyc .py Makefile.am MAKEFILE Dockerfile.dockerignore Dockerfile.j2 Dockerfile.gpu~ Dockerfiles a.py~",
        ),
    ],
)
def test_kind_by_name(kind: str | None, names: str) -> None:
    assert {name: kind_of(name) for name in names.split()} == dict.fromkeys(names.split(), kind)


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("shell", b"#!/bin/sh\n"),
        ("shell", b"#! /usr/bin/bash -e\n"),
        ("shell", b"#!/usr/bin/env bash\n"),
        ("shell", b"#!/usr/bin/env -S FOO=1 bash -e\n"),
        ("python", b"#!/usr/bin/env python3\n"),
        ("python", b"#!/opt/x/bin/python3.11 -u\n"),
        (None, b"#!/usr/bin/env node\n"),
        (None, b"#!/usr/bin/perl python\n"),
        (None, b"#!/bin/shutdown\n"),
        (None, b"import os\n"),
        (None, b""),
    ],
)
def test_kind_by_first_line(kind: str | None, line: bytes) -> None:
    assert kind_of("bin/run", line) == kind
    assert kind_of("bin/run") is None
    assert kind_of("bin/run.txt", line) is None


# -- finding ---------------------------------------------------------------------------------------------------


def test_each_file_once_in_path_order(tmp_path: Path) -> None:
    tree(tmp_path, "b.py", "a/z.py", "a.py", "a/Makefile", "c.txt", "data", ".hidden/h.py", "sp ace/ü.py")
    everything = [".hidden/h.py", "a.py", "a/Makefile", "a/z.py", "b.py", "sp ace/ü.py"]
    assert shown(look(tmp_path)) == everything
    again = look(tmp_path, "b.py", "./b.py", str(tmp_path / "b.py"), "a", ".", "a/../a/z.py")
    assert shown(again) == everything
    kinds = {target.path: target.kind for target in again.targets}
    assert (kinds["a.py"], kinds["a/Makefile"]) == ("python", "makefile")
    assert again.targets[1].absolute == (tmp_path / "a.py").as_posix()


def test_paths_are_shown_from_the_current_folder(tmp_path: Path) -> None:
    tree(tmp_path, "here/a.py", "hereafter/b.py")
    assert shown(look(tmp_path / "here", ".", "..")) == [(tmp_path / "hereafter/b.py").as_posix(), "a.py"]


EXCLUDE_ROWS = [
    ("foo", "a/m.py b.x/m.py m.py"),
    ("foo/", "a/foo/bar/m.py a/foo/m.py a/m.py b.x/m.py m.py"),
    ("./foo", "a/foo/bar/m.py a/foo/m.py a/m.py b.x/m.py m.py"),
    ("foo/bar", "a/foo/bar/m.py a/foo/m.py a/m.py b.x/m.py foo/m.py m.py"),
    ("**/foo", "a/m.py b.x/m.py m.py"),
    ("foo/**", "a/foo/bar/m.py a/foo/m.py a/m.py b.x/m.py m.py"),
    ("*/m.py", "m.py"),
    ("{a,foo}", "b.x/m.py m.py"),
    ("a/{m,n}.py", "a/foo/bar/m.py a/foo/m.py b.x/m.py foo/bar/m.py foo/m.py m.py"),
    ("?.py", ""),
    ("[!mx].py", "a/foo/bar/m.py a/foo/m.py a/m.py b.x/m.py foo/bar/m.py foo/m.py m.py"),
    ("b.*", "a/foo/bar/m.py a/foo/m.py a/m.py foo/bar/m.py foo/m.py m.py"),
    ("f*r", "a/foo/bar/m.py a/foo/m.py a/m.py b.x/m.py foo/m.py m.py"),
    ("../w [1]/foo", "a/foo/bar/m.py a/foo/m.py a/m.py b.x/m.py foo/bar/m.py foo/m.py m.py"),
]


@pytest.mark.parametrize(("pattern", "left"), EXCLUDE_ROWS)
def test_exclude_patterns_mean_what_they_mean_in_ruff(tmp_path: Path, pattern: str, left: str) -> None:
    root = tmp_path / "w [1]"  # the folder's own name is no pattern
    tree(root, *(f"{folder}m.py" for folder in ("", "foo/", "foo/bar/", "a/", "a/foo/", "a/foo/bar/", "b.x/")))
    (root / "mllint.toml").write_text(f"exclude = ['{pattern}']\n")
    assert shown(look(root)) == left.split()


def test_default_excludes_and_their_replacement(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "venv/b.py", "x/wandb/c.py", "x/build/d.py", "building/e.py", "site-packages.py")
    assert shown(look(tmp_path)) == ["a.py", "building/e.py", "site-packages.py"]
    assert shown(look(tmp_path, exclude=("wandb",), extend_exclude=("x/build",))) == [
        "a.py",
        "building/e.py",
        "site-packages.py",
        "venv/b.py",
    ]


def test_given_paths_are_checked_even_where_excluded(tmp_path: Path) -> None:
    tree(tmp_path, "build/a.py", "build/deep/b.py", "build/venv/c.py")
    assert shown(look(tmp_path, "build/venv/c.py")) == ["build/venv/c.py"]
    assert shown(look(tmp_path, "build")) == ["build/a.py", "build/deep/b.py"]
    assert shown(look(tmp_path, "build", "build/venv/c.py", "build/deep/b.py", force_exclude=True)) == []


def test_folder_above_the_project_has_no_say(tmp_path: Path) -> None:
    tree(tmp_path, "build/project/a.py")
    assert shown(look(tmp_path / "build/project", "a.py", force_exclude=True)) == ["a.py"]


@pytest.mark.parametrize("pattern", ["[a", "a{b", "*a}", "x/[z-a]"])
def test_broken_exclude_pattern(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "mllint.toml").write_text(f"extend-exclude = ['{pattern}']\n")
    with pytest.raises(ConfigError) as raised:
        look(tmp_path)
    assert "mllint.toml: exclude pattern" in str(raised.value) and pattern in str(raised.value)


def test_closest_configuration_holds_for_each_folder(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "lib/b.py", "lib/gen/c.py", "lib/out/d.py", "gen/e.py")
    (tmp_path / "mllint.toml").write_text("exclude = ['gen']\njobs = 1\n")
    (tmp_path / "lib/pyproject.toml").write_text("[tool.mllint]\nexclude = ['out']\n")
    found = look(tmp_path)
    assert {target.path: target.settings.jobs for target in found.targets} == {
        "a.py": 1,
        "lib/b.py": 0,
        "lib/gen/c.py": 0,
    }
    assert shown(look(tmp_path, "lib/gen", "gen/e.py")) == ["gen/e.py", "lib/gen/c.py"]
    (tmp_path / "lib/pyproject.toml").write_text("[tool.mllint]\nexclud = []\n")
    with pytest.raises(ConfigError, match="did you mean `exclude`"):
        look(tmp_path)


def test_project_files(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "lib/b.pyi", "lib/out/c.py", "venv/d.py", "e.ipynb", "f.sh")
    (tmp_path / "lib/mllint.toml").write_text("exclude = ['out']\n")
    root = tmp_path.as_posix()
    assert list(list_project(root, Settings()).python) == [f"{root}/a.py", f"{root}/lib/b.pyi", f"{root}/lib/out/c.py"]
    assert list(list_project(root, Settings(), Finder(root)).python) == [f"{root}/a.py", f"{root}/lib/b.pyi"]


# -- ignore files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "path", "ignored"),
    [
        ("out", "a/out/", True),
        ("out/", "out/", True),
        ("out/", "out", None),
        ("/out", "a/out", None),
        ("a/out", "b/a/out", None),
        ("**/a/out", "b/a/out", True),
        ("a/**/out", "a/out", True),
        ("a/**", "a/", None),
        ("a/*", "a/b/c", True),  # with the folder `a/b`
        ("a/*", "a/b", True),
        ("a/**", "a/b/c", True),
        ("a/**/", "a/b", None),
        ("a/**/", "a/b/", True),
        ("*\n!*/", "a/", False),  # down to what a later line brings back
        ("*\n!*/", "a/b", True),
        ("/a\n!*/", "a/b", False),
        ("*.py", "a/b.py", True),
        ("*.py\n!b.py", "a/b.py", False),
        ("!b.py\n*.py", "a/b.py", True),
        ("*.py[cod]", "a.pyc", True),
        ("*.py[!cod]", "a.pyc", None),
        ("a?c", "a/c", None),
        ("# a", "# a", None),
        (r"\# a", "# a", True),
        (r"\!a", "!a", True),
        ("a  ", "a", True),
        ("a\\ ", "a ", True),
        ("a\r", "a", True),
        ("[a\nb", "a", None),
        ("b\n[z-a]\n!", "b", True),
        ("{a,b}", "a", None),
        ("", "a", None),
    ],
)
def test_ignore_lines_mean_what_they_mean_in_git(lines: str, path: str, ignored: bool | None) -> None:
    parsed = ignore_file("/r", lines)
    assert (parsed and parsed.verdict(f"/r/{path.rstrip('/')}", path.endswith("/"))) is ignored


def test_ignore_files_of_every_level(tmp_path: Path) -> None:
    tree(tmp_path, "repo/.git/info/exclude", "repo/a.py", "repo/b.py", "repo/c.py", "repo/x/a.py", "repo/x/d.py")
    tree(tmp_path, "repo/inner/.git/HEAD", "repo/inner/a.py", "repo/gen/e.py", "repo/gen/deep/f.py")
    (tmp_path / ".gitignore").write_text("*\n")  # above the repository: no say
    (tmp_path / "repo/.gitignore").write_text("a.py\nd.py\n/gen/\n")
    (tmp_path / "repo/.git/info/exclude").write_text("b.py\n")
    (tmp_path / "repo/x/.gitignore").write_text("!a.py\n")
    (tmp_path / "repo/.ignore").write_text("!d.py\n")
    repo = tmp_path / "repo"
    assert shown(look(repo)) == ["c.py", "inner/a.py", "x/a.py", "x/d.py"]
    assert shown(look(repo / "x")) == ["a.py", "d.py"]
    assert shown(look(repo, "gen", "a.py")) == ["a.py", "gen/deep/f.py", "gen/e.py"]  # asked for by name
    assert shown(look(repo / "gen/deep")) == ["f.py"]
    assert "a.py" in shown(look(repo, respect_gitignore=False))


def test_ignore_file_without_a_repository(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "b.py")
    (tmp_path / ".gitignore").write_bytes(b"\xff\na.py\n")
    assert shown(look(tmp_path)) == ["b.py"]


# -- links and trouble -----------------------------------------------------------------------------------------


def test_links(tmp_path: Path) -> None:
    tree(tmp_path, "w/real.py", "w/sub/s.py", "outside.py")
    os.symlink("real.py", tmp_path / "w/also.py")
    os.symlink("../outside.py", tmp_path / "w/into.py")
    os.symlink("../real.py", tmp_path / "w/sub/real.py")
    os.symlink("sub", tmp_path / "w/folder_link")
    os.symlink("..", tmp_path / "w/sub/loop")
    os.symlink("self.py", tmp_path / "w/self.py")
    os.symlink("nowhere", tmp_path / "w/dangling.py")
    root = tmp_path / "w"
    assert shown(look(root)) == ["into.py", "real.py", "sub/s.py"]
    assert shown(look(root, "also.py", ".")) == ["also.py", "into.py", "sub/s.py"]
    assert shown(look(root, "folder_link")) == ["folder_link/real.py", "folder_link/s.py"]
    assert shown(look(root, "folder_link", ".")) == ["into.py", "real.py", "sub/s.py"]
    assert shown(look(root, "sub/loop")) == ["sub/loop/into.py", "sub/loop/real.py", "sub/loop/sub/s.py"]


def test_given_paths_that_cannot_be_checked(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "notes.txt")
    (tmp_path / "run").write_text("#!/bin/bash\nls\n")
    (tmp_path / "empty").mkdir()
    os.symlink("self.py", tmp_path / "self.py")
    os.symlink("nowhere", tmp_path / "dangling.py")
    found = look(
        tmp_path, "a.py", "missing.py", "self.py", "dangling.py", "a.py/b.py", "", "nul\0.py", "notes.txt", "run"
    )
    assert {(target.path, target.kind) for target in found.targets} == {("a.py", "python"), ("run", "shell")}
    assert {problem.path: problem.message for problem in found.problems} == {
        "": "no such file or directory",
        "a.py/b.py": "no such file or directory",
        "missing.py": "no such file or directory",
        "nul\0.py": "no such file or directory",
        "self.py": "a symbolic link that leads back to itself; remove it",
        "dangling.py": "a symbolic link to `nowhere`, which does not exist",
    }
    assert found.notices == ("notes.txt: no rule reads files of this type",)
    assert look(tmp_path, "empty") == Found(())


@POSIX
def test_pipes_are_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    assert shown(look(tmp_path)) == []
    assert "not a regular file" in look(tmp_path, "pipe.py").problems[0].message
    with pytest.raises(Unreadable, match="not a regular file but a pipe"):
        read(str(tmp_path / "pipe.py"), 10)


def test_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a.py", "closed/b.py")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = look(tmp_path)
    assert [target.path for target in found.targets] == ["a.py"]
    [problem] = found.problems
    assert (problem.path, "permission denied; make it readable or exclude it" in problem.message) == ("closed", True)


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a name be any bytes")
def test_name_that_is_no_text(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff.py", "wb") as file:
        file.write(b"x\n")
    [target] = look(tmp_path).targets
    assert target.path == "\\xff.py"
    assert read(target.absolute, 10) == b"x\n"


# -- reading ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 10])
def test_read(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"\r" * size)
    assert read(str(path), 10) == b"\r" * size
    status = path.stat()
    assert stamp(str(path)) == (status.st_mtime_ns, size, status.st_ctime_ns)


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"x" * 2_500_000)
    with pytest.raises(Unreadable) as raised:
        read(str(path), 1_000_000)
    assert str(raised.value) == (
        "2.5 MB is larger than `max-file-size` (1.0 MB);"
        " raise `max-file-size` to at least 2500000 or add the file to `extend-exclude`"
    )
    for bad, message in [(tmp_path, "is a directory"), (tmp_path / "none", "no such file"), ("a\0b", "cannot be read")]:
        with pytest.raises(Unreadable, match=message):
            read(str(bad), 10)
        assert stamp(str(bad)) is None or bad == tmp_path

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Unreadable, match="permission denied; make the file readable or add it to `extend-exclude`"):
        read(str(path), 10)


def test_file_that_grows_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"x" * 100)
    grown = os.stat(path)
    path.write_bytes(b"x" * 300)
    monkeypatch.setattr(os, "fstat", lambda descriptor: grown)
    assert read(str(path), 300) == b"x" * 300
    with pytest.raises(Unreadable, match="300 bytes is larger than `max-file-size` \\(200 bytes\\)"):
        read(str(path), 200)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_file_whose_size_is_unknown() -> None:
    assert read("/proc/self/status", 1_000_000).startswith(b"Name:")


# -- writing ---------------------------------------------------------------------------------------------------


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "a.py"
    path.parent.mkdir()
    path.write_bytes(b"old\n")
    return path


def untouched(old: Path) -> bool:
    return old.read_bytes() == b"old\n" and os.listdir(old.parent) == ["a.py"]


@pytest.mark.parametrize("data", [b"", b"new\r\n", b"x" * 3_000_000], ids=["empty", "short", "long"])
def test_write(old: Path, data: bytes) -> None:
    write_atomic(str(old), data)
    assert old.read_bytes() == data
    assert os.listdir(old.parent) == ["a.py"]


@POSIX
@pytest.mark.parametrize("mode", [0o644, 0o755, 0o600, 0o664])
def test_mode_is_kept(old: Path, mode: int) -> None:
    old.chmod(mode)
    mask = os.umask(0o077)
    try:
        write_atomic(str(old), b"new\n")
    finally:
        os.umask(mask)
    assert stat.S_IMODE(old.stat().st_mode) == mode


@POSIX
def test_owner_is_kept_where_allowed(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def refuse(descriptor: int, user: int, group: int) -> None:
        asked.append((user, group))
        raise PermissionError(errno.EPERM, "Operation not permitted")

    fstat = os.fstat

    def foreign(descriptor: int) -> os.stat_result:
        status = list(fstat(descriptor))
        status[stat.ST_UID] += 1
        return os.stat_result(status)

    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "fstat", foreign)
    write_atomic(str(old), b"new\n")
    assert old.read_bytes() == b"new\n"
    assert asked == [(old.stat().st_uid, old.stat().st_gid)]


def test_links_stay(old: Path, tmp_path: Path) -> None:
    link, hard = tmp_path / "link.py", tmp_path / "hard.py"
    os.symlink("folder/a.py", link)
    os.link(old, hard)
    write_atomic(str(link), b"new\n")
    assert os.readlink(link) == "folder/a.py"
    assert old.read_bytes() == b"new\n"
    assert hard.read_bytes() == b"old\n"  # see write_atomic: never half a file, so never in place
    assert sorted(os.listdir(tmp_path)) == ["folder", "hard.py", "link.py"]


def full(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def read_only(*_: object) -> int:
    raise OSError(errno.EROFS, "Read-only file system")


def half(write: Callable[[int, memoryview], int]) -> Callable[[int, memoryview], int]:
    """A disk that takes some bytes and then no more."""
    calls: list[int] = []

    def written(descriptor: int, data: memoryview) -> int:
        calls.append(len(data))
        return write(descriptor, data[:2]) if len(calls) == 1 else full()

    return written


@pytest.mark.parametrize(
    ("name", "broken", "reason"),
    [
        ("write", full, "no space left on device"),
        ("write", half(os.write), "no space left on device"),
        ("fsync", full, "no space left on device"),
        ("replace", read_only, "read-only file system"),
        ("open", read_only, "read-only file system"),
        ("access", lambda path, mode: False, "the file is read-only"),
    ],
)
def test_failure_leaves_the_old_file(
    old: Path, monkeypatch: pytest.MonkeyPatch, name: str, broken: Callable[..., object], reason: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(content.os, name, broken)
        with pytest.raises(WriteFailed) as raised:
            write_atomic(str(old), b"new content\n")
    assert str(raised.value) == f"not written, the file is unchanged: {reason}"
    assert untouched(old)


def test_what_cannot_be_written_to(old: Path) -> None:
    for path, reason in [(old.parent, "not a regular file"), (old.parent / "gone.py", "no such file or directory")]:
        with pytest.raises(WriteFailed, match=reason):
            write_atomic(str(path), b"new\n")
    assert untouched(old)


def test_interrupt_leaves_the_old_file(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_atomic(str(old), b"new\n")
    assert untouched(old)


def child(script: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run a script that replaces a file, with ``mllint`` as it is here."""
    start = "import os, signal, sys\nfrom mllint.reading.files import write_atomic, WriteFailed\npath = sys.argv[1]\n"
    return subprocess.run(
        [sys.executable, "-c", start + script, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )


@POSIX
def test_disk_quota_for_real(old: Path) -> None:
    script = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomic(path, b"x" * 5000)
except WriteFailed as failure:
    print(failure)
"""
    done = child(script, old)
    assert done.stdout == "not written, the file is unchanged: file too large\n", done.stderr
    assert untouched(old)


@POSIX
@pytest.mark.parametrize(
    ("moment", "left"),
    [
        (
            "os.write = lambda fd, data, write=os.write: (write(fd, data[:3]), os.kill(os.getpid(), signal.SIGKILL))",
            b"old\n",
        ),
        ("os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)", b"old\n"),
        ("os.replace = lambda *a, do=os.replace: (do(*a), os.kill(os.getpid(), signal.SIGKILL))", b"new content\n"),
    ],
    ids=["half written", "before the replacement", "after it"],
)
def test_kill_in_the_middle(old: Path, moment: str, left: bytes) -> None:
    done = child(f"{moment}\nwrite_atomic(path, b'new content\\n')\n", old)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert old.read_bytes() == left
    assert shown(look(old.parent)) == ["a.py"]  # what the killed process left behind is no file to check
    write_atomic(str(old), b"again\n")
    assert old.read_bytes() == b"again\n"
