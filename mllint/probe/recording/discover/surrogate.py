"""A loss for a model whose author declared none: how far its outputs are from fixed random numbers.

Every output that a gradient can reach counts, and none is singled out. May not: be used where the model has a loss of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

#: What is said where this stands in.
NOTE = "a stand-in loss (distance of the outputs from random numbers)"

_SEED = 4321


def surrogate(call: Callable[[nn.Module, Any], Any]) -> Callable[[nn.Module, Any], torch.Tensor]:
    """``loss(model, batch)`` over what ``call(model, batch)`` returns."""

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        outputs = list(float_outputs(call(model, batch)))
        if not outputs:
            raise TypeError("the model returns no floating-point tensor that a loss could be made of")
        draw = torch.Generator().manual_seed(_SEED)
        total = torch.zeros((), device=outputs[0].device)
        for output in outputs:
            # Against random numbers, not zero: the squares of a normalised output have no gradient.
            wanted = torch.randn(output.shape, generator=draw).to(output.device)
            total = total + (output.float() - wanted).square().mean()
        return total

    return loss


def float_outputs(told: Any) -> Iterator[torch.Tensor]:
    """The tensors in what a model returned that can carry a gradient."""
    if hasattr(told, "items") and not isinstance(told, Mapping):
        told = dict(told.items())
    for leaf in tree_leaves(dict(told) if isinstance(told, Mapping) else told):
        if isinstance(leaf, torch.Tensor) and leaf.numel() and (leaf.is_floating_point() or leaf.is_complex()):
            yield leaf.abs() if leaf.is_complex() else leaf


def called_with(model: nn.Module, inputs: Any) -> Any:
    """The model on its inputs: a mapping as keywords, a tuple or list as arguments, anything else as the one argument."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    if isinstance(inputs, (tuple, list)):
        return model(*inputs)
    return model(inputs)
