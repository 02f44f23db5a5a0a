"""What happens between host and device in a training step: waits, tensors of both in one operation, reads that come too early.

Taken on a GPU, or in a rehearsal on a virtual device without one. May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class Sync:
    """One line at which the host waits. ``kind`` says for what (item, D2H, H2D, batch, staged, nonzero, unique, size,
    equal, linalg, explicit, release; batch, staged and idle are H2D too: of a batch, of pageable memory with
    ``non_blocking``, and directly behind another wait, when the device has nothing to do), ``called`` is the function as the user wrote it, ``operator`` the one below autograd, ``asker`` whose
    code asked (user, library, framework, placed, unknown), ``counts`` how often in each watched step.

    ``placed``: the user's code reads a part of the batch that only the rehearsal has put on the device. In a backward pass ``node`` is the autograd node and ``forward`` the line of its forward. ``stall`` is the time from
    entering to leaving the call, in seconds a step; None in a rehearsal.
    """

    kind: str
    called: str
    operator: str
    site: Site | None
    stack: tuple[Site, ...]
    asker: str
    counts: tuple[int, ...]
    node: str = ""
    forward: Site | None = None
    stall: float | None = None


@dataclass(frozen=True, slots=True)
class DeviceMix:
    """One line at which an operation got tensors of both devices, or ``numpy`` one of the GPU.

    ``host_kind`` says where the host's tensor comes from: made (by ``host_name`` at ``host_site``), moved there, batch,
    attribute (``host_name``) of a module, "" if unknown; ``host_asker`` whose code made it. ``in_module``: a module's forward did. ``asked``: its code named
    the CPU.
    """

    called: str
    operator: str
    site: Site | None
    stack: tuple[Site, ...]
    asker: str
    on_device: tuple[str, ...]
    on_host: tuple[str, ...]
    count: int
    host_kind: str = ""
    host_name: str = ""
    host_site: Site | None = None
    host_asker: str = ""
    in_module: bool = False
    asked: bool = False


@dataclass(frozen=True, slots=True)
class EarlyCopyRead:
    """The host read (``called``, at ``site``) what an asynchronous copy to it (at ``copied``) had not yet written for sure."""

    called: str
    site: Site | None
    copied: Site | None
    asker: str
    count: int


@dataclass(frozen=True, slots=True)
class Syncs:
    """``device`` is "rehearse" or the GPU, ``placed`` what the rehearsal put on the device because no code of the target did,
    ``table`` the torch release whose table of syncs was used, ``notes`` what was not as in a real step, ``failed`` what ended
    a step early ("" if nothing)."""

    device: str
    steps: int
    syncs: tuple[Sync, ...] = ()
    mixes: tuple[DeviceMix, ...] = ()
    early: tuple[EarlyCopyRead, ...] = ()
    placed: tuple[str, ...] = ()
    table: str = ""
    notes: tuple[str, ...] = ()
    failed: str = ""


CHECK = Check(
    stem="syncs",
    codes=("ML701", "ML703", "ML711"),
    question="Where does a step wait for the GPU, mix devices, or read a copy too early?",
    budget=3.0,
    measurement=Syncs,
    devices=("rehearse", "cuda"),
    explains=True,
)
