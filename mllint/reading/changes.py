"""Which files git says are changed: against the last commit, or since a branch left another one.

The only module that runs git, without its file-system monitors and external diff programs.
May not: choose what to check, or read the environment (it is given).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mllint.reading.config import parents, posix
from mllint.settings import ConfigError


class UnknownChanges(ConfigError):
    """It cannot be known what changed. ``str()`` says why and what to do."""


#: What git itself forgets when it goes into another repository; a hook has some of them set.
_OF_ONE_REPOSITORY = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)


def changed_files(absolutes: Iterable[str], base_ref: str, environment: Mapping[str, str]) -> frozenset[str]:
    """Those of some absolute paths that are changed or untracked. Raises UnknownChanges.

    Without ``base_ref`` changed means different from the last commit, staged or not; with one, different from
    where the current branch and that ref parted. What git ignores is not changed.
    """
    git = _Git({name: value for name, value in environment.items() if name not in _OF_ONE_REPOSITORY})
    changed: dict[str, frozenset[str]] = {}
    found = set()
    for absolute in absolutes:
        # A link is changed if it points elsewhere now, or if the file is that it points to.
        for path in {_without_links_above(absolute), posix(os.path.realpath(absolute))}:
            root = _repository(path)
            if not root:
                raise UnknownChanges(f"{absolute}: in no git repository, so nobody knows whether it changed")
            if root not in changed:
                changed[root] = _changed_in(git, root, base_ref)
            if path in changed[root]:
                found.add(absolute)
    return frozenset(found)


def _without_links_above(absolute: str) -> str:
    folder, name = os.path.split(absolute)
    return posix(os.path.join(os.path.realpath(folder), name))


def _repository(path: str) -> str:
    """The top folder of the repository or submodule that a file is in; "" for none."""
    for folder in parents(os.path.dirname(path)):
        if os.path.exists(f"{folder.rstrip('/')}/.git"):
            return folder
    return ""


def _changed_in(git: _Git, root: str, base_ref: str) -> frozenset[str]:
    """Absolute paths of what is changed in one repository."""
    base = _base(git, root, base_ref)
    differing = ("diff", "--name-only", "-z", "--no-renames", "--no-relative", "--no-ext-diff", "--diff-filter=d")
    tracked = git.names(root, *differing, "--ignore-submodules=all", base, "--")
    untracked = git.names(root, "ls-files", "-z", "--others", "--exclude-standard")
    return frozenset(f"{root.rstrip('/')}/{name}" for name in (*tracked, *untracked))


def _base(git: _Git, root: str, base_ref: str) -> str:
    """The commit that the files of a repository are compared with."""
    above = git.line(root, "rev-parse", "--show-superproject-working-tree") if base_ref else ""
    if above:  # the ref is one of the project that the submodule belongs to
        return _recorded(git, root, posix(os.path.realpath(above)), base_ref)
    head = git.try_line(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if not base_ref:
        return head or _no_files(git, root)
    base = git.try_line(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base_ref}^{{commit}}")
    if not base:
        raise UnknownChanges(f"--base-ref {base_ref}: no such branch, tag or commit in {root}; fetch it first")
    if not head:
        raise UnknownChanges(f"--base-ref {base_ref}: {root} has no commit yet to compare with it")
    common = git.try_line(root, "merge-base", base, head)
    if not common:
        shallow = git.line(root, "rev-parse", "--is-shallow-repository") == "true"
        advice = "the clone is shallow; run `git fetch --unshallow` (or check out with `fetch-depth: 0`)"
        raise UnknownChanges(
            f"--base-ref {base_ref}: no common ancestor with HEAD in {root}"
            + (f": {advice}" if shallow else "; name a branch of the same history")
        )
    return common


def _no_files(git: _Git, root: str) -> str:
    """The empty tree, which differs from everything; its name depends on the repository's kind of hash."""
    return git.line(root, "hash-object", "-t", "tree", "--stdin")


def _recorded(git: _Git, root: str, above: str, base_ref: str) -> str:
    """The commit of a submodule that the project above it had at the base; nothing if it had none."""
    then = _base(git, above, base_ref)
    path = root.removeprefix(above.rstrip("/") + "/")
    commit = git.try_line(above, "rev-parse", "--verify", "--quiet", f"{then}:{path}")
    if not commit:
        return _no_files(git, root)
    if not git.try_line(root, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"):
        raise UnknownChanges(f"{root}: the submodule lacks commit {commit[:12]} of {base_ref}; fetch it there")
    return commit


@dataclass(frozen=True, slots=True)
class _Git:
    """Runs git with an environment."""

    environment: Mapping[str, str]

    def names(self, root: str, *arguments: str) -> list[str]:
        """The file names of an answer that separates them by null bytes."""
        return [posix(os.fsdecode(name)) for name in self._done(root, arguments).stdout.split(b"\0") if name]

    def line(self, root: str, *arguments: str) -> str:
        """An answer of one line."""
        return os.fsdecode(self._done(root, arguments).stdout).rstrip("\r\n")

    def try_line(self, root: str, *arguments: str) -> str:
        """The same, "" where git says no."""
        done = self._run(root, arguments)
        return os.fsdecode(done.stdout).strip() if done.returncode == 0 else ""

    def _done(self, root: str, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[bytes]:
        done = self._run(root, arguments)
        if done.returncode:
            said = os.fsdecode(done.stderr).strip().splitlines() or [f"exit code {done.returncode}"]
            raise UnknownChanges(f"{root}: git {arguments[0]} failed: {said[0].removeprefix('fatal: ')}")
        return done

    def _run(self, root: str, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[bytes]:
        command = ["git", "-C", root, "-c", "core.fsmonitor=false", *arguments]
        environment = {**self.environment, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
        try:
            return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        except FileNotFoundError as error:
            raise UnknownChanges("git is not installed or not on PATH, so nobody knows what changed") from error
        except OSError as error:
            raise UnknownChanges(f"git cannot be run: {error.strerror or error}") from error
