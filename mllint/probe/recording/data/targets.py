"""Which part of a batch holds the class labels: the one that a loss function gets as its target.

May not: take a part for the labels by its values alone.
"""

from __future__ import annotations

from typing import Any

import torch

from mllint.probe.recording.data.losscalls import loss_calls
from mllint.probe.recording.leaves import tensors
from mllint.probe.recording.run import Run

#: Names of parts that hold labels.
_NAMES = ("label", "labels", "target", "targets", "y", "class", "classes")


def label_part(run: Run) -> str | None:
    """The path of the labels, one number a sample; None where it cannot be known. Runs one loss."""
    batch = run.batch(0)
    leaves = {path: part for path, part in tensors(batch).items() if _one_a_sample(part)}
    with loss_calls() as calls:
        run.loss(batch)
    for call in calls:
        for path, part in leaves.items():
            if "mse" not in call.name and "l1" not in call.name and _same(part, call.target):
                return path
    named = [path for path in leaves if path.lower().rpartition(".")[2] in _NAMES]
    return named[0] if len(named) == 1 and not calls else None


def labels_in(batch: Any, path: str) -> torch.Tensor | None:
    """The labels of a batch as whole numbers, one a sample; None where they are none."""
    part = tensors(batch).get(path)
    if part is None or not _one_a_sample(part):
        return None
    flat = part.reshape(-1)
    return flat.long() if not part.is_floating_point() or bool((flat == flat.round()).all()) else None


def _one_a_sample(part: torch.Tensor) -> bool:
    return not part.is_complex() and part.numel() > 0 and part.numel() == part.shape[0] if part.dim() else False


def _same(part: torch.Tensor, target: torch.Tensor) -> bool:
    told = target.detach().cpu().flatten()
    return part.numel() == told.numel() and bool((part.flatten().to(told.dtype) == told).all())
