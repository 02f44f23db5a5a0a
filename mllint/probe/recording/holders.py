"""Who holds what a step left behind: the user's containers and attributes, by name, and the graphs that hang on tensors.

May not: search the whole process; what the user's objects do not lead to has no name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import pairwise
from types import CellType
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
            if isinstance(self._by_name.get(name), (CellType, type(None))):  # a cell has the name of what is in it
                self._by_name[name] = thing

    def known(self) -> dict[int, Any]:
        """Every object by its identity, which holds as long as the result does."""
        return {id(thing): thing for _, thing in self._things}

    def graphs(self) -> dict[str, int]:
        """Holder -> the operations of the autograd graphs that its tensors keep alive."""
        roots: dict[str, list[Any]] = {}
        for name, thing in self._things:
            node = _made_by(thing) if isinstance(thing, torch.Tensor) else None
            if node is not None:
                roots.setdefault(_container(name), []).append(node)
        return {name: _operations(functions) for name, functions in roots.items()}

    def of(
        self,
        new: Mapping[int, int],
        longer: Mapping[str, int],
        known: Mapping[int, Any],
        made: Mapping[int, Site | None],
    ) -> Iterator[Held]:
        """Who holds the ``new`` storages (-> bytes), and who keeps ``longer`` graphs (-> operations more a step); what has no
        other name belongs to the graphs. ``known`` was there before, ``made`` tells which line allocated a storage."""
        left = dict(new)
        named: dict[str, dict[int, int]] = {name: {} for name in longer}
        for name, thing in self._things:
            key = storage(thing) if isinstance(thing, torch.Tensor) else 0
            if key in left:
                holder = _container(name) if _container(name) in longer else self._grown(name, known)
                named.setdefault(holder, {})[key] = left.pop(key)
        if longer:
            named[next(iter(longer))].update(left)
            left = {}
        for name, kept in named.items():
            yield self._held(name, kept, longer.get(name, 0), made)
        if left:
            largest = max(left, key=lambda key: left[key])
            yield Held("", "", False, False, made.get(largest), sum(left.values()), len(left), 0)

    def _grown(self, name: str, known: Mapping[int, Any]) -> str:
        """The container that was there before and has got an element more, else the attribute that is new."""
        prefixes = _prefixes(name)
        for shorter, longer in reversed([*pairwise(prefixes)]):
            holder = self._by_name.get(shorter)
            if holder is not None and id(holder) in known:
                return shorter if isinstance(holder, (list, dict, set, deque)) else longer
        return name

    def _held(self, name: str, kept: Mapping[int, int], nodes: int, made: Mapping[int, Site | None]) -> Held:
        path = [self._by_name[prefix] for prefix in _prefixes(name) if prefix in self._by_name]
        holder = self._by_name.get(name)
        in_model = any(isinstance(thing, nn.Module) for thing in path)
        bounded = any(_is_bounded(thing) for thing in path)
        kind = "" if isinstance(holder, torch.Tensor) else type(holder).__name__
        own = [thing for other, thing in self._things if isinstance(thing, torch.Tensor) and _container(other) == name]
        places = [*kept, *(storage(tensor) for tensor in reversed(own))]
        site = next((made[place] for place in places if made.get(place)), None)
        return Held(name, kind, in_model, bounded, site, sum(kept.values()), len(kept), nodes)


def _container(name: str) -> str:
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


def _made_by(tensor: torch.Tensor) -> Any:
    """Its node in the graph. A view made under `no_grad` whose base was then changed in place refuses to tell."""
    try:
        return tensor.grad_fn
    except RuntimeError:
        return None


def _operations(functions: list[Any]) -> int:
    seen: set[Any] = set()
    waiting = list(functions)
    while waiting and len(seen) < _NODES:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting.extend(following for following, _ in node.next_functions)
    return len(seen)
