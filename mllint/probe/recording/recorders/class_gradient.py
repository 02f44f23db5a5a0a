"""The gradient at the input of each cross_entropy and nll_loss, by target class, over a few batches.

Works on whatever loss is made of these calls: weights, masks and sums that come after them are part of the gradient.
May not: look at a loss that knows no classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from mllint.probe.measured.class_gradient import ClassGradient, ClassPart, LossGradient
from mllint.probe.recording.data.losscalls import LossCall, loss_calls
from mllint.probe.recording.data.survey import surveyed
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip
from mllint.probe.site import Site

#: Batches that are run at least and at most, and the targets after which no further one is needed.
_FEWEST, _MOST, _ENOUGH = 2, 8, 2000
_SHOWN = 3


@dataclass
class _Sums:
    """Per class: the sum of gradient norms and the number of targets; over all the sum of squared norms."""

    norms: torch.Tensor
    counts: torch.Tensor
    squares: float = 0.0

    def add(self, targets: torch.Tensor, norms: torch.Tensor) -> None:
        self.norms.index_add_(0, targets, norms)
        self.counts.index_add_(0, targets, torch.ones_like(norms))
        self.squares += float(norms.square().sum())


@dataclass
class _Seen:
    """Sums by call: its name, its line and its number of classes."""

    sums: dict[tuple[str, Site | None, int], _Sums] = field(default_factory=dict)

    def add(self, call: LossCall, gradient: torch.Tensor) -> None:
        targets, norms = _by_target(call, gradient)
        key = (call.name, call.site, call.classes)
        if key not in self.sums:
            zeros = torch.zeros(call.classes, dtype=torch.float64)
            self.sums[key] = _Sums(zeros, zeros.clone())
        self.sums[key].add(targets, norms)

    def fewest(self) -> float:
        return min((float(each.counts.sum()) for each in self.sums.values()), default=0.0)


def record(run: Run) -> ClassGradient:
    """Raises Skip where no loss call names classes, or none has a gradient."""
    seen, named, ran = _Seen(), False, 0
    for number in range(min(_MOST, max(1, len(surveyed(run))))):
        if number >= _FEWEST and (not seen.sums or seen.fewest() >= _ENOUGH):
            break
        ran += 1
        with loss_calls(aliased=True) as calls:
            loss = run.loss(run.batch(number), seed=number)
        named |= any(call.names_classes for call in calls)
        found = [call for call in calls if call.names_classes and call.input.requires_grad]
        if found and loss.requires_grad:
            gradients = torch.autograd.grad(loss, [call.input for call in found], allow_unused=True)
            for call, gradient in zip(found, gradients, strict=True):
                if gradient is not None:
                    seen.add(call, gradient.detach())
    run.clear_gradients()
    if not seen.sums:
        raise Skip("no gradient reaches the logits" if named else "the loss calls no `cross_entropy` with class labels")
    return ClassGradient(ran, tuple(_told(*each) for each in seen.sums.items()))


def _by_target(call: LossCall, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Every target that counts, and the norm of the gradient at its logits."""
    rows = _rows(gradient)
    targets = call.target.detach().reshape(-1).long().to(rows.device)
    counted = (targets >= 0) & (targets < call.classes) & (targets != call.ignored)
    rows, targets = rows[counted].float(), targets[counted]
    if call.name == "nll_loss":  # its input is log-probabilities: from there to the logits it is p minus one-hot
        own = rows.gather(1, targets[:, None])[:, 0].abs()
        logits = _rows(call.input.detach())[counted].float().exp()
        norms = own * (logits.scatter_add(1, targets[:, None], -torch.ones_like(own)[:, None])).norm(dim=1)
    else:
        norms = rows.norm(dim=1)
    return targets.cpu(), torch.nan_to_num(norms.double().cpu())


def _rows(logits: torch.Tensor) -> torch.Tensor:
    """(N, C, …) or (C,) as one row a target."""
    return logits[None] if logits.dim() == 1 else logits.movedim(1, -1).reshape(-1, logits.shape[1])


def _told(key: tuple[str, Site | None, int], sums: _Sums) -> LossGradient:
    operation, site, width = key
    norms, counts = sums.norms, sums.counts
    total, targets = float(norms.sum()), float(counts.sum())
    top = torch.topk(norms, min(_SHOWN, width)).indices.tolist()
    parts = [
        ClassPart(each, float(norms[each]) / total if total else 0.0, float(counts[each]) / max(targets, 1.0))
        for each in top
    ]
    effective = total**2 / sums.squares if sums.squares else 0.0
    return LossGradient(operation, site, width, int((counts > 0).sum()), int(targets), effective, tuple(parts))
