"""A model without dropout, still in training mode.

May not: leave a rate changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

from mllint.probe.recording.eager import uncompiled

#: Attributes that hold a rate of dropping something, by the names that libraries give them.
_RATES = ("dropout", "drop_prob", "layerdrop", "p")
_FUNCTIONS = (
    "dropout",
    "dropout_",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_dropout",
    "alpha_dropout",
    "alpha_dropout_",
    "feature_alpha_dropout",
)


class _Undropped(TorchFunctionMode):
    """Calls of dropout functions give back their input; attention drops nothing."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in _FUNCTIONS:
            return args[0] if args else kwargs["input"]
        if name == "scaled_dot_product_attention":
            args, kwargs = (*args[:4], 0.0, *args[5:]) if len(args) > 4 else args, {**kwargs}
            kwargs.pop("dropout_p", None)
        return func(*args, **kwargs)


@contextmanager
def undropped(model: nn.Module) -> Iterator[None]:
    """Nothing is dropped inside, by module or by function."""
    before: list[tuple[nn.Module, str, float]] = []
    for module in model.modules():
        for name in _RATES:
            rate = vars(module).get(name)
            if (
                isinstance(rate, float)
                and 0 < rate < 1
                and (name != "p" or isinstance(module, nn.modules.dropout._DropoutNd))
            ):
                before.append((module, name, rate))
                setattr(module, name, 0.0)
    try:
        with uncompiled(), _Undropped():
            yield
    finally:
        for module, name, rate in before:
            setattr(module, name, rate)
