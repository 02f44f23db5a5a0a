"""The baselines of one run: each file is read once, asked about every report, and written again if that is wanted.

May not: print, or know what identifies a finding (baseline.py does).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mllint.checking.baseline import (
    BrokenBaseline,
    Entry,
    complete,
    read_entries,
    render,
    rewritten,
    without_known,
    without_known_fixes,
)
from mllint.checking.report import Report
from mllint.checking.ruleset import RuleSet
from mllint.reading.config import posix
from mllint.reading.content import reason_of
from mllint.settings import ConfigError, Settings

#: What ``--write-baseline`` writes where no baseline is named, beside the configuration or in the current folder.
DEFAULT_NAME = ".mllint-baseline.json"


@dataclass
class Baseline:
    """One baseline file (none: ""). With ``writing`` every finding goes into it, else those in it are left out of reports.

    ``named``: does a configuration or a flag name it? ``known`` counts the findings left out so far, ``stale`` the entries of checked files that nothing matches.
    """

    path: str = ""
    entries: frozenset[Entry] = frozenset()
    writing: bool = False
    named: bool = True
    known: int = 0
    stale: int = 0
    _now: dict[str, frozenset[Entry]] = field(default_factory=dict)

    @cached_property
    def folder(self) -> str:
        """Where the paths of entries start: the file's folder, without symbolic links."""
        return os.path.dirname(os.path.realpath(self.path))

    @cached_property
    def by_path(self) -> Mapping[str, frozenset[Entry]]:
        """The entries of each file."""
        found: dict[str, set[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.path, set()).add(entry)
        return {path: frozenset(entries) for path, entries in found.items()}

    def name_of(self, absolute: str) -> str:
        """A file's path as entries have it."""
        real = os.path.realpath(absolute)
        try:
            return posix(os.path.relpath(real, self.folder))
        except ValueError:  # another drive, on Windows
            return posix(real)

    def hold_fixes(self, absolute: str, report: Report) -> Report:
        """The report without the fixes of what is in the baseline."""
        return without_known_fixes(report, self.name_of(absolute), self.entries) if self.entries else report

    def leave_out(self, absolute: str, report: Report) -> Report:
        """The report without what is in the baseline."""
        return without_known(report, self.name_of(absolute), self.entries)[0] if self.entries else report

    def filter(self, absolute: str, report: Report, asked: Callable[[str], bool]) -> Report:
        """What is to be shown of a file's report; ``asked``: was a code looked for in this run?"""
        if not self.path:
            return report
        path = self.name_of(absolute)
        if self.writing:
            left, self._now[path] = rewritten(self.by_path.get(path, ()), report, path, asked)
            return left
        known = self.by_path.get(path, frozenset())
        if not known:
            return report
        left, matched = without_known(report, path, known)
        self.known += len(matched)
        if complete(report):
            self.stale += sum(asked(entry.code) for entry in known - matched)
        return left

    def write(self) -> tuple[int, int, int]:
        """Write the file; how many entries it has now, how many came and how many went. Raises ConfigError.

        Entries of files that were not checked stay, unless the file is gone.
        """
        others = {
            entry
            for entry in self.entries
            if entry.path not in self._now and os.path.lexists(os.path.join(self.folder, entry.path))
        }
        now = frozenset(others.union(*self._now.values()))
        _replace(self.path, render(now))
        return len(now), len(now - self.entries), len(self.entries - now)


@dataclass
class Baselines:
    """The baselines that the settings of a run name, by path."""

    writing: bool = False
    opened: dict[str, Baseline] = field(default_factory=dict)

    def open(self, named: str, folder: str) -> Baseline:
        """The baseline that settings name, or the one to be written in a folder where they name none.

        Raises ConfigError where there is no such file, unless it is being written."""
        path = named or (f"{folder.rstrip('/')}/{DEFAULT_NAME}" if self.writing else "")
        if not path:
            return Baseline()
        if path not in self.opened:
            self.opened[path] = Baseline(path, _read(path, self.writing), self.writing, bool(named))
        return self.opened[path]


def looked_for(rules: RuleSet, settings: Settings) -> Callable[[str], bool]:
    """Would a run of these rules have found a code? One that no rule has any more will never be found, unless it
    belongs to a pack that this run may not load."""
    return lambda code: code in rules.checking or (code not in rules.metas and not settings.withheld)


def _read(path: str, writing: bool) -> frozenset[Entry]:
    try:
        return read_entries(Path(path).read_bytes().decode("utf-8", "surrogateescape"))
    except FileNotFoundError as error:
        if writing:
            return frozenset()
        raise ConfigError(f"{path}: no such baseline; write it with `--write-baseline`") from error
    except OSError as error:
        raise ConfigError(f"{path}: the baseline cannot be read: {reason_of(error)}") from error
    except BrokenBaseline as error:
        advice = "restore it, or delete it and run with `--write-baseline`"
        raise ConfigError(f"{path}: not a baseline: {error}; {advice}") from error


def _replace(path: str, text: str) -> None:
    """The whole text or none of it; a symbolic link stays one."""
    target = os.path.realpath(path)
    partial = f"{target}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        Path(partial).write_bytes(text.encode("utf-8", "surrogateescape"))
        os.replace(partial, target)
    except OSError as error:
        Path(partial).unlink(missing_ok=True)
        raise ConfigError(f"{path}: the baseline cannot be written: {reason_of(error)}") from error
