"""Gates that are shut at the start: parameters that are all zero, or next to it, hold back the gradients behind them.

May not: put anything back; the caller does.
"""

from __future__ import annotations

import torch
from torch import nn

#: What they are opened to: noise of this size, or a tenth where they are next to zero.
_NOISE, _AJAR = 0.02, 0.1


def open_gates(model: nn.Module, least: float = 0.0) -> bool:
    """Move every parameter that nowhere exceeds ``least`` away from zero; was there one?"""
    generator, moved = torch.Generator().manual_seed(7), False
    with torch.no_grad():
        for parameter in model.parameters():
            if torch.nn.parameter.is_lazy(parameter) or not (parameter.is_floating_point() and parameter.numel()):
                continue
            if parameter.layout == torch.strided and not bool((parameter.abs() > least).any()):
                noise = torch.randn(parameter.shape, generator=generator) * (_AJAR if least else _NOISE)
                parameter.data.copy_(noise.to(parameter.device, parameter.dtype))
                moved = True
    return moved
