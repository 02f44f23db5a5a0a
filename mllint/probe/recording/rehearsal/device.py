"""The virtual device: which tensors would lie on the GPU, and what happens between it and the host.

Data and arithmetic stay on the CPU, so control flow is that of the real step. May not: know how operators and functions
are intercepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils._device import _device_constructors

from mllint.probe.recording.rehearsal.events import VALIDATION, EarlyRead, HostTensor, Log, Mix, Wait, Where, at_work
from mllint.probe.recording.rehearsal.table import SyncTable, table_for
from mllint.probe.recording.rehearsal.tags import StorageMap

#: The device that tensors say they are on.
CUDA = torch.device("cuda", 0)
CPU = torch.device("cpu")

_PLAIN = (torch.Tensor, torch.nn.Parameter)

#: Functions that make a tensor from no tensor.
FACTORIES = frozenset(_device_constructors())

#: Under this name an autograd node keeps the line that made it.
_KEY = "mllint"


class BatchOnHost(BaseException):
    """Ends a trial step: it mixes a batch of the host with tensors of the device, so it does not move its batches itself.

    Not an Exception, so that no handler of the user's catches it.
    """


@dataclass(frozen=True, slots=True)
class Call:
    """The torch function that the user's code is calling."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def name(self) -> str:
        return str(getattr(self.function, "__name__", self.function))


def means_device(asked: Any) -> bool:
    """Does what code gives as a device mean the GPU: ``"cuda"``, ``"cuda:0"``, ``torch.device("cuda")``, an index?"""
    if isinstance(asked, torch.device):
        return asked.type == "cuda"
    if isinstance(asked, str):
        return asked.startswith("cuda")
    return isinstance(asked, int) and not isinstance(asked, bool)


