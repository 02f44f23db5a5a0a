"""Questions over all files of a project.

May not: open files (it is given a loader), report, or know which rule asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from posixpath import dirname, join, normpath

from mllint.analysis.index import FileIndex, SyntaxFault, build_index, parse
from mllint.reading.source import Source
from mllint.rule import Triggers


@dataclass
class Project:
    """All Python files under the configuration root, read only when somebody asks.

    Paths are absolute, with forward slashes. ``load_index`` gives the index of one file (None: unreadable or
    no valid Python), ``load_bytes`` the normalised bytes of any file of the project (None: cannot be read),
    ``containing`` the project's Python files that pass a set of triggers.
    """

    root: str
    files: frozenset[str]
    load_index: Callable[[str], FileIndex | None]
    load_bytes: Callable[[str], bytes | None]
    containing: Callable[[Triggers], Iterable[str]]
    memory: dict[str, object] = field(default_factory=dict)

    def index(self, path: str) -> FileIndex | None:
        """The index of one file of the project; None where there is none."""
        return self.load_index(path) if path in self.files else None

    def with_text(self, path: str, source: Source) -> Project:
        """The same project, except that the file ``path`` reads like this (an editor's text, a fix being tried)."""
        index, data = self.load_index, self.load_bytes
        own: list[FileIndex | None] = []

        def load_index(asked: str) -> FileIndex | None:
            if asked != path:
                return index(asked)
            if not own:
                tree = parse(source)
                own.append(None if isinstance(tree, SyntaxFault) else build_index(tree, path, source.data))
            return own[0]

        return replace(
            self,
            load_index=load_index,
            load_bytes=lambda asked: source.data if asked == path else data(asked),
            memory={},
        )

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

    def _file(self, stem: str) -> str | None:
        stem = normpath(stem)
        for candidate in (f"{stem}.py", f"{stem}/__init__.py", f"{stem}.pyi"):
            if candidate in self.files:
                return candidate
        return None
