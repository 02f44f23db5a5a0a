"""Rules made ready to run: which are on, what wakes them, who visits what.

May not: run a rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

from mllint.analysis.project import Project
from mllint.analysis.triggers import Gate
from mllint.checking.select import Selection
from mllint.diagnostic import Fix, Safety
from mllint.rule import (
    Meta,
    OptionValue,
    Rule,
    Triggers,
    reads_code,
    reads_commands,
    reads_kernels,
    reads_traces,
    summary,
    visited_nodes,
)


class RuleSet:
    """The rules of one selection, in code order. ``metas`` has all known rules, also those that are off."""

    def __init__(self, known: Sequence[Rule], selection: Selection) -> None:
        self.selection = selection
        self.metas: dict[str, Meta] = {rule.meta.code: rule.meta for rule in known}
        self.active = tuple(rule for rule in known if rule.meta.code in selection.codes)
        self.whys = {rule.meta.code: summary(rule) for rule in known}
        self.options: dict[str, dict[str, OptionValue]] = {code: dict(told) for code, told in selection.options}
        self._known = known
        self._variants: dict[frozenset[str], RuleSet] = {}
        self._scanning = tuple(rule for rule in self.active if self.reads(rule))

    @cached_property
    def checking(self) -> frozenset[str]:
        """Codes that only a static run can report: for these alone is a suppression without a finding an unused one. What
        a comment keeps quiet in the probe is not known here."""
        static = (rule.meta.code for rule in self._scanning if not reads_traces(rule))
        return frozenset(static) | (self.selection.codes & {"ML000", "ML001"})

    def at(self, absolute: str) -> RuleSet:
        """The rules for one file: without those that ``per-file-ignores`` switches off there.

        A suppression of such a rule in the file is an unused one, as in ruff: no run needs it.
        """
        chosen = self.selection
        off = chosen.off(absolute)
        if not off:
            return self
        if off not in self._variants:
            rest = replace(chosen, codes=chosen.codes - off, with_info=chosen.with_info - off, per_file=())
            self._variants[off] = variant = RuleSet(self._known, rest)
            variant.checking = self.checking
        return self._variants[off]

    def allowed(self, code: str, fix: Fix | None) -> Fix | None:
        """A fix as the settings have it: none for a rule that may not fix, and as safe as they say.

        A fix that is only shown stays so: nobody has vouched for applying it.
        """
        chosen = self.selection
        if fix is None or code in chosen.unfixable:
            return None
        if fix.safety is Safety.UNSAFE and code in chosen.safe:
            return replace(fix, safety=Safety.SAFE)
        if fix.safety is Safety.SAFE and code in chosen.unsafe:
            return replace(fix, safety=Safety.UNSAFE)
        return fix

    @cached_property
    def names(self) -> dict[str, str]:
        """Rule names and the codes they stand for."""
        return {meta.name: code for code, meta in self.metas.items()}

    @cached_property
    def _gate(self) -> Gate:
        """Own triggers of each rule first, then the project triggers of those that have any."""
        own = [rule.meta.triggers for rule in self._scanning]
        return Gate([*own, *(rule.meta.project_triggers for rule in self._reaching)])

    @cached_property
    def gates(self) -> dict[str, Triggers]:
        """By code what wakes the rules that ask about other files: they may ask which files it wakes them in."""
        return {
            rule.meta.code: rule.meta.triggers for rule in self._scanning if rule.meta.project and rule.meta.triggers
        }

    @cached_property
    def _reaching(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self._scanning if rule.meta.project_triggers)

    @cached_property
    def visitors(self) -> dict[str, tuple[str, ...]]:
        """For each code the LibCST node classes that its rule visits."""
        return {rule.meta.code: visited_nodes(rule) for rule in self.active}

    def woken(self, data: bytes) -> tuple[list[Rule], list[Rule]]:
        """The rules that these bytes wake, and those that other files of the project may bring to fire here."""
        passing = self._gate.passing(data)
        count = len(self._scanning)
        own = [self._scanning[position] for position in passing if position < count]
        others = [self._reaching[position - count] for position in passing if position >= count]
        return own, [rule for rule in others if rule not in own]

    def reached(self, codes: Iterable[str], project: Project | None, absolute: str) -> list[Rule]:
        """Those of the rules that other files of the project really bring to look at this one."""
        if project is None:
            return []
        return [rule for rule in self._reaching if rule.meta.code in codes and absolute in _reach(rule, project)]

    def meta(self, code: str) -> Meta | None:
        """A rule's meta when it is on, else None."""
        return self.metas[code] if code in self.selection.codes else None

    @staticmethod
    def reads(rule: Rule) -> bool:
        """Does the rule look at code at all? (ML000 to ML002 are reported by the engine, and what has only a runtime half
        by the probe.)"""
        return reads_code(rule)

    @staticmethod
    def reads_kind(rule: Rule, kind: str) -> bool:
        """Does the rule look at files of this kind?"""
        if kind in ("python", "notebook"):
            return True
        return reads_kernels(rule) if kind == "kernel" else reads_commands(rule)


def _reach(rule: Rule, project: Project) -> frozenset[str]:
    """`Rule.reached`, remembered by the project. A rule that crashes over it reaches every file, to be told there."""
    key = f"reached by {rule.meta.code}"
    known = project.memory.get(key)
    if not isinstance(known, frozenset):
        try:
            known = rule.reached(project)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # somebody's plug-in; `crash_of` hands the error on
            known = project.files
            project.memory[f"crash of {rule.meta.code}"] = error
        project.memory[key] = known
    return known


def crash_of(rule: Rule, project: Project) -> Exception | SystemExit | None:
    """What a rule raised when it was asked which files it reaches."""
    error = project.memory.get(f"crash of {rule.meta.code}")
    return error if isinstance(error, (Exception, SystemExit)) else None
