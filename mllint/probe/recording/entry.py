"""What the user hands to the probe: the dictionary of ``mllint_probe``, checked and made one shape.

May not: run a step.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import nn

#: Key of the dictionary -> what it means; the error for an unknown key lists them.
KEYS = {
    "model": "the nn.Module to train",
    "batches": "training batches: a list, an iterable, or a function of the step number",
    "loss": "`loss(model, batch)` -> a scalar tensor",
    "step": "`step(model, batch)` or `step(batch)`: one whole training step of your own, instead of `loss`",
    "optimizer": "an optimizer, or a list of them",
    "scheduler": "a learning-rate scheduler, stepped once a step",
    "scaler": "a GradScaler",
    "validate": "`validate(model)`: your validation, run between two steps",
    "snapshot": "`snapshot(model)`: what you keep as the best weights; returns it",
    "val_batches": "validation batches, like `batches`",
    "expect": "facts to hold, a dict: `calls_per_step` ({'lensnet': 1}), `shortcut_auc` (0.65), `batch` ({'image': 'float32[*, 3, 32, 32]'}), `group` (a key), `val_share` (0.15)",
    "pad": "the padding token's id",
    "conditioning": "index or key of the conditioning input in a batch",
    "classes": "number of classes of the targets",
    "causal": "True for a model that may not see the future",
    "fresh": "True for a model that has not been trained yet",
    "sequence_dim": "the dimension of time in the model's input and output (1 unless said)",
}


class EntryError(ValueError):
    """A dictionary that the probe cannot use; the message says which key and what is needed."""


class BatchError(EntryError):
    """There is no batch to run."""


@dataclass(frozen=True)
class Entry:
    """The user's dictionary. ``optimizers`` is empty where none was given."""

    model: nn.Module
    batches: Any
    loss: Callable[[nn.Module, Any], Any] | None = None
    step: Callable[..., Any] | None = None
    optimizers: tuple[torch.optim.Optimizer, ...] = ()
    scheduler: Any = None
    scaler: Any = None
    validate: Callable[[nn.Module], Any] | None = None
    snapshot: Callable[[nn.Module], Any] | None = None
    val_batches: Any = None
    expect: Mapping[str, Any] = field(default_factory=dict)
    pad: int | None = None
    conditioning: int | str | None = None
    classes: int | None = None
    causal: bool = False
    fresh: bool = False
    sequence_dim: int = 1

    @property
    def facts(self) -> dict[str, Any]:
        """What the user declared, as plain data."""
        names = ("pad", "conditioning", "classes", "causal", "fresh", "sequence_dim")
        told = {name: value for name in names if (value := getattr(self, name)) is not None and value is not False}
        return {**told, "expect": dict(self.expect)}


def entry_from(told: object) -> Entry:
    """Check the dictionary that ``mllint_probe()`` returned. Raises EntryError."""
    if not isinstance(told, Mapping):
        raise EntryError(
            f"the target returned {type(told).__name__}; a dict with `model`, `batches` and `loss` is needed"
        )
    unknown = [key for key in told if key not in KEYS]
    if unknown:
        raise EntryError(f"unknown key {unknown[0]!r}; known are {', '.join(KEYS)}")
    model = told.get("model")
    if not isinstance(model, nn.Module):
        raise EntryError(f"`model` must be an nn.Module, not {type(model).__name__}")
    if told.get("batches") is None:
        raise EntryError("`batches` is missing: give a list, an iterable or a function of the step number")
    if (told.get("loss") is None) == (told.get("step") is None):
        raise EntryError("give either `loss` or `step`: loss(model, batch) -> scalar, or a whole step of your own")
    for key in ("loss", "step", "validate", "snapshot"):
        if told.get(key) is not None and not callable(told[key]):
            raise EntryError(f"`{key}` must be a function, not {type(told[key]).__name__}")
    rest = {key: value for key, value in told.items() if key not in ("model", "optimizer") and value is not None}
    return Entry(model=model, optimizers=_optimizers(told.get("optimizer")), **rest)


def _optimizers(told: object) -> tuple[torch.optim.Optimizer, ...]:
    given: list[Any] = [] if told is None else list(told) if isinstance(told, (list, tuple)) else [told]
    for one in given:
        if not isinstance(one, torch.optim.Optimizer):
            raise EntryError(f"`optimizer` must be a torch optimizer or a list of them, not {type(one).__name__}")
    return tuple(given)


def batches_of(told: Any, count: int) -> list[Any]:
    """The first ``count`` batches, fewer where there are fewer. Raises BatchError."""
    if callable(told) and not isinstance(told, Sequence) and not _iterable(told):
        if _wants_number(told):
            return [told(number) for number in range(count)]
        told = told()
    if not _iterable(told):
        raise BatchError(f"`batches` must be a list, an iterable or a function, not {type(told).__name__}")
    found = list(islice(told, count))
    if not found:
        raise BatchError("`batches` is empty: at least one batch is needed")
    return found


def each_batch(told: Any, limit: int) -> Iterator[Any]:
    """Batches one after the other, at most ``limit``, never all in memory."""
    if callable(told) and not isinstance(told, Sequence) and not _iterable(told):
        if _wants_number(told):
            yield from (told(number) for number in range(limit))
            return
        told = told()
    yield from islice(told, limit)


def _iterable(told: Any) -> bool:
    return isinstance(told, Iterable) and not isinstance(told, (str, bytes, Mapping, torch.Tensor))


def _wants_number(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(each.kind in plain and each.default is inspect.Parameter.empty for each in parameters)
