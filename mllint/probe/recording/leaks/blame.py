"""Which module, and which line of its forward, is the first to let something through that it should not.

Two runs of the same call are compared module by module: the innermost one whose output is at fault while its inputs are
not is to blame; within the forward of a user's own module then operation by operation.
May not: know what a fault is; the caller tells.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from mllint.probe.recording.construction import Made
from mllint.probe.recording.frames import forward_site, nearness, site_of, stack
from mllint.probe.recording.hooking import takes_hooks
from mllint.probe.recording.leaks.nested import Place, tensors_in
from mllint.probe.recording.leaks.outputs import USER_ERRORS, measurable
from mllint.probe.recording.leaks.replay import Replay
from mllint.probe.recording.leaks.replay import __file__ as replay_file
from mllint.probe.site import Site

#: More calls of modules, or operations in one forward, are not compared.
_MOST = 4000

Changes = Mapping[Place, torch.Tensor]
#: (before, after, shape in the resized run) -> is the tensor at fault? Shapes may differ.
AtFault = Callable[[torch.Tensor, torch.Tensor, "tuple[int, ...] | None"], bool]


@dataclass(frozen=True, slots=True)
class Blame:
    """``path`` of the module in the model, its class, where the fault arises as closely as known; ``around`` are the classes of
    the modules around it, the root first, ``inside`` classes and names of its parts, ``names`` what its forward mentions,
    ``dims`` how many dimensions its first input has (0: not known)."""

    path: str
    kind: str
    site: Site | None
    around: tuple[str, ...]
    names: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    dims: int = 0


@dataclass
class Seen:
    """One call of a module, or one operation: its tensors, copied, since a later one may change them in place."""

    what: str
    given: list[torch.Tensor]
    returned: list[torch.Tensor]
    site: Site | None = None


@dataclass
class _Runs:
    """The same call under three inputs; ``resized`` is empty where the model does not take them."""

    base: list[Seen]
    other: list[Seen]
    resized: list[Seen] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[int, Seen, Seen, Seen | None]]:
        """As long as the runs went the same way."""
        for number, (base, other) in enumerate(zip(self.base, self.other, strict=False)):
            if base.what != other.what:
                return
            third = self.resized[number] if number < len(self.resized) else None
            yield number, base, other, third if third is not None and third.what == base.what else None


def blamed(
    replay: Replay,
    model: nn.Module,
    made: Made,
    changes: Changes,
    at_fault: AtFault,
    *,
    resized: Changes | None = None,
    before: Changes | None = None,
) -> Blame:
    """Who is to blame for what ``changes`` to the inputs do to the output; the called module itself if nobody inside is.
    ``resized`` are the inputs whose shapes tell the dimensions, ``before`` those to compare with (as they were, if None)."""
    paths = {module: path for path, module in model.named_modules()}

    def watched(given: Changes) -> list[Seen]:
        seen: list[Seen] = []
        with modules_watched(replay.call.module, paths, seen):
            replay.outputs(given)
        return seen

    runs = _Runs(watched(before or {}), watched(changes), watched(resized) if resized else [])
    path, dims = replay.call.path, 0
    for _, base, other, third in runs:
        if _faulty(base.returned, other.returned, third and third.returned, at_fault) and not _faulty(
            base.given, other.given, third and third.given, at_fault
        ):
            path, dims = base.what, base.given[0].dim() if base.given else 0
            break
    module = model.get_submodule(path)
    site = fault_site(module, made)
    if site is not None and site == forward_site(type(module)):
        site = _line(replay, module, (before or {}, changes, resized or {}), at_fault) or site
    return described(model, path, site, dims)


def fault_site(module: nn.Module, made: Made) -> Site | None:
    """Where a user can do something about a module: at its forward if that is theirs, else where they made it."""
    forward, maker = forward_site(type(module)), made.of(module)
    if forward is None or maker is None:
        return forward or maker
    return forward if nearness(inspect.unwrap(type(module).forward).__code__.co_filename) == 2 else maker


def described(model: nn.Module, path: str, site: Site | None, dims: int) -> Blame:
    """A module to blame, with its surroundings."""
    module = model.get_submodule(path)
    parts = path.split(".") if path else []
    around = [model.get_submodule(".".join(parts[:count])) for count in range(len(parts) + 1)]
    inside = [each for _, each in module.named_modules()]
    return Blame(
        path,
        type(module).__name__,
        site,
        tuple(type(each).__name__ for each in around),
        _names_in(module),
        tuple(sorted({type(each).__name__ for each in inside} | {name for name, _ in module.named_children()})),
        dims,
    )


def _faulty(before: list[torch.Tensor], after: list[torch.Tensor], third: Any, at_fault: AtFault) -> bool:
    shapes = [tuple(each.shape) for each in third] if third else []
    for number, (base, other) in enumerate(zip(before, after, strict=False)):
        if at_fault(base, other, shapes[number] if number < len(shapes) else None):
            return True
    return False


def _copies(value: Any) -> list[torch.Tensor]:
    return [tensor.detach().clone() for _, tensor in tensors_in(value) if measurable(tensor)]


@contextmanager
def modules_watched(root: nn.Module, paths: Mapping[nn.Module, str], seen: list[Seen]) -> Iterator[None]:
    """Every call of a module, in the order in which they end: the innermost first."""

    def note(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if len(seen) < _MOST and module in paths:
            seen.append(Seen(paths[module], _copies((args, kwargs)), _copies(output)))

    handles = [module.register_forward_hook(note, with_kwargs=True) for module in root.modules() if takes_hooks(module)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Operations(TorchFunctionMode):
    """What each torch function returned while a module's forward ran, with the user's line."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.seen: list[Seen] = []
        self._inside = 0
        self._handles = []
        if takes_hooks(module):
            self._handles = [
                module.register_forward_pre_hook(lambda *_: self._move(1)),
                module.register_forward_hook(lambda *_: self._move(-1), always_call=True),
            ]

    def _move(self, by: int) -> None:
        self._inside += by

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if self._inside and len(self.seen) < _MOST:
            result = args[0] if output is None and args else output  # `x[i] = y`
            self.seen.append(Seen(getattr(func, "__name__", str(func)), [], _copies(result), _site_in_call()))
        return output


def _line(replay: Replay, module: nn.Module, inputs: tuple[Changes, ...], at_fault: AtFault) -> Site | None:
    """The user's line of the first operation in the module's forward whose result is at fault."""

    def watched(given: Changes) -> list[Seen]:
        operations = _Operations(module)
        try:
            with operations:
                replay.outputs(given)
        finally:
            operations.close()
        return operations.seen

    before, changes, resized = inputs
    try:
        runs = _Runs(watched(before), watched(changes), watched(resized) if resized else [])
    except USER_ERRORS:
        return None
    for _, base, other, third in runs:
        if _faulty(base.returned, other.returned, third and third.returned, at_fault):
            return base.site
    return None


def _site_in_call() -> Site | None:
    """The innermost line at work below the replay: the user's own, or a library's where there is none."""
    library = None
    for frame in stack(sys._getframe(1)):
        near = nearness(frame.f_code.co_filename)
        if near == 2:
            return site_of(frame)
        if near == 1 and library is None:
            library = site_of(frame)
        if frame.f_code.co_filename == replay_file:
            break
    return library


def _names_in(module: nn.Module) -> tuple[str, ...]:
    """Identifiers in the forward of a module, sorted."""
    code = getattr(type(module).forward, "__code__", None)
    return tuple(sorted({*code.co_names, *code.co_varnames})) if code is not None else ()
