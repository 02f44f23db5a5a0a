"""Every operation of a forward that takes tensors out of the graph, and the line behind every node that stays in it.

May not: decide whether a cut matters; `causes.py` tries that.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from mllint.probe.recording.frames import user_site
from mllint.probe.recording.gradients.graph import Node, leaves_below, roots_of
from mllint.probe.recording.gradients.watch import Watch, tensors_in
from mllint.probe.site import Site

#: An operation at a line: all its calls there are one cut.
Key = tuple[str, Site | None]


@dataclass
class Cut:
    """One operation at one line. ``roots`` is the graph that it cut off; ``activations``: some of it was computed."""

    operation: str
    site: Site | None
    module: str | None
    roots: list[Node] = field(default_factory=list)
    activations: bool = False

    @property
    def key(self) -> Key:
        return self.operation, self.site

    def note(self, tensors: list[torch.Tensor]) -> None:
        """These were cut, too."""
        self.activations |= any(tensor.grad_fn is not None for tensor in tensors)
        self.roots += [root for tensor in tensors for root in roots_of(tensor)]

    def above(self, names: dict[int, str]) -> set[str]:
        """The leaves whose way to the loss it is on."""
        return leaves_below(self.roots, names)


class CutWatch(Watch):
    """Records cuts by operation and line, which parameters were used at all, and the line of each node by its
    number."""

    def __init__(self, names: dict[int, str], at_work: Callable[[], str | None]) -> None:
        """``names`` of parameters by id; ``at_work`` tells the module whose forward runs."""
        super().__init__()
        self.cuts: dict[Key, Cut] = {}
        self.used: set[str] = set()
        #: Where the user put a hook on the gradient that arrives at a node.
        self.hooks: dict[Node, Site | None] = {}
        self._names, self._at_work = names, at_work
        self._ends: list[int] = []
        self._places: list[tuple[Site | None, str | None]] = []

    def seen(self, func: Any, args: Any, kwargs: Any, result: Any) -> Any:
        self.used.update(self._names[id(tensor)] for tensor in tensors_in((args, kwargs)) if id(tensor) in self._names)
        cut = self.cut(func, args, kwargs, result)
        if cut is not None:
            self.note_cut(*cut)
        if args and getattr(func, "__name__", "") == "register_hook" and args[0].grad_fn is not None:
            self.hooks.setdefault(args[0].grad_fn, user_site())
        self.note_nodes(result)
        return result

    def note_cut(self, operation: str, tensors: list[torch.Tensor]) -> None:
        """At the line at work, an operation took these out of the graph."""
        site = self.place()
        self.cuts.setdefault((operation, site), Cut(operation, site, self._at_work())).note(tensors)

    def note_nodes(self, result: Any) -> None:
        """The nodes of a result were made at the line at work. Nodes are numbered in the order in which they are
        made."""
        made = [tensor.grad_fn for tensor in tensors_in(result) if tensor.grad_fn is not None]
        number = max((node._sequence_nr() for node in made), default=-1)
        if made and (not self._ends or number > self._ends[-1]):
            self._ends.append(number)
            self._places.append((user_site(), self._at_work()))

    def place_of(self, node: Node) -> tuple[Site | None, str | None]:
        """The line and the module that made a node of this forward."""
        position = bisect.bisect_left(self._ends, node._sequence_nr())
        return self._places[position] if position < len(self._places) else (None, None)


@contextmanager
def noting_functions(watch: CutWatch, parameters: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Applications of custom Functions, which no function mode sees, are noted by the watch, too: also one that uses
    parameters without being given anything that requires a gradient, so that its result has no graph (a checkpoint)."""
    changed: Any = torch.autograd.Function
    original = vars(changed)["apply"]

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        before, watch.used = watch.used, set()
        try:
            result = original.__get__(None, cls)(*args, **kwargs)
        finally:
            inside, watch.used = watch.used, before | watch.used
        watch.note_nodes(result)
        if torch.is_grad_enabled() and not any(tensor.requires_grad for tensor in tensors_in(result)):
            used = [parameters[name] for name in inside if parameters[name].requires_grad]
            if used:
                watch.note_cut("checkpoint" if cls.__name__ == "CheckpointFunction" else cls.__name__, used)
        return result

    changed.apply = classmethod(apply)
    try:
        yield
    finally:
        changed.apply = original
