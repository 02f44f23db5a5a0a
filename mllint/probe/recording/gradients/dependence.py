"""Does the loss depend on these parameters? Asked by moving them, not by autograd.

May not: leave a parameter moved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import nn

from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip

#: A parameter is moved by these shares of its root mean square (the second where the first is not felt: an index may
#: need more to become another), and by this much on top where it is near zero.
_SHARES, _FLOOR = (0.1, 1.0), 1e-2
#: Above this a change is felt, whatever its share.
_FELT, _OVER_NOISE = 1e-5, 10.0
_BATCHES = 2
#: What a forward with other values may raise: a moved weight can leave the domain of a function.
FAILURES = (
    RuntimeError,
    TypeError,
    ValueError,
    IndexError,
    KeyError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    Skip,
)


@dataclass
class Dependence:
    """Losses under moved parameters beside those under the parameters as they are. ``reset`` puts the state back."""

    run: Run
    reset: Callable[[], None]
    parameters: dict[str, nn.Parameter]
    noise: float = 0.0
    _bases: dict[int, float | None] = field(default_factory=dict)
    _scales: dict[int, float] = field(default_factory=dict)

    def change(self, names: Iterable[str]) -> tuple[float | None, float]:
        """By how much the loss changes when these are moved together, relative to itself, and by how much it changes
        without that. None where it cannot be had, or is no number."""
        chosen = [(name, self.parameters[name]) for name in names]
        change: float | None = None
        for share in _SHARES:
            for number in range(_BATCHES):
                base, moved = self._unmoved(number), self._loss(number, chosen, share)
                if base is None or moved is None:
                    continue
                change = max(change or 0.0, abs(moved - base) / self._scale(number, base))
                if change > _FELT + _OVER_NOISE * self.noise:
                    return change, self.noise
        return change, self.noise

    def _unmoved(self, number: int) -> float | None:
        if number not in self._bases:
            self._bases[number] = base = self._loss(number, [], 0)
            if number == 0 and base is not None:
                again = self._loss(number, [], 0)
                self.noise = 0.0 if again is None else abs(again - base) / self._scale(number, base)
        return self._bases[number]

    def _scale(self, number: int, base: float) -> float:
        """What a change is measured by: the loss, or what moving everything does to it, if that is more (the loss may
        be next to zero)."""
        if number not in self._scales:
            everything = self._loss(number, list(self.parameters.items()), _SHARES[0])
            self._scales[number] = max(abs(base), 0.0 if everything is None else abs(everything - base), 1e-12)
        return self._scales[number]

    def _loss(self, number: int, chosen: list[tuple[str, nn.Parameter]], share: float) -> float | None:
        self.reset()
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for name, parameter in chosen:
                parameter.data.add_(self._movement(name, parameter, generator, share))
        try:
            loss = float(self.run.loss(self.run.batch(number), seed=number).detach())
        except FAILURES:
            return None
        finally:
            self.reset()
        return loss if math.isfinite(loss) else None

    def _movement(self, name: str, parameter: nn.Parameter, generator: torch.Generator, share: float) -> torch.Tensor:
        kind = torch.complex64 if parameter.is_complex() else torch.float32
        noise = torch.randn(parameter.shape, generator=generator, dtype=kind)
        spread = float(parameter.detach().abs().float().pow(2).mean().sqrt()) if parameter.numel() else 0.0
        noise = noise * (share * spread + _FLOOR)
        padding = padding_row(self.run.model, name)
        if padding is not None:
            noise[padding] = 0  # a table gives its padding row no gradient on purpose
        return noise.to(parameter.device, parameter.dtype)


def padding_row(model: nn.Module, name: str) -> int | None:
    """The row of an embedding table that is only padding."""
    owner = dict(model.named_modules()).get(name.rpartition(".")[0])
    if isinstance(owner, (nn.Embedding, nn.EmbeddingBag)) and name.endswith("weight"):
        return owner.padding_idx
    return None
