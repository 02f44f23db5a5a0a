"""The projects that checked files belong to: found, listed and read only when a rule asks.

May not: decide what a project is (reading/config.py does) or what its files say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import TypeAlias

from mllint.analysis.index import FileIndex
from mllint.analysis.project import Project
from mllint.analysis.syntax import Syntax
from mllint.analysis.words import Words
from mllint.checking.cache import Stamp, project_digest
from mllint.checking.facts import Facts, save_facts
from mllint.checking.opened import Opened
from mllint.reading.config import Finder
from mllint.reading.files import ProjectListing, Target, list_project
from mllint.record import dataclass
from mllint.rule import Triggers
from mllint.settings import Settings

#: By project root and question: the files that answer it with yes.
Answers: TypeAlias = "dict[tuple[str, str], tuple[str, ...]]"


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a look at one file tells the project: its words, its index (packed or not), which triggers it passes, what
    analyses left for it, and its tree where that is kept."""

    words: Words
    index: FileIndex | str
    gates: Mapping[Triggers, bool]
    left: Mapping[str, object]
    syntax: Syntax | None = None


@dataclass(frozen=True)
class Projects:
    """The projects that the targets belong to (if one ``exists``), and a digest of each: found and read when asked.

    ``beside`` are the files that rules have read so far though they are no Python of the project; ``save`` keeps
    what is known for the next run. ``learn`` takes what the first look at a file found out.
    Before processes are forked `prepare` reads what all of them would; ``news`` in one of them is what
    it has found out since it last said so, and ``adopt`` takes it.
    """

    exists: Callable[[Target], bool]
    of: Callable[[Target], Project | None]
    digest: Callable[[Target], str]
    beside: Callable[[Target], tuple[str, ...]] = lambda target: ()
    learn: Callable[[Target, Stamp | None, Learnt], None] = lambda target, then, learnt: None
    save: Callable[[], None] = lambda: None
    prepare: Callable[[Iterable[Target]], None] = lambda targets: None
    news: Callable[[], Answers] = dict
    adopt: Callable[[Answers], None] = lambda answers: None


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
    return Projects(
        lambda target: bool(root_of(target)),
        store.of,
        store.digest,
        store.beside,
        store.learn,
        store.save,
        store.prepare,
        store.news,
        store.adopt,
    )


@dataclass
class ProjectStore:
    """One `Project` a root. ``root_of`` and ``list_files`` say what a project is; "" stands for none."""

    root_of: Callable[[Target], str]
    list_files: Callable[[Target, str], Iterable[str]]
    max_file_size: int
    list_texts: Callable[[str], Iterable[str]] = lambda root: ()
    facts_of: Callable[[str], str] = lambda root: ""
    _known: dict[str, Opened] = field(default_factory=dict)
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

    def learn(self, target: Target, then: Stamp | None, learnt: Learnt) -> None:
        """Take what the first look at a file of a project, which has read it anyway, has found out.

        ``then``: what the file looked like before it was read; one that has changed since is read again.
        """
        opened = self._opened(target)
        if opened is not None and target.absolute in opened.files and opened.now(target.absolute) == then:
            opened.learn(target.absolute, learnt.words)
            opened.learn_index(target.absolute, learnt.index)
            opened.learn_gates(target.absolute, learnt.gates)
            opened.learn_syntax(target.absolute, learnt.syntax)
            opened.project.leave(target.absolute, learnt.left)

    def save(self) -> None:
        """Keep what was learnt about the files of all projects."""
        for opened in self._known.values():
            save_facts(opened.facts, opened.files)

    def prepare(self, targets: Iterable[Target]) -> None:
        """Have in memory what most questions need, and what every file looks like now."""
        for target in targets:
            opened = self._opened(target)
            if opened is not None:
                self.digest(target)
                opened.project.prepare()
        self.news()

    def news(self) -> Answers:
        """Which files passed, for each question that was asked since the last call."""
        fresh: Answers = {}
        for root, opened in self._known.items():
            fresh.update({(root, key): opened.passing[key] for key in opened.unsaid})
            opened.unsaid.clear()
        return fresh

    def adopt(self, answers: Answers) -> None:
        """Take the news of another process, about files as they were before it was forked."""
        for (root, key), passing in answers.items():
            self._known[root].adopt(key, passing)

    def _opened(self, target: Target) -> Opened | None:
        root = self.root_of(target)
        if root and root not in self._known:
            files = frozenset(self.list_files(target, root))
            facts = Facts(self.facts_of(root))
            self._known[root] = Opened(root, files, tuple(self.list_texts(root)), self.max_file_size, facts)
        return self._known.get(root)
