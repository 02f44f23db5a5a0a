"""The samples of a batch: which parts have a row for each, and a digest of what a sample is made of.

May not: compare batches; a digest is of one sample alone, so that another batch, order or padding gives the same.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import torch

from mllint.probe.recording.leaves import as_tensor, parts

#: A sample with fewer values, or fewer different ones, may be equal to another by chance.
_ELEMENTS, _VALUES = 8, 6
#: A text shorter than this may be written twice.
_LETTERS = 24


@dataclass(frozen=True)
class Samples:
    """A batch by its samples: ``count`` of them, ``rows`` are the tensors with a row for each (batch dimension first),
    ``texts`` the lists of strings."""

    count: int
    rows: dict[str, torch.Tensor]
    texts: dict[str, list[str]]


def samples_of(batch: Any, batch_dim: int = 0) -> Samples | None:
    """The samples of a batch; None where its parts do not agree on how many there are."""
    rows: dict[str, torch.Tensor] = {}
    texts: dict[str, list[str]] = {}
    for path, leaf in parts(batch).items():
        tensor = as_tensor(leaf)
        if tensor is not None and tensor.dim() > (batch_dim if tensor.dim() > 1 else 0):
            rows[path] = tensor.movedim(batch_dim, 0) if tensor.dim() > 1 else tensor
        elif isinstance(leaf, (list, tuple)) and leaf and all(isinstance(item, str) for item in leaf):
            texts[path] = list(leaf)
    sizes = Counter([tensor.shape[0] for tensor in rows.values()] + [len(text) for text in texts.values()])
    if not sizes:
        return None
    count, parts_of_it = sizes.most_common(1)[0]
    if count == 0 or parts_of_it < sizes.total():
        return None
    return Samples(count, rows, texts)


def compared(samples: Samples) -> frozenset[str]:
    """The parts that tell samples apart: those with more than one number a sample, or the texts where there are none."""
    wide = frozenset(path for path, tensor in samples.rows.items() if tensor.dim() > 1 and tensor[0].numel() > 1)
    return wide or frozenset(samples.texts)


def digests(samples: Samples, chosen: Iterable[str], pad: int | None = None) -> list[bytes | None]:
    """One digest a sample over the chosen parts; None for a sample that says too little to be told from others. Padding
    does not count: what a mask of the batch leaves out, the declared padding, or a run of one number at the end."""
    wanted = sorted(chosen)
    masks = {tensor.shape: tensor for path, tensor in samples.rows.items() if _is_mask(path, tensor)}
    found: list[bytes | None] = []
    for row in range(samples.count):
        told, digest = False, blake2b(digest_size=16)
        for path in wanted:
            if path in samples.texts:
                text = samples.texts[path][row]
                told |= len(text) >= _LETTERS
                digest.update(text.encode("utf-8", "surrogatepass"))
            elif path in samples.rows and not _is_mask(path, samples.rows[path]):
                part = samples.rows[path][row]
                if _is_sequence(samples.rows[path]):
                    mask = masks.get(samples.rows[path].shape)
                    part = _unpadded(part, None if mask is None else mask[row], pad)
                told |= part.numel() >= _ELEMENTS and torch.unique(part.flatten()[:4096]).numel() >= _VALUES
                digest.update(f"{path} {part.dtype} {tuple(part.shape)}".encode() + _bytes(part))
        found.append(digest.digest() if told else None)
    return found


def _is_sequence(part: torch.Tensor) -> bool:
    """Integers, one row a sample: token ids, or labels of them."""
    return part.dim() == 2 and not part.is_floating_point() and not part.is_complex()


def _is_mask(path: str, part: torch.Tensor) -> bool:
    return part.dim() == 2 and "mask" in path.lower() and bool(((part == 0) | (part == 1)).all())


def _unpadded(row: torch.Tensor, mask: torch.Tensor | None, pad: int | None) -> torch.Tensor:
    if mask is not None:
        return row[mask.bool()]
    kept = row != row[-1] if pad is None else (row != pad) & (row != -100)
    there = torch.nonzero(kept)[:, 0]
    if len(there) == 0:
        return row[:0]
    first = 0 if pad is None else int(there[0])
    return row[first : int(there[-1]) + (2 if pad is None else 1)]


def _bytes(part: torch.Tensor) -> bytes:
    whole = part.contiguous()
    return ctypes.string_at(whole.data_ptr(), whole.numel() * whole.element_size()) if whole.numel() else b""
