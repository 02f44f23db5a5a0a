"""Which modules of the model are called, which one is at work, and which take a graph in and give none out.

May not: look inside a forward.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from mllint.probe.recording.gradients.graph import Node, roots_of
from mllint.probe.recording.hooking import takes_hooks


@dataclass
class Calls:
    """``count`` of calls by path; ``cutting`` are modules whose floating-point output required no gradient although
    an input or a parameter did, each with the graph that went in, innermost first."""

    count: Counter[str] = field(default_factory=Counter)
    cutting: dict[str, list[Node]] = field(default_factory=dict)
    _stack: list[str] = field(default_factory=list)

    @property
    def at_work(self) -> str | None:
        """The path of the innermost module whose forward is running ("" is the root), None outside of all."""
        return self._stack[-1] if self._stack else None

    def enter(self, path: str) -> None:
        self.count[path] += 1
        self._stack.append(path)

    def leave(self, path: str) -> None:
        while self._stack and self._stack.pop() != path:
            pass

    def note(self, path: str, module: nn.Module, given: Any, result: Any) -> None:
        """What went in and what came out."""
        came = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point()]
        if not came or not torch.is_grad_enabled() or any(tensor.requires_grad for tensor in came):
            return
        went = [leaf for leaf in tree_leaves(given) if isinstance(leaf, torch.Tensor)]
        roots = [root for tensor in [*went, *module.parameters()] for root in roots_of(tensor)]
        if roots and not any(inner.startswith(f"{path}.") for inner in self.cutting):
            self.cutting.setdefault(path, []).extend(roots)


@contextmanager
def watched_calls(model: nn.Module) -> Iterator[Calls]:
    """While this is open, calls of the model's modules are noted."""
    calls = Calls()
    handles: list[Any] = []
    try:
        for path, module in model.named_modules():
            if not takes_hooks(module):
                continue

            def entering(module: nn.Module, args: Any, kwargs: Any, path: str = path) -> None:
                calls.enter(path)

            def leaving(module: nn.Module, args: Any, kwargs: Any, result: Any, path: str = path) -> None:
                calls.note(path, module, (args, kwargs), result)
                calls.leave(path)

            handles.append(module.register_forward_pre_hook(entering, prepend=True, with_kwargs=True))
            handles.append(module.register_forward_hook(leaving, with_kwargs=True, always_call=True))
        yield calls
    finally:
        for handle in handles:
            handle.remove()