class VirtualDevice:
    """One GPU that is not there. ``log`` collects events while it is set; ``placed`` are parts of batches that only
    the rehearsal has put here; ``trial`` ends the step at a batch on the host,
    unless the step has moved a part of one (``batch_moved``): then it has forgotten the rest. ``queued``: the device may have
    work that nobody has waited for."""

    def __init__(self) -> None:
        self.table: SyncTable = table_for()
        self.on: StorageMap[bool] = StorageMap()
        self.pinned: StorageMap[bool] = StorageMap()
        self.hosts: StorageMap[HostTensor] = StorageMap()
        self.names: StorageMap[str] = StorageMap()
        self.pending: StorageMap[Where] = StorageMap()
        self.placed: StorageMap[bool] = StorageMap()
        self.exported: list[EarlyRead] = []
        self.notes: dict[str, None] = {}  # in order, each once
        self.default: torch.device | None = None
        self.call: Call | None = None
        self.silent = 0
        self.trial = False
        self.batch_moved = False
        self.queued = True
        self.log: Log | None = None
        self.labelled: set[str] = set()

    # ---- where tensors are

    def has(self, tensor: Any) -> bool:
        """Does this tensor lie on the device? One made of others (a nested tensor, say) lies where they do."""
        if not isinstance(tensor, torch.Tensor):
            return False
        if type(tensor) not in _PLAIN and hasattr(tensor, "__tensor_flatten__"):
            return any(self.has(getattr(tensor, name)) for name in tensor.__tensor_flatten__()[0])
        return tensor in self.on

    def put(self, tensor: torch.Tensor) -> None:
        """The tensor lies on the device from now on."""
        if tensor.device.type == "cpu" or tensor in self.on:
            self.on.set(tensor, True)
            if self.hosts.values:
                self.hosts.discard(tensor)

    def take(self, tensor: torch.Tensor, told: HostTensor | None = None) -> None:
        """The tensor lies on the host from now on."""
        self.on.discard(tensor)
        if told is not None:
            self.hosts.set(tensor, told)

    def follow(self, original: torch.Tensor, copied: torch.Tensor) -> None:
        """A copy that was made behind the modes lies where its original does."""
        told = self.hosts.get(original)
        if original in self.on:
            self.put(copied)
        elif told is not None:
            self.hosts.set(copied, told)
        if original in self.pinned:
            self.pinned.set(copied, True)

    # ---- what happens

    @contextmanager
    def watched(self) -> Iterator[Log]:
        """Collect the events of a step."""
        before, self.log = self.log, Log()
        self.exported, self.queued = [], True
        try:
            yield self.log
        finally:
            self.log.early += self.exported
            self.exported = []
            self.log = before

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing inside counts."""
        self.silent += 1
        try:
            yield
        finally:
            self.silent -= 1

    def waits(
        self, kind: str, operator: str, called: str = "", *, of: torch.Tensor | None = None, all_done: bool = True
    ) -> None:
        """The host waits for the device. ``of`` is what it waits for; ``all_done``: until everything queued before is done."""
        if self.silent:
            return
        where = at_work() if self.log is not None else None
        if where is not None and where.asker == "probe":
            return
        if kind == "H2D" and not self.queued:
            kind = "idle"
        if all_done:
            self.pending.clear()
            self.queued = False
        if kind == "explicit":
            self.exported.clear()
        if self.log is None or where is None:
            return
        if of is not None and of in self.placed and of.dim() <= 1 and not of.is_floating_point():
            where = replace(where, asker="placed")  # lengths, perhaps: many loops leave them on the host
        node: Any = torch._C._current_autograd_node()
        forward = node.metadata.get(_KEY) if node is not None else None
        name = "" if node is None else node.name()
        called = called or ("" if self.call is None or where.in_backward else self.call.name)
        self.log.waits.append(
            Wait(kind, VALIDATION if where.validating else called or operator, operator, where, name, forward)
        )
        if name and forward is None and where.in_backward:
            self.labelled.add(name)  # the next step notes where such nodes are made

    def mixes(
        self, operator: str, on_device: list[torch.Tensor], on_host: list[torch.Tensor], called: str = ""
    ) -> None:
        """An operator got tensors of both devices. Nothing is said where it is not known how the host's tensor came to be."""
        if self.silent:
            return
        told = next((found for tensor in on_host if (found := self.hosts.get(tensor)) is not None), None)
        if self.trial and told is not None and told.kind == "batch" and not self.batch_moved:
            raise BatchOnHost
        if self.log is None:
            return
        where = at_work()
        if where.asker == "probe" or where.in_backward:
            return  # a backward pass mixes only what the forward mixed
        called = called or (operator if self.call is None else self.call.name)
        on = tuple(self.described(tensor) for tensor in on_device)
        self.log.mixes.append(Mix(called, operator, on, tuple(map(self.described, on_host)), where, told))

    def read_early(self, tensor: torch.Tensor, called: str, *, exported: bool = False) -> None:
        """The host reads ``tensor``, the result of a copy that nothing has waited for. ``exported``: as memory to be read
        later, so that a wait told in so many words still helps."""
        copied = self.pending.get(tensor)
        if copied is None or self.silent:
            return
        self.pending.clear()
        if self.log is None:
            return
        where = at_work()
        if where.asker != "probe":
            (self.exported if exported else self.log.early).append(EarlyRead(called, where, copied))

    def note(self, text: str) -> None:
        """Something about the rehearsal that the report should say."""
        self.notes[text] = None

    # ---- lines and names

    def label(self, result: Any, first: Any) -> None:
        """Note the code at work at the autograd node of a result (of the first argument, where it was changed in place)."""
        tensor = result if isinstance(result, torch.Tensor) else first
        node: Any = tensor.grad_fn if isinstance(tensor, torch.Tensor) else None
        if node is None:
            return
        inner = [below for below, _ in node.next_functions if below is not None and "CopySlices" in below.name()]
        for each in (node, *inner):  # a change through a view is a node below that of the view
            if _KEY not in each.metadata:
                each.metadata[_KEY] = at_work()

    def described(self, tensor: torch.Tensor) -> str:
        """A tensor for a message: its name, if it is a parameter or buffer, else type and shape."""
        name = self.names.get(tensor)
        kind = f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
        return f"`{name}`" if name else kind
