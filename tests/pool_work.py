"""Work for the pool's test, in a module of its own so that spawned workers can import it."""

from __future__ import annotations

import os
import signal

_factor = 0


def prepare(factor: int) -> None:
    global _factor
    _factor = factor


def name_file(chunk: list[str]) -> list[str]:
    """The absolute names that relative ones have in a worker."""
    return [os.path.abspath(name) for name in chunk]


def multiply(chunk: list[int]) -> list[int]:
    """Multiply; 13 kills the process, as a segmentation fault or the out-of-memory killer would."""
    if 13 in chunk:
        os.kill(os.getpid(), signal.SIGKILL)
    return [number * _factor for number in chunk]
