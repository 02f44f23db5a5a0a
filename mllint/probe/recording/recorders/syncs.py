"""Host and device in a step: rehearsed on the virtual device where that is open, measured on a GPU otherwise.

May not: judge how many waits are too many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Hashable, Iterable, Sequence

from mllint.probe.measured.syncs import DeviceMix, EarlyCopyRead, Sync, Syncs
from mllint.probe.recording import rehearsal
from mllint.probe.recording.gpu_syncs import record_on_gpu
from mllint.probe.recording.rehearsal.device import BatchOnHost, VirtualDevice
from mllint.probe.recording.rehearsal.events import Log, Mix, Wait
from mllint.probe.recording.rehearsal.placement import Placement, place_batches, place_target
from mllint.probe.recording.run import Run, first_line
from mllint.probe.recording.skip import Skip
from mllint.probe.site import Site

#: Steps to watch: what is only in one of them is done once, or at an interval.
STEPS = 2


def record(run: Run) -> Syncs:
    """Raises Skip where there is neither a GPU nor a virtual device, or where the step fails there."""
    device = rehearsal.current()
    if device is not None:
        return _rehearsed(run, device)
    if run.device.type == "cuda":
        return record_on_gpu(run, STEPS)
    raise Skip("it needs a GPU, or the rehearsal")


def _rehearsed(run: Run, device: VirtualDevice) -> Syncs:
    run.batch(0)
    placement = Placement(device)
    try:
        logs, failed = _logs(run, device, placement)
    finally:
        placement.undo()
    if placement.parts and _written_for_the_cpu(logs):
        raise Skip("the target names the CPU itself; take the device from torch.cuda.is_available() to rehearse it")
    mixes = _mixes([mix for log in logs for mix in log.mixes])
    if failed and not mixes:
        raise Skip(f"the step fails on the virtual device: {failed}")
    early = Counter(
        (read.called, read.where.site, read.copied.site, read.where.asker) for log in logs for read in log.early
    )
    return Syncs(
        device="rehearse",
        steps=len(logs),
        syncs=_syncs([log.waits for log in logs]),
        mixes=mixes,
        early=tuple(EarlyCopyRead(*told, count) for told, count in early.items()),
        placed=placement.parts,
        table=device.table.torch,
        notes=tuple(device.notes) + ((device.table.note,) if device.table.note else ()),
        failed=failed,
    )


def _logs(run: Run, device: VirtualDevice, placement: Placement) -> tuple[list[Log], str]:
    """The events of each step, first with the batches on the host; and what ended them early."""
    place_target(placement, device, run)
    before = run.snapshot()
    logs: list[Log] = []
    try:
        failed = _watch(run, device, logs, trial=True)
    except BatchOnHost:
        before.restore()
        place_batches(placement, device, run)
        logs.clear()
        failed = _watch(run, device, logs, trial=False)
    return logs, failed


def _watch(run: Run, device: VirtualDevice, logs: list[Log], *, trial: bool) -> str:
    """Fill ``logs`` with the events of each step. Returns what ended them early."""
    device.labelled.clear()
    for number in range(STEPS):
        device.trial, device.batch_moved = trial, False
        try:
            with device.watched() as log:
                logs.append(log)
                run.step(number)
        except Exception as error:  # noqa: BLE001  # the user's code, where it believes in a GPU: what it raises is told
            return first_line(error)
        finally:
            device.trial = False
    return ""


def _written_for_the_cpu(logs: Iterable[Log]) -> bool:
    """Does the step bring tensors back to the CPU by name, and then mixes them? Then it was never meant for a GPU."""
    return any(mix.host is not None and mix.host.kind == "moved" for log in logs for mix in log.mixes)


def _syncs(steps: Sequence[Sequence[Wait]]) -> tuple[Sync, ...]:
    """The waits of the steps by line, function and node, with their count in each step."""
    steps = _with_forward(steps)
    forwards = {(wait.where.site, wait.where.asker) for waits in steps for wait in waits if not wait.node}
    counts = [Counter(_told(wait) for wait in waits) for waits in steps]
    first: dict[tuple[Hashable, ...], Wait] = {}
    for waits in steps:
        for wait in waits:
            first.setdefault(_told(wait), wait)
    return tuple(
        Sync(
            kind=wait.kind,
            called=wait.called,
            operator=wait.operator,
            site=wait.where.site,
            stack=(wait.forward or wait.where).stack,
            asker=_asker(wait, forwards),
            counts=tuple(count[told] for count in counts),
            node=wait.node,
            forward=wait.forward.site if wait.forward is not None else None,
        )
        for told, wait in first.items()
    )


def _with_forward(steps: Sequence[Sequence[Wait]]) -> Sequence[Sequence[Wait]]:
    """Waits of a backward pass that is the only one to wait: their forward is known from the second step on, and the first
    step's are taken from there."""
    if not steps:
        return steps
    known = {(wait.node, wait.operator) for wait in steps[-1] if wait.node and wait.forward is not None}
    found = []
    for waits in steps:
        lost = known & {(wait.node, wait.operator) for wait in waits if wait.forward is None}
        kept = [wait for wait in waits if (wait.node, wait.operator) not in lost]
        found.append(kept + [wait for wait in steps[-1] if (wait.node, wait.operator) in lost])
    return found


def _asker(wait: Wait, forwards: Container[tuple[Site | None, str]]) -> str:
    """Whose code asked. Of a backward pass, who made the node, if the forward waits there too; else torch's own derivative
    does something that the user's line does not show."""
    if wait.forward is not None:
        asked = (wait.forward.site, wait.forward.asker) in forwards
        return wait.forward.asker if asked else "framework"
    return "unknown" if wait.where.in_backward and wait.node else wait.where.asker


def _told(wait: Wait) -> tuple[Hashable, ...]:
    forward = wait.forward.site if wait.forward is not None else None
    return (wait.where.site, wait.kind, wait.called, wait.operator, wait.where.asker, wait.node, forward)


def _mixes(found: Sequence[Mix]) -> tuple[DeviceMix, ...]:
    """One for each line and operator."""
    counts: Counter[tuple[Hashable, ...]] = Counter((mix.where.site, mix.operator) for mix in found)
    first: dict[tuple[Hashable, ...], Mix] = {}
    for mix in found:
        first.setdefault((mix.where.site, mix.operator), mix)
    return tuple(_plain(mix, counts[told]) for told, mix in first.items())


def _plain(mix: Mix, count: int) -> DeviceMix:
    host = mix.host
    made = host.where if host is not None else None
    return DeviceMix(
        called=mix.called,
        operator=mix.operator,
        site=mix.where.site,
        stack=mix.where.stack,
        asker=mix.where.asker,
        on_device=mix.on_device,
        on_host=mix.on_host,
        count=count,
        host_kind=host.kind if host is not None else "",
        host_name=host.name if host is not None else "",
        host_site=made.site if made is not None else None,
        host_asker=made.asker if made is not None else "",
        in_module=made.in_module if made is not None else mix.where.in_module,
        asked=host.asked if host is not None else False,
    )
