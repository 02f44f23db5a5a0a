"""Regressions from trivial features to the classes, over the batches of the survey.

May not: fit on the samples it is judged by: with more features than samples noise is told apart perfectly.
"""

from __future__ import annotations

from math import sqrt

import torch

from mllint.probe.measured.shortcut import Shortcut, TrivialFeature
from mllint.probe.recording.data.features import main_part, trivial_features
from mllint.probe.recording.data.logistic import cross_validated_auc
from mllint.probe.recording.data.samples import samples_of
from mllint.probe.recording.data.survey import surveyed
from mllint.probe.recording.data.targets import label_part, labels_in
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip

#: Samples that a class needs, samples that are looked at, classes that are told apart.
_FEWEST, _MOST, _CLASSES = 200, 6000, 10


def record(run: Run) -> Shortcut:
    """Raises Skip where labels or input are not known, or there are too few samples."""
    if sum(_size(run, batch) for batch in surveyed(run)) < 2 * _FEWEST:
        raise Skip(f"{_FEWEST} samples of each of two classes are needed")
    path = label_part(run)
    if path is None:
        raise Skip("which part of the batch holds the class labels is not known")
    part, labels, groups = _features(run, path)
    there, counts = torch.unique(labels, return_counts=True)
    enough = there[counts >= _FEWEST][:_CLASSES].tolist()
    if len(enough) < 2:
        raise Skip(f"{_FEWEST} samples of each of two classes are needed, {len(labels)} samples were read")
    found = [_told(name, part, features, labels, enough) for name, features in groups.items()]
    return Shortcut(len(labels), len(enough), path, tuple(each for each in found if each is not None))


def _size(run: Run, batch: object) -> int:
    samples = samples_of(batch, 1 if run.entry.sequence_dim == 0 else 0)
    return samples.count if samples is not None else 0


def _features(run: Run, path: str) -> tuple[str, torch.Tensor, dict[str, torch.Tensor]]:
    """The part that was looked at, the labels, the features by group."""
    part: str | None = None
    labels: list[torch.Tensor] = []
    groups: dict[str, list[torch.Tensor]] = {}
    for batch in surveyed(run):
        samples = samples_of(batch, 1 if run.entry.sequence_dim == 0 else 0)
        own = labels_in(batch, path)
        if samples is None or own is None or len(own) != samples.count:
            continue
        part = part if part is not None else main_part(samples, run.entry.pad)
        if part is None or not (part in samples.texts or part in samples.rows):
            continue
        for name, features in trivial_features(samples, part, run.entry.pad).items():
            groups.setdefault(name, []).append(torch.nan_to_num(features))
        labels.append(own)
        if sum(map(len, labels)) >= _MOST:
            break
    if part is None or not labels:
        raise Skip("no part of the batch is an image, a signal, a text or padded tokens")
    joined = {name: torch.cat(each) for name, each in groups.items() if len({one.shape[1] for one in each}) == 1}
    return part, torch.cat(labels), {name: each for name, each in joined.items() if len(each) == sum(map(len, labels))}


def _told(
    name: str, part: str, features: torch.Tensor, labels: torch.Tensor, classes: list[int]
) -> TrivialFeature | None:
    """The class that a group of features tells best; None where the features are the same for all samples."""
    if bool((features == features[0]).all()):
        return None
    chosen = classes[:1] if len(classes) == 2 and len(torch.unique(labels)) == 2 else classes
    scored = [(cross_validated_auc(features, labels == label), label) for label in chosen]
    auc, label = max(scored)
    ones = int((labels == label).sum())
    error = sqrt((1 / ones + 1 / (len(labels) - ones)) / 12)
    return TrivialFeature(name, part, label, auc, error, ones)
