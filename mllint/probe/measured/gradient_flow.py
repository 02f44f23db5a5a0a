"""Which trainable parameters a gradient arrives at, and for the others what stands between them and the loss.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mllint.probe.check import Check
from mllint.probe.site import Site

#: Why parameters have no gradient, or only zeros. cut: an operation took a tensor out of the graph. stop: a node of
#: the graph gets a gradient and passes zeros on. hook: a hook turned a gradient into zeros. saturated: every unit of
#: an activation lies where it is flat. gate: the gradient is there once parameters that are all zero are not. unused:
#: no operation ever saw the parameter. unrouted: unused, but a sibling in the same list or dict of modules was
#: called. idle: its module was called without it. driven: the target moves it by hand (a codebook that follows
#: averages). unknown: none of these was seen.
How = Literal["cut", "stop", "hook", "saturated", "gate", "unused", "unrouted", "idle", "driven", "unknown"]


@dataclass(frozen=True, slots=True)
class ParameterFlow:
    """One trainable parameter over all batches. ``order`` counts its first use in the forward (None: not in the graph).

    ``arrived``: it had a gradient in some batch. ``largest`` and ``rms`` are of the gradient, from the batch in which
    it was greatest; ``weight`` is the rms of the values. ``optimized`` says whether an optimizer holds it, None where
    the target has no optimizer."""

    name: str
    order: int | None
    arrived: bool
    largest: float
    rms: float
    weight: float
    optimized: bool | None

    @property
    def flows(self) -> bool:
        """Has it a gradient that is not all zero? Not-a-number is one."""
        return self.arrived and self.largest != 0


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for missing gradients, with every parameter that it silences (`unknown` and `unused`: of one module).

    ``operation`` is its name (``detach``, ``no_grad``, ``argmax``, the class of a custom Function, …) and ``site``
    the user's line; ``module`` the path of the innermost module at work there. ``applied`` is where a custom Function
    was applied. ``change`` is how much the loss moves, relative to itself, when the parameters are moved by a tenth
    of their size (by all of it, where that is not felt); ``noise`` how much it moves by itself; None where that was
    not tried. ``restored`` says whether letting the gradient through at that place brings it back, None where that
    could not be tried. ``activations``: the operation cut computed activations, not only parameters. ``builtin``: the
    node is one of torch's own, whose derivative is exact (``stepwise``: of a function made of steps). ``twin`` is a
    module like the silenced one which does get gradients (the student of a teacher)."""

    how: How
    parameters: tuple[str, ...]
    operation: str = ""
    site: Site | None = None
    module: str = ""
    applied: Site | None = None
    change: float | None = None
    noise: float = 0.0
    restored: bool | None = None
    activations: bool = False
    builtin: bool = False
    stepwise: bool = False
    arriving: float = 0.0
    twin: str = ""


@dataclass(frozen=True, slots=True)
class GradientFlow:
    """``graph``: in some batch the loss required a gradient. ``parameters`` are the trainable ones in the model's
    order."""

    batches: int
    losses: tuple[float, ...]
    graph: bool
    parameters: tuple[ParameterFlow, ...]
    causes: tuple[Cause, ...] = ()


CHECK = Check(
    stem="gradient_flow",
    codes=("ML204", "ML217"),
    question="Does a gradient arrive at every trainable parameter, and if not, where is it cut?",
    budget=5.0,
    measurement=GradientFlow,
)
