"""What is left of a loss when every prediction is perfect, and whether there is something to predict at all.

May not: guess the floor of a loss that torch's own functions do not make up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from mllint.probe.recording.data.losscalls import LossCall

#: The relation of a loss to its calls is a fixed one when it changes by less than this while the loss itself changes.
_CLOSE = 0.01


@dataclass(frozen=True)
class Looked:
    """A loss and the calls that were made for it."""

    loss: float
    calls: tuple[LossCall, ...]


def floor_of(first: Looked, second: Looked) -> float | None:
    """The loss of perfect predictions; None where it is not known. ``second`` is the same batch with other weights: a
    loss that keeps its relation to the calls is made of them and nothing else."""
    floors = [_floor(call) for call in first.calls]
    known = [floor for floor in floors if floor is not None]
    before, after = _mean(first), _mean(second)
    if not known or len(known) < len(floors) or len(first.calls) != len(second.calls):
        return None
    if before <= 0 or after <= 0 or abs(after / before - 1) < _CLOSE:
        return None
    factor = first.loss / before
    return factor * sum(known) if abs(second.loss / after / factor - 1) < _CLOSE else None


def _mean(looked: Looked) -> float:
    """What the calls cost a target, all together."""
    return sum(float(call.again(reduction="mean").detach()) for call in looked.calls)


def contrasts(call: LossCall) -> bool:
    """Are its classes the samples of the batch themselves? Such a loss has a floor that its temperature decides."""
    if not call.names_classes or call.input.dim() != 2:
        return False
    targets = call.target.detach().cpu()
    rows = len(targets)
    return rows > 1 and bool((targets == torch.arange(rows)).all() or (targets == 0).all()) and call.classes >= rows


def values_of(calls: Sequence[LossCall]) -> int:
    """How many targets there are to learn."""
    counted = [call.counted.numel() if call.names_classes else call.target.numel() for call in calls]
    return sum(counted)


def _floor(call: LossCall) -> float | None:
    """What a target costs at least, in the mean."""
    if call.name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        return 0.0
    target = call.target.detach()
    if call.name.startswith("binary"):
        return (
            float(F.binary_cross_entropy(target.clamp(0, 1), target.clamp(0, 1)))
            if call.told.get("weight") is None and call.told.get("pos_weight") is None
            else _hard(target)
        )
    smoothing = float(call.told.get("label_smoothing") or 0.0)
    if call.names_classes and not smoothing:
        return 0.0
    if call.told.get("weight") is not None:
        return None
    if call.names_classes:
        wanted = torch.tensor(
            [1 - smoothing + smoothing / call.classes] + [smoothing / call.classes] * (call.classes - 1)
        )
        return float(torch.special.entr(wanted).sum())
    dim = 1 if call.input.dim() > 1 else 0
    return float(torch.special.entr(target * (1 - smoothing) + smoothing / target.shape[dim]).sum(dim).mean())


def _hard(target: torch.Tensor) -> float | None:
    return 0.0 if bool(((target == 0) | (target == 1)).all()) else None
