"""What a profile of training steps says about the time of the GPU: when it was busy, and what it waited for when not.

Works on the events of torch's Chrome trace as plain data. May not: run or import anything; times are microseconds here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mllint.probe.measured.idle_device import Copies, Gap

#: The name under which a step is marked in a profile.
STEP = "mllint step"

_WORK = ("kernel", "gpu_memcpy", "gpu_memset")
_LOADING = ("enumerate(DataLoader)", "DataLoader")


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took from ``start`` to ``end``. ``kind``: kernel, copy, sync, transfer, data, step or other."""

    kind: str
    name: str
    start: float
    end: float
    bytes: int = 0


def spans_of(events: Iterable[Mapping[str, Any]]) -> list[Span]:
    """The spans of a Chrome trace that matter here, in order."""
    found = []
    for event in events:
        if event.get("ph") != "X":
            continue
        kind = _kind(str(event.get("cat", "")), str(event.get("name", "")))
        if kind:
            start = float(event["ts"])
            told = event.get("args", {})
            count = int(told.get("bytes", told.get("Bytes", 0)) or 0)
            found.append(Span(kind, str(event["name"]), start, start + float(event.get("dur", 0)), count))
    return sorted(found, key=lambda span: (span.start, span.end))


def _kind(category: str, name: str) -> str:
    category = category.lower()
    if category in _WORK:
        return "kernel" if category == "kernel" else "copy"
    if name == STEP:
        return "step" if "gpu" not in category else ""
    if name.startswith(_LOADING):
        return "data"
    if category == "cuda_runtime" and "Synchronize" in name:
        return "sync"
    if category == "cuda_runtime" and name.startswith("cudaMemcpy"):
        return "transfer"
    return ""


def busy(spans: Sequence[Span], start: float, end: float) -> list[tuple[float, float]]:
    """When at least one kernel or copy was at work between two moments: disjoint intervals, in order."""
    merged: list[tuple[float, float]] = []
    for span in spans:
        if span.kind not in ("kernel", "copy") or span.end <= start or span.start >= end:
            continue
        first, last = max(span.start, start), min(span.end, end)
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def idle(spans: Sequence[Span], start: float, end: float) -> list[tuple[float, float]]:
    """When nothing was."""
    edges = [start, *(edge for interval in busy(spans, start, end) for edge in interval), end]
    return [(first, last) for first, last in zip(edges[::2], edges[1::2], strict=True) if last > first]


def cause_of(spans: Sequence[Span], start: float, end: float) -> tuple[str, str]:
    """Why the GPU was idle from ``start`` to ``end``, and what the host did. A wait of the host that ends as the GPU runs dry has
    emptied the queue; otherwise it is what the host did for most of the gap; otherwise the host was too slow to launch."""
    shares: dict[tuple[str, str], float] = defaultdict(float)
    emptied = ""
    for span in spans:
        overlap = min(span.end, end) - max(span.start, start)
        if span.kind in ("data", "transfer") and overlap > 0:
            shares[("data wait" if span.kind == "data" else "transfer", span.name)] += overlap
        if span.kind == "sync" and span.start <= start <= span.end + 1.0:
            emptied = span.name
    if shares:
        (cause, name), most = max(shares.items(), key=lambda item: item[1])
        if most > (end - start) / 2:
            return cause, name
    return ("sync", emptied) if emptied else ("launch-bound", "")


def gaps_of(spans: Sequence[Span]) -> tuple[Gap, ...]:
    """The idle time of the marked steps by cause, a step, the longest first."""
    steps = steps_in(spans)
    seconds: dict[str, float] = defaultdict(float)
    count: dict[str, int] = defaultdict(int)
    during: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for start, end in steps:
        for first, last in idle(spans, start, end):
            cause, name = cause_of(spans, first, last)
            seconds[cause] += (last - first) / 1e6
            count[cause] += 1
            during[cause][name] += last - first
    return tuple(
        Gap(
            cause,
            seconds[cause] / len(steps),
            count[cause] / len(steps),
            max(during[cause], key=during[cause].__getitem__),
        )
        for cause in sorted(seconds, key=lambda each: -seconds[each])
    )


def steps_in(spans: Sequence[Span]) -> list[tuple[float, float]]:
    """From the beginning of each marked step to that of the next; the last ends with its own work on the GPU."""
    marks = [span for span in spans if span.kind == "step"]
    if not marks:
        return []
    last = max([marks[-1].end, *(span.end for span in spans if span.kind in ("kernel", "copy"))])
    edges = [mark.start for mark in marks] + [last]
    return list(pairwise(edges))


def copies_of(spans: Sequence[Span]) -> tuple[Copies, ...]:
    """Copies by direction, a step."""
    steps = steps_in(spans)
    found: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        direction = next((each for each in ("HtoD", "DtoH", "DtoD") if each in span.name), "")
        if span.kind == "copy" and direction and any(start <= span.start < end for start, end in steps):
            found[direction].append(span)
    return tuple(
        Copies(
            direction,
            len(each) / len(steps),
            sum(span.bytes for span in each) / len(steps),
            sum(span.end - span.start for span in each) / 1e6 / len(steps),
        )
        for direction, each in sorted(found.items())
    )
