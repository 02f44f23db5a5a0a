"""How busy the GPU is over whole training steps, and what it waits for in between.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check


@dataclass(frozen=True, slots=True)
class Gap:
    """Time in which nothing ran on the GPU, in seconds a step. ``cause``: data wait, sync, transfer or launch-bound; ``during`` is
    what the host was doing for most of it."""

    cause: str
    seconds: float
    count: float
    during: str = ""


@dataclass(frozen=True, slots=True)
class Copies:
    """Copies of one direction (HtoD, DtoH, DtoD), each a step: how many, how many bytes, how long."""

    direction: str
    count: float
    bytes: float
    seconds: float


@dataclass(frozen=True, slots=True)
class IdleDevice:
    """``step_seconds`` is the length of a step, ``busy_seconds`` how long of it a kernel or copy ran, ``kernels`` how many a step
    there were. ``host_elements`` counts the model's parameter elements that lie on the CPU although there is a GPU."""

    device: str
    steps: int
    step_seconds: float
    busy_seconds: float
    kernels: float
    gaps: tuple[Gap, ...] = ()
    copies: tuple[Copies, ...] = ()
    host_elements: int = 0
    elements: int = 0


CHECK = Check(
    stem="idle_device",
    codes=("ML707",),
    question="How busy is the GPU in a step, and what does it wait for?",
    budget=8.0,
    measurement=IdleDevice,
    devices=("cuda",),
)
