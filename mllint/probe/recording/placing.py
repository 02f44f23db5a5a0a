"""Put a target on the GPU, as far as its author has not done that: the model, and where the step does not do it, the batches.

May not: decide which device is wanted, or hide that a target names the CPU itself.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils._pytree import tree_map

if TYPE_CHECKING:
    from mllint.probe.recording.run import Run

_CPU = torch.device("cpu")

#: How torch says that tensors of two devices meet, in its versions and operators.
_MIXED = re.compile(
    r"same device|(expected|on) device|but got .* on cpu|type \(?torch\.\w*(cuda|Float)\w*Tensor|"
    r"indices should be either on|can't convert \w+(:\d+)? device type|Placeholder storage",
    re.IGNORECASE,
)


def place(run: Run, device: torch.device, *, must: bool) -> None:
    """The run is on the device afterwards, or on the CPU still, where its code names that. ``must``: it stays on the device
    all the same, so that its step fails where it would."""
    ours = not any(_is_on(module, device) for module in run.known_modules())
    if ours:
        _move(run, device)
    run.device = device
    for run.moving in (False, True):  # first as it stands: most steps move their batches themselves
        if not _mixes(run):
            return
    if ours and not must:
        _move(run, _CPU)
        run.device, run.moving = _CPU, False
    else:
        run.moving = False


def on_device(batch: Any, device: torch.device) -> Any:
    """A batch with its tensors on a device, of whatever containers it is made."""
    return tree_map(lambda leaf: _leaf_on(leaf, device), batch)


def _leaf_on(leaf: Any, device: torch.device) -> Any:
    if isinstance(leaf, (nn.Module, type)):
        return leaf
    if callable(getattr(leaf, "to", None)):  # a tensor, a BatchEncoding, a graph
        return leaf.to(device)
    if dataclasses.is_dataclass(leaf) and not isinstance(leaf, type):
        changed = {
            each.name: on_device(getattr(leaf, each.name), device) for each in dataclasses.fields(leaf) if each.init
        }
        return dataclasses.replace(leaf, **changed)
    return leaf


def _is_on(module: nn.Module, device: torch.device) -> bool:
    return any(tensor.device.type == device.type for tensor in (*module.parameters(), *module.buffers()))


def _move(run: Run, device: torch.device) -> None:
    for module in run.known_modules():
        module.to(device)
    for optimizer in run.optimizers:  # a state that was loaded; that of a parameter lies where the parameter does
        for state in optimizer.state.values():
            for name, value in state.items() if isinstance(state, dict) else ():
                if isinstance(value, torch.Tensor) and name != "step":
                    state[name] = value.to(device)


def _mixes(run: Run) -> bool:
    """Do tensors of two devices meet in a step? What else is wrong with it is for the first real step to say."""
    with run.preserved():
        try:
            run.loss(run.batch(0))
        except Exception as error:  # noqa: BLE001  # the user's code; only one kind of failure matters here
            return isinstance(error, (RuntimeError, TypeError, ValueError)) and _MIXED.search(str(error)) is not None
    return False
