"""A snapshot of everything that a training step changes, put back bit for bit.

Parameters keep their identity: values are copied into the tensors that were there. May not: know why it is taken.
"""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

#: Attributes of a module that are put back: what a forward may count or remember in plain Python.
_PLAIN = (bool, int, float, str, type(None), torch.Tensor)


@dataclass(frozen=True)
class _Tensor:
    """A tensor as it was: the object, the storage it showed, the values."""

    tensor: torch.Tensor
    data: torch.Tensor
    values: torch.Tensor
    gradient: torch.Tensor | None
    gradient_values: torch.Tensor | None
    requires_grad: bool


class Snapshot:
    """The state of modules, optimizers, scheduler, scaler and random generators at one moment."""

    def __init__(
        self, modules: Iterable[nn.Module], optimizers: Iterable[Any] = (), others: Iterable[Any] = ()
    ) -> None:
        """``others`` have ``state_dict`` and ``load_state_dict`` (schedulers, scalers)."""
        self._modules = [inner for module in modules for inner in module.modules()]
        self._tensors = {name: _kept(tensor) for name, tensor in _tensors_of(self._modules)}
        self._registers = [(module, dict(module._parameters), dict(module._buffers)) for module in self._modules]
        self._modes = [(module, module.training) for module in self._modules]
        self._plain = [(module, _plain_of(module)) for module in self._modules]
        self._optimizers = [(each, _optimizer_state(each)) for each in optimizers]
        self._others = [(each, copy.deepcopy(each.state_dict())) for each in others if hasattr(each, "state_dict")]
        self._random = random_state()

    def restore(self) -> None:
        """Put everything back."""
        with torch.no_grad():
            for module, parameters, buffers in self._registers:
                _replace(module._parameters, parameters)
                _replace(module._buffers, buffers)
            for kept in self._tensors.values():
                kept.tensor.data = kept.data
                if not _same(kept.data, kept.values):
                    kept.data.copy_(kept.values)
                if kept.tensor.requires_grad != kept.requires_grad:
                    kept.tensor.requires_grad_(kept.requires_grad)
                kept.tensor.grad = kept.gradient
                if kept.gradient is not None and kept.gradient_values is not None:
                    kept.gradient.copy_(kept.gradient_values)
        for module, training in self._modes:
            module.training = training
        for module, plain in self._plain:
            _restore_plain(module, plain)
        for optimizer, (groups, state) in self._optimizers:
            _restore_optimizer(optimizer, groups, state)
        for other, told in self._others:
            other.load_state_dict(copy.deepcopy(told))
        restore_random(self._random)

    def differences(self) -> tuple[str, ...]:
        """What is not as it was, by name; empty after `restore`."""
        found = [f"parameter or buffer {name}" for name, kept in self._tensors.items() if not _unchanged(kept)]
        found += [f"mode of {type(module).__name__}" for module, mode in self._modes if module.training != mode]
        for optimizer, (groups, state) in self._optimizers:
            if not (_equal(_groups(optimizer), groups) and _equal(dict(optimizer.state), state)):
                found.append(f"state of {type(optimizer).__name__}")
        for other, told in self._others:
            if not _equal(other.state_dict(), told):
                found.append(f"state of {type(other).__name__}")
        if not _equal(random_state(), self._random):
            found.append("random generators")
        return tuple(found)


def random_state() -> dict[str, Any]:
    """The state of every random generator that training code uses."""
    state: dict[str, Any] = {"python": random.getstate(), "torch": torch.get_rng_state()}
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        state["numpy"] = numpy.random.get_state()
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random(state: dict[str, Any]) -> None:
    """Put the random generators back."""
    random.setstate(state["python"])
    torch.set_rng_state(state["torch"])
    if "numpy" in state:
        sys.modules["numpy"].random.set_state(state["numpy"])
    if "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])


def seed_everything(seed: int) -> None:
    """Set every random generator that training code uses."""
    random.seed(seed)
    torch.manual_seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)


