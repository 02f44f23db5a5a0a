"""The projects that checked files belong to: found, listed and read only when a rule asks.

May not: decide what a project is (reading/config.py does) or what its files say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from mllint.analysis.index import FileIndex, SyntaxFault, build_index, parse
from mllint.analysis.project import Project
from mllint.analysis.triggers import Gate
from mllint.checking.cache import project_digest
from mllint.reading.config import Finder
from mllint.reading.files import Target, Unreadable, project_files, read, stamp
from mllint.reading.source import DecodeFailure, Source, read_source
from mllint.rule import Triggers
from mllint.settings import Settings


@dataclass(frozen=True)
class Projects:
    """The projects that the targets belong to, and a digest of each: found and read only when asked.

    ``beside`` are the files that rules have read so far though they are no Python of the project.
    """

    of: Callable[[Target], Project | None]
    digest: Callable[[Target], str]
    beside: Callable[[Target], tuple[str, ...]] = lambda target: ()


def open_projects(settings: Settings, finder: Finder) -> Projects:
    """The projects of the files under these settings."""

    def root_of(target: Target) -> str:
        return finder.project_root(target.absolute, target.settings)

    def list_files(target: Target, root: str) -> list[str]:
        return project_files(root, finder.settings(root), finder)

    store = ProjectStore(root_of, list_files, settings.max_file_size)
    return Projects(store.of, store.digest, store.beside)


@dataclass
class ProjectStore:
    """One `Project` a root. ``root_of`` and ``list_files`` say what a project is; "" stands for none."""

    root_of: Callable[[Target], str]
    list_files: Callable[[Target, str], Iterable[str]]
    max_file_size: int
    _known: dict[str, Project] = field(default_factory=dict)
    _digests: dict[str, str] = field(default_factory=dict)
    _beside: dict[str, set[str]] = field(default_factory=dict)

    def of(self, target: Target) -> Project | None:
        """The project a file belongs to; None without a configuration root."""
        root = self.root_of(target)
        if not root:
            return None
        if root not in self._known:
            self._known[root] = self._open(root, frozenset(self.list_files(target, root)))
        return self._known[root]

    def digest(self, target: Target) -> str:
        """Changes whenever a file of the target's project does; "-" without one."""
        project = self.of(target)
        if project is None:
            return "-"
        if project.root not in self._digests:
            self._digests[project.root] = project_digest({path: stamp(path) for path in project.files})
        return self._digests[project.root]

    def beside(self, target: Target) -> tuple[str, ...]:
        """What has been asked for of the target's project that the digest does not cover, missing files too."""
        return tuple(sorted(self._beside.get(self.root_of(target), ())))

    def _open(self, root: str, files: frozenset[str]) -> Project:
        indexes: dict[str, FileIndex | None] = {}
        passing: dict[Triggers, tuple[str, ...]] = {}

        def source(path: str) -> Source | None:
            try:
                return read_source(path, "python", read(path, self.max_file_size))
            except (Unreadable, DecodeFailure):
                return None  # reported where the file itself is checked

        def load_index(path: str) -> FileIndex | None:
            if path not in indexes:
                indexes[path] = _index(source(path), path)
            return indexes[path]

        def load_bytes(path: str) -> bytes | None:
            if not path.startswith(root.rstrip("/") + "/"):
                return None
            if path not in files:
                self._beside.setdefault(root, set()).add(path)
            try:
                return read_source(path, "kernel", read(path, self.max_file_size)).data
            except (Unreadable, DecodeFailure):
                return None

        def containing(triggers: Triggers) -> tuple[str, ...]:
            if triggers not in passing:
                gate = Gate([triggers])
                passing[triggers] = tuple(
                    path for path in sorted(files) if (text := source(path)) is not None and gate.passing(text.data)
                )
            return passing[triggers]

        return Project(root, files, load_index, load_bytes, containing)


def _index(source: Source | None, path: str) -> FileIndex | None:
    """The index of a file; None where it cannot be read or is no Python."""
    tree = parse(source) if source is not None else None
    if source is None or tree is None or isinstance(tree, SyntaxFault):
        return None
    return build_index(tree, path, source.data)
