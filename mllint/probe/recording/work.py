"""Load the target, put it on its device, and record it.

May not: know about processes; it hands every part on as soon as it is there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import torch

from mllint.probe.check import all_checks
from mllint.probe.recording.construction import Made, watching
from mllint.probe.recording.discover.found import Found
from mllint.probe.recording.discover.search import find
from mllint.probe.recording.entry import Entry, EntryError, entry_from
from mllint.probe.recording.frames import name_files_from
from mllint.probe.recording.load import load
from mllint.probe.recording.placing import place
from mllint.probe.recording.run import SEED, Run
from mllint.probe.recording.session import record
from mllint.probe.recording.state import seed_everything
from mllint.probe.request import Request
from mllint.probe.target import TargetError

Tell = Callable[[str, Any], None]


def work(request: Request, tell: Tell) -> None:
    """Everything that the request asks for. Raises TargetError, and whatever the target raises before it is recorded."""
    name_files_from(os.getcwd())
    if request.device == "rehearse":
        from mllint.probe.recording.rehearsal import virtual_device

        with virtual_device():
            _work(request, torch.device("cpu"), tell)
    else:
        _work(request, _device(request.device), tell)


def _device(wanted: str) -> torch.device:
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise TargetError("`--device cuda`: torch sees no GPU here; `--device rehearse` finds host syncs without one")
    return torch.device("cuda" if there and wanted in ("auto", "cuda") else "cpu")


def _work(request: Request, device: torch.device, tell: Tell) -> None:
    tell("device", "rehearse" if request.device == "rehearse" else str(device))
    made = Made()
    seed_everything(request.seed)
    with watching(made):
        found = find(request.target, load(request.target))
        tell("found", {"what": found.what, "entry": found.site})
        entry = _entry(request, found)
    run = Run(
        entry,
        made,
        steps=request.steps,
        seed=SEED + request.seed,
        deadline=time.monotonic() + request.until - time.time(),
        reload=lambda: _again(run, request, found),
    )
    if device.type != "cpu":
        place(run, device, must=request.device == "cuda")
        tell("device", str(run.device))
    wanted = [check for check in all_checks() if check.stem in request.checks]
    kind = "rehearse" if request.device == "rehearse" else run.device.type
    record(run, [check for check in wanted if kind in check.devices], tell)


def _again(run: Run, request: Request, found: Found) -> Entry:
    """The target made afresh, its model where that of the run is."""
    entry = _entry(request, found)
    if run.device.type != "cpu":
        entry.model.to(run.device)
    return entry


def _entry(request: Request, found: Found) -> Entry:
    try:
        return entry_from(found.build())
    except EntryError as error:
        raise TargetError(f"{request.target}: {error}") from error
