"""A forward in which one cut is undone, or its result moved: what hangs on it?

May not: leave anything changed; the caller puts the model's state back.
"""

from __future__ import annotations

from typing import Any, Literal

import torch

from mllint.probe.recording.gradients.cuts import Key
from mllint.probe.recording.gradients.watch import Watch, switch_site, tensors_in

#: Operations that give back the same values, so that the tensor itself may take their place.
SAME_VALUES = frozenset(["detach", "detach_", "data", "tensor", "as_tensor", "asarray", "no_grad"])


class Tamper(Watch):
    """At the operation and line of ``key``: ``open`` lets the graph pass, ``shake`` moves what comes out."""

    def __init__(self, key: Key, how: Literal["open", "shake"]) -> None:
        super().__init__()
        self._key, self._how = key, how
        self._noise = torch.Generator().manual_seed(11)

    def switch(self, func: Any, on: bool) -> Any:
        if self._how == "open" and not on and torch.is_grad_enabled() and self._key == ("no_grad", switch_site()):
            return func(True)
        return super().switch(func, on)

    def seen(self, func: Any, args: Any, kwargs: Any, result: Any) -> Any:
        cut = self.cut(func, args, kwargs, result)
        if cut is None or (cut[0], self.place()) != self._key:
            return result
        if self._how == "shake":
            return self._moved(result)
        if cut[0] in ("tensor", "as_tensor", "asarray"):
            return torch.stack(cut[1]).reshape(result.shape) if len(cut[1]) > 1 else cut[1][0].clone()
        return cut[1][0] if cut[0] in SAME_VALUES and cut[0] != "no_grad" else result

    def _moved(self, result: Any) -> Any:
        if isinstance(result, torch.Tensor):
            return result if result.requires_grad else self._moved_tensor(result)
        if isinstance(result, bool):
            return not result
        if isinstance(result, float):
            return result * 1.05 + 1e-3
        if type(result).__module__ == "numpy" and getattr(getattr(result, "dtype", None), "kind", "") == "f":
            return result * 1.05 + 1e-3
        if isinstance(result, tuple) and any(True for _ in tensors_in(result)):
            parts = [self._moved(part) for part in result]
            return (
                type(result)(parts)
                if type(result) is tuple
                else type(result)(*[parts] if _structseq(result) else parts)
            )
        return result

    def _moved_tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.numel():
            return tensor
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=self._noise).to(tensor.device, tensor.dtype)
            spread = tensor.detach().abs().nan_to_num(0, 0, 0).mean()
            return tensor + noise * (0.05 * spread + 1e-3)
        if tensor.dtype == torch.bool:
            return ~tensor
        return tensor.flatten().roll(1).view(tensor.shape)  # values that occur, so that no index leaves its table


def _structseq(result: Any) -> bool:
    """Is it a named result of torch (`torch.return_types`), which is made of one sequence?"""
    return type(result).__module__ == "torch.return_types"
