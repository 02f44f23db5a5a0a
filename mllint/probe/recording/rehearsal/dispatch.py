"""Below autograd: every operator, with the tensors it gets; tags follow the data from here.

This is the hot path: what can be known from the operator alone is worked out once (`_Plan`), and views are passed
on at once, since a tag belongs to a storage. May not: know the user's functions; `functions.py` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode

from mllint.probe.recording.rehearsal.conditions import OPERATOR_CONDITIONS, Operation
from mllint.probe.recording.rehearsal.device import CPU, FACTORIES, VirtualDevice, means_device
from mllint.probe.recording.rehearsal.events import HostTensor
from mllint.probe.recording.rehearsal.tags import storage_key, tensors_in

_NO_DISPATCH: Any = torch._C._disabled_torch_dispatch_impl
#: How torch names a type that a kernel lacks.
_TYPE_NAMES = {
    torch.float16: "'Half'", torch.bfloat16: "'BFloat16'", torch.int64: "'Long'", torch.int32: "'Int'",
    torch.int16: "'Short'", torch.int8: "'Char'", torch.uint8: "'Byte'", torch.bool: "'Bool'",
}  # fmt: skip
_WITHOUT_FUNCTION_MODES: Any = torch._C.DisableTorchFunction


@dataclass(frozen=True, slots=True)
class _Plan:
    """What an operator's schema and the table say about it. ``fresh`` are the places of results with memory of their own,
    ``view``: every result shares memory with an argument and nothing is written or compared; ``works``: the device has work of it
    that nobody waits for."""

    name: str
    overload: str
    view: bool
    results: int
    fresh: tuple[int, ...]
    host_results: tuple[int, ...]
    kind: str
    condition: Callable[[VirtualDevice, Operation], None] | None
    compared: bool
    works: bool


class Dispatch(TorchDispatchMode):
    """Sees every operator that reaches the backends."""

    supports_higher_order_operators = True  # flex_attention is one; it runs as it is

    def __init__(self, device: VirtualDevice) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device
        self._plans: dict[Any, _Plan] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if types and any(map(_dispatches, types)):
            if any(issubclass(kind, FakeTensor) for kind in types):
                return func(*args, **(kwargs or {}))  # something of torch's own is being traced
            return NotImplemented  # a tensor class takes itself apart first; its parts come here
        if self.device.call is not None:  # function modes are off already
            return self._run(func, args, kwargs or {})
        with _WITHOUT_FUNCTION_MODES():
            return self._run(func, args, kwargs or {})

    def _run(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        device = self.device
        plan = self._plans.get(func)
        if plan is None and not hasattr(func, "_schema"):
            return self._composed(func, args, kwargs)
        if plan is None:
            plan = self._plans[func] = self._plan(func)
        if plan.view:
            return func(*args, **kwargs)
        if kwargs and means_device(kwargs.get("device")):
            return self._sent(func, args, kwargs)
        tensors = _tensors(args, kwargs)
        tagged = device.on.values
        on = [storage_key(each) in tagged for each in tensors]
        on_device = True in on
        if device.pending.values:
            self._read(plan, tensors)
        if on_device:
            if plan.condition is not None:
                plan.condition(device, Operation(plan.name, plan.overload, plan.kind, args, kwargs, tensors, on))
            elif plan.compared and False in on:
                self._compare(plan, tensors, on)
        result = _computed(func, args, kwargs)
        device.queued |= on_device and plan.works
        if plan.fresh:
            self._tag(plan, result, tensors, on_device or (not tensors and self._made_by_torch()))
        return result

    def _sent(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The device is named where the function mode is off: in a hook, or in Python code inside torch."""
        result = func(*args, **{**kwargs, "device": CPU})
        for tensor in tensors_in(result):
            self.device.put(tensor)
        return result

    def _composed(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """An operator made of Python code: its results lie where its arguments do."""
        result = func(*args, **kwargs)
        if any(self.device.has(each) for each in _tensors(args, kwargs)):
            for tensor in tensors_in(result):
                self.device.put(tensor)
        return result

    def _plan(self, func: Any) -> _Plan:
        schema, table = func._schema, self.device.table
        namespace, _, name = schema.name.partition("::")
        aliases = [each.alias_info for each in schema.returns]
        entry = table.operators.get(name) if namespace == "aten" else None
        tensor_results = [place for place, each in enumerate(schema.returns) if "Tensor" in str(each.type)]
        fresh = tuple(place for place in tensor_results if aliases[place] is None)
        view = bool(tensor_results) and not fresh and not schema.is_mutable
        return _Plan(
            name=name,
            overload=func._overloadname,
            view=view,
            results=len(schema.returns),
            fresh=fresh,
            host_results=table.host_results.get(name, ()),
            kind=entry.kind if entry else "",
            condition=OPERATOR_CONDITIONS[entry.when] if entry else None,
            compared=namespace == "aten" and name not in table.mixed,
            works=bool(tensor_results),
        )

    def _compare(self, plan: _Plan, tensors: Sequence[torch.Tensor], on: Sequence[bool]) -> None:
        """Tensors of both devices: a number of the host (0 dimensions) is welcome, and an empty tensor is nothing."""
        on_host = [
            tensor for tensor, there in zip(tensors, on, strict=True) if not there and tensor.dim() and tensor.numel()
        ]
        if on_host:
            self.device.mixes(plan.name, [each for each, there in zip(tensors, on, strict=True) if there], on_host)

    def _read(self, plan: _Plan, tensors: Sequence[torch.Tensor]) -> None:
        if plan.name in ("copy_", "_to_copy", "detach", "set_"):
            return  # into it, or back to the device: both queue up behind the copy
        for tensor in tensors:
            if tensor in self.device.pending:
                call = self.device.call
                self.device.read_early(tensor, plan.name if call is None else call.name)

    def _made_by_torch(self) -> bool:
        """A tensor comes from nothing: is it one that torch itself makes beside tensors of the device (zeros for a gradient,
        a buffer inside a function of several operators)? There it would follow them to the device."""
        call = self.device.call
        if call is None:
            return torch._C._current_autograd_node() is not None
        return call.function not in FACTORIES and any(
            self.device.has(each) for each in _tensors(call.args, call.kwargs)
        )

    def _tag(self, plan: _Plan, result: Any, tensors: Sequence[torch.Tensor], on_device: bool) -> None:
        device = self.device
        told: HostTensor | None = None
        if on_device:
            on_device = device.call is None or not _asks_for_host(device.call.kwargs)
        elif device.hosts.values:
            told = next((found for each in tensors if (found := device.hosts.get(each)) is not None), None)
        if not on_device and told is None:
            return
        results = result if plan.results > 1 else (result,)
        if plan.name == "clone" and device.placed.values and tensors[0] in device.placed:
            device.placed.set(result, True)
        for place in plan.fresh:
            if place in plan.host_results:
                continue
            for tensor in results[place] if isinstance(results[place], (tuple, list)) else (results[place],):
                if not isinstance(tensor, torch.Tensor):
                    continue
                if on_device:
                    device.put(tensor)
                elif told is not None and tensor not in device.on:
                    device.hosts.set(tensor, told)


def _dispatches(kind: Any) -> bool:
    """Does a tensor class take operators apart itself?"""
    return getattr(kind, "__torch_dispatch__", _NO_DISPATCH) is not _NO_DISPATCH


def _asks_for_host(kwargs: Mapping[str, Any]) -> bool:
    asked = kwargs.get("device")
    return asked is not None and torch.device(asked).type == "cpu"


def _tensors(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
    """The tensors among the arguments, those in lists too; operators nest no deeper."""
    found: list[torch.Tensor] = []
    for each in args if not kwargs else (*args, *kwargs.values()):
        if isinstance(each, torch.Tensor):
            found.append(each)
        elif isinstance(each, (list, tuple)):
            found += [inner for inner in each if isinstance(inner, torch.Tensor)]
    return found


def _computed(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The result, by way of a wider type where the GPU has a kernel for the type and the CPU has none (half, small integers)."""
    try:
        return func(*args, **kwargs)
    except (RuntimeError, NotImplementedError) as error:
        lacking = [each.dtype for each in _tensors(args, kwargs) if _TYPE_NAMES.get(each.dtype, "?") in str(error)]
        if "not implemented for" not in str(error) or not lacking or func._schema.is_mutable:
            raise
        narrow = lacking[0]
    wide = torch.float32 if narrow.is_floating_point else torch.float64

    def changed(value: Any, old: torch.dtype, new: torch.dtype) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(changed(each, old, new) for each in value)
        return value.to(new) if isinstance(value, torch.Tensor) and value.dtype == old else value

    widened = {name: changed(value, narrow, wide) for name, value in kwargs.items()}
    return changed(func(*(changed(each, narrow, wide) for each in args), **widened), wide, narrow)
