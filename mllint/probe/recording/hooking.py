"""Which modules take hooks.

May not: register one.
"""

from __future__ import annotations

import torch
from torch import nn


def takes_hooks(module: nn.Module) -> bool:
    """Is its forward Python? A scripted module refuses hooks, and its registers are not dictionaries."""
    return not isinstance(module, torch.jit.ScriptModule)
