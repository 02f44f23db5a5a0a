"""The lengths of token sequences over many batches.

May not: decide whether a length is that of a sample or of a knife; that is judged from how often it occurs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from mllint.probe.measured.truncation import Sequences, Truncation
from mllint.probe.recording.data.lengths import Row, rows_of
from mllint.probe.recording.data.survey import surveyed
from mllint.probe.recording.leaves import tensors
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip

#: Rows shorter than this are no text; parts with fewer different values are none either.
_WIDTH, _VALUES = 8, 6
#: Parts that are no token ids although they look like them.
_OTHERS = ("label", "target", "position", "type", "segment", "mask")
#: Samples of the greatest length among which a continuation is looked for, and tokens that must agree.
_LOOKED, _OVERLAP = 64, 8


def record(run: Run) -> Truncation:
    """Raises Skip where no part of the batches is made of padded token ids."""
    batches = [tensors(batch) for batch in surveyed(run)]
    if run.entry.sequence_dim == 0:
        batches = [{path: part.T if part.dim() == 2 else part for path, part in batch.items()} for batch in batches]
    embedded = frozenset(
        module.padding_idx
        for module in run.model.modules()
        if isinstance(module, nn.Embedding) and module.padding_idx is not None
    )
    found = []
    for path in _token_parts(batches):
        told = rows_of(batches, path, run.entry.pad, embedded)
        if told is not None:
            known, rows = told
            found.append(_sequences(path, known, rows, _said(batches, path)))
    if not found:
        raise Skip("no part of the batches is rows of token ids whose padding can be told")
    return Truncation(len(batches), tuple(found))


def _token_parts(batches: Sequence[Mapping[str, torch.Tensor]]) -> list[str]:
    """The parts that every batch has as rows of integers, with many values in them."""
    every = set.intersection(*(set(batch) for batch in batches)) if batches else set()
    return [path for path in (batches[0] if batches else ()) if path in every and _are_tokens(path, batches)]


def _are_tokens(path: str, batches: Sequence[Mapping[str, torch.Tensor]]) -> bool:
    if any(word in path.lower().rpartition(".")[2] for word in _OTHERS):
        return False
    shaped = all(
        batch[path].dim() == 2 and batch[path].dtype in (torch.int64, torch.int32) and batch[path].shape[1] >= 2
        for batch in batches
    )
    if not shaped or max(batch[path].shape[1] for batch in batches) < _WIDTH:
        return False
    return torch.unique(batches[0][path]).numel() >= _VALUES and all(
        int(batch[path].min()) >= 0 for batch in batches if batch[path].numel()
    )


def _sequences(path: str, known: str, rows: list[Row], said: int | None) -> Sequences:
    lengths = Counter(len(row.tokens) for row in rows)
    longest = max(row.width for row in rows)
    full = [row.tokens for row in rows if len(row.tokens) == longest]
    short = [row.tokens for row in rows if 0 < len(row.tokens) < longest]
    ends = Counter(int(tokens[-1]) for tokens in short)
    end = ends.most_common(1)[0][0] if ends else None
    return Sequences(
        part=path,
        known=known,  # type: ignore[arg-type]
        lengths=tuple(sorted(lengths.items())),
        short_ends=_share([int(tokens[-1]) == end for tokens in short]),
        full_ends=_share([int(tokens[-1]) == end for tokens in full]),
        said=said,
        continued=_continued(full, [row.tokens for row in rows]),
    )


def _share(answers: list[bool]) -> float:
    return sum(answers) / len(answers) if answers else 0.0


def _said(batches: Sequence[Mapping[str, torch.Tensor]], path: str) -> int | None:
    """The greatest length that a part named so claims, one number a sample."""
    beside = path.rpartition(".")[0]
    claims = [
        int(part.max())
        for batch in batches
        for name, part in batch.items()
        if name.lower().rpartition(".")[2] in ("length", "lengths", "seq_len", "seq_lens", "num_tokens")
        and name.rpartition(".")[0] == beside
        and part.shape[:1] == batch[path].shape[:1]
        and part.numel() == len(part)
        and not part.is_floating_point()
        and part.numel()
    ]
    return max(claims) if claims else None


def _continued(full: list[torch.Tensor], rows: list[torch.Tensor]) -> bool:
    """Does the beginning of one row stand in the middle of another, as with windows that overlap?"""
    heads = {tuple(row[:_OVERLAP].tolist()) for row in rows if len(row) >= _OVERLAP}
    for row in full[:_LOOKED]:
        tokens = row.tolist()
        if any(tuple(tokens[at : at + _OVERLAP]) in heads for at in range(_OVERLAP, len(tokens) - _OVERLAP + 1)):
            return True
    return False
