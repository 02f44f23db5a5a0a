"""Tensors that the user's code moves between host and device.

May not: compute anything but a copy.
"""

from __future__ import annotations

from typing import Any

import torch

from mllint.probe.recording.rehearsal.conditions import transfer
from mllint.probe.recording.rehearsal.device import CPU, Call, VirtualDevice
from mllint.probe.recording.rehearsal.events import HostTensor, at_work


def move(
    device: VirtualDevice,
    tensor: torch.Tensor,
    *,
    there: bool,
    name: str,
    no_wait: bool = False,
    dtype: torch.dtype | None = None,
    copy: bool = False,
    layout: torch.memory_format | None = None,
) -> torch.Tensor:
    """The tensor on the device (``there``) or the host: itself where nothing changes, else a copy that autograd knows."""
    rest: dict[str, Any] = {} if layout is None else {"memory_format": layout}
    dtype = dtype or tensor.dtype
    if device.has(tensor) == there:
        with _calling(device, tensor):
            return tensor.to(device=CPU, dtype=dtype, copy=copy, **rest)
    if tensor.requires_grad and torch.is_grad_enabled():
        moved: torch.Tensor = _Moved.apply(tensor, device, there, name, no_wait)  # type: ignore[no-untyped-call]
    else:
        moved = _moved(device, tensor, there, name, no_wait)
    if dtype != tensor.dtype or layout is not None:
        with _calling(device, tensor):
            moved = moved.to(dtype=dtype, **rest)
    return moved


def _moved(device: VirtualDevice, tensor: torch.Tensor, there: bool, name: str, no_wait: bool) -> torch.Tensor:
    with _calling(device, tensor), device.quiet():
        result = tensor.detach().clone()
    if there:
        told = device.hosts.get(tensor)
        device.batch_moved |= told is not None and told.kind == "batch"
        if tensor.numel():
            transfer(device, tensor, result, to_device=True, no_wait=no_wait, operator=name)
        device.put(result)
        return result
    device.take(result, HostTensor("moved", name, at_work(), asked=True))
    if no_wait:  # torch gives such a copy pinned memory
        device.pinned.set(result, True)
    if tensor.numel():
        transfer(device, tensor, result, to_device=False, no_wait=no_wait, operator=name)
    return result


class _Moved(torch.autograd.Function):
    """A move in a graph; its gradient moves back, and the host waits for that too."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, device: VirtualDevice, there: bool, name: str, no_wait: bool) -> Any:
        ctx.device, ctx.there = device, there
        return _moved(device, tensor, there, name, no_wait)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        if ctx.device.has(gradient) == ctx.there:
            gradient = _moved(ctx.device, gradient, not ctx.there, "to", False)
        return gradient, None, None, None, None


class _calling:
    """A call of the probe's own: function modes are off here, and no call of the user's is meant."""

    def __init__(self, device: VirtualDevice, tensor: torch.Tensor) -> None:
        self._device, self._call = device, Call(torch.Tensor.clone, (tensor,), {})
        self._off: Any = torch._C.DisableTorchFunction()

    def __enter__(self) -> None:
        self._before, self._device.call = self._device.call, self._call
        self._off.__enter__()

    def __exit__(self, *error: object) -> None:
        self._off.__exit__(*error)
        self._device.call = self._before
