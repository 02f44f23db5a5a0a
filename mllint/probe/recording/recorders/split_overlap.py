"""Samples of training and validation batches, compared by digest; groups and sizes where they are declared.

May not: run the model, or decide how much overlap is too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mllint.probe.measured.split_overlap import GroupOverlap, Split, SplitOverlap
from mllint.probe.recording.data.samples import Samples, compared, digests, samples_of
from mllint.probe.recording.data.survey import surveyed, surveyed_validation
from mllint.probe.recording.leaves import as_tensor, parts
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip

#: Pairs and groups that are named.
_EXAMPLES = 3

#: Digest -> batch and row in which it was first seen.
_Places = dict[bytes, tuple[int, int]]


def record(run: Run) -> SplitOverlap:
    """Raises Skip where there are no validation batches, or samples cannot be told apart."""
    if run.entry.val_batches is None:
        raise Skip("the target gives no `val_batches`")
    training, validation = _samples(run, surveyed(run)), _samples(run, surveyed_validation(run))
    if not training or not validation:
        raise Skip("the parts of a batch do not agree on how many samples there are")
    chosen = compared(training[0]) & compared(validation[0])
    there, seen = _places(training, chosen, run.entry.pad)
    places, looked = _places(validation, chosen, run.entry.pad)
    groups = _groups(run)
    sizes = (_whole(run.entry.batches, training), _whole(run.entry.val_batches, validation))
    if not (there and places) and groups is None and None in sizes:
        raise Skip("a sample has too few values to be told from others")
    both = [digest for digest in places if digest in there]
    return SplitOverlap(
        Split(len(seen), len(there), sizes[0]),
        Split(len(looked), len(places), sizes[1]),
        tuple(sorted(chosen)),
        len(both),
        sum(digest in there for digest in looked),
        tuple((*there[digest], *places[digest]) for digest in both[:_EXAMPLES]),
        groups,
    )


def _samples(run: Run, batches: Sequence[Any]) -> list[Samples]:
    found = [samples_of(batch, 1 if run.entry.sequence_dim == 0 else 0) for batch in batches]
    return [samples for samples in found if samples is not None]


def _places(batches: list[Samples], chosen: frozenset[str], pad: int | None) -> tuple[_Places, list[bytes]]:
    """Where each digest is seen first, and the digests of all samples that have one."""
    places: _Places = {}
    every: list[bytes] = []
    for number, samples in enumerate(batches):
        for row, digest in enumerate(digests(samples, chosen, pad)):
            if digest is not None:
                places.setdefault(digest, (number, row))
                every.append(digest)
    return places, every


def _groups(run: Run) -> GroupOverlap | None:
    part = run.entry.expect.get("group")
    if part is None:
        return None
    path = str(part)
    training, validation = (_named(batches, path) for batches in (surveyed(run), surveyed_validation(run)))
    if not training or not validation:
        raise Skip(f"expect['group']: no batch has a part {path!r}")
    both = sorted(training & validation)
    return GroupOverlap(path, len(training), len(validation), tuple(both[:_EXAMPLES]), len(both))


def _named(batches: Sequence[Any], path: str) -> set[str]:
    """The values of a part in all batches."""
    found: set[str] = set()
    for batch in batches:
        leaf = parts(batch).get(path)
        tensor = as_tensor(leaf)
        if tensor is not None:
            found |= {str(value) for value in tensor.flatten().tolist()}
        elif isinstance(leaf, (list, tuple)):
            found |= {str(value) for value in leaf}
        elif leaf is not None:
            found.add(str(leaf))
    return found


def _whole(told: Any, seen: list[Samples]) -> int | None:
    """How many samples a split has: of a loader by its data set, of a list of batches by counting."""
    dataset = getattr(told, "dataset", None)
    try:
        if dataset is not None:
            sampler = getattr(told, "sampler", None)
            return len(sampler if sampler is not None else dataset)
        if isinstance(told, (list, tuple)) and len(told) == len(seen):
            return sum(samples.count for samples in seen)
    except TypeError:  # an iterable data set has no length
        return None
    return None
