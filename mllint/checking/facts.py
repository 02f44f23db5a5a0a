"""What is known about the files of a project from earlier runs, kept as JSON: indexes, words, passed gates.

May not: be trusted over a changed file, or hold anything that could run code. A broken file is a cold start.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from mllint.analysis.index import Definition, FileIndex
from mllint.analysis.words import Words
from mllint.analysis.writes import Binding, Write
from mllint.checking.cache import Stamp, write_cache

#: More answers than these are not kept for a file: names that somebody once asked about.
_MOST_ANSWERS = 64

#: No answer is known.
UNKNOWN = object()

Row = dict[str, Any]


@dataclass
class Facts:
    """Rows by absolute path: ``at`` is the file's stamp, each other key a fact. ``path`` "" keeps nothing.

    ``rows``, those of earlier runs, are read when the first fact is asked for: a run that only recalls results asks none.
    """

    path: str = ""
    rows: dict[str, Row] | None = None
    fresh: dict[str, Row] = field(default_factory=dict)
    changed: bool = False

    def get(self, path: str, now: Stamp | None, key: str) -> Any:
        """A fact about a file as it is now, `UNKNOWN` where there is none."""
        return self._row(path, now).get(key, UNKNOWN)

    def put(self, path: str, now: Stamp | None, key: str, value: Any) -> None:
        """Remember a plain value."""
        self._row(path, now)[key] = value
        self.changed = True

    def later(self, path: str, now: Stamp | None, key: str, value: FileIndex | str | Words | None) -> None:
        """Remember an index or words, made plain only if the facts are written; where nothing is kept it is not held
        twice."""
        if self.path:
            self.put(path, now, key, value)

    def _row(self, path: str, now: Stamp | None) -> Row:
        row = self.fresh.get(path)
        if row is None:
            if self.rows is None:
                self.rows = _read(self.path)
            row = self.rows.get(path, {})
            if not isinstance(row, dict) or now is None or row.get("at") != list(now):
                row = {"at": None if now is None else list(now)}
            self.fresh[path] = row
        return row


def _read(path: str) -> dict[str, Row]:
    """The rows in a file; none when there is no such file, or it cannot be read."""
    if not path:
        return {}
    try:
        plain = json.loads(Path(path).read_bytes())
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}


def save_facts(facts: Facts, files: frozenset[str]) -> None:
    """Write the facts if there are new ones; those of files that are gone are dropped."""
    if not facts.path or not facts.changed:
        return
    rows = {path: _trimmed(row) for path, row in {**(facts.rows or {}), **facts.fresh}.items() if path in files}
    write_cache(facts.path, json.dumps(rows, separators=(",", ":")))
    facts.changed = False


def _trimmed(row: Row) -> Row:
    if not isinstance(row.get("index", ""), str):
        row = {**row, "index": packed_index(row["index"])}
    if isinstance(words := row.get("words"), Words):
        plain = [sorted(part) for part in (words.private, words.imported, words.written, words.composed)]
        row = {**row, "words": plain}
    return row if len(row) <= _MOST_ANSWERS else {**dict(list(row.items())[-_MOST_ANSWERS:]), "at": row["at"]}


# -- an index as plain data -------------------------------------------------------------------------------------

Item = TypeVar("Item", Definition, Binding, Write)

_FIELDS = {kind: tuple(kind.__dataclass_fields__) for kind in (Definition, Binding, Write)}


def plain_index(index: FileIndex | None) -> list[Any] | None:
    """An index as lists, strings and numbers."""
    if index is None:
        return None
    parts = (index.definitions, index.bindings, index.writes)
    return [dict(index.aliases), list(index.imports), *([_plain(item) for item in part] for part in parts)]


def _plain(item: Definition | Binding | Write) -> tuple[Any, ...]:
    found: tuple[Any, ...] = attrgetter(*_FIELDS[type(item)])(item)
    return found


def packed_index(index: FileIndex | None) -> str:
    """An index as text: small to send and to keep, and read again only where somebody asks for it."""
    return json.dumps(plain_index(index), separators=(",", ":"))


def index_of(path: str, packed: str) -> FileIndex | None:
    """The index that `packed_index` was made of. Raises ValueError or TypeError where it was made of none."""
    plain: Sequence[Any] | None = json.loads(packed)
    if plain is None:
        return None
    names, imports, definitions, bound, written = plain
    if not isinstance(names, Mapping):
        raise TypeError("aliases are no table")
    return FileIndex(
        path,
        dict(names),
        tuple(_item(Definition, row) for row in definitions),
        tuple(imports),
        tuple(_item(Binding, row) for row in bound),
        tuple(_item(Write, row) for row in written),
    )


def _item(kind: type[Item], row: Sequence[Any]) -> Item:
    """One dataclass of strings, numbers and tuples of strings."""
    make: Callable[..., Item] = kind
    return make(*(tuple(value) if isinstance(value, list) else value for value in row))
