"""Calls of torch in a higher precision than they were written for, so that a cast to float32 inside a layer does not
swallow a small step.

May not: note what is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_LOW = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    torch.complex32: torch.complex64,
    torch.complex64: torch.complex64,
    torch.complex128: torch.complex128,
}
_DOUBLE = {torch.float32: torch.float64, torch.complex64: torch.complex128}

#: Methods that cast to the precision in their name.
_CASTS = {"float": torch.float32, "half": torch.float16, "bfloat16": torch.bfloat16, "cfloat": torch.complex64}

#: Calls that need the dtype as it was written.
_AS_WRITTEN = frozenset({"view", "data", "data =", "set_", "resize_"})


def raised(dtype: torch.dtype, least: torch.dtype) -> torch.dtype:
    """The precision that takes the place of this one; ``least`` is float32 or float64."""
    found = _LOW.get(dtype, dtype)
    return _DOUBLE.get(found, found) if least == torch.float64 else found


def called_higher(func: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any], least: torch.dtype) -> Any:
    """Call a function of torch with its tensors and dtypes in at least this precision. What it changes in place stays."""
    if name in _AS_WRITTEN:
        return func(*args, **kwargs)
    if name in _CASTS and args and isinstance(args[0], torch.Tensor):
        return args[0].to(raised(_CASTS[name], least))
    first = 1 if changes_first(name) else 0
    args = (*args[:first], *(_higher(each, least) for each in args[first:]))
    kwargs = {key: value if key == "out" else _higher(value, least) for key, value in kwargs.items()}
    return func(*args, **kwargs)


def _higher(value: Any, least: torch.dtype) -> Any:
    if isinstance(value, torch.Tensor):
        wanted = raised(value.dtype, least)
        return value if wanted == value.dtype else value.to(wanted)
    if isinstance(value, torch.dtype):
        return raised(value, least)
    if type(value) in (tuple, list):
        return type(value)(_higher(each, least) for each in value)
    return value


def changes_first(name: str) -> bool:
    return (name.endswith("_") and not name.endswith("__")) or name in (
        "__setitem__",
        "__iadd__",
        "__imul__",
        "__isub__",
    )
