"""What is left of a loss when every prediction is perfect, and whether there is something to predict at all.

May not: guess the floor of a loss that torch's own functions do not make up.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from mllint.probe.recording.losscalls import LossCall

#: A loss is made up of calls when it is as near as this to their sum, or to a multiple of the only one.
_CLOSE = 0.01


def floor_of(loss: float, calls: Sequence[LossCall]) -> float | None:
    """The loss of perfect predictions, for a loss that is the only call times something, or the sum of all calls."""
    values = [float(call.value.detach().mean()) for call in calls]
    floors = [_floor(call) for call in calls]
    if not calls or any(floor is None for floor in floors):
        return None
    if all(floor == 0 for floor in floors):
        return 0.0 if len(calls) == 1 or abs(sum(values) - loss) <= _CLOSE * abs(loss) else None
    means = [float(call.again(reduction="mean").detach()) for call in calls]
    if len(calls) == 1 and means[0] > 0:
        return loss * floors[0] / means[0] if floors[0] is not None else None
    reduced = all(call.reduction == "mean" for call in calls)
    if reduced and abs(sum(values) - loss) <= _CLOSE * abs(loss):
        return sum(floor for floor in floors if floor is not None)
    return None


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
