"""Every lookup of a few steps, checked before torch does it; further batches where they feed a table directly.

May not: let an index out of range reach a GPU, where the assert would take the process's device with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from mllint.probe.measured.indices import Indices, OutOfTable
from mllint.probe.recording.data.lookups import Excess, Lookup, excess, lookups
from mllint.probe.recording.data.survey import surveyed
from mllint.probe.recording.eager import uncompiled
from mllint.probe.recording.frames import user_site
from mllint.probe.recording.leaves import own, tensors
from mllint.probe.recording.run import Run, first_line
from mllint.probe.recording.skip import Skip

#: Batches that are run, and further ones that are run because a part of them seems to be out of its table.
_BATCHES, _SUSPECTS = 3, 2


@dataclass
class _Guard:
    """What has been seen. ``fed`` holds, for parts of the batch that went into a lookup as they are, the legal range."""

    names: dict[int, str]
    leaves: dict[str, torch.Tensor] = field(default_factory=dict)
    batch: int = 0
    lookups: int = 0
    out: list[OutOfTable] = field(default_factory=list)
    fed: dict[str, Lookup] = field(default_factory=dict)

    def look(self, operation: str, lookup: Lookup) -> OutOfTable | None:
        """Count a lookup; what of it is out of its table."""
        self.lookups += 1
        self._learn(lookup)
        found = excess(lookup)
        return None if found is None else self._fault(operation, lookup, found)

    def _fault(self, operation: str, lookup: Lookup, found: Excess) -> OutOfTable:
        return OutOfTable(
            operation=operation,
            table=self.names.get(id(lookup.table), ""),
            size=lookup.size,
            lowest=lookup.lowest,
            low=found.low,
            high=found.high,
            count=found.count,
            total=found.total,
            batch=self.batch,
            silent=lookup.silent,
            site=user_site(),
        )

    def _learn(self, lookup: Lookup) -> None:
        for path, leaf in self.leaves.items():
            if path not in self.fed or lookup.size < self.fed[path].size:
                indices = lookup.indices.detach()
                if leaf.numel() == indices.numel() and torch.equal(
                    leaf.flatten(), indices.cpu().flatten().to(leaf.dtype)
                ):
                    self.fed[path] = replace(lookup, indices=leaf, table=None)


class _Watching(TorchFunctionMode):
    def __init__(self, guard: _Guard) -> None:
        super().__init__()
        self._guard = guard

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for lookup in lookups(func, args, kwargs):
            fault = self._guard.look(func.__name__.strip("_"), lookup)
            if fault is None:
                continue
            if lookup.silent:
                self._guard.out.append(fault)
            elif lookup.indices.device.type != "cpu":
                self._guard.out.append(fault)
                raise IndexError(
                    f"{fault.operation}: index {fault.low} to {fault.high}, the table has {fault.size} rows"
                )
            else:
                return self._confirmed(fault, func, args, kwargs)
        return func(*args, **kwargs)

    def _confirmed(self, fault: OutOfTable, func: Any, args: Any, kwargs: Any) -> Any:
        """On the CPU torch checks each index itself: it has the last word."""
        try:
            return func(*args, **kwargs)
        except (IndexError, RuntimeError):
            self._guard.out.append(fault)
            raise


@contextmanager
def guarded(guard: _Guard) -> Iterator[None]:
    """Inside, every lookup of this thread goes through the guard first."""
    with uncompiled(), _Watching(guard):
        yield


@contextmanager
def on_guard(run: Run) -> Iterator[None]:
    """A step inside raises IndexError before a GPU sees an index out of its table."""
    with guarded(_Guard(_names(run))):
        yield


def record(run: Run) -> Indices:
    """Raises Skip where no step runs and no lookup is the reason."""
    guard = _Guard(_names(run))
    raised: list[BaseException] = []
    first = run.batch(0)
    ran = min(_BATCHES, len(run.read_so_far()))
    for number in range(ran):
        raised += _run(run, guard, number, run.batch(number) if number else first)
    if len(raised) == ran and not guard.out:
        raise Skip(f"the step raises {first_line(raised[0])}")
    scanned = 0
    for number, batch in enumerate(surveyed(run)):
        if number < ran:
            continue
        scanned += 1
        if len(guard.out) <= _SUSPECTS and _suspicious(guard, batch):
            _run(run, guard, number, own(batch))
    return Indices(ran, scanned, guard.lookups, _merged(run, guard.out))


def _run(run: Run, guard: _Guard, number: int, batch: Any) -> list[BaseException]:
    guard.batch = number
    guard.leaves = {
        path: leaf for path, leaf in tensors(batch).items() if not leaf.is_floating_point() and leaf.numel()
    }
    try:
        with guarded(guard):
            run.loss(batch, seed=number)
    except Skip:
        raise
    except Exception as error:  # noqa: BLE001  # the user's step may raise anything; what matters is what it looked up
        return [error]
    return []


def _suspicious(guard: _Guard, batch: Any) -> bool:
    leaves = tensors(batch)
    return any(
        path in leaves and not leaves[path].is_floating_point() and excess(replace(lookup, indices=leaves[path]))
        for path, lookup in guard.fed.items()
    )


def _names(run: Run) -> dict[int, str]:
    return {id(tensor): name for name, tensor in (*run.model.named_buffers(), *run.model.named_parameters())}


def _merged(run: Run, out: list[OutOfTable]) -> tuple[OutOfTable, ...]:
    """One entry a place and table: the first, with the extremes and counts of all."""
    found: dict[tuple[Any, ...], OutOfTable] = {}
    for each in out:
        key = (each.site, each.operation, each.table, each.size)
        first = found.get(key)
        if first is None:
            found[key] = replace(each, made=run.made_at(each.table) if each.table else None)
            continue
        found[key] = replace(
            first,
            low=min(first.low, each.low),
            high=max(first.high, each.high),
            count=first.count + each.count,
            total=first.total + each.total,
        )
    return tuple(found.values())
