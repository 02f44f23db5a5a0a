"""Above autograd: the functions that the user's code calls, as far as they name devices or show only here.

May not: know operators; `dispatch.py` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from mllint.probe.recording.rehearsal.conditions import waits_for_function
from mllint.probe.recording.rehearsal.device import CPU, CUDA, FACTORIES, Call, VirtualDevice, means_device
from mllint.probe.recording.rehearsal.events import HostTensor, at_work
from mllint.probe.recording.rehearsal.moves import move
from mllint.probe.recording.rehearsal.tags import tensors_in

#: What gives memory of the host, whatever the default device is.
_FROM_HOST = frozenset({torch.from_numpy, torch.frombuffer})
_Handler = Callable[[tuple[Any, ...], dict[str, Any]], Any]


class Functions(TorchFunctionMode):
    """Sees every call of a torch function or tensor method that Python code makes."""

    def __init__(self, device: VirtualDevice) -> None:
        super().__init__()
        self.device = device
        self._entries = {_function(name): entry for name, entry in device.table.functions.items()}
        self._silent = {_function(name) for name in device.table.silent}
        self._special = {**dict.fromkeys((*self._entries, *self._silent), None), **self._handlers()}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if types and any(map(_asks, types)) and torch._C._is_torch_function_enabled():
            return NotImplemented  # a tensor class of its own is asked first; it comes back without its class
        if func in self._special:
            handler = self._special[func]
            return self._by_table(func, args, kwargs) if handler is None else handler(args, kwargs)
        if (kwargs and ("device" in kwargs or "pin_memory" in kwargs)) or func in FACTORIES or func in _FROM_HOST:
            return self._created(func, args, kwargs)
        return self._called(func, args, kwargs)

    # ---- plain calls

    def _called(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        device = self.device
        before, device.call = device.call, Call(func, args, kwargs)
        log = device.log
        seen = len(log.waits) if log is not None else 0
        try:
            result = func(*args, **kwargs)
        finally:
            device.call = before
        if log is not None and (len(log.waits) > seen or device.labelled):
            self._label(result, args, always=len(log.waits) > seen)
        return result

    def _label(self, result: Any, args: tuple[Any, ...], *, always: bool) -> None:
        """Autograd nodes whose backward may wait as their forward did, or has in the step before, learn who made them."""
        first = args[0] if args else None
        node = getattr(result if isinstance(result, torch.Tensor) else first, "grad_fn", None)
        if always or (node is not None and not self.device.labelled.isdisjoint(_names(node))):
            self.device.label(result, first)

    def _by_table(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A function that the table names: it may wait, and nothing inside it counts (what it is made of is another matter)."""
        entry, device = self._entries.get(func), self.device
        if entry is not None and entry.when == "host-data":
            return self._from_host_data(func, entry.kind, args, kwargs)
        if entry is not None and waits_for_function(device, entry.when, args, kwargs):
            first = args[0]
            item = func is torch.Tensor.__format__ and first.dim() == 0
            device.waits("item" if item else entry.kind, func.__name__, func.__name__, of=first)
        if args and isinstance(args[0], torch.Tensor) and func not in self._silent:
            device.read_early(args[0], func.__name__)
        with device.quiet():
            return self._called(func, args, kwargs)

    # ---- what makes tensors

    def _created(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call that may name the device of its result."""
        device = self.device
        asked = kwargs.get("device")
        if asked is None and func in FACTORIES and device.default is not None:
            asked = device.default
        pinned = kwargs.get("pin_memory")
        if pinned or means_device(asked):
            kwargs = {name: value for name, value in kwargs.items() if name not in ("device", "pin_memory")}
            if means_device(asked):
                kwargs["device"] = CPU
        result = self._called(func, args, kwargs)
        for tensor in tensors_in(result):
            if means_device(asked):
                device.put(tensor)
            elif pinned:
                device.pinned.set(tensor, True)
            elif (func in FACTORIES or func in _FROM_HOST or asked is not None) and tensor not in device.on:
                told = HostTensor("made", func.__name__, at_work(), asked=asked is not None)
                device.hosts.set(tensor, told)
        return result

    def _from_host_data(self, func: Any, kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``torch.tensor`` and kin: numbers of the host, perhaps for the device."""
        device = self.device
        first = args[0] if args else next(iter(kwargs.values()), None)
        asked = kwargs.get("device", device.default if func in FACTORIES else None)
        new = func is torch.Tensor.new_tensor
        if isinstance(first, torch.Tensor) and not new and asked is not None:  # as_tensor gives the same memory
            copy, dtype = func is torch.tensor, kwargs.get("dtype")
            return move(device, first, there=means_device(asked), name=func.__name__, dtype=dtype, copy=copy)
        there = means_device(asked) or (asked is None and new and device.has(first))
        if there and waits_for_function(device, "host-data", args, kwargs):
            device.waits(kind, func.__name__, func.__name__)
        result = self._created(func, args, {**kwargs, "device": CPU} if new and there else kwargs)
        if there:
            device.put(result)
        return result

    # ---- functions with a meaning of their own

    def _handlers(self) -> dict[Any, _Handler]:
        tensor: Any = torch.Tensor
        return {
            tensor.to: self._to,
            tensor.cuda: lambda args, kwargs: self._cuda(*args, **kwargs),
            tensor.cpu: lambda args, kwargs: move(self.device, args[0], there=False, name="cpu"),
            tensor.type: self._type,
            tensor.numpy: lambda args, kwargs: self._numpy(tensor.numpy, args, kwargs),
            tensor.__array__: lambda args, kwargs: self._numpy(tensor.__array__, args, kwargs),
            tensor.__deepcopy__: self._deepcopy,
            tensor.backward: self._backward,
            torch.device: self._device,
        }

    def _to(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tensor, rest = args[0], list(args[1:])
        other = kwargs.get("other", rest[0] if rest and isinstance(rest[0], torch.Tensor) else None)
        if other is not None:
            asked, dtype = (CUDA if self.device.has(other) else CPU), other.dtype
            no_wait = bool(kwargs.get("non_blocking", rest[1] if len(rest) > 1 else False))
            copy = bool(kwargs.get("copy", rest[2] if len(rest) > 2 else False))
        else:
            rest = [_as_device(each) for each in rest]
            told = {name: _as_device(value) for name, value in kwargs.items() if name != "copy"}
            flags = [each for each in rest if isinstance(each, bool)]  # non_blocking, copy
            copy = bool(kwargs.get("copy", flags[1] if len(flags) > 1 else False))
            asked, dtype, no_wait, _ = torch._C._nn._parse_to(*rest, **told)
        if asked is None or asked.type not in ("cuda", "cpu"):
            return self._called(torch.Tensor.to, args, kwargs)
        return move(
            self.device, tensor, there=asked.type == "cuda", name="to", no_wait=no_wait, dtype=dtype, copy=copy,
            layout=kwargs.get("memory_format"),
        )  # fmt: skip

    def _cuda(self, tensor: torch.Tensor, device: Any = None, non_blocking: bool = False, **rest: Any) -> Any:
        return move(
            self.device, tensor, there=True, name="cuda", no_wait=non_blocking, layout=rest.get("memory_format")
        )

    def _type(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``t.type()`` names the device; ``t.type(torch.cuda.FloatTensor)`` moves."""
        tensor, there = args[0], self.device.has(args[0])
        wanted = args[1] if len(args) > 1 else kwargs.get("dtype")
        if wanted is None:
            told = self._called(torch.Tensor.type, args, kwargs)
            return told.replace("torch.", "torch.cuda.", 1) if there else told
        name = (
            wanted
            if isinstance(wanted, str)
            else f"{getattr(wanted, '__module__', '')}.{getattr(wanted, '__name__', '')}"
        )
        if isinstance(wanted, torch.dtype) or "Tensor" not in name:
            return self._called(torch.Tensor.type, args, kwargs)
        plain = getattr(torch, name.rpartition(".")[2], None)
        return move(self.device, tensor, there="cuda" in name, name="type", dtype=getattr(plain, "dtype", None))

    def _numpy(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Of a tensor on the device torch refuses it; the step goes on, so that what comes after is seen too."""
        tensor = args[0]
        if self.device.has(tensor):
            self.device.mixes("numpy", [tensor], [], "numpy")
        self.device.read_early(tensor, "numpy", exported=True)
        with self.device.quiet():
            return self._called(func, args, kwargs)

    def _deepcopy(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self.device.quiet():
            result = self._called(torch.Tensor.__deepcopy__, args, kwargs)
        self.device.follow(args[0], result)
        return result

    def _backward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Backward runs user code (hooks, custom functions): this mode has to be on there."""
        told = {
            **dict(zip(("grad_tensors", "retain_graph", "create_graph", "inputs"), args[1:], strict=False)),
            **kwargs,
        }
        if "gradient" in told:
            told["grad_tensors"] = told.pop("gradient")
        with self:
            torch.autograd.backward(args[0], **told)

    def _device(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args and isinstance(args[0], int):  # an index means the accelerator, and there is none
            return torch.device("cuda", args[0])
        return torch.device(*args, **kwargs)


def _function(name: str) -> Any:
    """A function of the table: ``Tensor.tolist``, ``nn.functional.one_hot``, ``as_tensor``."""
    found: Any = torch
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _asks(kind: Any) -> bool:
    """Has a tensor class functions of its own?"""
    return kind is not torch.Tensor and kind.__torch_function__ is not torch._C._disabled_torch_function_impl


def _names(node: Any) -> set[str]:
    """The names of a node and of those just below it."""
    return {node.name(), *(below.name() for below, _ in node.next_functions if below is not None)}


def _as_device(given: Any) -> Any:
    """An index means the accelerator."""
    return CUDA if isinstance(given, int) and not isinstance(given, bool) else given
