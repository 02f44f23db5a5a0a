"""Put on the virtual device what no code has moved there: the model, what its optimizers remember, tensors that the user's
functions hold, and batches.

May not: move anything for a target that moves its own model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

from mllint.probe.recording.holdings import held_by
from mllint.probe.recording.rehearsal.device import VirtualDevice
from mllint.probe.recording.rehearsal.events import HostTensor
from mllint.probe.recording.rehearsal.tags import tensors_in
from mllint.probe.recording.run import Run


class Placement:
    """What was put on the device here: ``parts`` in words. `undo` takes it all back."""

    def __init__(self, device: VirtualDevice) -> None:
        self.parts: tuple[str, ...] = ()
        self._device = device
        self._tensors: list[torch.Tensor] = []

    def put(self, part: str, tensors: Iterable[torch.Tensor]) -> None:
        """Put tensors on the device; ``part`` is what they are."""
        new = [tensor for tensor in tensors if not self._device.has(tensor)]
        for tensor in new:
            self._device.put(tensor)
        if new:
            self._tensors += new
            self.parts += (part,)

    def undo(self) -> None:
        """The tensors lie where they lay before."""
        for tensor in self._tensors:
            self._device.take(tensor)


def place_target(placement: Placement, device: VirtualDevice, run: Run) -> None:
    """Put model and optimizer state on the device, unless the target has."""
    modules = run.known_modules()
    registered = [tensor for _, tensor in _registered(modules)]
    _remember(device, modules, run.read_so_far())
    if any(device.has(tensor) for tensor in registered):
        return
    placement.put("model", registered)
    placement.put("optimizer state", (each for optimizer in run.optimizers for each in _remembered(optimizer)))
    placement.put("tensors that the target's functions hold", _held(run, modules))


def place_batches(placement: Placement, device: VirtualDevice, run: Run) -> None:
    """Put every batch that was read on the device, as a loop does before it calls the step."""
    found = list(tensors_in(run.read_so_far()))
    placement.put("batches", found)
    for tensor in found:
        device.placed.set(tensor, True)


def _remember(device: VirtualDevice, modules: list[nn.Module], batches: Any) -> None:
    """Names for messages: parameters and buffers, plain attributes of modules, batches."""
    for name, tensor in _registered(modules):
        device.names.set(tensor, name)
    for name, tensor in _attributes(modules):
        if not device.has(tensor):
            known = device.hosts.get(tensor)
            device.hosts.set(tensor, HostTensor("attribute", name, known.where if known else None))
    for tensor in tensors_in(batches):
        if not device.has(tensor):
            device.hosts.set(tensor, HostTensor("batch"))


def _registered(modules: list[nn.Module]) -> Iterator[tuple[str, torch.Tensor]]:
    for module in modules:
        yield from module.named_parameters()
        yield from module.named_buffers()


def _attributes(modules: list[nn.Module]) -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors that modules hold as plain attributes: ``module.to(device)`` does not move them."""
    for root in modules:
        for path, module in root.named_modules():
            for name, value in vars(module).items():
                if name not in ("_parameters", "_buffers", "_modules"):
                    found = tensors_in(value, 2) if isinstance(value, (torch.Tensor, list, tuple, dict)) else ()
                    yield from ((f"{path}.{name}" if path else name, tensor) for tensor in found)


def _remembered(optimizer: torch.optim.Optimizer) -> Iterator[torch.Tensor]:
    """What an optimizer keeps beside the parameters; step counters stay on the host unless it is fused or capturable."""
    for state in optimizer.state.values():
        for value in state.values() if isinstance(state, dict) else ():
            if isinstance(value, torch.Tensor) and (value.dim() or optimizer.defaults.get("fused")):
                yield value


def _held(run: Run, modules: list[nn.Module]) -> Iterator[torch.Tensor]:
    """Tensors in closures, globals and owners of the target's functions: class weights, say. A real loop would have moved
    them with the model."""
    roots = {name: value for name, value in run.roots().items() if name in ("loss", "step", "validate")}
    attributes = {id(tensor) for _, tensor in _attributes(modules)} | {id(each) for _, each in _registered(modules)}
    for _, thing in held_by(roots):
        if isinstance(thing, torch.Tensor) and id(thing) not in attributes:
            yield thing
