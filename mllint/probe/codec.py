"""Traces to JSON and back, by the annotations of their dataclasses.

Not-a-number and infinities are written as strings, since JSON has none. May not: know any measurement, or import torch.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from mllint.probe.check import all_checks
from mllint.probe.trace import TRACE_VERSION, Trace


class TraceError(ValueError):
    """A text that is no trace of this version; the message says what is wrong."""


def to_json(trace: Trace) -> str:
    """One JSON object, with sorted keys."""
    return json.dumps(encoded(trace), indent=1, sort_keys=True, allow_nan=False)


def from_json(text: str) -> Trace:
    """The trace in a JSON text. Raises TraceError."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise TraceError(f"no JSON: {error}") from error
    if not isinstance(data, dict) or "version" not in data:
        raise TraceError("no trace: a JSON object with a `version` is needed; `mllint probe --trace` writes one")
    if data["version"] != TRACE_VERSION:
        raise TraceError(f"trace of version {data['version']}, this mllint reads {TRACE_VERSION}: record it again")
    measurements = data.pop("measurements", {})
    try:
        trace: Trace = decoded(Trace, data)
        found = {
            check.stem: decoded(check.measurement, measurements[check.stem])
            for check in all_checks()
            if check.stem in measurements
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TraceError(f"damaged trace: {error}") from error
    return dataclasses.replace(trace, measurements=found)


def encoded(value: Any) -> Any:
    """A value of dataclasses, tuples, mappings, strings and numbers as what `json` can write."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {entry.name: encoded(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encoded(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [encoded(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"a trace holds plain data, not {type(value).__name__}")


def decoded(kind: Any, value: Any) -> Any:
    """The value that `encoded` wrote for something annotated as ``kind``."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else decoded(next(one for one in inner if one is not type(None)), value)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        unknown = value.keys() - hints.keys()
        if unknown:
            raise ValueError(f"unknown key {sorted(unknown)[0]!r} in {kind.__name__}")
        return kind(**{name: decoded(hints[name], item) for name, item in value.items()})
    if origin is tuple:
        if len(inner) == 2 and inner[1] is Ellipsis:
            return tuple(decoded(inner[0], item) for item in value)
        return tuple(decoded(one, item) for one, item in zip(inner, value, strict=True))
    if origin is not None and isinstance(value, dict):
        return {decoded(inner[0], key): decoded(inner[1], item) for key, item in value.items()}
    if kind is float:
        return float(value)
    if kind is int and not isinstance(value, bool):
        return int(value)
    return value
