"""A virtual GPU for machines without one: a step runs on the CPU with its real data, and what would happen between host and
device is noted: waits, copies, tensors of both in one operation.

    with virtual_device() as device:
        target = load()                  # sees torch.cuda.is_available()
        with device.watched() as log:
            step()
        log.waits, log.mixes, log.early

Tags on storages say what lies on the device (`tags.py`, `device.py`); a dispatch mode sees operators (`dispatch.py`), a function mode
what Python calls (`functions.py`), patches the rest (`patches.py`). What makes the host wait is data (`tables/`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mllint.probe.recording.rehearsal.device import VirtualDevice

_open: list[VirtualDevice] = []


def current() -> VirtualDevice | None:
    """The virtual device that is open, if one is."""
    return _open[-1] if _open else None


@contextmanager
def virtual_device() -> Iterator[VirtualDevice]:
    """A virtual GPU, for the code that runs inside. Open it before the user's code is imported, once in a process at a time."""
    from mllint.probe.recording.rehearsal.dispatch import Dispatch
    from mllint.probe.recording.rehearsal.functions import Functions
    from mllint.probe.recording.rehearsal.patches import patched

    device = VirtualDevice()
    functions, dispatch = Functions(device), Dispatch(device)
    with patched(device):
        _open.append(device)
        try:
            with functions, dispatch:
                yield device
        finally:
            _open.remove(device)
