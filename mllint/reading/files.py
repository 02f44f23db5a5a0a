"""Checked files: which there are. Their kinds come from kinds.py and their bytes from content.py, through here.

May not: look at what a file says, beyond a first line that names its interpreter.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import field
from itertools import pairwise

from mllint.diagnostic import Problem
from mllint.reading.config import Finder, parents, posix
from mllint.reading.content import Unreadable, WriteFailed, first_bytes, read, reason_of, stamp, write_atomic
from mllint.reading.ignore import IgnoreFile, Ignores, exclusion, ignore_file
from mllint.reading.kinds import kind_of
from mllint.reading.source import Kind
from mllint.record import dataclass
from mllint.settings import Settings

__all__ = [
    "Found",
    "ProjectListing",
    "Target",
    "Unreadable",
    "WriteFailed",
    "discover",
    "kind_of",
    "list_project",
    "read",
    "stamp",
    "write_atomic",
]


@dataclass(frozen=True, slots=True)
class Target:
    """A file to check. ``path`` is what a person sees: below the current folder relative, else absolute."""

    path: str
    absolute: str
    kind: Kind
    settings: Settings


@dataclass(frozen=True, slots=True)
class Found:
    """``targets`` in path order, each file once; ``notices`` are sentences for the user that mean no error."""

    targets: tuple[Target, ...]
    problems: tuple[Problem, ...] = ()
    notices: tuple[str, ...] = ()


def discover(paths: Iterable[str], finder: Finder) -> Found:
    """The files to check for the paths a user gave. Raises ConfigError where a configuration on the way is wrong.

    A given file is checked even where it is excluded or ignored (unless ``force-exclude``), a given folder is
    walked even so; below it exclude patterns and ignore files hold. Symbolic links to files are followed,
    those to folders only where given.
    """
    search = _Search(finder)
    for path in paths:
        search.add(path)
    return Found(
        tuple(sorted(search.targets.values(), key=lambda target: target.path)),
        tuple(sorted(search.problems, key=lambda problem: problem.path)),
        tuple(search.notices),
    )


@dataclass(frozen=True, slots=True)
class ProjectListing:
    """The files of a whole project, absolute and sorted: its Python, and other texts that may name what it defines."""

    python: tuple[str, ...]
    texts: tuple[str, ...]


#: Texts in which a configuration, a build or a page may name a function. Of more files than these, which are data,
#: the rest is not looked at.
_TEXT_ENDINGS = (
    *(".cfg", ".gin", ".in", ".ini", ".ipynb", ".j2", ".jinja", ".json", ".md", ".rst", ".toml", ".yaml", ".yml"),
    *(".pxd", ".pxi", ".pyx"),  # Cython calls Python functions by name
)
_TEXT_KINDS = ("shell", "makefile", "dockerfile", "notebook", "markdown", "yaml")
_MOST_TEXTS = 20_000


def list_project(root: str, settings: Settings, finder: Finder | None = None) -> ProjectListing:
    """The files of a whole project, by the same exclusions as checked files.

    With a ``finder`` a configuration further down holds for its folder; without one ``settings`` hold for all.
    """
    search = _Search(finder or _Fixed(root, settings), only="python")
    search.walk(root, settings)
    python = tuple(sorted(target.absolute for target in search.targets.values()))
    return ProjectListing(python, tuple(sorted(search.texts)[:_MOST_TEXTS]))


class _Fixed(Finder):
    """One configuration for everything."""

    def __init__(self, cwd: str, settings: Settings) -> None:
        super().__init__(cwd, isolated=True)
        self._fixed = settings


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder still to be looked at. ``real`` is its path without symbolic links."""

    absolute: str
    real: str
    settings: Settings
    ignores: Ignores


