"""Which line of the user's code is at work, or made a module.

May not: judge; sites are what the user sees, so torch, mllint and the standard library are never one of them.
"""

from __future__ import annotations

import inspect
import os
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import FrameType, TracebackType

import torch

from mllint.probe.site import Site

_TORCH = os.path.dirname(torch.__file__) + os.sep
OURS = str(Path(__file__).resolve().parents[2]) + os.sep
_STANDARD = os.path.realpath(sysconfig.get_path("stdlib")) + os.sep
_INSTALLED = tuple({sysconfig.get_path("purelib") + os.sep, sysconfig.get_path("platlib") + os.sep})


@lru_cache(maxsize=4096)
def nearness(filename: str) -> int:
    """2 for the user's own code, 1 for an installed library that is not torch, 0 for what is never shown."""
    if filename.startswith(("<", _TORCH, OURS)):
        return 0
    if filename.startswith(_INSTALLED):
        return 1
    return 0 if os.path.realpath(filename).startswith(_STANDARD) else 2


#: The folder of the run, where it was said: a target may go to another one.
_ROOT: list[str] = []


def name_files_from(folder: str) -> None:
    """Name files relative to this folder from now on, wherever the target goes."""
    _ROOT[:] = [folder]
    shown.cache_clear()


@lru_cache(maxsize=4096)
def shown(filename: str) -> str:
    """A path as the trace names it: relative to the current folder where it lies below it."""
    path = os.path.abspath(filename)
    root = (_ROOT[0] if _ROOT else os.getcwd()).rstrip(os.sep) + os.sep
    return (path[len(root) :] if path.startswith(root) else path).replace(os.sep, "/")


def stack(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame and its callers."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def site_of(frame: FrameType) -> Site:
    """A frame as a site."""
    name = frame.f_code.co_name
    return Site(shown(frame.f_code.co_filename), frame.f_lineno, "" if name == "<module>" else name)


def user_site() -> Site | None:
    """The innermost line of the user's own code that is at work now; of an installed library where there is none."""
    library = None
    for frame in stack(sys._getframe(1)):
        near = nearness(frame.f_code.co_filename)
        if near == 2:
            return site_of(frame)
        if near == 1 and library is None:
            library = site_of(frame)
    return library


def user_sites(limit: int = 6) -> tuple[Site, ...]:
    """The lines of user code (own or installed) that are at work now, the innermost first."""
    near = [frame for frame in stack(sys._getframe(1)) if nearness(frame.f_code.co_filename)]
    return tuple(site_of(frame) for frame in near[:limit])


def traceback_sites(trace: TracebackType | None) -> tuple[Site, ...]:
    """The user's own frames of a traceback, the innermost last."""
    sites = []
    while trace is not None:
        frame = trace.tb_frame
        if nearness(frame.f_code.co_filename):
            name = frame.f_code.co_name
            sites.append(Site(shown(frame.f_code.co_filename), trace.tb_lineno, "" if name == "<module>" else name))
        trace = trace.tb_next
    return tuple(sites)


def forward_site(kind: type) -> Site | None:
    """Where a module class defines its forward; None for torch's own and for what has no source."""
    forward = getattr(kind, "forward", None)
    try:
        code = inspect.unwrap(forward).__code__ if forward is not None else None
    except (AttributeError, ValueError):
        return None
    if code is None or not nearness(code.co_filename):
        return None
    return Site(shown(code.co_filename), code.co_firstlineno, code.co_name)


def code_site(function: object) -> Site | None:
    """Where a function of the user's begins: that of a partial, a method, or below decorators."""
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    try:
        code = inspect.unwrap(function).__code__ if callable(function) else None
    except (AttributeError, ValueError):
        return None
    if code is None or not nearness(code.co_filename):
        return None
    return Site(shown(code.co_filename), code.co_firstlineno, code.co_name)