def _tensors_of(modules: Iterable[nn.Module]) -> Iterator[tuple[str, torch.Tensor]]:
    seen: set[int] = set()
    for position, module in enumerate(modules):
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None and id(tensor) not in seen:
                seen.add(id(tensor))
                yield f"{name} of {type(module).__name__} ({position})", tensor


def _kept(tensor: torch.Tensor) -> _Tensor:
    gradient = tensor.grad if tensor.is_leaf else None
    return _Tensor(
        tensor,
        tensor.data,
        tensor.detach().clone(),
        gradient,
        None if gradient is None else gradient.detach().clone(),
        tensor.requires_grad,
    )


def _unchanged(kept: _Tensor) -> bool:
    gradient = kept.tensor.grad if kept.tensor.is_leaf else None
    if (gradient is None) != (kept.gradient is None) or kept.tensor.requires_grad != kept.requires_grad:
        return False
    if gradient is not None and not _same(gradient, kept.gradient_values):
        return False
    return _same(kept.tensor.detach(), kept.values)


def _replace(register: dict[str, Any], wanted: dict[str, Any]) -> None:
    if list(register) != list(wanted) or any(register[name] is not wanted[name] for name in wanted):
        register.clear()
        register.update(wanted)


def _plain_of(module: nn.Module) -> dict[str, Any]:
    return {
        name: value.detach().clone() if isinstance(value, torch.Tensor) else value
        for name, value in vars(module).items()
        if name != "training" and isinstance(value, _PLAIN)
    }


def _restore_plain(module: nn.Module, plain: dict[str, Any]) -> None:
    for name, value in plain.items():
        now = vars(module).get(name)
        if isinstance(value, torch.Tensor):
            if not (isinstance(now, torch.Tensor) and _same(now.detach(), value)):
                vars(module)[name] = value
        elif now is not value:
            vars(module)[name] = value
    for name in [name for name, now in vars(module).items() if isinstance(now, _PLAIN) and name not in plain]:
        if name != "training":
            del vars(module)[name]


def _groups(optimizer: Any) -> list[dict[str, Any]]:
    return [{**group, "params": [id(each) for each in group["params"]]} for group in optimizer.param_groups]


def _optimizer_state(optimizer: Any) -> tuple[list[dict[str, Any]], dict[Any, Any]]:
    groups = [{**copy.deepcopy({k: v for k, v in group.items() if k != "params"})} for group in optimizer.param_groups]
    for group, now in zip(groups, optimizer.param_groups, strict=True):
        group["params"] = [id(each) for each in now["params"]]
    state = {key: copy.deepcopy(value) for key, value in optimizer.state.items()}
    return groups, state


def _restore_optimizer(optimizer: Any, groups: list[dict[str, Any]], state: dict[Any, Any]) -> None:
    for group, told in zip(optimizer.param_groups, groups, strict=False):
        for key in [key for key in group if key not in told]:
            del group[key]
        group.update(copy.deepcopy({key: value for key, value in told.items() if key != "params"}))
    optimizer.state.clear()
    for key, value in state.items():
        optimizer.state[key] = copy.deepcopy(value)


def _same(first: torch.Tensor, second: torch.Tensor | None) -> bool:
    """Bit for bit: not-a-number is equal to itself."""
    if second is None or first.shape != second.shape or first.dtype != second.dtype or first.device != second.device:
        return False
    if first.layout != torch.strided or first.is_complex() or first.is_quantized:
        return (
            bool((first == second).all())
            if first.layout == torch.strided
            else _same(first.to_dense(), second.to_dense())
        )
    return torch.equal(first, second) or torch.equal(_bits(first), _bits(second))


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return _same(first.detach(), second.detach())
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_equal(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        return len(first) == len(second) and all(_equal(a, b) for a, b in zip(first, second, strict=True))
    if type(first).__module__ == "numpy" and hasattr(first, "tobytes"):
        return type(first) is type(second) and bool(first.tobytes() == second.tobytes())
    return bool(first == second)
