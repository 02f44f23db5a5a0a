"""Where the step waits for the device: one row a line of code, with counts and, on a GPU, the time it costs.

May not: judge which of them are too many.
"""

from __future__ import annotations

from mllint.probe.measured.syncs import Sync, Syncs
from mllint.probe.page.html import duration, element, table, text
from mllint.probe.trace import Trace

#: What a kind of sync is, in words.
_KINDS = {
    "item": "a value is read",
    "batch": "copy of the batch",
    "D2H": "copy to the host",
    "H2D": "copy to the device",
    "nonzero": "a size is read",
    "unique": "a size is read",
    "size": "a size is read",
    "equal": "a comparison is read",
    "linalg": "an error code is read",
    "explicit": "synchronize",
    "release": "memory is released",
}


def syncs(trace: Trace) -> str:
    """The section, "" where syncs were not measured."""
    measured = trace.get(Syncs)
    if measured is None:
        return ""
    rehearsed = measured.device == "rehearse"
    how = (
        f"rehearsed on the CPU with the table of torch {measured.table}"
        if rehearsed
        else f"measured on {measured.device}"
    )
    told = [f"{measured.steps} steps, {how}"]
    told += [f"placed there: {', '.join(measured.placed)}"] if measured.placed else []
    told += list(measured.notes)
    parts = [element("h2", "Host syncs"), element("p", text("; ".join(told) + "."), class_="dim")]
    if not measured.syncs:
        return "".join((*parts, element("p", "No line of a step waits for the device.")))
    ordered = sorted(measured.syncs, key=lambda each: (each.asker != "user", -sum(each.counts), str(each.site)))
    head = ["line", "call", "waits for", "asked by", "each step"] + ([] if rehearsed else ["stall a step"])
    rows = [_row(each, rehearsed) for each in ordered]
    return "".join((*parts, table(head, rows, numbers=(4, 5))))


def _row(each: Sync, rehearsed: bool) -> list[str]:
    site = each.site or each.forward
    where = element("span", text(site) if site is not None else "–", class_="path")
    if each.node:
        where += element("div", text(f"in the backward of `{each.node}`"), class_="dim")
    counts = (
        ", ".join(map(str, each.counts)) if len(set(each.counts)) > 1 else str(each.counts[0] if each.counts else 0)
    )
    row = [
        where,
        element("code", text(each.called)),
        text(_KINDS.get(each.kind, each.kind)),
        text(each.asker),
        text(counts),
    ]
    if not rehearsed:
        row.append(text(duration(each.stall) if each.stall is not None else "–"))
    return row
