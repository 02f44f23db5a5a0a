"""Logistic regression with cross-validation, small and exact, and the area under the curve.

May not: touch anything of the user's; tensors of features in, numbers out.
"""

from __future__ import annotations

import torch

#: Ridge penalty on standardised features, Newton steps, folds.
_PENALTY, _STEPS, _FOLDS = 1.0, 8, 5


def cross_validated_auc(features: torch.Tensor, positive: torch.Tensor) -> float:
    """How well features (N, F) tell ``positive`` (N, bool) on samples left out of the fit. 0.5 is chance."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.zeros(len(positive), dtype=torch.float64)
    folds = torch.zeros(len(positive), dtype=torch.long)
    for members in (positive, ~positive):  # as many of each class in every fold
        places = torch.nonzero(members)[:, 0]
        folds[places[torch.randperm(len(places), generator=generator)]] = torch.arange(len(places)) % _FOLDS
    for fold in range(_FOLDS):
        held = folds == fold
        scores[held] = _scores(features[~held].double(), positive[~held], features[held].double())
    return area_under_curve(scores, positive)


def area_under_curve(scores: torch.Tensor, positive: torch.Tensor) -> float:
    """The chance that a positive sample scores above a negative one; ties count half."""
    ordered, ranks = torch.unique(scores, return_inverse=True)
    counts = torch.bincount(ranks, minlength=len(ordered)).double()
    middle = counts.cumsum(0) - (counts - 1) / 2
    ones = int(positive.sum())
    zeros = len(positive) - ones
    if not ones or not zeros:
        return 0.5
    return float((middle[ranks][positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _scores(train: torch.Tensor, positive: torch.Tensor, held: torch.Tensor) -> torch.Tensor:
    mean, scale = train.mean(0), train.std(0)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    weights = _fitted(_with_one((train - mean) / scale), positive.double())
    return _with_one((held - mean) / scale) @ weights


def _with_one(features: torch.Tensor) -> torch.Tensor:
    return torch.cat([features, torch.ones(len(features), 1, dtype=features.dtype)], dim=1)


def _fitted(features: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Weights by Newton's method; the penalty keeps separable data finite."""
    penalty = torch.full((features.shape[1],), _PENALTY, dtype=features.dtype)
    weights = torch.zeros_like(penalty)
    for _ in range(_STEPS):
        chance = torch.sigmoid(features @ weights)
        gradient = features.T @ (chance - wanted) + penalty * weights
        curvature = (features * (chance * (1 - chance))[:, None]).T @ features + torch.diag(penalty)
        weights = weights - torch.linalg.solve(curvature, gradient)
    return weights
