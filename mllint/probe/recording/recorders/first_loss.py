"""The first loss of a fresh classifier, over a few batches, and what its cross-entropies cost a target.

May not: update anything.
"""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import fmean

import torch

from mllint.probe.measured.first_loss import FirstCall, FirstLoss
from mllint.probe.recording.data.losscalls import LossCall, loss_calls
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip
from mllint.probe.site import Site

#: Batches to average over: the loss of a single small batch is too noisy to judge.
_BATCHES = 3
_CLASSIFYING = ("cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")

#: Calls by operation, line and number of classes.
_Calls = dict[tuple[str, Site | None, int], list[LossCall]]


def record(run: Run) -> FirstLoss:
    """Raises Skip where the number of classes or the freshness of the model is not declared."""
    if not run.entry.classes:
        raise Skip("the target does not declare `classes`")
    if not run.entry.fresh:
        raise Skip("the target does not declare `fresh=True`")
    losses, seen, others = [], defaultdict(list), set()
    with torch.set_grad_enabled(run.entry.step is not None):
        for number in range(_BATCHES):
            with loss_calls() as calls:
                losses.append(float(run.loss(run.batch(number), seed=number).detach()))
            for call in calls:
                if call.name in _CLASSIFYING:
                    seen[(call.name, call.site, _width(call))].append(call)
                else:
                    others.add(call.name)
    found = [_told(key, calls) for key, calls in seen.items()]
    return FirstLoss(
        tuple(losses),
        run.entry.classes,
        math.log(run.entry.classes),
        tuple(each for each in found if each is not None),
        tuple(sorted(others)),
    )


def _width(call: LossCall) -> int:
    return 2 if call.name.startswith("binary") else call.classes


def _told(key: tuple[str, Site | None, int], calls: list[LossCall]) -> FirstCall | None:
    """None where no target counts, or a call cannot be made again."""
    operation, site, width = key
    counted = [call for call in calls if _targets(call)]
    with torch.no_grad():
        try:
            means = [float(call.again(reduction="mean")) for call in counted]
        except (RuntimeError, ValueError, TypeError):
            return None
    if not means:
        return None
    return FirstCall(
        operation,
        site,
        calls[0].reduction,
        fmean(means),
        math.log(max(width, 2)),
        _spread(counted, width),
        fmean(_targets(call) for call in counted),
        fmean(call.input.shape[0] if call.input.dim() > 1 else 1 for call in counted),
        len(calls) / _BATCHES,
    )


def _targets(call: LossCall) -> int:
    if call.names_classes:
        return call.counted.numel()
    return call.target.numel() if call.name.startswith("binary") else call.target.numel() // max(call.classes, 1)


def _spread(calls: list[LossCall], width: int) -> float:
    """The entropy of the targets of all calls: what a guess pays that knows how frequent each class is."""
    sums = torch.zeros(width, dtype=torch.float64)
    for call in calls:
        target = call.target.detach().cpu()
        if call.names_classes:
            there = call.counted.cpu().long()
            sums += torch.bincount(there.clamp(0, width - 1), minlength=width)
        elif call.name.startswith("binary"):
            ones = float(target.double().clamp(0, 1).sum())
            sums += torch.tensor([target.numel() - ones, ones], dtype=torch.float64)
        else:
            sums += (target if target.dim() == 1 else target.movedim(1, -1).reshape(-1, width).sum(0)).double()
    shares = sums / sums.sum()
    return float(-(shares * shares.clamp_min(1e-300).log()).sum())
