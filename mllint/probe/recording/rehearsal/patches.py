"""What of torch has to be changed, beside the modes, for code to believe in the virtual device; all of it is put back.

May not: change what a step computes.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

from mllint.probe.recording.rehearsal import cuda_module
from mllint.probe.recording.rehearsal.device import CPU, CUDA, VirtualDevice, means_device
from mllint.probe.recording.rehearsal.moves import move
from mllint.probe.recording.rehearsal.tags import tensors_in

#: Modules whose Python functions would switch the function mode off for what they call; see `_own_classes_only`.
_ASKING = (
    "torch.functional", "torch.nn.functional", "torch.nn.init", "torch.autograd", "torch._lowrank", "torch._lobpcg",
)  # fmt: skip


@contextmanager
def patched(device: VirtualDevice) -> Iterator[None]:
    """Everything that the modes cannot see answers as with a GPU."""
    with ExitStack() as undo:

        def put(owner: Any, name: str, value: Any, *, new: bool = False) -> None:
            if not hasattr(owner, name) and not new:
                return  # another version of torch
            own = name in vars(owner)
            before = getattr(owner, name, None)
            setattr(owner, name, value)
            undo.callback(setattr, owner, name, before) if own else undo.callback(delattr, owner, name)

        for name, answer in cuda_module.answers(device).items():
            put(torch.cuda, name, answer)
            if hasattr(torch, "accelerator"):
                put(torch.accelerator, name, answer)
        for name in ("range_push", "range_pop", "range_start", "range_end", "mark"):
            put(torch.cuda.nvtx, name, lambda *args, **kwargs: 0)
        put(torch.backends.cudnn, "is_acceptable", lambda tensor: False)
        for part in (_tensors, _files, _precision, _compilers, _default_device, _groups, _parallel):
            part(device, put)
        try:
            yield
        finally:
            if device.default is not None:
                torch.set_default_device(None)


_Put = Callable[..., None]


def _tensors(device: VirtualDevice, put: _Put) -> None:
    """What a tensor says of itself, in every thread and hook; generators; functions written in Python."""

    def pin_memory(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if device.has(tensor) or tensor in device.pinned:
            return tensor
        with device.quiet():
            pinned = tensor.detach().clone()
        device.pinned.set(pinned, True)
        return pinned

    plain: Any = torch.Tensor.device
    put(torch.Tensor, "device", property(lambda tensor: CUDA if device.has(tensor) else plain.__get__(tensor)))
    put(torch.Tensor, "is_cuda", property(device.has))
    put(torch.Tensor, "is_cpu", property(lambda tensor: not device.has(tensor) and plain.__get__(tensor).type == "cpu"))
    put(torch.Tensor, "get_device", lambda tensor: 0 if device.has(tensor) else -1)
    wrapper = torch.Tensor._make_wrapper_subclass

    def make_wrapper(kind: Any, *args: Any, **kwargs: Any) -> Any:
        """A tensor class that takes its device from its parts would ask for a real GPU, and torch ends the process."""
        args = tuple(CPU if isinstance(each, torch.device) and each.type == "cuda" else each for each in args)
        if means_device(kwargs.get("device")):
            kwargs["device"] = CPU
        return wrapper(kind, *args, **kwargs)

    put(torch.Tensor, "_make_wrapper_subclass", staticmethod(make_wrapper))
    put(torch.Tensor, "record_stream", lambda tensor, stream: None)
    put(torch.Tensor, "pin_memory", pin_memory)
    put(torch.Tensor, "is_pinned", lambda tensor, *args, **kwargs: tensor in device.pinned)

    class _AnyGenerator(type(torch.Generator)):  # type: ignore[misc]
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, before)

    before = torch.Generator

    class Generator(before, metaclass=_AnyGenerator):  # type: ignore[misc, valid-type]
        def __new__(cls, device: Any = "cpu") -> Any:
            return super().__new__(cls, "cpu")

    put(torch, "Generator", Generator)
    for name in _ASKING:
        module = importlib.import_module(name)
        for question in ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"):
            if question in vars(module):
                put(module, question, _own_classes_only(question))


def _own_classes_only(question: str) -> Callable[..., bool]:
    """``has_torch_function`` without the modes. Python functions of torch ask it first, and hand themselves to the mode, which
    then is off for all that they call; so they go on, and the mode sees what they call."""
    disabled, enabled = torch._C._disabled_torch_function_impl, torch._C._is_torch_function_enabled

    def asks(thing: Any) -> bool:
        kind = type(thing)
        return kind is not torch.Tensor and getattr(kind, "__torch_function__", disabled) is not disabled

    if question == "has_torch_function":
        return lambda things: any(map(asks, things)) and enabled()
    return lambda *things: any(map(asks, things)) and enabled()


def _files(device: VirtualDevice, put: _Put) -> None:
    """``torch.save`` copies to the host, ``torch.load`` may copy to the device."""
    save, load = torch.save, torch.load

    def saving(obj: Any, *args: Any, **kwargs: Any) -> Any:
        held = list(tensors_in(obj))
        if any(device.has(tensor) for tensor in held):
            device.waits("D2H", "save", "torch.save")
        for tensor in held:
            device.read_early(tensor, "torch.save")
        with device.quiet():
            return save(obj, *args, **kwargs)

    def loading(f: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
        there = means_device(map_location)
        with device.quiet():
            found = load(f, CPU if there else map_location, *args, **kwargs)
        if there:
            device.waits("H2D", "load", "torch.load")
            for tensor in tensors_in(found):
                device.put(tensor)
        return found

    put(torch, "save", saving)
    put(torch, "load", loading)


def _precision(device: VirtualDevice, put: _Put) -> None:
    """Autocast for the GPU is autocast for the CPU."""
    autocast = torch.amp.autocast_mode.autocast
    begin = autocast.__init__
    dtype_of, enabled = torch.get_autocast_dtype, torch.is_autocast_enabled

    def beginning(self: Any, device_type: str, dtype: Any = None, *args: Any, **kwargs: Any) -> None:
        there = device_type.partition(":")[0] == "cuda"
        begin(self, "cpu" if there else device_type, dtype or (torch.float16 if there else None), *args, **kwargs)

    put(autocast, "__init__", beginning)
    put(torch, "is_autocast_enabled", lambda kind="cpu": enabled("cpu" if kind == "cuda" else kind))
    put(torch, "get_autocast_dtype", lambda kind: dtype_of("cpu" if kind == "cuda" else kind))
    put(torch, "get_autocast_gpu_dtype", lambda: dtype_of("cpu"))


def _compilers(device: VirtualDevice, put: _Put) -> None:
    """Compiled regions cannot be rehearsed: they run eagerly, and the report says so."""

    def eager(what: str) -> Callable[..., Any]:
        def compiling(model: Any = None, *args: Any, **kwargs: Any) -> Any:
            device.note(f"{what} was left out: compiled regions cannot be rehearsed, they ran eagerly")
            return model if model is not None else lambda function: function

        return compiling

    faking = FakeTensor.__new__

    def fake(kind: Any, mode: Any, inner: Any, where: Any, *args: Any, **kwargs: Any) -> Any:
        return faking(kind, mode, inner, CPU if means_device(where) else where, *args, **kwargs)

    put(FakeTensor, "__new__", staticmethod(fake))  # eager flex_attention traces what it is given
    put(torch, "compile", eager("torch.compile"))
    put(torch.jit, "script", eager("torch.jit.script"))


def _default_device(device: VirtualDevice, put: _Put) -> None:
    """``torch.set_default_device("cuda")`` puts a mode below ours, which would ask for a real GPU: the default is kept here."""

    def enter(self: Any) -> Any:
        self.mllint_before, device.default = device.default, self.device
        return self

    def leave(self: Any, *error: object) -> None:
        device.default = getattr(self, "mllint_before", None)

    put(DeviceContext, "__enter__", enter)
    put(DeviceContext, "__exit__", leave)

    def default() -> torch.device:
        stack: list[Any] = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
        inner = [mode.device for mode in stack if isinstance(mode, DeviceContext)]
        return _indexed(inner[-1] if inner else device.default or CPU)

    put(torch, "get_default_device", default)


def _indexed(asked: torch.device) -> torch.device:
    return CUDA if asked.type == "cuda" else asked


def _groups(device: VirtualDevice, put: _Put) -> None:
    """Optimizers and gradient clipping group tensors by their device, in C++."""
    from torch.utils import _foreach_utils

    grouped = _foreach_utils._group_tensors_by_device_and_dtype

    def grouping(lists: Any, with_indices: bool = False) -> Any:
        found: dict[Any, Any] = {}
        for (where, dtype), (members, indices) in grouped(lists, with_indices).items():
            there = [device.has(tensor) for tensor in members[0]]
            for side in {*there}:
                chosen = [at for at, each in enumerate(there) if each == side]
                parts = [[each[at] for at in chosen] if each else each for each in members]
                found[(CUDA if side else where, dtype)] = (
                    parts,
                    [indices[at] for at in chosen] if indices else indices,
                )
        return found

    name = "_group_tensors_by_device_and_dtype"
    for module in [each for key, each in sys.modules.items() if key.startswith("torch.") and each is not None]:
        if vars(module).get(name) is grouped:
            put(module, name, grouping)


def _parallel(device: VirtualDevice, put: _Put) -> None:
    """``nn.DataParallel`` over one device calls its module, with the inputs on the device."""

    def there(thing: Any) -> Any:
        return move(device, thing, there=True, name="DataParallel") if isinstance(thing, torch.Tensor) else thing

    def forward(self: Any, *inputs: Any, **kwargs: Any) -> Any:
        from torch.utils._pytree import tree_map

        return self.module(*tree_map(there, inputs), **tree_map(there, kwargs))

    put(torch.nn.DataParallel, "forward", forward)
