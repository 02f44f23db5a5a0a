"""What torch.compile did during a few steps: what it compiled again, and where it had to break the graph.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.site import Site


@dataclass(frozen=True, slots=True)
class Recompile:
    """One function compiled again. ``step`` counts from one, ``guard`` is the condition that no longer held, ``site`` the
    user's line that it guards (the function's first line where torch does not tell)."""

    function: str
    step: int
    guard: str
    site: Site | None


@dataclass(frozen=True, slots=True)
class GraphBreak:
    """One place where the compiled graph ends, on every step. ``own`` says that it is the user's code and no library's,
    ``wanted`` that somebody asked for it (``graph_break()``, ``disable``) or that it cannot be otherwise (``backward``)."""

    reason: str
    site: Site | None
    own: bool
    wanted: bool


@dataclass(frozen=True, slots=True)
class Recompiles:
    """``warm`` steps ran first, on the same batches as the ``steps`` after them."""

    warm: int
    steps: int
    recompiles: tuple[Recompile, ...]
    breaks: tuple[GraphBreak, ...]


CHECK = Check(
    stem="recompiles",
    codes=("ML110",),
    question="Does torch.compile compile anew at shapes it has seen, or break the graph in your code?",
    budget=20.0,
    measurement=Recompiles,
)
