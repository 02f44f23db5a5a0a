"""What later positions do to the outputs of a causal model at earlier ones.

May not: import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mllint.probe.check import Check
from mllint.probe.measured.batch_leak import Culprit


@dataclass(frozen=True, slots=True)
class FutureLeak:
    """The call of the model in evaluation mode. ``causal`` says why it may not see the future.

    ``changed`` and ``gradient``: the greatest change (or gradient) at positions before the changed ones, relative to the
    greatest there is; NaN where it could not be taken. The input that leaks least is the one measured, since a
    source or a context may be seen whole. ``noise`` is how far two equal calls differ, ``coarsest`` the machine
    precision of the coarsest type in the model.
    """

    path: str
    kind: str
    input: str
    causal: str
    positions: int
    changed: float
    gradient: float
    noise: float
    coarsest: float
    culprit: Culprit | None = None


CHECK = Check(
    stem="future_leak",
    codes=("ML815",),
    question="Does the output of a causal model depend on later positions?",
    budget=18.0,
    measurement=FutureLeak,
)
