"""Which paths to leave alone: exclude patterns with ruff's meaning, ignore files with git's.

May not: open files or walk folders. Patterns in, answers out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from posixpath import normpath

from mllint.settings import ConfigError, Settings

_GLOB = re.compile(r"[*?\[{\\]")


# -- one glob --------------------------------------------------------------------------------------------------


def to_regex(glob: str, *, crossing: bool) -> str:
    """A regular expression for a whole path. Raises ValueError where the glob is broken.

    ``crossing``: ruff's flavour, in which ``*`` and ``?`` also match a slash and ``{a,b}`` is a choice. Else
    git's, in which they stop at one.
    """
    out: list[str] = []
    at = depth = 0
    one = "." if crossing else "[^/]"
    while at < len(glob):
        character = glob[at]
        if character == "*":
            piece, at = _stars(glob, at, one)
            out.append(piece)
            continue
        if character == "[":
            piece, at = _character_class(glob, at, crossing)
            out.append(piece)
            continue
        if character == "\\" and at + 1 < len(glob):
            at += 1
            out.append(re.escape(glob[at]))
        elif character == "?":
            out.append(one)
        elif (crossing and character in "{}") or (depth and character == ","):
            depth += {"{": 1, "}": -1, ",": 0}[character]
            out.append({"{": "(?:", "}": ")", ",": "|"}[character])
        else:
            out.append(re.escape(character))
        if depth < 0:
            raise ValueError("a `}` closes nothing")
        at += 1
    if depth:
        raise ValueError("a `{` is never closed")
    return "".join(out)


def _stars(glob: str, at: int, one: str) -> tuple[str, int]:
    """The expression for a run of stars and where it ends; ``**`` between slashes stands for whole folders."""
    end = at
    while end < len(glob) and glob[end] == "*":
        end += 1
    if end - at >= 2 and (at == 0 or glob[at - 1] == "/"):
        if glob[end : end + 1] == "/":
            return "(?:.*/)?", end + 1
        if end == len(glob):
            return ".+", end
    return one + "*", end


def _character_class(glob: str, at: int, crossing: bool) -> tuple[str, int]:
    """The expression for ``[...]`` and where it ends."""
    start = at + 1
    negated = glob[start : start + 1] in ("!", "^")
    start += negated
    end = glob.find("]", start + 1)  # a bracket right at the start is a member
    if end < 0:
        raise ValueError("a `[` is never closed")
    members = re.sub(r"([\\\[\]^&~|])", r"\\\1", glob[start:end])
    barrier = "" if crossing else "(?!/)"
    return f"{barrier}[{'^' if negated else ''}{members}]", end + 1


# -- exclude patterns ------------------------------------------------------------------------------------------


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
            or (self.name_globs is not None and self.name_globs.fullmatch(name) is not None)
            or (self.path_globs is not None and self.path_globs.fullmatch(absolute) is not None)
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


@lru_cache(maxsize=64)
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
                name_globs.append(to_regex(pattern, crossing=True))
            path_globs.append(_absolute(pattern, anchor))
            re.compile(path_globs[-1])
        except (ValueError, re.error) as error:
            raise ConfigError(f"{where}: exclude pattern `{pattern}` is not valid: {error}") from error
    return Exclusion(anchor, frozenset(names), _any_of(name_globs), _any_of(path_globs))


def _absolute(pattern: str, anchor: str) -> str:
    """The expression for a path pattern that starts from the anchor, unless it is absolute already."""
    if pattern.startswith("/") or re.match(r"[A-Za-z]:/", pattern):
        return to_regex(normpath(pattern), crossing=True)
    above, rest = anchor, normpath(pattern)
    while rest.startswith("../"):
        above, rest = above.rpartition("/")[0], rest[3:]
    return re.escape(above.rstrip("/") + "/") + to_regex(rest, crossing=True)


def _any_of(expressions: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(f"(?:{one})" for one in expressions), re.DOTALL) if expressions else None


# -- ignore files ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring lines of an ignore file that all ignore, or all bring back (``negated``).

    Each pair is (for files, for folders): a pattern that ends in a slash is only in the second.
    """

    negated: bool
    names: tuple[frozenset[str], frozenset[str]]
    name_globs: tuple[re.Pattern[str] | None, re.Pattern[str] | None]
    path_globs: tuple[re.Pattern[str] | None, re.Pattern[str] | None]


