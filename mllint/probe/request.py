"""What the command asks of the child process that runs the user's code, as plain JSON.

May not: start anything.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from mllint.probe.target import Target


@dataclass(frozen=True, slots=True)
class Request:
    """``checks`` are stems in the order to run them. ``device`` is "auto" (a GPU where there is one, else the CPU), "cpu",
    "cuda" or "rehearse". ``until`` is a time of `time.time` at which the child has to be done, ``memory`` a limit in
    bytes (0: none), ``parts`` the file that the child writes to, and ``crash`` the one that takes the lines that were
    at work when it crashed or ran out of time."""

    target: Target
    checks: tuple[str, ...]
    steps: int
    seed: int
    device: str
    until: float
    parts: str
    crash: str
    memory: int = 0

    def to_json(self) -> str:
        """For the child."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Request:
        """As the child reads it."""
        told = json.loads(text)
        return Request(**{**told, "target": Target(**told["target"]), "checks": tuple(told["checks"])})
