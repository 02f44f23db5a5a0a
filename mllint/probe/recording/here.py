"""A probe in this process, for tests and benchmarks: no child, no time limit.

May not: be what the command runs; user code that hangs or dies takes this process with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from mllint.probe.check import Check
from mllint.probe.recording.construction import Made, watching
from mllint.probe.recording.entry import entry_from
from mllint.probe.recording.run import Run
from mllint.probe.recording.session import record
from mllint.probe.recording.state import random_state, restore_random, seed_everything
from mllint.probe.trace import Trace

_SEED = 0


def probe_here(load: Callable[[], Any], checks: Iterable[Check]) -> Trace:
    """Probe what ``load()`` returns (the dictionary of ``mllint_probe``), on the CPU and, for the checks that measure
    there, once more on the virtual device. ``load`` is called anew for each. Raises EntryError."""
    wanted = tuple(checks)
    plain = _probed(load, [check for check in wanted if "cpu" in check.devices])
    rehearsed = [check for check in wanted if "rehearse" in check.devices]
    if not rehearsed:
        return plain
    from mllint.probe.recording.rehearsal import virtual_device

    with virtual_device():
        rehearsal = _probed(load, rehearsed)
    measurements = {**plain.measurements, **rehearsal.measurements}
    return replace(plain, checks=(*plain.checks, *rehearsal.checks), measurements=measurements)


def _probed(load: Callable[[], Any], checks: list[Check]) -> Trace:
    made, before = Made(), random_state()
    seed_everything(_SEED)
    try:
        with watching(made):
            entry = entry_from(load())
        return record(Run(entry, made, reload=lambda: entry_from(load())), checks)
    finally:
        restore_random(before)
