"""What ``torch.cuda`` and ``torch.accelerator`` answer while the virtual device is open.

May not: be exhaustive; what is not here fails as it does without a GPU.
"""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch

from mllint.probe.recording.rehearsal.device import CUDA, VirtualDevice

#: Memory that the device says it has, in bytes.
_MEMORY = 80 * 2**30

_NUMBERS = (
    "memory_allocated",
    "max_memory_allocated",
    "memory_reserved",
    "max_memory_reserved",
    "memory_cached",
    "max_memory_cached",
    "utilization",
    "memory_usage",
    "temperature",
    "power_draw",
    "clock_rate",
    "device_memory_used",
    "initial_seed",
)

_NOTHING = (
    "init",
    "_lazy_init",
    "set_device",
    "set_stream",
    "manual_seed",
    "manual_seed_all",
    "seed",
    "seed_all",
    "set_rng_state",
    "set_rng_state_all",
    "reset_peak_memory_stats",
    "reset_max_memory_allocated",
    "reset_max_memory_cached",
    "reset_accumulated_memory_stats",
    "set_per_process_memory_fraction",
    "caching_allocator_enable",
    "set_device_index",
    "set_device_idx",
    "set_sync_debug_mode",
)

_CONSTANTS: Mapping[str, Any] = {
    "is_available": True,
    "is_initialized": True,
    "device_count": 1,
    "current_device": 0,
    "current_device_index": 0,
    "current_device_idx": 0,
    "get_device_name": "virtual device",
    "get_device_capability": (9, 0),
    "get_arch_list": [],
    "is_bf16_supported": True,
    "is_tf32_supported": True,
    "is_current_stream_capturing": False,
    "get_sync_debug_mode": 0,
    "mem_get_info": (_MEMORY, _MEMORY),
    "get_memory_info": (_MEMORY, _MEMORY),
    "memory_summary": "",
    "memory_snapshot": [],
    "get_rng_state_all": [],
    "current_accelerator": CUDA,
    "_exchange_device": 0,
    "_maybe_exchange_device": 0,
    "_get_device_index": 0,
    "graph_pool_handle": (0, 0),
    "_is_in_bad_fork": False,
}


def answers(device: VirtualDevice) -> dict[str, Callable[..., Any]]:
    """Functions by name, for ``torch.cuda`` and, as far as it has them, ``torch.accelerator``."""
    stream = stream_class(device)
    found: dict[str, Callable[..., Any]] = {name: _always(value) for name, value in _CONSTANTS.items()}
    found |= {name: _always(0) for name in _NUMBERS} | {name: _always(None) for name in _NOTHING}
    properties = SimpleNamespace(
        name="virtual device", major=9, minor=0, total_memory=_MEMORY, multi_processor_count=132, warp_size=32
    )
    found |= {
        "get_device_properties": _always(properties),
        "memory_stats": lambda *args, **kwargs: defaultdict(int, OrderedDict()),
        "get_rng_state": lambda *args, **kwargs: torch.get_rng_state(),
        "synchronize": lambda *args, **kwargs: device.waits("explicit", "synchronize", "synchronize"),
        "empty_cache": lambda *args, **kwargs: device.waits("release", "empty_cache", "empty_cache"),
        "ipc_collect": _always(None),
        "Stream": stream,
        "ExternalStream": stream,
        "Event": event_class(device),
        "current_stream": lambda *args, **kwargs: stream(),
        "default_stream": lambda *args, **kwargs: stream(),
        "stream": _inside,
        "StreamContext": _inside,
        "CUDAGraph": graph_class(device),
        "graph": _inside,
        "make_graphed_callables": _graphed(device),
    }
    legacy = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
    return found | {f"{kind}Tensor": _legacy(device, f"{kind}Tensor") for kind in legacy}


def _always(value: Any) -> Callable[..., Any]:
    return lambda *args, **kwargs: value


@contextmanager
def _inside(*args: Any, **kwargs: Any) -> Iterator[None]:
    """Work on another stream, or captured in a graph, is done at once."""
    yield


def stream_class(device: VirtualDevice) -> type:
    """A stream: everything queued on it is done at once, in order."""

    class Stream:
        cuda_stream = 0
        device_index = 0
        device = CUDA

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.stream_id = 0

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *error: object) -> None:
            return None

        def query(self) -> bool:
            return True

        def is_capturing(self) -> bool:
            return False

        def synchronize(self) -> None:
            device.waits("explicit", "Stream.synchronize", "synchronize")

        def wait_stream(self, stream: Any) -> None:
            return None

        def wait_event(self, event: Any) -> None:
            return None

        def record_event(self, event: Any = None) -> Any:
            event = event or event_class(device)()
            event.record()
            return event

    return Stream


def event_class(device: VirtualDevice) -> type:
    """An event; the time between two is that of the host."""

    class Event:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.recorded = time.perf_counter()

        def record(self, stream: Any = None) -> None:
            self.recorded = time.perf_counter()

        def wait(self, stream: Any = None) -> None:
            return None

        def query(self) -> bool:
            return True

        def synchronize(self) -> None:
            device.waits("explicit", "Event.synchronize", "synchronize")

        def elapsed_time(self, other: Any) -> float:
            return max(float(other.recorded - self.recorded) * 1000, 1e-3)

    return Event


def graph_class(device: VirtualDevice) -> type:
    """A CUDA graph: its capture runs eagerly, its replay does nothing."""

    class CUDAGraph:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            device.note("CUDA graphs cannot be rehearsed: captures ran eagerly, replays did nothing")

        def replay(self) -> None:
            return None

        def reset(self) -> None:
            return None

        def pool(self) -> Any:
            return (0, 0)

        def capture_begin(self, *args: Any, **kwargs: Any) -> None:
            return None

        def capture_end(self) -> None:
            return None

    return CUDAGraph


def _graphed(device: VirtualDevice) -> Callable[..., Any]:
    def make_graphed_callables(callables: Any, *args: Any, **kwargs: Any) -> Any:
        device.note("CUDA graphs cannot be rehearsed: graphed callables ran eagerly")
        return callables

    return make_graphed_callables


def _legacy(device: VirtualDevice, name: str) -> type:
    """``torch.cuda.FloatTensor``: constructor and type of old code."""
    plain = getattr(torch, name)

    class Legacy(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            given = bool(args) and not all(isinstance(each, int) for each in args)
            if given and not device.has(args[0]):
                device.waits("H2D", f"cuda.{name}", f"cuda.{name}")
            result = plain(*args, **{key: value for key, value in kwargs.items() if key != "device"})
            device.put(result)
            return result

        def __instancecheck__(cls, instance: Any) -> bool:
            return device.has(instance) and instance.dtype is plain.dtype

    return Legacy(name, (), {"__module__": "torch.cuda", "dtype": plain.dtype})
