"""A place in the user's code where something happened at run time.

May not: look at frames or files; plain data.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """``path`` as the trace names files (relative to the folder of the run where it lies below it, else absolute, with
    forward slashes), one-based ``row``, and the function that the row belongs to ("" at module level)."""

    path: str
    row: int
    function: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.row}" + (f" in {self.function}" if self.function else "")
