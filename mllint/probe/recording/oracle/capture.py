"""What the layers and the custom autograd Functions of one step are given: of each kind the few that differ.

May not: change what the step computes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils import checkpoint
from torch.utils._pytree import TreeSpec, tree_flatten

from mllint.probe.recording.frames import user_sites
from mllint.probe.recording.hooking import takes_hooks
from mllint.probe.recording.oracle.copies import copied
from mllint.probe.site import Site

#: Layers of one class that are looked at, where they are set up differently.
_OF_A_CLASS = 3

#: Calls of one Function that are looked at.
_OF_A_FUNCTION = 2


@dataclass
class LayerCall:
    """One layer with the inputs of one call, flattened; ``wanted`` says which of them required a gradient."""

    path: str
    module: nn.Module
    inputs: list[Any]
    wanted: tuple[bool, ...]
    spec: TreeSpec


@dataclass
class FunctionCall:
    """One application of a custom autograd Function, in the module with this path."""

    path: str
    kind: type
    inputs: list[Any]
    wanted: tuple[bool, ...]
    site: Site | None


@dataclass
class Captured:
    """What one step showed. ``failed`` are classes whose inputs could not be copied, with the reason."""

    layers: list[LayerCall] = field(default_factory=list)
    functions: list[FunctionCall] = field(default_factory=list)
    applied: Counter[type] = field(default_factory=Counter)
    failed: dict[type, str] = field(default_factory=dict)


def captured(model: nn.Module, run: Callable[[], Any], skip: Callable[[str, nn.Module], bool]) -> Captured:
    """Run a step and keep what the layers (all but those to skip) and Functions are given."""
    found = Captured()
    running: list[str] = []
    handles = []
    seen: set[tuple[Any, ...]] = set()
    for path, module in model.named_modules():
        if not takes_hooks(module):
            continue
        handles.append(module.register_forward_pre_hook(_entering(path, running), prepend=True))
        handles.append(module.register_forward_hook(_leaving(running), always_call=True))
        if not skip(path, module):
            hook = _keeping(path, found, seen)
            handles.append(module.register_forward_pre_hook(hook, with_kwargs=True, prepend=True))
    try:
        with _noting_functions(found, running), checkpoints_in_line():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return found


def _entering(path: str, running: list[str]) -> Callable[..., None]:
    return lambda module, args: running.append(path)


def _leaving(running: list[str]) -> Callable[..., None]:
    def leave(module: nn.Module, args: Any, output: Any) -> None:
        if running:
            running.pop()

    return leave


def _keeping(path: str, found: Captured, seen: set[tuple[Any, ...]]) -> Callable[..., None]:
    def keep(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        kind = type(module)
        if not torch.is_grad_enabled() or kind in found.failed:
            return
        leaves, spec = tree_flatten((args, kwargs))
        wanted = tuple(_wanted(leaf) for leaf in leaves)
        looks = (kind, _set_up(module), wanted, tuple(leaf.dim() for leaf in leaves if isinstance(leaf, torch.Tensor)))
        same = [call for call in found.layers if type(call.module) is kind]
        if looks in seen or not (any(wanted) or any(each.requires_grad for each in module.parameters())):
            return
        if len(same) >= _OF_A_CLASS:
            return
        try:
            inputs = [copied(leaf) for leaf in leaves]
        except Exception as error:  # noqa: BLE001  # the user's objects: whatever their copying raises
            found.failed[kind] = f"its inputs cannot be copied ({type(error).__name__})"
            return
        seen.add(looks)
        found.layers.append(LayerCall(path, module, inputs, wanted, spec))

    return keep


def _wanted(leaf: Any) -> bool:
    """Did it require a gradient, and is it a value that may be moved a little?"""
    return isinstance(leaf, torch.Tensor) and leaf.requires_grad and leaf.numel() > 0


def _set_up(module: nn.Module) -> tuple[Any, ...]:
    """The switches of a layer: two that differ in them may run different code."""
    plain = [(name, value) for name, value in vars(module).items() if isinstance(value, (bool, str, type(None)))]
    return tuple(sorted((name, str(value)) for name, value in plain if not name.startswith("_")))


@contextmanager
def _noting_functions(found: Captured, running: list[str]) -> Iterator[None]:
    """Every forward of a custom Function notes what it was given first; torch's own are left alone."""
    originals: list[tuple[Any, Any]] = []
    for kind in _function_kinds(torch.autograd.Function):
        if "forward" in vars(kind) and not kind.__module__.startswith("torch."):
            originals.append((kind, vars(kind)["forward"]))
    try:
        for kind, original in originals:
            kind.forward = staticmethod(_noting(original, found, running))
        yield
    finally:
        for kind, original in originals:
            kind.forward = original


def _noting(original: Any, found: Captured, running: list[str]) -> Callable[..., Any]:
    forward = getattr(original, "__func__", original)

    def noting(*args: Any, **kwargs: Any) -> Any:
        kind, given = _kind_and_inputs(args)
        if kind is not None and not kwargs:
            _note_function(kind, given, found, running[-1] if running else "")
        return forward(*args, **kwargs)

    return noting


def _kind_and_inputs(args: tuple[Any, ...]) -> tuple[type | None, tuple[Any, ...]]:
    """The Function at work, from the frame of its `apply`, and its inputs without the context."""
    import sys

    frame: Any = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_name == "apply" and frame.f_code.co_filename == torch.autograd.function.__file__:
            return frame.f_locals.get("cls"), tuple(frame.f_locals.get("args", ()))
        frame = frame.f_back
    return None, args


def _note_function(kind: type, given: tuple[Any, ...], found: Captured, path: str) -> None:
    wanted = tuple(_wanted(each) for each in given)
    if not any(wanted):
        return
    found.applied[kind] += 1
    same = [call for call in found.functions if call.kind is kind]
    if len(same) >= _OF_A_FUNCTION or any(call.wanted == wanted for call in same):
        return
    sites = user_sites(3)
    site = next((each for each in sites if each.function != "noting"), None)
    try:
        inputs = [copied(each) for each in given]
    except Exception as error:  # noqa: BLE001  # the user's objects: whatever their copying raises
        found.failed[kind] = f"its inputs cannot be copied ({type(error).__name__})"
        return
    found.functions.append(FunctionCall(path, kind, inputs, wanted, site))


def _function_kinds(kind: Any) -> Iterator[Any]:
    for below in kind.__subclasses__():
        yield below
        yield from _function_kinds(below)


class _InLine:
    """Takes the place of the re-entrant checkpoint: the same values, with the graph that its backward would make.

    As with the real one, nothing has a gradient when no input requires one.
    """

    @staticmethod
    def apply(function: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        wanted = any(isinstance(each, torch.Tensor) and each.requires_grad for each in args)
        with torch.set_grad_enabled(torch.is_grad_enabled() and wanted):
            return function(*args)


@contextmanager
def checkpoints_in_line() -> Iterator[None]:
    """Re-entrant checkpoints run their function directly: they hide layers from hooks and graphs otherwise."""
    changed: Any = checkpoint
    original = changed.CheckpointFunction
    changed.CheckpointFunction = _InLine
    try:
        yield
    finally:
        changed.CheckpointFunction = original
