"""What is known of the files of one project: trees, indexes, words, bytes, each read when somebody asks.

May not: say which files belong to the project, or trust what an earlier run knew of a file that has changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from mllint.analysis.index import FileIndex, SyntaxFault, build_index, parse
from mllint.analysis.project import Project
from mllint.analysis.syntax import Syntax
from mllint.analysis.triggers import Gate
from mllint.analysis.words import Words, is_private_word, private_words, words_of
from mllint.checking.cache import Stamp
from mllint.checking.facts import Facts, index_of
from mllint.reading.files import Unreadable, read, stamp
from mllint.reading.source import DecodeFailure, Kind, Source, read_source
from mllint.rule import Triggers

#: Texts that are larger are data, not something that names a function.
_LARGEST_TEXT = 1_000_000

_NONE: Mapping[str, bool] = {}

#: Trees kept at a time: one of a large file takes some megabytes.
_MOST_TREES = 100


@dataclass
class Opened:
    """The loaders of one project: from the facts of earlier runs where they still hold, else from the files."""

    root: str
    files: frozenset[str]
    texts: tuple[str, ...]
    max_file_size: int
    facts: Facts
    beside: set[str] = field(default_factory=set)
    _stamps: dict[str, Stamp | None] = field(default_factory=dict)
    _syntaxes: dict[str, Syntax | None] = field(default_factory=dict)
    _indexes: dict[str, FileIndex | None] = field(default_factory=dict)
    _gates: dict[Triggers, dict[str, bool]] = field(default_factory=dict)
    _packed: dict[str, str] = field(default_factory=dict)
    _words: dict[str, Words] = field(default_factory=dict)
    passing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unsaid: list[str] = field(default_factory=list)
    _text_words: frozenset[str] | None = None

    def __post_init__(self) -> None:
        self.project = Project(
            self.root,
            self.files,
            self.load_index,
            self.load_bytes,
            self.containing,
            self.load_syntax,
            self.matching,
            self.load_words,
            self.texts_with,
        )

    def now(self, path: str) -> Stamp | None:
        """What a file looks like, asked once a run."""
        if path not in self._stamps:
            self._stamps[path] = stamp(path)
        return self._stamps[path]

    def load_syntax(self, path: str) -> Syntax | None:
        """The tree of a file; None where it cannot be read or is no Python."""
        if path not in self._syntaxes:
            if len(self._syntaxes) >= _MOST_TREES:
                self._syntaxes.clear()
            self._syntaxes[path] = self._parse(path)
        return self._syntaxes[path]

    def load_index(self, path: str) -> FileIndex | None:
        if path not in self._indexes:
            try:
                self._indexes[path] = index_of(path, self._packed.pop(path, "") or self._kept(path))
            except (TypeError, ValueError):  # nothing is kept, or not what this version writes
                syntax = self._parse(path)
                index = self._indexes[path] = None if syntax is None else build_index(syntax, path)
                self.facts.later(path, self.now(path), "index", index)
        return self._indexes[path]

    def _kept(self, path: str) -> str:
        kept = self.facts.get(path, self.now(path), "index")
        return kept if isinstance(kept, str) else ""

    def load_bytes(self, path: str) -> bytes | None:
        if not path.startswith(self.root.rstrip("/") + "/"):
            return None
        if path not in self.files:
            self.beside.add(path)
        source = self._source(path, "kernel")
        return source.data if source is not None else None

    def load_words(self, path: str) -> Words:
        if path not in self._words:
            known = self.facts.get(path, self.now(path), "words")
            if isinstance(known, list) and len(known) == 4:
                self._words[path] = Words(*(frozenset(words) for words in known))
            else:
                index = self.load_index(path)
                source = self._source(path, "python") if index is not None else None
                self.learn(path, words_of(source.data, index) if source is not None and index is not None else Words())
        return self._words[path]

    def learn_index(self, path: str, index: FileIndex | str) -> None:
        """Remember the index of a file that somebody has read anyway."""
        if isinstance(index, str):
            self._packed[path] = index
        else:
            self._indexes[path] = index
        self.facts.later(path, self.now(path), "index", index)

    def learn_syntax(self, path: str, syntax: Syntax | None) -> None:
        """Keep the tree of a file that somebody has read anyway, while there are not too many."""
        if syntax is not None and len(self._syntaxes) < _MOST_TREES:
            self._syntaxes[path] = syntax

    def learn_gates(self, path: str, gates: Mapping[Triggers, bool]) -> None:
        """Remember which triggers a file passes: to ask `containing` would read every file once more."""
        for triggers, passes in gates.items():
            self._gates.setdefault(triggers, {})[path] = passes

    def learn(self, path: str, words: Words) -> None:
        """Remember the words of a file that somebody has read anyway."""
        self._words[path] = words
        self.facts.later(path, self.now(path), "words", words)

    def containing(self, triggers: Triggers) -> tuple[str, ...]:
        key = f"has {triggers}"
        if key not in self.passing:
            gate = Gate([triggers])
            self._scan(key, lambda data: bool(gate.passing(data)), self._gates.get(triggers, {}))
        return self.passing[key]

    def matching(self, pattern: str) -> tuple[str, ...]:
        key = f"matches {pattern}"
        if key not in self.passing:
            search = re.compile(pattern.encode()).search
            self._scan(key, lambda data: search(data) is not None)
        return self.passing[key]

    def _scan(self, key: str, passes: Callable[[bytes], bool], seen: Mapping[str, bool] = _NONE) -> None:
        """Look for the files whose text passes; what is known from an earlier run, or was seen, is not read again."""
        found: list[str] = []
        for path in sorted(self.files):
            known = self.facts.get(path, self.now(path), key)
            if known not in (0, 1):
                if path in seen:
                    known = int(seen[path])
                else:
                    source = self._source(path, "python")
                    known = int(source is not None and passes(source.data))
                self.facts.put(path, self.now(path), key, known)
            if known:
                found.append(path)
        self.passing[key] = tuple(found)
        self.unsaid.append(key)

    def adopt(self, key: str, passing: tuple[str, ...]) -> None:
        """Take an answer that `_scan` found in another process."""
        if key in self.passing:
            return
        self.passing[key] = passing
        found = frozenset(passing)
        for path in self.files:
            self.facts.put(path, self.now(path), key, int(path in found))

    def texts_with(self, word: str) -> bool:
        if not is_private_word(word):
            pattern = re.compile(rb"\b%s\b" % re.escape(word.encode()))
            return any(pattern.search(data) for data in self._texts())
        if self._text_words is None:
            self._text_words = frozenset().union(*(private_words(data) for data in self._texts()))
        return word in self._text_words

    def _texts(self) -> Iterator[bytes]:
        for path in self.texts:
            try:
                yield read(path, min(self.max_file_size, _LARGEST_TEXT))
            except Unreadable:
                continue  # too large, or gone: nothing that names a function

    def _parse(self, path: str) -> Syntax | None:
        source = self._source(path, "python")
        tree = parse(source) if source is not None else None
        return None if tree is None or isinstance(tree, SyntaxFault) else Syntax(tree)

    def _source(self, path: str, kind: Kind) -> Source | None:
        try:
            return read_source(path, kind, read(path, self.max_file_size))
        except (Unreadable, DecodeFailure):
            return None  # reported where the file itself is checked
