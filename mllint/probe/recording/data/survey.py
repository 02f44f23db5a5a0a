"""Many batches, read once and shared by the checks that look at data.

May not: run the model.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch

from mllint.probe.recording.entry import each_batch
from mllint.probe.recording.leaves import is_array, parts
from mllint.probe.recording.run import Run

#: Batches that are read where the user asks for fewer steps.
_BATCHES = 256
#: What is kept of them, in bytes, and how long reading may take, in seconds.
_BYTES = 512 * 2**20
_SECONDS = 5.0


def surveyed(run: Run) -> tuple[Any, ...]:
    """The first training batches: as many as `--steps` asks for, or as can be read and kept at little cost. None of
    them may be changed; a step needs `leaves.own`."""
    return _kept(run, "batches")


def surveyed_validation(run: Run) -> tuple[Any, ...]:
    """The same of ``val_batches``; empty where there are none."""
    return () if run.entry.val_batches is None else _kept(run, "val_batches")


def _kept(run: Run, which: str) -> tuple[Any, ...]:
    if which not in run.shared:
        with run.seeded(0):
            run.shared[which] = tuple(_read(run, getattr(run.entry, which)))
    found: tuple[Any, ...] = run.shared[which]
    return found


def _read(run: Run, told: Any) -> Iterator[Any]:
    until = time.monotonic() + min(_SECONDS, run.seconds_left / 10)
    size = 0
    for number, batch in enumerate(_each(run, told)):
        yield batch
        size += _bytes(batch)
        if size > _BYTES or (number >= 2 and time.monotonic() > until):
            return


def _each(run: Run, told: Any) -> Iterator[Any]:
    limit = max(run.steps, _BATCHES)
    if isinstance(told, Iterator):  # can be read only once: what the steps have read is in the run
        first = run.read_so_far() if told is run.entry.batches else []
        yield from first
        limit -= len(first)
    try:
        yield from each_batch(told, limit)
    except Exception:  # noqa: BLE001  # the user's code: a function of the step number ends by any exception
        return


def _bytes(batch: Any) -> int:
    return sum(leaf.nbytes for leaf in parts(batch).values() if isinstance(leaf, torch.Tensor) or is_array(leaf))
