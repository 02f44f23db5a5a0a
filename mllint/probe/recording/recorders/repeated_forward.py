"""Modules that run again on the very same input before a backward pass, and calls of modules with a contract.

Two passes over the same step: the first finds candidates by storage, version and parameters; the second, only where there
are some, compares what they return: with dropout, noise or a hidden state the second run is no repetition.
May not: look inside backward; what runs there is recomputed by checkpointing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from mllint.probe.measured.repeated_forward import CallCount, Caller, Repeat, RepeatedForward
from mllint.probe.recording.compiling import can_run_eagerly
from mllint.probe.recording.eager import uncompiled
from mllint.probe.recording.frames import user_site
from mllint.probe.recording.hooking import takes_hooks
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip
from mllint.probe.recording.values import UNREADABLE, same_values
from mllint.probe.site import Site

#: Steps over which calls are counted where there is a contract.
_COUNTED = 2
_SIMPLE = (bool, int, float, str, type(None), torch.dtype, torch.device)

_Key = tuple[Any, ...]


@dataclass
class _Seen:
    """The first run on an input in this micro-batch. ``held`` keeps the input alive, so that its address is not used again."""

    site: Site | None
    parent: int
    held: Any
    times: int = 1
    outputs: list[torch.Tensor] | None = None
    same: bool = True
    again: Site | None = None


@dataclass
class _Watch:
    """``paths`` of the modules that count, ``compare`` those whose outputs are compared."""

    paths: dict[int, str]
    compare: frozenset[int] = frozenset()
    seen: dict[_Key, _Seen] = field(default_factory=dict)
    repeats: dict[int, _Seen] = field(default_factory=dict)
    running: list[tuple[_Key | None, bool]] = field(default_factory=list)  # key, is it or what it is in a repetition
    calls: int = 0  # numbers every call, so that a call knows the one it is part of
    parents: list[int] = field(default_factory=list)
    counted: Counter[tuple[int, int, Site | None]] = field(default_factory=Counter)
    step: int = 0

    def before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self.calls += 1
        parent = self.parents[-1] if self.parents else 0
        self.parents.append(self.calls)
        within = bool(self.running) and self.running[-1][1]
        if _in_backward():
            self.running.append((None, within))
            return
        self.counted[id(module), self.step, user_site()] += 1
        key = None if within else _key(module, args, kwargs)
        found = self.seen.get(key) if key is not None else None
        if key is not None and found is None:
            self.seen[key] = _Seen(user_site(), parent, (args, kwargs))
        # A shared layer that runs several times asks its own parts anew each time: only one and the same caller repeats.
        repeated = found is not None and found.parent == parent
        if found is not None and repeated:
            found.times += 1
            found.again = found.again or user_site()
        self.running.append((key, within or repeated))

    def after(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        self.parents.pop()
        key, _ = self.running.pop()
        found = None if key is None else self.seen.get(key)
        if found is None or id(module) not in self.compare:
            if found is not None and found.times > 1:
                self.repeats.setdefault(id(module), found)
            return
        outputs = [leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor)]
        if found.outputs is None:
            found.outputs = [leaf.detach().clone() for leaf in outputs]
        elif found.times > 1:
            found.same = found.same and len(outputs) == len(found.outputs)
            found.same = found.same and all(map(same_values, outputs, found.outputs))
            self.repeats.setdefault(id(module), found)

    def backward(self) -> None:
        """A micro-batch ends."""
        self.seen.clear()


def record(run: Run) -> RepeatedForward:
    """Raises Skip where a compiled model cannot be run without its compiler."""
    if not can_run_eagerly():
        raise Skip("the model is compiled, and this torch (before 2.6) cannot leave that out for a step")
    wanted = _contracts(run)
    modules = dict(run.model.named_modules())
    others = {id(module): module for root in run.known_modules()[1:] for module in root.modules()}
    heavy = [module for module in (*modules.values(), *others.values()) if _costs(module)]
    declared = [modules[path] for path in wanted if path in modules]
    paths = {id(module): path for path, module in modules.items()}
    watch = _Watch(paths)
    with run.preserved():
        _steps(run, watch, {id(each): each for each in (*heavy, *declared)}, _COUNTED if declared else 1)
    repeats: list[Repeat] = []
    if watch.repeats:
        again = _Watch(paths, compare=frozenset(watch.repeats))
        _steps(run, again, {id(each): each for each in heavy}, 1)
        every = {**{id(module): module for module in modules.values()}, **others}
        repeats = [_repeat(every[number], paths, seen) for number, seen in again.repeats.items() if seen.same]
    return RepeatedForward(
        tuple(repeats), tuple(_count(path, number, modules, watch) for path, number in wanted.items())
    )


def _contracts(run: Run) -> dict[str, int]:
    told: Any = run.entry.expect.get("calls_per_step", {})
    if not isinstance(told, Mapping) or not all(isinstance(number, int) for number in told.values()):
        raise Skip("`expect['calls_per_step']` must be a dict: path of a module -> number of calls")
    return {str(path): number for path, number in told.items()}


def _costs(module: nn.Module) -> bool:
    """Does running it cost anything: has it weights that are multiplied, not only looked up or scaled by?"""
    if not takes_hooks(module):
        return False
    return any(
        parameter is not None and parameter.dim() > 1
        for inner in module.modules()
        if not isinstance(inner, (nn.Embedding, nn.EmbeddingBag))
        for parameter in inner._parameters.values()
    )


def _steps(run: Run, watch: _Watch, modules: dict[int, nn.Module], count: int) -> None:
    with _watching(watch, list(modules.values())), uncompiled():
        for number in range(count):
            watch.step = number
            watch.backward()
            with run.seeded(number):
                run.step(number)


@contextmanager
def _watching(watch: _Watch, modules: list[nn.Module]) -> Iterator[None]:
    backward = torch.autograd.backward

    def ending(*args: Any, **kwargs: Any) -> None:
        try:
            backward(*args, **kwargs)
        finally:
            watch.backward()

    handles: list[Any] = []
    torch.autograd.backward = ending
    try:
        for module in modules:
            handles.append(module.register_forward_pre_hook(watch.before, with_kwargs=True))
            handles.append(module.register_forward_hook(watch.after, with_kwargs=True, always_call=True))
        yield
    finally:
        torch.autograd.backward = backward
        for handle in handles:
            handle.remove()


def _in_backward() -> bool:
    return bool(torch._C._current_graph_task_id() != -1)


def _key(module: nn.Module, args: Any, kwargs: Any) -> _Key | None:
    """What makes a run of this module the same run; None where it may be on purpose, or cannot be told."""
    if not torch.is_grad_enabled() or not module.training:
        return None
    leaves = tree_leaves((args, kwargs))
    if not any(isinstance(leaf, torch.Tensor) for leaf in leaves):
        return None
    try:
        inputs = tuple(_identity(leaf) for leaf in leaves)
        weights = tuple((id(parameter), parameter._version) for parameter in module.parameters())
    except UNREADABLE:  # inference tensors have no version, those of a transform no memory
        return None
    return (id(module), inputs, weights, torch.is_autocast_enabled())


def _identity(leaf: Any) -> Any:
    if isinstance(leaf, torch.Tensor):
        place = (leaf.data_ptr(), leaf._version) if leaf.numel() else (id(leaf), 0)
        return (*place, tuple(leaf.shape), leaf.stride(), leaf.dtype, leaf.requires_grad)
    return leaf if isinstance(leaf, _SIMPLE) else id(leaf)


def _repeat(module: nn.Module, paths: dict[int, str], seen: _Seen) -> Repeat:
    path = paths.get(id(module), type(module).__name__)
    elements = sum(parameter.numel() for parameter in module.parameters())
    return Repeat(path, type(module).__name__, elements, seen.times, seen.site, seen.again)


def _count(path: str, expected: int, modules: dict[str, nn.Module], watch: _Watch) -> CallCount:
    if path not in modules:
        near = [name for name in modules if name.rpartition(".")[2] == path] or get_close_matches(path, [*modules], 2)
        return CallCount(path, expected, (), (), tuple(near[:2]))
    own = [(step, site, times) for (module, step, site), times in watch.counted.items() if module == id(modules[path])]
    callers: Counter[Site] = Counter()
    for _, site, times in own:
        if site is not None:
            callers[site] += times
    counts = tuple(sum(times for step, _, times in own if step == number) for number in range(_COUNTED))
    return CallCount(path, expected, counts, tuple(Caller(site, times) for site, times in callers.most_common(4)))
