"""`Model`, `get_inputs()` and `get_init_inputs()`, as collections of kernel tasks have them.

May not: run another file's reference model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from mllint.probe.recording.discover.examples import default_optimizer
from mllint.probe.recording.discover.found import Found, Place, site_of_thing
from mllint.probe.recording.discover.surrogate import NOTE, called_with, surrogate

WANTED = "`Model` with `get_inputs()` and `get_init_inputs()`: not all of them are there"
_MODELS = ("ModelNew", "Model")


def find(place: Place) -> Found | None:
    known = vars(place.module)
    names = [place.named] if place.named else _MODELS
    kind = next((known[name] for name in names if _is_model(known.get(name))), None)
    inputs = known.get("get_inputs")
    if kind is None or not callable(inputs):
        return None
    arguments = known.get("get_init_inputs")

    def build() -> dict[str, Any]:
        model = _made(kind, arguments() if callable(arguments) else [])
        return {
            "model": model,
            "batches": lambda number: inputs(),
            "loss": surrogate(called_with),
            "optimizer": default_optimizer(model),
        }

    return Found(build, f"`{kind.__name__}` with `get_inputs()`, {NOTE}", site_of_thing(kind))


def _is_model(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, nn.Module)


def _made(kind: type[nn.Module], arguments: Any) -> nn.Module:
    """Arguments are a list, a mapping of keywords, or a list of both."""
    if isinstance(arguments, Mapping):
        return kind(**arguments)
    if len(arguments) == 2 and isinstance(arguments[0], (list, tuple)) and isinstance(arguments[1], Mapping):
        return kind(*arguments[0], **arguments[1])
    return kind(*arguments)
