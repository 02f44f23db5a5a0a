"""What is odd about a batch beside the others: values, emptiness, structure. Looks only; runs nothing.

May not: know whether it matters; that takes a step.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mllint.probe.measured.bad_batch import Oddity
from mllint.probe.recording.leaves import as_tensor, kind_of, parts

#: A size that differs in more than this share of the batches is one that varies on purpose.
_RARE = 0.2
#: A part with fewer elements a sample, or fewer values elsewhere, may be constant for good reasons (masks, flags).
_ELEMENTS, _VALUES = 64, 16

_DECLARED = re.compile(r"^(?P<dtype>[a-z]+\d*)?\s*(\[(?P<shape>[^\]]*)\])?$")


@dataclass(frozen=True)
class Odd:
    """One oddity of one part. ``told`` is what is there, ``usual`` what others have."""

    oddity: Oddity
    part: str
    told: str
    usual: str = ""


class Schema:
    """What the batches of a survey have in common: the parts, their dtypes, the sizes that never or rarely change."""

    def __init__(self, batches: Sequence[Any]) -> None:
        kinds = [{path: kind_of(leaf) for path, leaf in parts(batch).items()} for batch in batches]
        paths = Counter(path for each in kinds for path in each)
        self.paths = frozenset(path for path, count in paths.items() if count > len(kinds) / 2)
        self._usual = {path: self._commonest([each[path] for each in kinds if path in each]) for path in self.paths}
        self._many = len(kinds)

    def _commonest(self, kinds: list[str]) -> tuple[str, tuple[int | None, ...] | None]:
        """dtype (or type) and shape; a size that often differs is None."""
        split = [_split(kind) for kind in kinds]
        dtype, rank = Counter((dtype, None if shape is None else len(shape)) for dtype, shape in split).most_common(1)[
            0
        ][0]
        shapes = [shape for each, shape in split if each == dtype and shape is not None and len(shape) == rank]
        if not shapes:
            return dtype, None
        return dtype, tuple(self._size([shape[dim] for shape in shapes]) for dim in range(rank or 0))

    @staticmethod
    def _size(sizes: list[int]) -> int | None:
        common, count = Counter(sizes).most_common(1)[0]
        return common if len(sizes) - count <= max(1, _RARE * len(sizes)) else None

    def oddities(self, batch: Any) -> Iterator[Odd]:
        """How the structure of a batch differs from this."""
        leaves = parts(batch)
        for path in sorted(self.paths - leaves.keys()):
            yield Odd("changed", path, "missing", self.told(path))
        for path, leaf in leaves.items():
            kind = kind_of(leaf)
            if path not in self.paths:
                yield Odd("changed", path, kind, "missing")
            elif not self._fits(path, kind):
                yield Odd("changed", path, kind, self.told(path))

    def _fits(self, path: str, kind: str) -> bool:
        usual, sizes = self._usual[path]
        dtype, shape = _split(kind)
        if dtype != usual or (shape is None) != (sizes is None):
            return False
        if shape is None or sizes is None:
            return True
        return len(shape) == len(sizes) and all(size in (None, own) for own, size in zip(shape, sizes, strict=True))

    def told(self, path: str) -> str:
        """The usual kind of a part: ``float32[8, 3, *, *]``."""
        dtype, shape = self._usual[path]
        return dtype if shape is None else f"{dtype}[{', '.join('*' if size is None else str(size) for size in shape)}]"


def values(batch: Any) -> Iterator[Odd]:
    """Parts with values that are not finite, and parts without any element."""
    for path, leaf in parts(batch).items():
        tensor = as_tensor(leaf)
        if tensor is None:
            continue
        if tensor.numel() == 0:
            yield Odd("empty", path, kind_of(leaf))
        elif tensor.is_floating_point() or tensor.is_complex():
            bad = int((~torch.isfinite(tensor)).sum())
            if bad:
                nan = int(torch.isnan(tensor).sum())
                what = " and ".join(f"{count} {name}" for count, name in ((nan, "NaN"), (bad - nan, "Inf")) if count)
                yield Odd("non-finite", path, f"{what} of {tensor.numel()} values")


def constants(batches: Sequence[Any]) -> dict[int, Odd]:
    """Batches whose largest part is one value throughout while it has many values in most others."""
    largest = [_largest(batch) for batch in batches]
    spread: dict[int, tuple[str, bool, float]] = {}
    for number, found in enumerate(largest):
        if found is not None:
            path, tensor = found
            flat = tensor.flatten()
            constant = bool((flat == flat[0]).all())
            varied = not constant and torch.unique(flat[:4096]).numel() >= _VALUES
            if constant or varied:
                spread[number] = (path, constant, float(flat[0]))
    odd = {number: told for number, told in spread.items() if told[1]}
    varied_count = len(spread) - len(odd)
    if not odd or varied_count < 2 or len(odd) >= varied_count:
        return {}
    return {number: Odd("constant", path, f"{value:g} throughout") for number, (path, _, value) in odd.items()}


def undeclared(batch: Any, declared: Mapping[str, str]) -> Iterator[Odd]:
    """Where a batch is not what the user declared: ``{"image": "float32[*, 3, 32, 32]"}``. Raises ValueError."""
    leaves = parts(batch)
    for path, wanted in declared.items():
        match = _DECLARED.match(wanted)
        if match is None:
            raise ValueError(f"expect['batch'][{path!r}] must look like 'float32[*, 3, 32, 32]', not {wanted!r}")
        kind = kind_of(leaves[path]) if path in leaves else "missing"
        dtype, shape = _split(kind)
        sizes = None if match["shape"] is None else [size.strip() for size in match["shape"].split(",") if size.strip()]
        fits = path in leaves and match["dtype"] in (None, dtype)
        if fits and sizes is not None:
            fits = shape is not None and len(shape) == len(sizes)
            fits = fits and all(told in ("*", str(own)) for told, own in zip(sizes, shape or (), strict=True))
        if not fits:
            yield Odd("undeclared", path, kind, wanted)


def _largest(batch: Any) -> tuple[str, torch.Tensor] | None:
    """The part that is most likely the input: with most elements a sample, of at least two samples."""
    found: tuple[str, torch.Tensor] | None = None
    for path, leaf in parts(batch).items():
        tensor = as_tensor(leaf)
        if tensor is None or tensor.is_complex() or tensor.dim() < 2 or tensor.shape[0] < 2:
            continue
        if not (tensor.is_floating_point() or tensor.dtype == torch.uint8) or tensor.numel() < 2 * _ELEMENTS:
            continue
        if found is None or tensor.numel() > found[1].numel():
            found = path, tensor
    return found


def _split(kind: str) -> tuple[str, tuple[int, ...] | None]:
    """``float32[8, 3]`` as dtype and shape; no shape for what is no tensor."""
    name, bracket, rest = kind.partition("[")
    if not bracket:
        return name, None
    return name, tuple(int(size) for size in rest.rstrip("]").split(",") if size.strip())
