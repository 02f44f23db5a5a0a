"""Which paths to leave alone: exclude patterns with ruff's meaning, ignore files with git's.

The matching itself is done by the standard library's ``fnmatch`` and by ``pathspec``, which is imported when an
ignore file has something to say. May not: open files or walk folders. Patterns in, answers out.
"""

from __future__ import annotations

import fnmatch
import re
import warnings
from collections.abc import Sequence
from functools import lru_cache
from posixpath import normpath
from typing import TYPE_CHECKING

from mllint.record import dataclass
from mllint.settings import ConfigError, Settings

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

# -- exclude patterns ------------------------------------------------------------------------------------------

_GLOB = re.compile(r"[*?\[{}\\]")
_CLASS = re.compile(r"\[[!^]?\]?[^\]]*\]")
_CHOICE = re.compile(r"(?<!\[)\{([^{}]*)\}(?!\])")  # without another inside; `[{]` and `[}]` are no braces


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Compiled exclude patterns. ``anchor`` is the folder that relative ones start from."""

    anchor: str
    names: frozenset[str]
    name_globs: re.Pattern[str] | None
    path_globs: re.Pattern[str] | None

    def hits(self, absolute: str, name: str) -> bool:
        """Is this file or folder excluded, whatever the folders above it are?"""
        return (
            name in self.names
            or (self.name_globs is not None and self.name_globs.match(name) is not None)
            or (self.path_globs is not None and self.path_globs.match(absolute) is not None)
        )

    def hits_any(self, absolute: str) -> bool:
        """Is it excluded, or a folder above it up to the anchor?"""
        path = absolute
        while path != self.anchor:
            folder, _, name = path.rpartition("/")
            if self.hits(path, name):
                return True
            if not folder or not absolute.startswith(self.anchor.rstrip("/") + "/"):
                return False  # outside the anchor only the path itself counts: what is above it has no say
            path = folder
        return False


def exclusion(settings: Settings, cwd: str) -> Exclusion:
    """The exclude patterns of a configuration, compiled once. Raises ConfigError for a broken one."""
    where = settings.config_path or "command line"
    return _compiled(settings.exclude + settings.extend_exclude, settings.root or cwd, where)


def pattern_fault(pattern: str) -> str:
    """What is wrong with a path pattern; "" if nothing is."""
    try:
        _expressions(normpath(pattern))
    except ValueError as error:
        return str(error)
    return ""


def pattern_hits(pattern: str, anchor: str, absolute: str) -> bool:
    """Does a pattern mean this very file? A ``!`` before it turns the answer around."""
    if pattern.startswith("!"):
        return not pattern_hits(pattern[1:], anchor, absolute)
    return _compiled((pattern,), anchor, "").hits(absolute, absolute.rpartition("/")[2])


@lru_cache(maxsize=512)  # per-file-ignores come one pattern at a time
def _compiled(patterns: tuple[str, ...], anchor: str, where: str) -> Exclusion:
    names: set[str] = set()
    name_globs: list[str] = []
    path_globs: list[str] = []
    for pattern in patterns:
        bare = "/" not in pattern
        if bare and not _GLOB.search(pattern):
            names.add(pattern)
            continue
        try:
            if bare:
                name_globs += _expressions(pattern)
            path_globs += _anchored(pattern, anchor)
        except ValueError as error:
            raise ConfigError(f"{where}: exclude pattern `{pattern}` is not valid: {error}") from error
    return Exclusion(anchor, frozenset(names), _any_of(name_globs), _any_of(path_globs))


def _any_of(expressions: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(expressions)) if expressions else None


def _anchored(pattern: str, anchor: str) -> list[str]:
    """The expressions for a path pattern that starts from the anchor, unless it is absolute already."""
    above, rest = anchor.rstrip("/") + "/", normpath(pattern)
    if pattern.startswith("/") or re.match(r"[A-Za-z]:/", pattern):
        return _expressions(rest)
    while rest.startswith("../"):
        above, rest = above.rstrip("/").rpartition("/")[0] + "/", rest[3:]
    return [re.escape(above) + expression for expression in _expressions(rest)]


def _expressions(glob: str) -> list[str]:
    """A whole-path expression for each choice that a glob leaves. Raises ValueError where it is broken.

    ``fnmatch`` agrees with ruff in that ``*`` and ``?`` match a slash too. Rewritten for it: ``\\`` before a
    character, ``[^...]``, ``{a,b}``, and ``**/``, which also stands for no folder at all.
    """
    glob = re.sub(r"\\(.)", lambda escaped: f"[{escaped[1]}]" if escaped[1] in "*?[]{}" else escaped[1], glob)
    members = _CLASS.findall(glob)
    if "[" in _CLASS.sub("", glob):
        raise ValueError("a `[` is never closed")
    if any(low > high for member in members for low, high in re.findall("(.)-(.)", member[1:-1])):
        raise ValueError("a range in `[...]` ends before it starts")
    glob = re.sub(r"(^|(?<=/))\*\*/", "{,*/}", glob.replace("[^", "[!"))
    return [fnmatch.translate(choice) for choice in _choices(glob)]


def _choices(glob: str) -> list[str]:
    """A glob with braces as the globs without."""
    found = _CHOICE.search(glob)
    if found is None:
        if left := set("{}") & set(_CLASS.sub("", glob)):
            raise ValueError("a `{` is never closed" if "{" in left else "a `}` closes nothing")
        return [glob]
    before, after = glob[: found.start()], glob[found.end() :]
    return [choice for inner in found[1].split(",") for choice in _choices(before + inner + after)]


# -- ignore files ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IgnoreFile:
    """One ignore file: the folder its patterns start from, and what they say of files and of folders.

    Folders are asked without a slash at the end, of lines without one: a line that matches the path itself then
    outweighs one that only matches a folder above it, as in git.
    """

    folder: str
    files: GitIgnoreSpec
    folders: GitIgnoreSpec

    def verdict(self, absolute: str, is_folder: bool) -> bool | None:
        """True: ignored; False: brought back; None: no line speaks of it. The last line that matches counts."""
        relative = absolute[len(self.folder.rstrip("/")) + 1 :]
        return (self.folders if is_folder else self.files).check_file(relative).include


def ignore_file(folder: str, text: str) -> IgnoreFile | None:
    """The meaning of an ignore file that lies in ``folder`` (``.git/info/exclude``: the repository's root).

    None where it has nothing but comments. ``a/**/`` means the folders in ``a`` and becomes ``a/**/*/``: pathspec
    would take the files in ``a`` too.
    """
    lines = [line if line.endswith("\\ ") else line.rstrip() for line in text.split("\n")]
    lines = [f"{line}*/" if line.endswith("/**/") else line for line in lines if line and not line.startswith("#")]
    if not lines:
        return None
    return IgnoreFile(folder, _spec(lines), _spec([line.removesuffix("/") for line in lines]))


def _spec(lines: Sequence[str]) -> GitIgnoreSpec:
    """The lines as one specification, without those that git cannot read either."""
    from pathspec import GitIgnoreSpec

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # `[[]`: not yet a nested set, says `re`
        try:
            return GitIgnoreSpec.from_lines(lines)
        except (ValueError, re.error):
            if len(lines) == 1:
                return GitIgnoreSpec.from_lines([])
    middle = len(lines) // 2
    return _spec(lines[:middle]) + _spec(lines[middle:])


@dataclass(frozen=True, slots=True)
class Ignores:
    """The ignore files that speak of a folder's entries, the nearest first; ``.ignore`` before ``.gitignore``."""

    own: tuple[IgnoreFile, ...] = ()
    git: tuple[IgnoreFile, ...] = ()

    def hits(self, absolute: str, is_folder: bool) -> bool:
        """Is this entry ignored (its folders were asked before)?"""
        for file in self.own + self.git:
            verdict = file.verdict(absolute, is_folder)
            if verdict is not None:
                return verdict
        return False
