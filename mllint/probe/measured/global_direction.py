"""The slope of the objective along one direction over all parameters together, by backward and by finite differences.

A factor that every gradient has in common hides from every comparison of one parameter with another. May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.measured.layer_oracle import TensorVerdict


@dataclass(frozen=True, slots=True)
class GlobalDirection:
    """``slope`` is the comparison, ``parameters`` how many tensors were moved together. ``functions`` are the custom
    autograd Functions behind the loss, ``explained`` what accounts for a difference: those among them that do not give
    their derivative or could not be checked, torch's own surrogates, and parameters that the step changes by itself."""

    slope: TensorVerdict
    parameters: int
    functions: tuple[str, ...] = ()
    explained: tuple[str, ...] = ()


CHECK = Check(
    stem="global_direction",
    codes=("ML202",),
    question="Is the gradient of all parameters together the slope of the loss?",
    budget=10.0,
    measurement=GlobalDirection,
)
