"""A run of the user's model as recorders see it: batches, losses, steps, and a way to leave everything as it was.

May not: measure or judge anything itself.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_map

from mllint.probe.recording.construction import Made
from mllint.probe.recording.entry import Entry, batches_of
from mllint.probe.recording.holdings import held_by
from mllint.probe.recording.intercept import backward_roots, optimizers_held, wants_model
from mllint.probe.recording.leaves import own
from mllint.probe.recording.placing import on_device
from mllint.probe.recording.skip import Skip
from mllint.probe.recording.state import Snapshot, random_state, restore_random, seed_everything
from mllint.probe.recording.values import KeptTensor
from mllint.probe.site import Site

#: The seed of the first batch; the others follow.
SEED = 1234


@dataclass
class Run:
    """One loaded target. ``steps`` is how many training steps the user allows, ``deadline`` a value of `time.monotonic`,
    ``shared`` what recorders have read for each other (`survey`), ``moving`` whether batches are put on the device here."""

    entry: Entry
    made: Made = field(default_factory=Made)
    steps: int = 8
    seed: int = SEED
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    deadline: float = float("inf")
    reload: Callable[[], Entry] | None = None
    shared: dict[str, Any] = field(default_factory=dict)
    moving: bool = False
    _batches: list[Any] = field(default_factory=list)

    @property
    def model(self) -> nn.Module:
        """The user's model itself, not a copy."""
        return self.entry.model

    @property
    def optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        return self.entry.optimizers

    @property
    def seconds_left(self) -> float:
        """Until the time limit of the whole run."""
        return self.deadline - time.monotonic()

    # ---- batches

    def batch(self, number: int) -> Any:
        """A fresh copy of the batch with this number (cycled where there are fewer), so that a step may change it."""
        if number >= len(self._batches):
            wanted = max(number + 1, 3)
            if len(self._batches) < wanted:
                self._batches = self._read(wanted)
        batch = cloned(self._batches[number % len(self._batches)])
        return on_device(batch, self.device) if self.moving else batch

    def read_so_far(self) -> list[Any]:
        """The batches that steps have asked for until now, as they were read."""
        return list(self._batches)

    def _read(self, wanted: int) -> list[Any]:
        told = self.entry.batches
        if self._batches and isinstance(told, Iterator):  # can be read only once
            return [*self._batches, *islice(told, wanted - len(self._batches))]
        return batches_of(told, wanted)

    # ---- the objective

    def loss(self, batch: Any, *, seed: int = 0, model: nn.Module | None = None) -> torch.Tensor:
        """The scalar that the user's step differentiates, with its graph, under a fixed seed; nothing is updated.

        With `loss` it is the user's ``loss(model, batch)``; with `step` the sum of everything that the step calls
        backward on, its optimizers held still. ``model`` stands in for the user's model (a copy in float64, say).
        Raises Skip where that cannot be had.
        """
        with self.seeded(seed):
            if self.entry.loss is not None:
                return scalar(self.entry.loss(self.model if model is None else model, batch))
            step = self.entry.step
            assert step is not None
            if model is not None and not wants_model(step):
                raise Skip("`step(batch)` cannot be run on a copy of the model; give `step(model, batch)` or `loss`")
            with optimizers_held(self.optimizers), backward_roots() as roots:
                self.call_step(batch, model)
            if not roots:
                raise Skip("the step never called backward")
            return torch.stack([root.sum().to(roots[0].dtype) for root in roots]).sum()

    def gradients(self, batch: Any, *, seed: int = 0) -> dict[str, torch.Tensor | None]:
        """The gradient of every parameter of the model (first names) for one batch; None where none arrives."""
        names = dict(self.model.named_parameters())
        self.clear_gradients()
        loss = self.loss(batch, seed=seed)
        if not loss.requires_grad:
            return dict.fromkeys(names)
        self.clear_gradients()  # a step of the user's own has left some
        loss.backward()  # type: ignore[no-untyped-call]
        found = {name: parameter.grad for name, parameter in names.items()}
        self.clear_gradients()
        return found

    def clear_gradients(self) -> None:
        """No parameter has a gradient afterwards."""
        for parameter in self.model.parameters():
            parameter.grad = None

    # ---- steps

    def step(self, number: int) -> float:
        """One whole training step on batch ``number``, as the user's loop would do it; returns the loss (nan if unknown)."""
        batch = self.batch(number)
        entry = self.entry
        if entry.step is not None:
            with backward_roots(retain=False) as roots:
                self.call_step(batch, None)
            return float(sum(float(root.detach().sum()) for root in roots)) if roots else float("nan")
        assert entry.loss is not None
        for optimizer in entry.optimizers:
            optimizer.zero_grad()
        if not entry.optimizers:
            self.clear_gradients()
        loss = scalar(entry.loss(self.model, batch))
        if loss.requires_grad:
            self._backward(loss)
        if entry.scheduler is not None:
            entry.scheduler.step()
        return float(loss.detach())

    def call_step(self, batch: Any, model: nn.Module | None) -> Any:
        """Call the user's own ``step``, with the model where it asks for one."""
        step = self.entry.step
        assert step is not None
        return step(self.model if model is None else model, batch) if wants_model(step) else step(batch)

    def _backward(self, loss: torch.Tensor) -> None:
        scaler = self.entry.scaler
        (loss if scaler is None else scaler.scale(loss)).backward()
        for optimizer in self.entry.optimizers:
            if scaler is None:
                optimizer.step()
            else:
                scaler.step(optimizer)
        if scaler is not None:
            scaler.update()

    # ---- leaving things as they were

    def snapshot(self) -> Snapshot:
        """The state of everything that a step changes."""
        return Snapshot(self.roots())

    def roots(self) -> dict[str, Any]:
        """What the user handed over, by name: all that a step changes hangs on it. Lists of batches are copied anyway."""
        entry = self.entry
        given: dict[str, Any] = {"model": entry.model}
        given |= {f"optimizer[{number}]": each for number, each in enumerate(entry.optimizers)}
        given |= {
            name: getattr(entry, name) for name in ("scheduler", "scaler", "loss", "step", "validate", "snapshot")
        }
        for name in ("batches", "val_batches"):
            told = getattr(entry, name)
            if not isinstance(told, (list, tuple)):
                given[name] = told
        return {name: value for name, value in given.items() if value is not None}

    @contextmanager
    def preserved(self) -> Iterator[None]:
        """Whatever happens inside, the model, optimizers and random generators are afterwards as they were before."""
        before = self.snapshot()
        try:
            yield
        finally:
            before.restore()

    @contextmanager
    def seeded(self, seed: int) -> Iterator[None]:
        """Random numbers inside are those of this seed; outside nothing has happened."""
        before = random_state()
        seed_everything(self.seed + seed)
        try:
            yield
        finally:
            restore_random(before)

    def known_modules(self) -> list[nn.Module]:
        """The model, and the outermost modules beside it that the user's functions hold (a teacher, a discriminator)."""
        found, inner = [self.model], {id(module) for module in self.model.modules()}
        held = [thing for _, thing in held_by(self.roots()) if isinstance(thing, nn.Module) and id(thing) not in inner]
        below = {id(module) for root in held for module in root.modules() if module is not root}
        return found + [module for module in held if id(module) not in below]

    def materialise(self) -> None:
        """Let lazy modules see the first batch: before that they have no parameters to look at. What was there stays."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        if not any(is_lazy(tensor) for tensor in tensors):
            return
        before = [KeptTensor.of(tensor) for tensor in tensors if not is_lazy(tensor)]
        with suppress(Exception):  # the user's code; the first plain step raises it again, where it is reported
            self.loss(self.batch(0))
        self.clear_gradients()
        with torch.no_grad():
            for kept in before:
                kept.restore()

    # ---- copies

    def double(self) -> nn.Module:
        """A copy of the model in float64 on the CPU. Raises Skip where it cannot be copied or converted."""
        try:
            return copy.deepcopy(self.model).double()
        except (RuntimeError, TypeError, NotImplementedError, AttributeError) as error:
            raise Skip(f"the model cannot be copied in float64: {first_line(error)}") from error

    def made_at(self, name: str) -> Site | None:
        """Where the user's code made the module or parameter with this name."""
        parameter = dict(self.model.named_parameters(remove_duplicate=False)).get(name)
        if parameter is not None:
            return self.made.of(parameter) or self.made_at(name.rpartition(".")[0])
        module = dict(self.model.named_modules(remove_duplicate=False)).get(name)
        return None if module is None else self.made.of(module)


def cloned(batch: Any) -> Any:
    """A batch with tensors of its own (detached), of whatever containers it is made."""
    return own(batch)


def floats_as(batch: Any, dtype: torch.dtype) -> Any:
    """A batch with its floating-point tensors in another precision."""
    return tree_map(
        lambda leaf: leaf.to(dtype) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() else leaf, batch
    )


def scalar(told: Any) -> torch.Tensor:
    """The loss in what the user's function returned: a tensor, the first of a tuple, or ``.loss``/``["loss"]``."""
    for _ in range(3):
        if isinstance(told, torch.Tensor):
            return told if told.dim() == 0 else told.sum()
        if isinstance(told, dict) and "loss" in told:
            told = told["loss"]
        elif getattr(told, "loss", None) is not None:
            told = told.loss
        elif isinstance(told, (tuple, list)) and told:
            told = told[0]
    raise TypeError(f"the loss must be a tensor, not {type(told).__name__}")


def first_line(error: BaseException) -> str:
    """The first line of what an exception says, with its type."""
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}"[:200] if text else type(error).__name__
