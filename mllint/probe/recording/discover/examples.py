"""An `nn.Module` that shows what goes into it: ``example_inputs()`` on the class or instance.

May not: guess inputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mllint.probe.recording.discover.found import Found, Place, Unfit, needs_arguments, only, site_of_thing
from mllint.probe.recording.discover.surrogate import NOTE, called_with, surrogate

WANTED = "an nn.Module with `example_inputs()`: there is none"
_BATCHES = 3


def find(place: Place) -> Found | None:
    """Raises Unfit where a model is there that cannot be made, or several are."""
    instances = list(place.instances(_shows))
    kinds = list(place.classes(lambda kind: issubclass(kind, nn.Module) and _shows(kind)))
    made = only(instances, "an nn.Module with `example_inputs()`") if not kinds or len(instances) == 1 else None
    if made is not None:
        name, model = made
        return Found(lambda: _told(model), f"`{name}` with its `example_inputs()`, {NOTE}", site_of_thing(model))
    chosen = only(kinds, "an nn.Module with `example_inputs()`")
    if chosen is None:
        _say_which(place)
        return None
    name, kind = chosen
    needed = needs_arguments(kind)
    if needed:
        raise Unfit(
            f"an nn.Module with `example_inputs()`: `{name}` needs arguments ({needed}); make one at module level"
        )
    return Found(lambda: _told(kind()), f"`{name}` with its `example_inputs()`, {NOTE}", site_of_thing(kind))


def _shows(thing: Any) -> bool:
    return getattr(thing, "example_inputs", None) is not None


def _say_which(place: Place) -> None:
    """Raises Unfit with the models that were seen, where there are any."""
    kinds = [name for name, _ in place.classes(lambda kind: issubclass(kind, nn.Module))]
    if kinds:
        shown = ", ".join(f"`{name}`" for name in kinds[:4])
        raise Unfit(f"an nn.Module with `example_inputs()`: {shown} {'has' if len(kinds) == 1 else 'have'} none")


def _told(model: nn.Module) -> dict[str, Any]:
    return {
        "model": model,
        "batches": [_inputs(model) for _ in range(_BATCHES)],
        "loss": surrogate(called_with),
        "optimizer": default_optimizer(model),
    }


def _inputs(model: nn.Module) -> Any:
    told: Any = model.example_inputs
    return told() if callable(told) else told


def default_optimizer(model: nn.Module) -> torch.optim.Optimizer | None:
    """Plain gradient descent, where the target names no optimizer."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.SGD(trainable, lr=1e-3) if trainable else None
