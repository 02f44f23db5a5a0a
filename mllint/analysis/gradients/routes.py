"""The way of each gradient through the functions and files of a project, to the fills it meets.

May not: read a function's body; it only joins the flows of files.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mllint.analysis.gradients.files import Files
from mllint.analysis.gradients.flow import (
    ALWAYS,
    Amount,
    Fill,
    Flow,
    GradientFill,
    Handover,
    Passed,
    Spot,
    Step,
    arguments_of,
    own_label,
)
from mllint.analysis.gradients.sources import SOURCE_PHRASES

if TYPE_CHECKING:
    from mllint.analysis.index import FileIndex
    from mllint.analysis.project import Project

#: Where a label stands: the file, and the label in it.
Place = tuple[str, str]

#: Where a large negative number is written: file and text; two empty ones where it is shared with others.
Number = tuple[str, Spot | None]
_SHARED: Number = ("", None)

_MEMORY = "gradient routes"


def gradient_fills(
    index: FileIndex, own: tuple[Flow, ...], absolute_path: str, project: Project | None
) -> tuple[GradientFill, ...]:
    """The large negative fills of one file on gradients, from this file or handed in by others of the project.

    ``own`` are the file's flows (`flows.flows`).
    """
    if not any(
        flow.unread or flow.fills or any(_fill_argument(handover) for handover in flow.handovers) for flow in own
    ):
        return ()
    routes = Routes(None, {absolute_path: index}, flows={absolute_path: {flow.qualname: flow for flow in own}})
    routes.follow([absolute_path])
    found = {_key(fill): fill for fill in routes.fills(absolute_path)}
    if project is not None and absolute_path in project.files:
        for fill in _whole(project).fills(absolute_path):
            found.setdefault(_key(fill), fill)
    return tuple(found[key] for key in sorted(found))


def files_with_gradients(project: Project) -> frozenset[str]:
    """The files of a project that a gradient enters or is handed to."""
    return frozenset(path for path, _ in _whole(project).came)


def _whole(project: Project) -> Routes:
    """All routes of a project, followed once."""
    known = project.memory.get(_MEMORY)
    if isinstance(known, Routes):
        return known
    routes = Routes(project, {})
    routes.follow(_source_files(project))
    project.memory[_MEMORY] = routes
    return routes


def _key(fill: GradientFill) -> tuple[Spot, str, int]:
    return fill.spot, fill.literal, fill.nth


def _fill_argument(handover: Handover) -> bool:
    passed = (*handover.positional, *(item for _, item in handover.keywords))
    return any(item.amount.negative or item.amount.through[:1] == "=" for item in passed)


def _source_files(project: Project) -> list[str]:
    return sorted(path for path in project.containing((SOURCE_PHRASES,)) if path.endswith(".py"))


@dataclass
class Routes(Files):
    """Which labels hold gradients, and how each came to. Without a project: of one file alone."""

    came: dict[Place, tuple[Place | None, Step]] = field(default_factory=dict)
    negative: dict[Place, list[Number]] = field(default_factory=dict)

    # --- following -----------------------------------------------------------------------------------------

    def follow(self, paths: list[str]) -> None:
        """Spread from every source of gradients in these files until nothing new is reached."""
        pending: deque[Place] = deque()
        for path in paths:
            for flow in self.of(path).values():
                for name in flow.gradients:
                    self.reach(
                        (path, own_label(flow.qualname, name)), None, Step(path, flow.line, flow.qualname), pending
                    )
                for handover in flow.handovers:
                    if any(origin[0] == ALWAYS for passed in handover.positional for origin in passed.origins):
                        self.hand(path, handover, None, pending)
        while pending:
            place = pending.popleft()
            path, label = place
            for flow in list(self.of(path).values()):
                for handover in flow.handovers:
                    if any(label in passed.origins for passed in self.all_passed(handover)):
                        self.hand(path, handover, place, pending)

    def reach(self, place: Place, before: Place | None, step: Step, pending: deque[Place]) -> None:
        if place not in self.came:
            self.came[place] = (before, step)
            pending.append(place)

    @staticmethod
    def all_passed(handover: Handover) -> tuple[Passed, ...]:
        return (*handover.positional, *(passed for _, passed in handover.keywords))

    def hand(self, path: str, handover: Handover, before: Place | None, pending: deque[Place]) -> None:
        """A call whose argument holds a gradient: the parameter it fills holds one too."""
        target = self.resolve(handover.callee, path, handover.callee.endswith("()"))
        if target is None:
            return
        there, flow, skip = target
        given = arguments_of(_expanded(handover, flow), flow.parameters, flow.method, skip)
        for name, passed in given.items():
            label = own_label(flow.qualname, name)
            gradient = any(origin[0] == ALWAYS or (path, origin) in self.came for origin in passed.origins)
            if any(origin == ALWAYS + ".grad" for origin in passed.origins):
                label += ".grad"
            if gradient and (before is None or before[1] in passed.origins):
                row = handover.spot.row
                self.reach((there, label), before, Step(path, row, flow.qualname), pending)
        self.hand_amounts(path, handover, given, there, flow, pending)

    def hand_amounts(
        self, path: str, handover: Handover, given: dict[str, Passed], there: str, flow: Flow, pending: deque[Place]
    ) -> None:
        """Which parameters hold a large negative number in a call that also passes a gradient."""
        for name in flow.parameters:
            place = (there, own_label(flow.qualname, name))
            passed = given.get(name)
            if passed is None:
                numbers: tuple[Number, ...] = (_SHARED,) if name in flow.negatives else ()
            else:
                numbers = self.numbers(path, passed.amount)
            known = self.negative.setdefault(place, []) if numbers else []
            fresh = [number for number in numbers if number not in known]
            known.extend(fresh)
            for other, item in given.items() if fresh else ():  # the fill may lie further on: go there again
                onward = (there, own_label(flow.qualname, other))
                if item.origins and onward in self.came:
                    pending.append(onward)

    def numbers(self, path: str, amount: Amount) -> tuple[Number, ...]:
        """The large negative numbers that an amount may be."""
        if amount.negative:
            return ((path, amount.spot) if amount.spot else _SHARED,)
        if amount.through[:1] == "=":
            return (_SHARED,) if self.constant(amount.through[1:], path) else ()
        return tuple(self.negative.get((path, amount.through), ())) if amount.through else ()

    # --- what it met ---------------------------------------------------------------------------------------

    def fills(self, path: str) -> list[GradientFill]:
        """The fills on gradients that stand in one file."""
        found: list[GradientFill] = []
        for flow in self.of(path).values():
            for fill in flow.fills:
                place = self.filled(path, fill)
                if place is None:
                    continue
                if fill.amount.negative:
                    found.append(self.fill(fill.spot, fill.amount.spot, flow, place, fill))
                elif _SHARED in self.numbers(path, fill.amount):
                    found.append(self.fill(fill.spot, None, flow, place, fill))
        return found + self.fill_arguments(path)

    def filled(self, path: str, fill: Fill) -> Place | None:
        """The gradient that a fill overwrites, if it does."""
        return next(((path, origin) for origin in fill.origins if (path, origin) in self.came), None)

    def fill_arguments(self, path: str) -> list[GradientFill]:
        """Numbers of this file that a call passes, with a gradient, to a function that fills with them."""
        found: dict[Spot, GradientFill] = {}
        for there in sorted({place[0] for place in self.came}):
            for flow in self.of(there).values():
                for fill in flow.fills:
                    place = None if fill.amount.negative else self.filled(there, fill)
                    for source, spot in self.numbers(there, fill.amount) if place else ():
                        if place and spot is not None and source == path:
                            found.setdefault(spot, self.fill(spot, spot, flow, place, fill))
        return [found[spot] for spot in sorted(found)]

    def fill(self, spot: Spot, value: Spot | None, flow: Flow, place: Place, fill: Fill) -> GradientFill:
        steps: list[Step] = []
        current: Place | None = place
        while current is not None and current in self.came and len(steps) < 32:
            before, step = self.came[current]
            steps.append(step)
            current = before
        return GradientFill(fill.form, spot, value, flow.qualname, tuple(reversed(steps)), fill.literal, fill.nth)


def _expanded(handover: Handover, flow: Flow) -> Handover:
    """A registration's call as the function sees it: a custom_vjp hands the gradient over last."""
    if not any(origin == ALWAYS + "-1" for passed in handover.positional for origin in passed.origins):
        return handover
    count = len([name for name in flow.parameters if name[0] != "*"]) - handover.bound
    nothing = Passed((), Amount())
    return replace(handover, positional=(nothing,) * max(count - 1, 0) + (Passed((ALWAYS,), Amount()),))