@dataclass
class _Search:
    """What a search has found so far; ``targets`` by the path without symbolic links, so that each is once."""

    finder: Finder
    only: Kind | None = None
    texts: list[str] = field(default_factory=list)
    targets: dict[str, Target] = field(default_factory=dict)
    ranks: dict[str, tuple[bool, bool, bool, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def add(self, path: str) -> None:
        """One path of the command line."""
        absolute = posix(os.path.abspath(os.path.join(self.finder.cwd, path)))
        shown = self._shown(absolute)
        try:
            mode = os.stat(absolute if path else "").st_mode
        except (OSError, ValueError) as error:
            self.problems.append(Problem(shown if path else path, _missing(absolute, error)))
            return
        settings = self.finder.settings(os.path.dirname(absolute))
        if settings.force_exclude and exclusion(settings, self.finder.cwd).hits_any(absolute):
            return
        if stat.S_ISDIR(mode):
            self.walk(absolute, self.finder.settings(absolute))
        elif not stat.S_ISREG(mode):
            self.problems.append(Problem(shown, "not a regular file but a pipe, socket or device; copy it to a file"))
        else:
            kind = kind_of(absolute) or kind_of(absolute, first_bytes(absolute))
            if kind is None:
                self.notices.append(f"{shown}: no rule reads files of this type")
            else:
                target = Target(shown, absolute, kind, settings)
                self._take(target, posix(os.path.realpath(absolute)), (False, os.path.islink(absolute)))

    def walk(self, top: str, settings: Settings) -> None:
        """Every file below a folder."""
        ignores = _ignores_above(top) if settings.respect_gitignore else Ignores()
        waiting = [_Folder(top, posix(os.path.realpath(top)), settings, ignores)]
        while waiting:
            waiting.extend(self._look(waiting.pop()))

    def _look(self, folder: _Folder) -> list[_Folder]:
        """Take the files of one folder; its folders still have to be looked at."""
        try:
            with os.scandir(folder.absolute) as listing:
                entries = list(listing)
        except OSError as error:
            message = f"folder cannot be read: {reason_of(error)}; make it readable or exclude it"
            self.problems.append(Problem(self._shown(folder.absolute), message))
            return []
        names = {entry.name for entry in entries}
        settings = self.finder.enter(folder.absolute, names, folder.settings)
        ignores = _entered(folder.ignores, folder.absolute, names) if settings.respect_gitignore else Ignores()
        excluded = exclusion(settings, self.finder.cwd)
        inside, real = folder.absolute.rstrip("/") + "/", folder.real.rstrip("/") + "/"
        deeper: list[_Folder] = []
        for entry in entries:
            name, absolute = entry.name, inside + entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            kind = None if is_folder else kind_of(name)
            is_text = self.only is not None and (kind in _TEXT_KINDS or name.endswith(_TEXT_ENDINGS))
            if (kind is None or self.only not in (None, kind)) and not is_folder and not is_text:
                continue
            if excluded.hits(absolute, name) or ignores.hits(absolute, is_folder):
                continue
            if is_folder:
                deeper.append(_Folder(absolute, real + name, settings, ignores))
            elif is_text:
                self.texts.append(absolute)
            elif kind is not None:
                target = Target(self._shown(absolute), absolute, kind, settings)
                if entry.is_file(follow_symlinks=False):  # as the listing says: no stat for a plain file
                    self._take(target, real + name, (True, False))
                elif os.path.isfile(absolute):
                    self._take(target, posix(os.path.realpath(absolute)), (True, True))
        return deeper

    def _take(self, target: Target, real: str, quality: tuple[bool, bool]) -> None:
        """Keep a file once, under its best name: one the user gave, else its own, else the first link's.

        ``quality`` is (found in a folder, is a link).
        """
        rank = (*quality, target.absolute != real, target.path)
        if real not in self.ranks or rank < self.ranks[real]:
            self.ranks[real] = rank
            self.targets[real] = target

    def _shown(self, absolute: str) -> str:
        """What a person sees of a path; bytes of a name that are no text become ``\\xff``."""
        below = self.finder.cwd.rstrip("/") + "/"
        path = absolute[len(below) :] if absolute.startswith(below) else absolute
        if absolute == self.finder.cwd:
            path = "."
        return path if path.isascii() else path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _missing(absolute: str, error: OSError | ValueError) -> str:
    """Why a given path does not exist."""
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "a symbolic link that leads back to itself; remove it"
    if os.path.islink(absolute):
        return f"a symbolic link to `{os.readlink(absolute)}`, which does not exist"
    if isinstance(error, (FileNotFoundError, NotADirectoryError, ValueError)):
        return "no such file or directory"
    return reason_of(error)


# -- ignore files ----------------------------------------------------------------------------------------------


def _ignores_above(top: str) -> Ignores:
    """The ignore files of the folders above a given one, as far up as its repository goes.

    None of them counts where they ignore the given folder itself: it was asked for by name.
    """
    chain: list[str] = []
    for folder in parents(top):
        chain.append(folder)
        if os.path.exists(f"{folder.rstrip('/')}/.git"):
            break
    else:
        return Ignores()
    ignores = Ignores()
    for folder, below in pairwise(reversed(chain)):
        ignores = _entered(ignores, folder, (".gitignore", ".ignore", ".git"))
        if ignores.hits(below, True):
            return Ignores()
    return ignores


def _entered(above: Ignores, folder: str, names: Iterable[str]) -> Ignores:
    """The ignore files that hold in a folder with these entries."""
    own, git = above.own, above.git
    if ".git" in names:
        exclude = _ignore_file(folder, ".git/info/exclude")
        if os.path.exists(f"{folder.rstrip('/')}/.git"):
            git = exclude  # a repository inside another one does not obey it
    if ".gitignore" in names:
        git = _ignore_file(folder, ".gitignore") + git
    if ".ignore" in names:
        own = _ignore_file(folder, ".ignore") + own
    return above if own is above.own and git is above.git else Ignores(own, git)


def _ignore_file(folder: str, name: str) -> tuple[IgnoreFile, ...]:
    """The ignore file if it is there and readable and says anything."""
    try:
        with open(f"{folder.rstrip('/')}/{name}", "rb") as file:
            parsed = ignore_file(folder, file.read().decode("utf-8", "surrogateescape"))
    except OSError:
        return ()
    return (parsed,) if parsed else ()
