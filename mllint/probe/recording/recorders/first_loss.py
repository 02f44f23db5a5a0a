"""The first loss of a fresh classifier, over a few batches.

May not: update anything.
"""

from __future__ import annotations

import math

import torch

from mllint.probe.measured.first_loss import FirstLoss
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip

#: Batches to average over: the loss of a single small batch is too noisy to judge.
_BATCHES = 3


def record(run: Run) -> FirstLoss:
    """Raises Skip where the number of classes or the freshness of the model is not declared."""
    if not run.entry.classes:
        raise Skip("the target does not declare `classes`")
    if not run.entry.fresh:
        raise Skip("the target does not declare `fresh=True`")
    with torch.no_grad():
        losses = tuple(float(run.loss(run.batch(number), seed=number)) for number in range(_BATCHES))
    return FirstLoss(losses, run.entry.classes, math.log(run.entry.classes))
