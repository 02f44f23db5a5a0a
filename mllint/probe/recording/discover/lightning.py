"""A LightningModule: ``training_step``, ``configure_optimizers`` and somewhere a training loader.

Known by these methods, so Lightning itself need not be there. May not: start a trainer.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from mllint.probe.recording.discover.found import Found, Place, Unfit, bases, needs_arguments, only, site_of_thing

WANTED = "a LightningModule (`training_step`, `configure_optimizers` and a training loader): there is none"
_WHAT = "a LightningModule"


def find(place: Place) -> Found | None:
    """Raises Unfit where one is there that cannot be made, or that has no data."""
    chosen = only(list(place.instances(_is_module)), _WHAT) or only(list(place.classes(_is_class)), _WHAT)
    if chosen is None:
        return None
    name, thing = chosen
    if isinstance(thing, type) and needs_arguments(thing):
        raise Unfit(f"{_WHAT}: `{name}` needs arguments ({needs_arguments(thing)}); make one at module level")
    loader = _loader(place, thing)
    if loader is None:
        raise Unfit(f"{_WHAT}: `{name}` has no `train_dataloader`, and no data module or loader stands beside it")
    where, batches = loader
    return Found(
        lambda: _told(thing() if isinstance(thing, type) else thing, batches),
        f"`{name}` with {where}",
        site_of_thing(thing),
    )


def _is_class(kind: type) -> bool:
    return issubclass(kind, nn.Module) and _is_module(kind)


def _is_module(thing: Any) -> bool:
    kind = thing if isinstance(thing, type) else type(thing)
    own = all(callable(getattr(kind, name, None)) for name in ("training_step", "configure_optimizers"))
    return own and kind.__name__ != "LightningModule" and not _is_stub(kind)


def _is_stub(kind: type) -> bool:
    """Is the step only the one of Lightning's own base class?"""
    return any("training_step" in vars(each) and each.__name__ == "LightningModule" for each in _deciding(kind))


def _deciding(kind: type) -> list[type]:
    return [each for each in kind.__mro__ if "training_step" in vars(each)][:1]


# ---- data


def _loader(place: Place, thing: Any) -> tuple[str, Callable[[Any], Any]] | None:
    """Where the batches come from, in words, and how to get them for a module."""
    kind = thing if isinstance(thing, type) else type(thing)
    decided = [each for each in kind.__mro__ if "train_dataloader" in vars(each)][:1]
    if decided and decided[0].__name__ not in ("LightningModule", "DataHooks"):
        return "its `train_dataloader`", lambda module: module.train_dataloader()
    whole = Place(place.module)
    for name, other in whole.things().items():
        if _is_data_module(other):
            if isinstance(other, type) and (other.__module__ != place.module.__name__ or needs_arguments(other)):
                continue
            return f"the loader of `{name}`", lambda module, other=other: _of_data_module(other)
    for name, other in whole.things().items():
        if isinstance(other, torch.utils.data.DataLoader) and not name.startswith(("val", "test")):
            return f"the loader `{name}`", lambda module, other=other: other
    return None


def _is_data_module(thing: Any) -> bool:
    kind = thing if isinstance(thing, type) else type(thing)
    named = "LightningDataModule" in bases(kind) or not issubclass(kind, nn.Module)
    return named and kind.__name__ != "LightningDataModule" and callable(getattr(kind, "train_dataloader", None))


def _of_data_module(told: Any) -> Any:
    data = told() if isinstance(told, type) else told
    if callable(getattr(data, "prepare_data", None)):
        data.prepare_data()
    if callable(getattr(data, "setup", None)):
        data.setup("fit") if inspect.signature(data.setup).parameters else data.setup()
    return data.train_dataloader()


# ---- the step


def _told(module: Any, batches: Callable[[Any], Any]) -> dict[str, Any]:
    if callable(getattr(module, "prepare_data", None)):
        module.prepare_data()
    if callable(getattr(module, "setup", None)):
        module.setup("fit") if inspect.signature(module.setup).parameters else module.setup()
    _without_trainer(module)
    optimizers, scheduler = _optimizers(module.configure_optimizers())
    told: dict[str, Any] = {"model": module, "batches": _one_loader(batches(module)), "optimizer": optimizers}
    if scheduler is not None:
        told["scheduler"] = scheduler
    if getattr(module, "automatic_optimization", True) is False:
        module.optimizers = lambda *args, **kwargs: optimizers[0] if len(optimizers) == 1 else optimizers
        module.lr_schedulers = lambda *args, **kwargs: scheduler
        return {**told, "step": _step(module)}
    return {**told, "loss": _loss}


def _loss(module: nn.Module, batch: Any) -> Any:
    told = _call(module, batch)
    if told is None:
        raise TypeError("`training_step` returned None; a step that is skipped has no loss to probe")
    return told


def _step(module: nn.Module) -> Callable[[nn.Module, Any], Any]:
    return lambda model, batch: _call(model, batch)


def _call(module: Any, batch: Any) -> Any:
    """`training_step` with as many of batch, batch_idx (and dataloader_idx) as it takes."""
    names = [name for name in inspect.signature(module.training_step).parameters if name not in ("args", "kwargs")]
    told = module.training_step(batch, *[0] * (len(names) - 1)) if len(names) > 1 else module.training_step(batch)
    return told


def _without_trainer(module: Any) -> None:
    """What a trainer would be asked for, answered without one."""
    for name in ("log", "log_dict", "toggle_optimizer", "untoggle_optimizer", "print"):
        vars(module)[name] = lambda *args, **kwargs: None
    vars(module)["manual_backward"] = lambda loss, *args, **kwargs: loss.backward(*args, **kwargs)
    module.train()


def _optimizers(told: Any) -> tuple[list[Any], Any]:
    """The optimizers in what `configure_optimizers` may return, and the first scheduler that is stepped once a step."""
    if told is None:
        return [], None
    if isinstance(told, torch.optim.Optimizer):
        return [told], None
    if isinstance(told, Mapping):
        return [told["optimizer"]], _scheduler(told.get("lr_scheduler"))
    if len(told) == 2 and isinstance(told[0], (list, tuple)):
        schedulers = list(told[1])
        return list(told[0]), _scheduler(schedulers[0]) if schedulers else None
    parts = [_optimizers(each) for each in told]
    return [one for optimizers, _ in parts for one in optimizers], next((each for _, each in parts if each), None)


def _scheduler(told: Any) -> Any:
    """One that is told to go on with every step; those of an epoch have no place in a few steps."""
    return told["scheduler"] if isinstance(told, Mapping) and told.get("interval") == "step" else None


def _one_loader(told: Any) -> Any:
    """Of several loaders each batch holds one of each, as Lightning hands them to the step."""
    if isinstance(told, Mapping) and not hasattr(told, "dataset"):
        return [dict(zip(told, several, strict=False)) for several in zip(*told.values(), strict=False)]
    return told
