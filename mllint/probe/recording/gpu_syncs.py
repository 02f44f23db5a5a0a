"""The waits of a step on a real GPU, with the time that each took.

torch's own debug mode warns at most of them; a function mode times every call and adds those that the table knows and the debug
mode does not warn at. May not: be needed for a rehearsal. Never run on a GPU yet: see `benchmarks/gpu_syncs.py`.
"""

from __future__ import annotations

import re
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from mllint.probe.measured.syncs import DeviceMix, Sync, Syncs
from mllint.probe.recording.frames import traceback_sites
from mllint.probe.recording.rehearsal.events import Where, at_work
from mllint.probe.recording.rehearsal.table import table_for
from mllint.probe.recording.run import Run, first_line
from mllint.probe.recording.skip import Skip

_WARNING = "called a synchronizing CUDA operation"
_MIXED = re.compile(
    r"Expected all tensors to be on the same device|can't convert cuda.* to numpy|indices should be either on"
)

#: What kind of wait a function is, where the table does not say; anything else is "wait".
_KINDS = {
    **dict.fromkeys(("item", "__bool__", "__float__", "__int__", "__index__", "__contains__"), "item"),
    **dict.fromkeys(("nonzero", "where", "__getitem__", "__setitem__", "masked_select", "argwhere"), "nonzero"),
    **dict.fromkeys(("cpu", "tolist", "numpy", "__repr__", "__format__", "__reduce_ex__", "torch.save"), "D2H"),
    **dict.fromkeys(("cuda", "tensor", "as_tensor", "asarray", "new_tensor"), "H2D"),
    **dict.fromkeys(("unique", "unique_consecutive"), "unique"),
    "synchronize": "explicit",
}


@dataclass
class _Wait:
    where: Where
    called: str
    kind: str
    seconds: float = 0.0


class _Timed(TorchFunctionMode):
    """Times every call that waits."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[_Wait] = []
        self._listed = {name.rpartition(".")[2]: entry for name, entry in table_for().functions.items()}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = str(getattr(func, "__name__", func))
        with self.timed(name, listed=self._is_listed(name, args, kwargs), to_device=_goes_to_device(args, kwargs)):
            return func(*args, **kwargs)

    def _is_listed(self, name: str, args: Any, kwargs: Any) -> bool:
        entry = self._listed.get(name)
        if entry is None:
            return False
        first = args[0] if args else None
        if entry.when == "host-data":
            return "cuda" in str(kwargs.get("device", "")) and not isinstance(first, torch.Tensor)
        return (
            isinstance(first, torch.Tensor) and first.is_cuda and (entry.when == "self" or len(args) + len(kwargs) == 1)
        )

    @contextmanager
    def timed(self, name: str, *, listed: bool, to_device: bool = False) -> Iterator[None]:
        """What waits inside waited as long as this takes; ``listed`` counts even if nothing warns."""
        seen, started = len(self.found), time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        if listed and len(self.found) == seen:
            self.found.append(_Wait(at_work(), name, _KINDS.get(name, "wait")))
        for wait in self.found[seen:]:
            kind = "H2D" if to_device and name in ("to", "copy_") else "D2H" if name in ("to", "copy_") else None
            wait.called, wait.kind = name, kind or _KINDS.get(name, "wait")
            wait.seconds = seconds / (len(self.found) - seen)

    def warned(self, message: Any, *rest: Any, **more: Any) -> None:
        """Python shows a warning: torch's debug mode, in the middle of the call that waits."""
        if _WARNING in str(message):
            self.found.append(_Wait(at_work(), "", "wait"))


def _goes_to_device(args: Any, kwargs: Any) -> bool:
    return any("cuda" in str(each) for each in (*args[1:], *kwargs.values()) if not isinstance(each, torch.Tensor))


@contextmanager
def _watching(timed: _Timed) -> Iterator[None]:
    """Debug mode and warnings on, and wrappers around what no mode sees."""

    def wrapper(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with timed.timed(name, listed=True):
                return function(*args, **kwargs)

        return wrapped

    places: list[tuple[Any, str, str]] = [(torch, "save", "torch.save"), (torch.cuda, "synchronize", "synchronize")]
    places += [(torch.cuda.Stream, "synchronize", "synchronize"), (torch.cuda.Event, "synchronize", "synchronize")]
    mode = torch.cuda.get_sync_debug_mode()
    with ExitStack() as undo:
        undo.enter_context(warnings.catch_warnings())
        warnings.simplefilter("always")
        warnings.showwarning = timed.warned
        for owner, attribute, name in places:
            original = getattr(owner, attribute)
            setattr(owner, attribute, wrapper(original, name))
            undo.callback(setattr, owner, attribute, original)
        torch.cuda.set_sync_debug_mode("warn")
        undo.callback(torch.cuda.set_sync_debug_mode, mode)
        with timed:
            yield


def waits_of(call: Callable[[], Any]) -> list[str]:
    """What waited while ``call`` ran: the functions, as the debug mode and the table see them."""
    timed = _Timed()
    with _watching(timed):
        call()
    return [wait.called for wait in timed.found]


def record_on_gpu(run: Run, steps: int) -> Syncs:
    """The waits of ``steps`` steps after one to warm up. Raises Skip where a step fails for another reason than mixed devices."""
    watched: list[list[_Wait]] = []
    try:
        run.step(0)
        for number in range(steps):
            torch.cuda.synchronize()
            timed = _Timed()
            with _watching(timed):
                run.step(number)
            watched.append([wait for wait in timed.found if wait.where.asker != "probe"])
    except Exception as error:  # the user's code: what it raises is told
        if not _MIXED.search(str(error)):
            raise Skip(f"the step fails: {first_line(error)}") from error
        return Syncs(torch.cuda.get_device_name(), len(watched), mixes=(_mix_of(error),), failed=first_line(error))
    return Syncs(
        device=torch.cuda.get_device_name(),
        steps=steps,
        syncs=_syncs(watched),
        table=table_for().torch,
        notes=("early reads of asynchronous copies are found in a rehearsal only",),
    )


def _mix_of(error: BaseException) -> DeviceMix:
    """The line that torch refused, from the traceback."""
    sites = traceback_sites(error.__traceback__)[::-1]
    called = "numpy" if "numpy" in str(error) else traceback.extract_tb(error.__traceback__)[-1].name
    return DeviceMix(called, called, sites[0] if sites else None, sites, "user", (), (), 1, host_name=first_line(error))


def _syncs(steps: list[list[_Wait]]) -> tuple[Sync, ...]:
    found: dict[tuple[Any, ...], list[list[_Wait]]] = {}
    for number, waits in enumerate(steps):
        for wait in waits:
            told = (wait.where.site, wait.kind, wait.called, wait.where.asker)
            found.setdefault(told, [[] for _ in steps])[number].append(wait)
    return tuple(
        Sync(
            kind=kind,
            called=called,
            operator=called,
            site=site,
            stack=next(each for each in per_step if each)[0].where.stack,
            asker=asker,
            counts=tuple(map(len, per_step)),
            stall=sum(wait.seconds for each in per_step for wait in each) / len(steps),
        )
        for (site, kind, called, asker), per_step in found.items()
    )
