"""A watch over every torch function that the user's forward calls: where grad mode is switched off, and by which line.

May not: change what a function computes; `tamper.py` does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from mllint.probe.recording.frames import nearness, shown, stack, user_site
from mllint.probe.site import Site

#: What is told of a tensor without its values.
_ABOUT = frozenset(
    {"backward", "register_hook", "retain_grad", "requires_grad_", "size", "dim", "ndimension", "numel"}
    | {"nelement", "stride", "storage", "storage_offset", "untyped_storage", "data_ptr", "element_size"}
    | {"type", "is_floating_point", "is_complex", "is_contiguous", "is_pinned", "is_set_to", "has_names"}
    | {"get_device", "zero_", "__len__", "__hash__", "__repr__", "__format__", "__deepcopy__"}
    | {"__reduce_ex__", "result_type", "can_cast", "zeros_like", "ones_like", "empty_like", "full_like"}
    | {"rand_like", "randn_like", "randint_like", "new_zeros", "new_ones", "new_empty", "new_full"}
    | {"new_empty_strided", "broadcast_shapes", "broadcast_tensors", "is_same_size"}
    | {"_is_view", "isinstance"}
)
#: Functions after which values go on outside of tensors.
_LEAVING = frozenset(
    {"item", "tolist", "numpy", "__array__", "__float__", "__int__", "__bool__", "__index__"}
    | {"__complex__", "__dlpack__"}
)


class Watch(TorchFunctionMode):
    """Sees the forward of the user's model. Subclasses say in `seen` what to do with a function and its result."""

    def __init__(self) -> None:
        super().__init__()
        #: The line that switched grad mode off, while it is.
        self.region: Site | None = None
        self.switched_off = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch._C._set_grad_enabled:
            return self.switch(func, *args)
        result = func(*args, **kwargs)
        if in_backward():
            return result
        return self.seen(func, args, kwargs, result)

    def switch(self, func: Any, on: bool) -> Any:
        """Grad mode is switched. Off within a Function's forward (which autograd itself runs without) means nothing."""
        if on:
            self.switched_off, self.region = False, None
        elif torch.is_grad_enabled():
            self.switched_off, self.region = True, switch_site()
        return func(on)

    def seen(self, func: Any, args: Any, kwargs: Any, result: Any) -> Any:
        """A function was called; what is returned here is its result."""
        return result

    def cut(self, func: Any, args: Any, kwargs: Any, result: Any) -> tuple[str, list[torch.Tensor]] | None:
        """The name of the operation and the tensors that it took out of the graph, None where it took none."""
        switched = self.switched_off or torch.is_inference_mode_enabled()
        if not torch.is_grad_enabled() and not switched:
            return None  # inside a Function's forward: its result is in the graph again
        name = name_of(func)
        if name in _ABOUT or name == "":
            return None
        given = [tensor for tensor in tensors_in((args, kwargs)) if tensor.requires_grad]
        if not given:
            return None
        results = list(tensors_in(result))
        if results:
            kept = any(_in_graph(one, given) for one in results)
            if kept and not any(_keys(one) for one in results if not one.requires_grad):
                return None
        elif name not in _LEAVING:
            return None
        return ("no_grad" if switched else name), given

    def place(self) -> Site | None:
        """The line to name for a cut: the one that switched grad mode off, or the one at work."""
        return self.region if self.switched_off else user_site()


def name_of(func: Any) -> str:
    """The name of a torch function; ``data`` for reading that attribute, "" for reading any other."""
    name: str = getattr(func, "__name__", "")
    if name in ("__get__", "__set__", "__delete__"):
        return "data" if name == "__get__" and getattr(func.__self__, "__name__", "") == "data" else ""
    return name


def tensors_in(thing: Any, depth: int = 6) -> Iterator[torch.Tensor]:
    """The tensors among arguments or results."""
    if isinstance(thing, torch.Tensor):
        yield thing
    elif depth and isinstance(thing, (list, tuple)):
        for each in thing:
            yield from tensors_in(each, depth - 1)
    elif depth and isinstance(thing, dict):
        for each in thing.values():
            yield from tensors_in(each, depth - 1)


def in_backward() -> bool:
    """Is autograd running a backward now?"""
    return bool(torch._C._current_graph_task_id() != -1)


def switch_site() -> Site | None:
    """The user's line that switches grad mode off now: the ``with``, or the decorated function."""
    for frame in stack(sys._getframe(1)):
        if nearness(frame.f_code.co_filename):
            break
        decorated = frame.f_locals.get("func") if frame.f_code.co_name == "decorate_context" else None
        code = getattr(decorated, "__code__", None)
        if code is not None and nearness(code.co_filename):
            return Site(shown(code.co_filename), code.co_firstlineno, code.co_name)
    return user_site()


def _in_graph(result: torch.Tensor, given: list[torch.Tensor]) -> bool:
    """Does it hang on what was given? A new leaf does not, even where it asks for a gradient of its own."""
    return result.requires_grad and (result.grad_fn is not None or any(result is one for one in given))


def _keys(result: torch.Tensor) -> bool:
    """Is it an index that stands beside values (of `topk`, `sort`, `max`)?"""
    return not result.is_floating_point() and not result.is_complex()
