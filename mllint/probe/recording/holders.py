"""Who holds what a step left behind: the user's containers and attributes, by name, and the graphs that hang on tensors.

May not: search the whole process; what the user's objects do not lead to has no name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from mllint.probe.measured.growing_memory import Held
from mllint.probe.recording.holdings import held_by
from mllint.probe.recording.run import Run
from mllint.probe.recording.values import storage
from mllint.probe.site import Site

#: Nodes of a graph to count: enough to see it grow over a few steps.
_NODES = 20_000
#: What a metric has beside `reset`.
_METRIC = ("compute", "update", "result", "evaluate")


class Holders:
    """What the user's objects lead to at one moment."""

    def __init__(self, run: Run) -> None:
        self._things = list(held_by(run.roots()))
        self._by_name: dict[str, Any] = {}
        for name, thing in self._things:
            self._by_name.setdefault(name, thing)

    def graphs(self) -> dict[str, int]:
        """Holder -> the nodes of the autograd graphs that its tensors keep alive."""
        roots: dict[str, list[Any]] = {}
        for name, thing in self._things:
            if isinstance(thing, torch.Tensor) and thing.grad_fn is not None:
                roots.setdefault(_holder(name), []).append(thing.grad_fn)
        return {name: _nodes(functions) for name, functions in roots.items()}

    def of(self, new: Mapping[int, int], graphs: Mapping[str, int], made: Mapping[int, Site | None]) -> Iterator[Held]:
        """Who holds the ``new`` storages (-> bytes). A holder whose graphs have grown since ``graphs`` holds all that has no
        other name; ``made`` tells which line allocated a storage."""
        left = dict(new)
        named: dict[str, dict[int, int]] = {}
        for name, thing in self._things:
            key = storage(thing) if isinstance(thing, torch.Tensor) else 0
            if key in left:
                named.setdefault(_holder(name), {})[key] = left.pop(key)
        grown = [name for name, nodes in self.graphs().items() if nodes > graphs.get(name, 0)]
        for name in grown:
            site = next((made[storage(each)] for each in self._tensors_of(name) if made.get(storage(each))), None)
            kept = {**named.pop(name, {}), **left}
            left = {}
            yield self._held(name, kept, site, graph=True)
        for name, kept in named.items():
            yield self._held(name, kept, next((made[key] for key in kept if made.get(key)), None), graph=False)
        if left:
            largest = max(left, key=lambda key: left[key])
            yield Held("", "", False, False, False, made.get(largest), sum(left.values()), len(left))

    def _held(self, name: str, kept: Mapping[int, int], site: Site | None, *, graph: bool) -> Held:
        path = [self._by_name[prefix] for prefix in _prefixes(name) if prefix in self._by_name]
        holder = self._by_name.get(name)
        in_model = any(isinstance(thing, nn.Module) for thing in path)
        bounded = any(_is_bounded(thing) for thing in path)
        kind = "" if isinstance(holder, torch.Tensor) else type(holder).__name__
        return Held(name, kind, in_model, bounded, graph, site, sum(kept.values()), len(kept))

    def _tensors_of(self, holder: str) -> list[torch.Tensor]:
        """The newest first."""
        found = [thing for name, thing in self._things if isinstance(thing, torch.Tensor) and _holder(name) == holder]
        return found[::-1]


def _holder(name: str) -> str:
    """The container for an element (``losses`` for ``losses[3]``), else the name itself."""
    return name.rpartition("[")[0] if name.endswith("]") else name


def _prefixes(name: str) -> list[str]:
    ends = [position for position, letter in enumerate(name) if letter in ".["]
    return [*(name[:end] for end in ends), name]


def _is_bounded(thing: Any) -> bool:
    if isinstance(thing, deque):
        return thing.maxlen is not None
    if isinstance(thing, torch.optim.Optimizer):
        return True
    kind = type(thing)
    return hasattr(kind, "reset") and any(hasattr(kind, name) for name in _METRIC)


def _nodes(functions: list[Any]) -> int:
    seen: set[Any] = set()
    waiting = list(functions)
    while waiting and len(seen) < _NODES:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting.extend(following for following, _ in node.next_functions)
    return len(seen)
