"""What an earlier run found, kept as JSON: nothing in it can run code, and a broken file is only a cold start.

May not: decide what to check, or be trusted over a changed file.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

from mllint import __version__
from mllint.diagnostic import Diagnostic, Edit, Fix, Place, Related, Safety, Severity
from mllint.record import dataclass

#: The folder that caches are kept in, below the configuration root or the current folder.
CACHE_FOLDER = ".mllint_cache"

#: What a file looked like when it was checked, as reading/content.py has it: times and size.
Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """The result for one unchanged file. ``project`` is the digest it depends on, "" for none.

    ``asked``: a rule did ask the project; else only rules ``waiting`` for other files could change the result.
    ``beside``: files that are no part of the digest (a kernel's text) and that the result depends on.
    """

    stamp: Stamp
    project: str
    asked: bool
    waiting: tuple[str, ...]
    suppressed: int
    diagnostics: tuple[Diagnostic, ...]
    beside: tuple[tuple[str, Stamp | None], ...] = ()


@dataclass
class Cache:
    """Entries of one selection of rules, by absolute path. ``path`` is "" when nothing is to be kept."""

    path: str
    entries: dict[str, Entry] = field(default_factory=dict)
    changed: bool = False

    def put(self, absolute: str, entry: Entry) -> None:
        """Remember a file's result."""
        self.entries[absolute] = entry
        self.changed = True


def open_cache(folder: str, key: str) -> Cache:
    """The cache for ``key`` in ``folder``; empty when there is none yet, or it cannot be read."""
    if not folder:
        return Cache("")
    path = os.path.join(folder, f"{key}.json")
    try:
        plain = json.loads(Path(path).read_bytes())
        return Cache(path, {name: _entry(row) for name, row in plain["files"].items()})
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return Cache(path)


def save_cache(cache: Cache) -> None:
    """Write the cache if it changed. A cache that cannot be written costs time, not results."""
    if not cache.path or not cache.changed:
        return
    write_cache(cache.path, json.dumps({"files": {name: _plain(entry) for name, entry in cache.entries.items()}}))


def write_cache(path: str, text: str) -> None:
    """Put a text in a cache folder, whole or not at all; git is told to leave the folder alone."""
    folder = Path(path).parent
    partial = f"{path}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / ".gitignore").exists():
            (folder / ".gitignore").write_text("# Made by mllint.\n*\n")
        Path(partial).write_text(text)
        os.replace(partial, path)
    except OSError:
        with suppress(OSError):
            os.unlink(partial)


def cache_key(folders: Sequence[Path], circumstances: str) -> str:
    """Changes whenever mllint, Python, the rules' files or the circumstances do (the selection is one of them)."""
    from hashlib import sha256  # loads OpenSSL, which a run without a cache saves

    digest = sha256(f"{__version__} {sys.version_info[:3]} {circumstances}".encode("utf-8", "surrogateescape"))
    for folder in folders:
        for path, status in sorted(_python_files(str(folder))):
            digest.update(f"{path} {status.st_mtime_ns} {status.st_size};".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:20]


def _python_files(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every Python file below a folder; compiled ones, which are as many, are not listed (half of the time)."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                yield entry.path, entry.stat()
            elif entry.name != "__pycache__" and entry.is_dir(follow_symlinks=False):
                yield from _python_files(entry.path)


def project_digest(stamps: Mapping[str, Stamp | None]) -> str:
    """Changes whenever a file of the project does."""
    from hashlib import sha256

    digest = sha256()
    for path in sorted(stamps):
        digest.update(f"{path} {stamps[path]};".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _plain(entry: Entry) -> list[Any]:
    findings = [asdict(found) for found in entry.diagnostics]
    return [entry.stamp, entry.project, entry.asked, entry.waiting, entry.suppressed, findings, entry.beside]


def _entry(row: Sequence[Any]) -> Entry:
    stamp, project, asked, waiting, suppressed, findings, beside = row
    return Entry(
        _stamp(stamp),
        project,
        asked,
        tuple(waiting),
        suppressed,
        tuple(_diagnostic(plain) for plain in findings),
        tuple((path, None if then is None else _stamp(then)) for path, then in beside),
    )


def _stamp(row: Sequence[int]) -> Stamp:
    changed, size, moved = row
    return changed, size, moved


def _diagnostic(plain: Mapping[str, Any]) -> Diagnostic:
    fix = plain["fix"]
    return Diagnostic(
        **{
            **plain,
            "severity": Severity(plain["severity"]),
            "begin": Place(**plain["begin"]),
            "finish": Place(**plain["finish"]),
            "fix": fix and Fix(fix["title"], tuple(Edit(**edit) for edit in fix["edits"]), Safety(fix["safety"])),
            "related": tuple(
                Related(item["path"], Place(**item["place"]), item["message"]) for item in plain["related"]
            ),
        }
    )
