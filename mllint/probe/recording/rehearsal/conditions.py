"""Under which arguments an operator or function of the table makes the host wait.

May not: know which operators there are; the table names a condition, this says what it means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mllint.probe.recording.rehearsal.device import VirtualDevice
from mllint.probe.recording.rehearsal.events import at_work

_MASKS = (torch.bool, torch.uint8)


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of an operator: ``tensors`` are those among its arguments, ``on`` says which lie on the device."""

    name: str
    overload: str
    kind: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    tensors: Sequence[torch.Tensor]
    on: Sequence[bool]

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument by position or name."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)


def _any(device: VirtualDevice, call: Operation) -> None:
    device.waits(call.kind, call.name, of=call.tensors[0])


def _first(device: VirtualDevice, call: Operation) -> None:
    if call.on[0]:
        device.waits(call.kind, call.name)


def _no_range(device: VirtualDevice, call: Operation) -> None:
    if call.argument(2, "min", 0) == call.argument(3, "max", 0):
        device.waits(call.kind, call.name)


def _no_output_size(device: VirtualDevice, call: Operation) -> None:
    if call.overload == "Tensor" and call.kwargs.get("output_size") is None:
        device.waits(call.kind, call.name)


def _without_replacement(device: VirtualDevice, call: Operation) -> None:
    if not call.argument(2, "replacement", False) or call.args[1] == 1:
        device.waits(call.kind, call.name)


def _tensor_deviation(device: VirtualDevice, call: Operation) -> None:
    if call.overload in ("float_Tensor", "Tensor_Tensor"):
        device.waits(call.kind, call.name)


def _device_lengths(device: VirtualDevice, call: Operation) -> None:
    for lengths in (call.argument(2, "input_lengths"), call.argument(3, "target_lengths")):
        if device.has(lengths):
            device.waits(call.kind, call.name, of=lengths)


def _index(device: VirtualDevice, call: Operation) -> None:
    indices = [index for index in call.args[1] if index is not None]
    if not call.on[0]:
        device.mixes(call.name, [index for index in indices if device.has(index)], [call.args[0]])
        return
    for index in indices:
        if not device.has(index):
            device.waits("H2D", call.name)
        elif index.dtype in _MASKS:
            device.waits(call.kind, call.name)


def _index_put(device: VirtualDevice, call: Operation) -> None:
    indices, value = [index for index in call.args[1] if index is not None], call.args[2]
    if not call.on[0]:
        device.mixes(call.name, [each for each in (*indices, value) if device.has(each)], [call.args[0]])
        return
    masks = [index for index in indices if index.dtype in _MASKS]
    if masks:  # one mask and a number is a masked fill
        if not (len(indices) == 1 and value.numel() == 1 and not device.has(value)):
            device.waits(call.kind, call.name)
    elif value.numel() == 1 and not device.has(value):
        device.waits("H2D", call.name)
    for index in indices:
        if not device.has(index):
            device.waits("H2D", call.name)
    if not device.has(value) and value.dim() > 0 and value.numel() > 1:
        device.mixes(call.name, [call.args[0]], [value])


def _copy(device: VirtualDevice, call: Operation) -> None:
    target, source = call.args[0], call.args[1]
    if call.on[0] == call.on[-1] or source.numel() == 0:
        return
    no_wait = bool(call.argument(2, "non_blocking", False))
    transfer(device, source, target, to_device=call.on[0], no_wait=no_wait, operator=call.name)


def transfer(
    device: VirtualDevice, source: torch.Tensor, target: torch.Tensor, *, to_device: bool, no_wait: bool, operator: str
) -> None:
    """A copy between host and device: who waits for it, and what may not be read before somebody does.

    Only pinned memory is copied asynchronously; a copy to pageable memory returns when it is complete, one from it when
    the host's memory has been read, which waits for nothing else where nobody asked it to.
    """
    pinned = (source if to_device else target) in device.pinned
    if to_device:
        if not no_wait:
            told = device.hosts.get(source)
            device.waits("batch" if told is not None and told.kind == "batch" else "H2D", operator)
        elif not pinned:
            device.waits("staged", operator, all_done=False)
    elif no_wait and pinned:
        device.pending.set(target, at_work())
    else:
        device.waits("D2H", operator, of=source)


#: What the names in a table's ``when`` mean for operators.
OPERATOR_CONDITIONS: Mapping[str, Callable[[VirtualDevice, Operation], None]] = {
    "any": _any,
    "first": _first,
    "no-range": _no_range,
    "no-output-size": _no_output_size,
    "without-replacement": _without_replacement,
    "tensor-deviation": _tensor_deviation,
    "device-lengths": _device_lengths,
    "index": _index,
    "index-put": _index_put,
    "copy": _copy,
}


def waits_for_function(device: VirtualDevice, when: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Does a function of the table make the host wait, called like this? ``host-data`` is asked only where the result goes
    to the device."""
    first = args[0] if args else next(iter(kwargs.values()), None)
    if when == "self":
        return device.has(first)
    if when == "no-classes":
        return device.has(first) and (args[1] if len(args) > 1 else kwargs.get("num_classes", -1)) == -1
    if when == "host-data":
        data = args[-1] if isinstance(first, torch.Tensor) and len(args) > 1 else first
        empty = isinstance(data, (list, tuple)) and not data
        return not empty and not device.has(data)
    raise KeyError(f"unknown condition {when!r} in the table")


#: The conditions that `waits_for_function` knows.
FUNCTION_CONDITIONS = ("self", "no-classes", "host-data")
