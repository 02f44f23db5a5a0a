"""What a layer's gradient says beside what finite differences say, one layer of a class and every custom autograd Function.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mllint.probe.check import Check
from mllint.probe.site import Site

#: What became of one tensor of a layer.
#: ok: both agree. cut: the output depends on it, no gradient arrives. wrong: a gradient arrives, and it is another one.
#: straight-through: they differ on purpose (a detached part, a surrogate for a step function, a gradient modifier).
#: kink: the value stands where left and right slope differ. inert: the output does not depend on it.
#: uncertain: the differences are too noisy to say.
Verdict = Literal["ok", "cut", "wrong", "straight-through", "kink", "inert", "uncertain"]


@dataclass(frozen=True, slots=True)
class TensorVerdict:
    """One tensor (``input[0]``, ``input[mask]``, the name of a parameter), along one random direction.

    ``analytic`` is what backward gives (None: no gradient arrives at all), ``numeric`` the central difference, ``held``
    the same with everything that the layer cuts by name (detach, no_grad, argmax, …) held at its value; None where that
    was not needed. ``noise`` is the relative difference between two step widths, ``eps`` the relative width.
    """

    tensor: str
    verdict: Verdict
    analytic: float | None
    numeric: float
    held: float | None
    relative_error: float
    noise: float
    eps: float
    dtype: str


@dataclass(frozen=True, slots=True)
class Checked:
    """One layer for all of its class, or one custom autograd Function.

    ``path`` is the module ("" for the loss or the root), ``kind`` the class, ``count`` how many layers of that class the
    model has (applications of the Function in a step), ``site`` where the forward of the class (the backward of the
    Function) stands, ``made`` where the layer was made (the Function applied). ``blamed``: it failed and nothing inside it did.
    ``cut`` and ``cut_by`` are the line and the operation that cut a tensor, where that is known. ``deliberate`` says
    why a Function's backward seems to differ on purpose ("" where nothing says so), ``identity`` that its forward
    returns its input as it is. ``functions`` are the custom Functions that the layer goes through.
    """

    what: Literal["layer", "function"]
    path: str
    kind: str
    count: int
    blamed: bool
    tensors: tuple[TensorVerdict, ...]
    site: Site | None = None
    made: Site | None = None
    cut: Site | None = None
    cut_by: str = ""
    deliberate: str = ""
    identity: bool = False
    functions: tuple[str, ...] = ()

    def with_verdict(self, verdict: Verdict) -> tuple[TensorVerdict, ...]:
        """The tensors with this verdict."""
        return tuple(tensor for tensor in self.tensors if tensor.verdict == verdict)


@dataclass(frozen=True, slots=True)
class NotChecked:
    """A class of layers that could not be checked, or was not for want of time."""

    path: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class LayerOracle:
    """Everything that was checked, the smallest layers first; torch's own layers and containers are not."""

    checked: tuple[Checked, ...]
    skipped: tuple[NotChecked, ...] = ()


CHECK = Check(
    stem="layer_oracle",
    codes=("ML202", "ML204"),
    question="Is the gradient of every kind of layer the derivative of its output?",
    budget=8.0,
    measurement=LayerOracle,
)
