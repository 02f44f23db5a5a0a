"""What the probe saw, as plain data: everything that judging and the report need, and nothing else.

A trace is versioned JSON on the disk (`codec.py`). May not: import torch, or hold a tensor, module or callable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from mllint.probe.site import Site

#: Changes when a field changes its meaning; a trace of another version is refused with a clear message.
TRACE_VERSION = 1

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """One module: its path in the model ("" is the root), its class, how many elements its own parameters have, where it was
    made and where its forward stands, as far as that is known."""

    path: str
    kind: str
    elements: int = 0
    made: Site | None = None
    forward: Site | None = None


@dataclass(frozen=True, slots=True)
class ParameterFacts:
    """One parameter by its first name; ``also`` are its other names (tied weights)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool
    made: Site | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """What ended the run early. ``during`` is the check that was at work ("" while the target was loaded or in the first
    step), ``frames`` are the user's own, the innermost last."""

    kind: Literal["raised", "died", "timed out"]
    message: str
    during: str = ""
    frames: tuple[Site, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class CheckRun:
    """How a check went. ``reason`` says why it was skipped, or what crashed."""

    check: str
    outcome: Literal["measured", "skipped", "crashed"]
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Trace:
    """``entry`` is where the target begins, ``steps`` counts completed plain training steps, ``plain_step`` is the median of their seconds. ``unrestored`` names what
    was not bit-identical afterwards. ``facts`` is what the user declared (``causal``, ``classes``, …)."""

    target: str = ""
    entry: Site | None = None
    version: int = TRACE_VERSION
    device: str = "cpu"
    environment: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    modules: tuple[ModuleFacts, ...] = ()
    parameters: tuple[ParameterFacts, ...] = ()
    steps: int = 0
    plain_step: float = 0.0
    losses: tuple[float, ...] = ()
    failure: Failure | None = None
    unrestored: tuple[str, ...] = ()
    checks: tuple[CheckRun, ...] = ()
    measurements: Mapping[str, Any] = field(default_factory=dict)

    def get(self, kind: type[M]) -> M | None:
        """The measurement of this type, None where it was not taken."""
        return next((found for found in self.measurements.values() if type(found) is kind), None)

    def module(self, path: str) -> ModuleFacts | None:
        """The module with this path."""
        return next((module for module in self.modules if module.path == path), None)

    def owner(self, parameter: str) -> ModuleFacts | None:
        """The module that holds a parameter."""
        return self.module(parameter.rpartition(".")[0])

    def parameter(self, name: str) -> ParameterFacts | None:
        """The parameter with this name."""
        return next((each for each in self.parameters if each.name == name or name in each.also), None)
