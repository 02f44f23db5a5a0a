"""The projects that checked files belong to: found, listed and read only when a rule asks.

May not: decide what a project is (reading/config.py does) or what its files say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from mllint.analysis.index import FileIndex, SyntaxFault, build_index, parse
from mllint.analysis.project import Project
from mllint.analysis.syntax import Syntax
from mllint.analysis.triggers import Gate
from mllint.analysis.words import Words, is_private_word, private_words, words_of
from mllint.checking.cache import Stamp, project_digest
from mllint.checking.facts import UNKNOWN, Facts, index_of, save_facts
from mllint.reading.config import Finder
from mllint.reading.files import ProjectListing, Target, Unreadable, list_project, read, stamp
from mllint.reading.source import DecodeFailure, Kind, Source, read_source
from mllint.rule import Triggers
from mllint.settings import Settings

#: Texts that are larger are data, not something that names a function.
_LARGEST_TEXT = 1_000_000

#: Trees kept at a time: one of a large file takes some megabytes.
_MOST_TREES = 100


@dataclass(frozen=True)
class Projects:
    """The projects that the targets belong to (if one ``exists``), and a digest of each: found and read when asked.

    ``beside`` are the files that rules have read so far though they are no Python of the project; ``save`` keeps
    what is known for the next run. ``learn`` takes words and index of a file from its first look.
    """

    exists: Callable[[Target], bool]
    of: Callable[[Target], Project | None]
    digest: Callable[[Target], str]
    beside: Callable[[Target], tuple[str, ...]] = lambda target: ()
    learn: Callable[[Target, Stamp | None, Words, FileIndex], None] = lambda target, then, words, index: None
    save: Callable[[], None] = lambda: None


def open_projects(settings: Settings, finder: Finder, facts_of: Callable[[str], str] = lambda root: "") -> Projects:
    """The projects of the files under these settings. ``facts_of`` a root is the file that keeps what is known."""

    def root_of(target: Target) -> str:
        return finder.project_root(target.absolute, target.settings)

    listings: dict[str, ProjectListing] = {}

    def listing(root: str) -> ProjectListing:
        if root not in listings:
            listings[root] = list_project(root, finder.settings(root), finder)
        return listings[root]

    def list_files(target: Target, root: str) -> tuple[str, ...]:
        return listing(root).python

    def list_texts(root: str) -> tuple[str, ...]:
        return listing(root).texts

    store = ProjectStore(root_of, list_files, settings.max_file_size, list_texts, facts_of)
    return Projects(lambda target: bool(root_of(target)), store.of, store.digest, store.beside, store.learn, store.save)


@dataclass
class ProjectStore:
    """One `Project` a root. ``root_of`` and ``list_files`` say what a project is; "" stands for none."""

    root_of: Callable[[Target], str]
    list_files: Callable[[Target, str], Iterable[str]]
    max_file_size: int
    list_texts: Callable[[str], Iterable[str]] = lambda root: ()
    facts_of: Callable[[str], str] = lambda root: ""
    _known: dict[str, _Opened] = field(default_factory=dict)
    _digests: dict[str, str] = field(default_factory=dict)

    def of(self, target: Target) -> Project | None:
        """The project a file belongs to; None without a configuration root."""
        opened = self._opened(target)
        return opened.project if opened else None

    def digest(self, target: Target) -> str:
        """Changes whenever a file of the target's project does; "-" without one."""
        opened = self._opened(target)
        if opened is None:
            return "-"
        if opened.root not in self._digests:
            paths = {*opened.files, *opened.texts}
            self._digests[opened.root] = project_digest({path: opened.now(path) for path in paths})
        return self._digests[opened.root]

    def beside(self, target: Target) -> tuple[str, ...]:
        """What has been asked for of the target's project that the digest does not cover, missing files too."""
        opened = self._known.get(self.root_of(target))
        return tuple(sorted(opened.beside)) if opened else ()

    def learn(self, target: Target, then: Stamp | None, words: Words, index: FileIndex) -> None:
        """Take the words and the index of a file of a project from the first look at it, which has read it anyway.

        ``then``: what the file looked like before it was read; one that has changed since is read again.
        """
        opened = self._opened(target)
        if opened is not None and target.absolute in opened.files and opened.now(target.absolute) == then:
            opened.learn(target.absolute, words)
            opened.learn_index(target.absolute, index)

    def save(self) -> None:
        """Keep what was learnt about the files of all projects."""
        for opened in self._known.values():
            save_facts(opened.facts, opened.files)

    def _opened(self, target: Target) -> _Opened | None:
        root = self.root_of(target)
        if root and root not in self._known:
            files = frozenset(self.list_files(target, root))
            facts = Facts(self.facts_of(root))
            self._known[root] = _Opened(root, files, tuple(self.list_texts(root)), self.max_file_size, facts)
        return self._known.get(root)


@dataclass
class _Opened:
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
    _passing: dict[str, tuple[str, ...]] = field(default_factory=dict)
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
            plain = self.facts.get(path, self.now(path), "index")
            if plain is not UNKNOWN:
                try:
                    self._indexes[path] = index_of(path, plain)
                except (TypeError, ValueError):
                    plain = UNKNOWN  # not what this version writes
            if plain is UNKNOWN:
                syntax = self._parse(path)
                index = self._indexes[path] = None if syntax is None else build_index(syntax, path)
                self.facts.later(path, self.now(path), "index", index)
        return self._indexes[path]

    def load_bytes(self, path: str) -> bytes | None:
        if not path.startswith(self.root.rstrip("/") + "/"):
            return None
        if path not in self.files:
            self.beside.add(path)
        source = self._source(path, "kernel")
        return source.data if source is not None else None

    def load_words(self, path: str) -> Words:
        known = self.facts.get(path, self.now(path), "words")
        if known is UNKNOWN or not (isinstance(known, list) and len(known) == 4):
            index = self.load_index(path)
            source = self._source(path, "python") if index is not None else None
            words = words_of(source.data, index) if source is not None and index is not None else Words()
            self.learn(path, words)
            return words
        return Words(*(frozenset(words) for words in known))

    def learn_index(self, path: str, index: FileIndex) -> None:
        """Remember the index of a file that somebody has read anyway."""
        self._indexes[path] = index
        self.facts.later(path, self.now(path), "index", index)

    def learn(self, path: str, words: Words) -> None:
        """Remember the words of a file that somebody has read anyway."""
        plain = [sorted(part) for part in (words.private, words.imported, words.written, words.composed)]
        self.facts.put(path, self.now(path), "words", plain)

    def containing(self, triggers: Triggers) -> tuple[str, ...]:
        key = f"has {triggers}"
        if key not in self._passing:
            gate = Gate([triggers])
            self._passing[key] = tuple(self._scan(key, lambda data: bool(gate.passing(data))))
        return self._passing[key]

    def matching(self, pattern: str) -> tuple[str, ...]:
        key = f"matches {pattern}"
        if key not in self._passing:
            search = re.compile(pattern.encode()).search
            self._passing[key] = tuple(self._scan(key, lambda data: search(data) is not None))
        return self._passing[key]

    def _scan(self, key: str, passes: Callable[[bytes], bool]) -> Iterator[str]:
        """The files whose text passes; what is known from an earlier run is not read again."""
        for path in sorted(self.files):
            known = self.facts.get(path, self.now(path), key)
            if known not in (0, 1):
                source = self._source(path, "python")
                known = int(source is not None and passes(source.data))
                self.facts.put(path, self.now(path), key, known)
            if known:
                yield path

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
