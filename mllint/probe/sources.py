"""The files that a trace is about, read as `check` reads them.

May not: fail for a file that is not there any more; a finding in it has a row and no text.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any

from mllint.probe.site import Site
from mllint.probe.trace import Trace
from mllint.reading.files import Unreadable, read
from mllint.reading.source import DecodeFailure, Source, read_source


def sources_of(trace: Trace, cwd: str, limit: int) -> dict[str, Source]:
    """The text of every file that the trace names, by the name that it has there."""
    found: dict[str, Source] = {}
    for path in sorted({site.path for site in sites_in(trace)}):
        try:
            found[path] = read_source(path, "python", read(os.path.join(cwd, path), limit))
        except (Unreadable, DecodeFailure):
            continue
    return found


def sites_in(value: Any) -> Iterator[Site]:
    """Every site in plain data."""
    if isinstance(value, Site):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for entry in dataclasses.fields(value):
            yield from sites_in(getattr(value, entry.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from sites_in(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from sites_in(item)
