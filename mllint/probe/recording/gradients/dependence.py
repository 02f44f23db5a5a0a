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

#: A parameter is moved by this share of its root mean square, and by this much on top where it is near zero.
_SHARE, _FLOOR = 0.1, 1e-2
_BATCHES = 2
#: What a forward with other values may raise: a moved weight can leave the domain of a function.
FAILURES = (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError, ArithmeticError, AssertionError, Skip)


@dataclass
class Dependence:
    """Losses under moved parameters beside those under the parameters as they are. ``reset`` puts the state back."""

    run: Run
    reset: Callable[[], None]
    parameters: dict[str, nn.Parameter]
    _before: list[tuple[float, float]] = field(default_factory=list)

    def change(self, names: Iterable[str]) -> tuple[float | None, float]:
        """By how much the loss changes when these are moved together, relative to itself, and by how much it changes
        without that. None where it cannot be had, or is no number."""
        before = self._unmoved()
        if not before:
            return None, 0.0
        noise, change = max(noise for _, noise in before), 0.0
        chosen = [(name, self.parameters[name]) for name in names]
        for number, (base, _) in enumerate(before):
            moved = self._loss(number, chosen)
            if moved is None:
                return None, noise
            change = max(change, _relative(moved, base))
        return change, noise

    def _unmoved(self) -> list[tuple[float, float]]:
        if not self._before:
            for number in range(_BATCHES):
                first, second = self._loss(number, []), self._loss(number, [])
                if first is not None and second is not None:
                    self._before.append((first, _relative(second, first)))
        return self._before

    def _loss(self, number: int, chosen: list[tuple[str, nn.Parameter]]) -> float | None:
        self.reset()
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for name, parameter in chosen:
                parameter.data.add_(self._movement(name, parameter, generator))
        try:
            loss = float(self.run.loss(self.run.batch(number), seed=number).detach())
        except FAILURES:
            return None
        finally:
            self.reset()
        return loss if math.isfinite(loss) else None

    def _movement(self, name: str, parameter: nn.Parameter, generator: torch.Generator) -> torch.Tensor:
        kind = torch.complex64 if parameter.is_complex() else torch.float32
        noise = torch.randn(parameter.shape, generator=generator, dtype=kind)
        spread = float(parameter.detach().abs().float().pow(2).mean().sqrt()) if parameter.numel() else 0.0
        noise = noise * (_SHARE * spread + _FLOOR)
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


def _relative(now: float, before: float) -> float:
    return abs(now - before) / (abs(before) + 1e-12)