@dataclass(frozen=True, slots=True)
class IgnoreFile:
    """One ignore file: the folder its patterns start from, and its lines, the last ones first."""

    folder: str
    runs: tuple[_Run, ...]

    def verdict(self, absolute: str, name: str, is_folder: bool) -> bool | None:
        """True: ignored; False: brought back; None: no line speaks of it. The last line that matches counts."""
        relative = absolute[len(self.folder.rstrip("/")) + 1 :]
        for run in self.runs:
            by_name, by_path = run.name_globs[is_folder], run.path_globs[is_folder]
            if (
                name in run.names[is_folder]
                or (by_name is not None and by_name.fullmatch(name))
                or (by_path is not None and by_path.fullmatch(relative))
            ):
                return not run.negated
        return None


@dataclass(frozen=True, slots=True)
class _Line:
    negated: bool
    folders_only: bool
    literal: str
    name_glob: str
    path_glob: str


def ignore_file(folder: str, text: str) -> IgnoreFile:
    """The meaning of an ignore file that lies in ``folder`` (``.git/info/exclude``: the repository's root)."""
    lines = [line for raw in text.split("\n") if (line := _line(raw.rstrip("\r"))) is not None]
    runs = [_run(negated, tuple(group)) for negated, group in groupby(lines, key=lambda line: line.negated)]
    return IgnoreFile(folder, tuple(reversed(runs)))


def _line(line: str) -> _Line | None:
    """One line; None for a blank one, a comment, and a pattern that git cannot read either."""
    if line.startswith("#"):
        return None
    while line.endswith((" ", "\t")) and not line.endswith(("\\ ", "\\\t")):
        line = line[:-1]
    negated = line.startswith("!")
    line = line[negated:]
    folders_only = line.endswith("/")
    line = line[:-1] if folders_only else line
    if not line:
        return None
    if "/" not in line and not _GLOB.search(line):
        return _Line(negated, folders_only, line, "", "")
    try:
        expression = to_regex(line.removeprefix("/"), crossing=False)
        re.compile(expression)
    except (ValueError, re.error):
        return None
    if "/" in line:
        return _Line(negated, folders_only, "", "", expression)
    return _Line(negated, folders_only, "", expression, "")


def _run(negated: bool, lines: tuple[_Line, ...]) -> _Run:
    general = [line for line in lines if not line.folders_only]
    return _Run(
        negated,
        (_literals(general), _literals(lines)),
        (
            _any_of([one.name_glob for one in general if one.name_glob]),
            _any_of([one.name_glob for one in lines if one.name_glob]),
        ),
        (
            _any_of([one.path_glob for one in general if one.path_glob]),
            _any_of([one.path_glob for one in lines if one.path_glob]),
        ),
    )


def _literals(lines: Iterable[_Line]) -> frozenset[str]:
    return frozenset(line.literal for line in lines if line.literal)


@dataclass(frozen=True, slots=True)
class Ignores:
    """The ignore files that speak of a folder's entries, the nearest first; ``.ignore`` before ``.gitignore``."""

    own: tuple[IgnoreFile, ...] = ()
    git: tuple[IgnoreFile, ...] = ()

    def hits(self, absolute: str, name: str, is_folder: bool) -> bool:
        """Is this entry ignored (its folders were asked before)?"""
        for file in self.own + self.git:
            verdict = file.verdict(absolute, name, is_folder)
            if verdict is not None:
                return verdict
        return False
