"""The flows of the files of a project, read where they are needed, and what a callee's name means there.

May not: follow a gradient (`routes` does).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mllint.analysis.gradients.flow import FLOWS, UNREAD, Flow
from mllint.analysis.gradients.sources import does_not_enter, source_phrases

if TYPE_CHECKING:
    from mllint.analysis.index import FileIndex
    from mllint.analysis.project import Project

#: How many aliases and re-exports a name is followed through.
_HOPS = 8


@dataclass
class Files:
    """Files by path; ``done`` are those that were read for this."""

    project: Project | None
    indexes: dict[str, FileIndex]
    done: set[str] = field(default_factory=set)
    flows: dict[str, dict[str, Flow]] = field(default_factory=dict)

    def of(self, path: str) -> dict[str, Flow]:
        """The flows of one file by qualified name."""
        known = self.flows.get(path)
        if known is None:
            known = self.flows[path] = {flow.qualname: flow for flow in self.entering(path)}
        return known

    def index(self, path: str) -> FileIndex | None:
        if path not in self.indexes and self.project is not None:
            found = self.project.index(path)
            if found is not None:
                self.indexes[path] = found
        return self.indexes.get(path)

    def read(self, path: str) -> bool:
        """Read all flows of a file of which the index holds none; False where that was done or cannot be."""
        if self.project is None or path in self.done:
            return False
        self.done.add(path)
        if not any(flow.unread for flow in self.of(path).values()):
            return False
        index, syntax = self.index(path), self.project.syntax(path)
        if index is None or syntax is None:
            return False
        from mllint.analysis.gradients.flows import read_flows

        self.flows[path] = {flow.qualname: flow for flow in read_flows(syntax.module, index.aliases)}
        return True

    def entering(self, path: str) -> tuple[Flow, ...]:
        """The flows of a file of the project, unread ones if no gradient enters there."""
        data = self.project.load_bytes(path) if self.project is not None and path in self.project.files else None
        if self.project is None or data is None:
            return ()
        if not source_phrases(data):
            return UNREAD
        known = self.project.left(FLOWS, path)
        if isinstance(known, tuple):
            return known
        index = self.index(path)
        if index is None or does_not_enter(data, index):
            return () if index is None else UNREAD
        from mllint.analysis.gradients.flows import flows

        syntax = self.project.syntax(path)
        return flows(syntax.module, index.aliases, data) if syntax else ()

    def resolve(self, callee: str, path: str, called: bool = False) -> tuple[str, Flow, int] | None:
        """The file and flow of a callee, and how many of its parameters ``apply`` fills; None where unknown."""
        bare = callee.removesuffix("()")
        found = self.named(bare[1:], path) if bare[0:1] == "@" else self.dotted(bare, path)
        if found is None or not called:
            return found
        there, flow, _ = found
        inner = flow.returned[1:] if flow.returned[:1] == "@" else ""
        return self.named(inner, there) if inner else None

    def named(self, qualname: str, path: str) -> tuple[str, Flow, int] | None:
        """A function of one file, also through the file's own aliases (``mask = Mask.apply``)."""
        flows = self.of(path)
        flow = flows.get(qualname)
        if flow is None and (found := self.applied(qualname, flows)):
            return path, found, 1
        if flow is None and "$" in qualname:
            name, _, kernel = qualname.partition("$")
            alias = flows.get(name)
            if alias is not None and alias.stands_for[:1] == "$":
                flow = flows.get(f"{alias.stands_for[1:]}${kernel.partition('<')[0]}")
        if flow is not None and flow.stands_for:
            return self.resolve(flow.stands_for, path) if flow.stands_for != qualname else None
        return (path, flow, 0) if flow else None

    @staticmethod
    def applied(qualname: str, flows: dict[str, Flow]) -> Flow | None:
        if not qualname.endswith(".apply"):
            return None
        return flows.get(qualname.removesuffix("apply") + "forward")

    def dotted(self, name: str, path: str) -> tuple[str, Flow, int] | None:
        """A callee by its dotted name, in this file or through imports and re-exports."""
        for _ in range(_HOPS):
            here = self.named(name, path)
            if here is not None:
                return here
            split = self.split(name, path)
            if split is None:
                return None
            there, rest = split
            found = self.named(rest, there)
            index = self.index(there)
            if found is None and index is not None and index.dotted(rest) == rest and self.read(there):
                found = self.named(rest, there)
            if found is not None or index is None:
                return found
            resolved = index.dotted(rest)
            if resolved == rest:
                star = index.aliases.get("*", "")
                if not star:
                    return None
                resolved = star[:-1] + rest
            name, path = resolved, there
        return None

    def split(self, name: str, path: str) -> tuple[str, str] | None:
        """`Project.split` for a callee's name, which may end in ``$`` and a kernel's name."""
        if self.project is None:
            return None
        plain, dollar, kernel = name.partition("$")
        found = self.project.split(plain, path)
        return (found[0], found[1] + dollar + kernel) if found else None

    def constant(self, name: str, path: str) -> bool:
        """Is an imported name a large negative constant of its module?"""
        for _ in range(_HOPS):
            split = self.split(name, path)
            if split is None:
                return False
            there, rest = split
            self.read(there)
            top = self.of(there).get("")
            if top is not None and rest in top.negatives:
                return True
            index = self.index(there)
            resolved = index.dotted(rest) if index else rest
            if resolved == rest:
                return False
            name, path = resolved, there
        return False
