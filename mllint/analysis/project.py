"""Questions over all files of a project.

May not: open files (it is given loaders), report, or know which rule asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from posixpath import dirname, join, normpath
from typing import NoReturn

from mllint.analysis.index import Definition, FileIndex, SyntaxFault, build_index, parse
from mllint.analysis.syntax import Syntax
from mllint.analysis.words import Words, is_private_word, is_test, words_of
from mllint.analysis.writes import Write
from mllint.reading.source import Source
from mllint.record import dataclass
from mllint.rule import Triggers

#: How many re-exports and aliases a name is followed through.
_HOPS = 8


class ProjectNeeded(Exception):
    """A rule asked the project in the first look at a file, where there is none yet."""


class Unasked:
    """Stands for the project in the first look: the first question ends the look, and the rule is asked again
    when the project is there. So rules that ask last cost nothing in the files where they never come to ask."""

    def __getattr__(self, name: str) -> NoReturn:
        raise ProjectNeeded(name)


@dataclass(frozen=True, slots=True)
class Found:
    """Where a name is really defined: a file, and a module-level name in it (or ``Class.method``)."""

    path: str
    name: str


@dataclass
class Project:
    """All Python files under the configuration root, read only when somebody asks.

    Paths are absolute, with forward slashes. ``load_syntax`` and ``load_index`` give the tree and the index of one
    file (None: unreadable or no valid Python), ``load_bytes`` the normalised bytes of any file of the project (None:
    cannot be read), ``containing`` the project's Python files that pass a set of triggers, ``matching`` those
    whose bytes a regular expression matches, ``load_words`` the private and the imported words of one file (see
    words.py), ``texts_with`` whether another text file has a word.
    """

    root: str
    files: frozenset[str]
    load_index: Callable[[str], FileIndex | None]
    load_bytes: Callable[[str], bytes | None]
    containing: Callable[[Triggers], Iterable[str]]
    load_syntax: Callable[[str], Syntax | None] = lambda path: None
    matching: Callable[[str], Iterable[str]] = lambda pattern: ()
    load_words: Callable[[str], Words] = lambda path: Words()
    texts_with: Callable[[str], bool] = lambda word: False
    memory: dict[str, object] = field(default_factory=dict)

    def index(self, path: str) -> FileIndex | None:
        """The index of one file of the project; None where there is none."""
        return self.load_index(path) if path in self.files else None

    def syntax(self, path: str) -> Syntax | None:
        """The tree of one file of the project; None where there is none."""
        return self.load_syntax(path) if path in self.files else None

    def with_text(self, path: str, source: Source) -> Project:
        """The same project, except that the file ``path`` reads like this (an editor's text, a fix being tried)."""
        own: list[Syntax | None] = []

        def tree() -> Syntax | None:
            if not own:
                parsed = parse(source)
                own.append(None if isinstance(parsed, SyntaxFault) else Syntax(parsed))
            return own[0]

        def load_syntax(asked: str) -> Syntax | None:
            return self.syntax(asked) if asked != path else tree()

        def load_index(asked: str) -> FileIndex | None:
            if asked != path:
                return self.index(asked)
            syntax = tree()
            return None if syntax is None else build_index(syntax, path)

        def load_words(asked: str) -> Words:
            index = load_index(asked) if asked == path else None
            return self.load_words(asked) if index is None else words_of(source.data, index)

        return replace(
            self,
            load_index=load_index,
            load_syntax=load_syntax,
            load_words=load_words,
            load_bytes=lambda asked: source.data if asked == path else self.load_bytes(asked),
            memory={},
        )

    # -- which file, which definition ---------------------------------------------------------------------------

    def module(self, dotted: str, importer: str) -> str | None:
        """The file that ``import dotted`` in ``importer`` means; leading dots are relative.

        A script finds modules beside itself and installed packages under some folder on the way up, so each
        folder from the importer's own up to the root is tried (and its ``src``).
        """
        level = len(dotted) - len(dotted.lstrip("."))
        tail = dotted[level:].replace(".", "/")
        folder = dirname(importer)
        if level:
            for _ in range(level - 1):
                folder = dirname(folder)
            return self._file(join(folder, tail) if tail else folder)
        while folder == self.root or folder.startswith(self.root.rstrip("/") + "/"):
            found = self._file(join(folder, tail)) or self._file(join(folder, "src", tail))
            if found:
                return found
            folder = dirname(folder)
        return None

    def split(self, dotted: str, importer: str) -> tuple[str, str] | None:
        """The longest leading part of a dotted name that is another file of the project, and the rest of the name."""
        parts = dotted.lstrip(".").split(".")
        dots = dotted[: len(dotted) - len(dotted.lstrip("."))]
        for length in range(len(parts) - 1, -1 if dots else 0, -1):
            found = self.module(dots + ".".join(parts[:length]), importer)
            if found is not None and found != importer:
                return found, ".".join(parts[length:])
        return None

    def resolve(self, dotted: str, importer: str) -> Found | None:
        """Where the thing behind a dotted name is defined, through imports, re-exports and star imports.

        ``dotted`` as ``ctx.name`` gives it in ``importer``. None where the project does not define it.
        """
        for _ in range(_HOPS):
            here = self._own(dotted, importer)
            if here is not None:
                return here
            split = self.split(dotted, importer)
            if split is None:
                return None
            there, rest = split
            index = self.index(there)
            if index is None:
                return None
            here = self._own(rest, there)
            if here is not None:
                return here
            resolved = index.dotted(rest)
            if resolved == rest:
                return self._starred(rest, there, index)
            dotted, importer = resolved, there
        return None

    def definition(self, found: Found) -> Definition | None:
        """The function or class at a place; the last one where a file defines it twice."""
        index = self.index(found.path)
        same = [each for each in index.definitions if each.qualname == found.name] if index else []
        return same[-1] if same else None

    def is_a(self, dotted: str, importer: str, roots: frozenset[str]) -> bool:
        """Is a class, by its dotted name in ``importer``, one of ``roots`` or derived from one, through the project?"""
        pending, seen = [(dotted, importer)], set[tuple[str, str]]()
        while pending:
            name, path = pending.pop()
            if name in roots:
                return True
            if (name, path) in seen:
                continue
            seen.add((name, path))
            found = self.resolve(name, path)
            definition = self.definition(found) if found else None
            index = self.index(found.path) if found else None
            if found and index and definition and definition.kind == "class":
                pending += [(index.dotted(base), found.path) for base in definition.bases if base]
        return False

    def _own(self, name: str, path: str) -> Found | None:
        """A definition or a module-level binding of one file."""
        index = self.index(path)
        if index is None:
            return None
        key = f"names of {path}"
        known = self.memory.get(key)
        if not isinstance(known, frozenset):
            known = frozenset(each.qualname for each in index.definitions) | frozenset(
                binding.name for binding in index.bindings if binding.name not in index.aliases
            )
            self.memory[key] = known
        return Found(path, name) if name in known else None

    def _starred(self, name: str, path: str, index: FileIndex) -> Found | None:
        for imported in index.imports:
            if imported.endswith("*"):
                there = self.module(imported.removesuffix("*").rstrip(".") or imported[:-1], path)
                found = self._own(name, there) if there and there != path else None
                if found is not None:
                    return found
        return None

    # -- who uses it --------------------------------------------------------------------------------------------

    def importers(self, path: str) -> tuple[str, ...]:
        """The files of the project that import a module, sorted; a package's ``__init__`` counts as imported
        where one of its modules is."""
        from mllint.analysis.importing import importers_of

        return tuple(importers_of(self, path))

    def importable(self, path: str) -> bool:
        """Is a module imported by another module of the project that is no test?"""
        key = f"importable {path}"
        known = self.memory.get(key)
        if not isinstance(known, bool):
            from mllint.analysis.importing import importers_of

            known = self.memory[key] = any(not self.is_test(importer) for importer in importers_of(self, path))
        return known

    def is_test(self, path: str) -> bool:
        """Is a file of the project a test, by where it lies and what it is called?"""
        return is_test(path[len(self.root) :])

    def writes(self, found: Found) -> tuple[Write, ...]:
        """Every assignment in the project into a module-level object, or to its name from outside its module."""
        key = f"writes {found.path} {found.name}"
        known = self.memory.get(key)
        if not isinstance(known, tuple):
            from mllint.analysis.written import writes_into

            known = self.memory[key] = tuple(writes_into(self, found))
        return known

    def mentioned(self, word: str) -> frozenset[str]:
        """The Python files whose text, strings and comments included, has a word on its own.

        Fast for words that begin with an underscore or end as leftovers do (see `private_words`).
        """
        if is_private_word(word):
            return frozenset(self._tables()[0].get(word, ()))
        return frozenset(self.matching(rf"\b{re.escape(word)}\b"))

    def _tables(self) -> tuple[dict[str, list[str]], ...]:
        """The files of each private word, of each word in imports, and of each word in targets of assignments."""
        if isinstance(known := self.memory.get("words"), tuple):
            return known
        tables: tuple[dict[str, list[str]], ...] = {}, {}, {}
        for path in sorted(self.files):
            words = self.load_words(path)
            for table, found in zip(tables, (words.private, words.imported, words.written), strict=True):
                for word in found:
                    table.setdefault(word, []).append(path)
        return self.memory.setdefault("words", tables)  # type: ignore[return-value]  # put there just now

    def left(self, key: str, path: str) -> object:
        """What an analysis left for the project when it first looked at a file; None where nothing is known."""
        return self.memory.get(f"left {key} {path}")

    def leave(self, path: str, things: Mapping[str, object]) -> None:
        """Keep what an analysis left in `Syntax.for_project`."""
        self.memory.update((f"left {key} {path}", thing) for key, thing in things.items())

    def prepare(self) -> None:
        """Read what nearly every question needs, before processes are forked that would each read it."""
        self._tables()

    def imported_in(self, word: str) -> frozenset[str]:
        """The files whose import statements have a word."""
        return frozenset(self._tables()[1].get(word, ()))

    def written_in(self, word: str) -> frozenset[str]:
        """The files that may assign into an object of this name."""
        return frozenset(self._tables()[2].get(word, ()))

    def mentioned_in_texts(self, word: str) -> bool:
        """Has a text of the project that is no Python (YAML, JSON, Markdown, a notebook…) this word?"""
        return self.texts_with(word)

    def _file(self, stem: str) -> str | None:
        stem = normpath(stem)
        for candidate in (f"{stem}.py", f"{stem}/__init__.py", f"{stem}.pyi"):
            if candidate in self.files:
                return candidate
        return None


__all__ = ["Found", "Project", "ProjectNeeded", "Unasked", "is_test"]
