"""Live tensor bytes after each step on one batch, those that autograd saved included, and who holds what came and stayed.

May not: keep a tensor of the user's alive that the user's code has let go.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mllint.probe.measured.growing_memory import GrowingMemory, Held
from mllint.probe.recording.eager import uncompiled
from mllint.probe.recording.frames import user_site
from mllint.probe.recording.holders import Holders
from mllint.probe.recording.run import Run
from mllint.probe.recording.values import storage
from mllint.probe.site import Site

#: Optimizer state comes with the first step, caches fill with the second; from the third on nothing new may stay.
_FIRST, _LAST = 3, 8


class _Saved:
    """A tensor that autograd saved for backward. Torch drops this wrapper when it drops the graph."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: torch.Tensor) -> None:
        # Detached: an output that its own node saves would hold the node, and a graph that nobody runs backward would
        # never go. Autograd puts the edge back when it unpacks.
        self.tensor = tensor.detach()


class _Living:
    """The tensors alive in this process: those from before by weak references, so that only what is younger is searched."""

    def __init__(self) -> None:
        gc.collect()
        self._old = [weakref.ref(tensor) for tensor in _tensors()]
        if not gc.get_freeze_count():
            gc.freeze()  # to look at all objects of a large program costs a second each time

    def bytes(self) -> int:
        """Of all storages, once each, after garbage has been collected."""
        gc.collect()
        old = [tensor for tensor in (reference() for reference in self._old) if tensor is not None]
        return sum({storage(tensor): _bytes(tensor) for tensor in (*old, *_tensors())}.values())

    def young(self) -> dict[int, weakref.ref[torch.Tensor]]:
        """The tensors that came since the beginning, by their identity."""
        gc.collect()
        return {id(tensor): weakref.ref(tensor) for tensor in _tensors()}


class _Makers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The user's line that allocated each storage, the last one where an address was used again."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sites: dict[int, Site | None] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        given = {storage(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        for leaf in tree_leaves(found):
            if isinstance(leaf, torch.Tensor) and storage(leaf) not in given:
                self.sites[storage(leaf)] = user_site()
        return found


def record(run: Run) -> GrowingMemory:
    """What autograd saves is counted too, where the step allows it (torch.func's transforms do not)."""
    batch = sum(leaf.nbytes for leaf in tree_leaves(run.batch(0)) if isinstance(leaf, torch.Tensor))
    try:
        with run.preserved():
            return _measured(run, batch, saved=True)
    except RuntimeError:
        return _measured(run, batch, saved=False)


def _measured(run: Run, batch: int, *, saved: bool) -> GrowingMemory:
    hooks: Any = torch.autograd.graph.saved_tensors_hooks(_Saved, _unpacked) if saved else nullcontext()
    live: list[int] = []
    graphs: list[dict[str, int]] = []
    held: tuple[Held, ...] = ()
    with hooks, uncompiled(), _collecting_all_afterwards():
        living = _Living()
        for number in range(1, _LAST + 1):
            run.step(0)
            if number >= _FIRST:
                live.append(living.bytes())
                graphs.append(Holders(run).graphs())
        rising = all(before < after for before, after in pairwise(live))
        longer = {name for name in graphs[-1] if all(a.get(name, 0) < b.get(name, 0) for a, b in pairwise(graphs))}
        if rising or longer:
            held = _held(run, living, {name: graphs[-1][name] - graphs[-2][name] for name in longer}, rising=rising)
    return GrowingMemory(_FIRST, tuple(live), batch, saved, held)


def _unpacked(saved: _Saved) -> torch.Tensor:
    return saved.tensor


def _held(run: Run, living: _Living, longer: dict[str, int], *, rising: bool) -> tuple[Held, ...]:
    """Two more steps: what came with the first, which is watched, and outlived the second, by who holds it."""
    known, before = Holders(run).known(), living.young()
    makers = _Makers()
    with makers:
        run.step(0)
        came = [
            new for key, new in living.young().items() if key not in before or before[key]() is None
        ]  # an id is used again
        run.step(0)
    gc.collect()
    stayed = [tensor for tensor in (reference() for reference in came) if tensor is not None]
    new = {storage(tensor): _bytes(tensor) for tensor in stayed} if rising else {}
    del stayed
    found = Holders(run).of(new, longer, known, makers.sites)
    return tuple(sorted(found, key=lambda each: (-each.each, -each.nodes, each.holder)))


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().nbytes() if storage(tensor) else 0


def _tensors() -> list[torch.Tensor]:
    # By type, not `isinstance`: a proxy of some library may run anything when its `__class__` is asked for.
    return [thing for thing in gc.get_objects() if issubclass(type(thing), torch.Tensor)]


@contextmanager
def _collecting_all_afterwards() -> Iterator[None]:
    """The collector looks at everything again, as before."""
    was_frozen = gc.get_freeze_count()
    try:
        yield
    finally:
        if not was_frozen:
            gc.unfreeze()
