"""Which kept weights share memory with the live ones after another optimizer step.

May not: judge what is kept of frozen weights: nothing of it changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from mllint.probe.measured.aliases import Aliases, KeptWeights
from mllint.probe.recording.eager import uncompiled
from mllint.probe.recording.frames import code_site, user_site
from mllint.probe.recording.holdings import held_by, is_array
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip
from mllint.probe.recording.usercode import run_snapshot, run_validation
from mllint.probe.recording.values import same_values, storage
from mllint.probe.site import Site


@dataclass
class _Watch:
    """State dicts that user code took: the storages they showed and the line; and storages that were saved to a file."""

    taken: dict[int, Site | None] = field(default_factory=dict)
    saved: set[int] = field(default_factory=set)
    depth: int = 0
    last: Site | None = None


@dataclass(frozen=True, slots=True)
class _Live:
    """A parameter or buffer of a model that is trained."""

    name: str
    trainable: bool


@dataclass(frozen=True, slots=True)
class _Kept:
    """Weights that the user keeps, as they were: ``values`` are copies."""

    keeper: str
    returned: bool
    site: Site | None
    tensors: list[torch.Tensor]
    values: list[torch.Tensor]

    @classmethod
    def now(cls, keeper: str, returned: bool, site: Site | None, tensors: list[torch.Tensor]) -> _Kept:
        return cls(keeper, returned, site, tensors, [each.detach().clone() for each in tensors])


def record(run: Run) -> Aliases:
    """Raises Skip where the target keeps no weights that could be watched."""
    entry = run.entry
    if entry.snapshot is None and entry.validate is None and entry.step is None:
        raise Skip("the target gives no `snapshot`, `validate` or `step`")
    known = {id(thing) for _, thing in held_by(run.roots()) if isinstance(thing, torch.Tensor)}
    watch, kept = _Watch(), []
    with _watching(watch), uncompiled():
        run.step(0)
        if entry.validate is not None:
            run_validation(run)
        if entry.snapshot is not None:
            watch.last = None
            weights = list(_weights(run_snapshot(run)))
            kept.append(_Kept.now("snapshot", True, watch.last or code_site(entry.snapshot), weights))
    kept += _new_holders(run, watch, known)
    with uncompiled():
        run.step(1)
    live = _live(run)
    found = (_shared(each, live) for each in kept)
    return Aliases(tuple(each for each in found if each is not None))


def _shared(kept: _Kept, live: dict[int, _Live]) -> KeptWeights | None:
    """What of the kept weights is live and can change; None where nothing is."""
    shared = [
        (live[storage(tensor)], same_values(tensor, value))
        for tensor, value in zip(kept.tensors, kept.values, strict=True)
        if storage(tensor) in live
    ]
    changed = [place for place, same in shared if not same]
    matters = changed or [place for place, _ in shared if place.trainable]
    if not matters:
        return None
    return KeptWeights(
        kept.keeper, kept.returned, len(shared), len(kept.tensors), len(changed), matters[0].name, kept.site
    )


def _weights(returned: Any) -> Iterator[torch.Tensor]:
    """The tensors in what `snapshot` returned, arrays of numpy as the tensors whose memory they may be."""
    for _, thing in held_by({"snapshot": returned}):
        if isinstance(thing, torch.Tensor):
            yield thing
        elif is_array(thing) and thing.dtype.kind in "fiub" and thing.flags.writeable:
            yield torch.from_numpy(thing)


def _new_holders(run: Run, watch: _Watch, known: set[int]) -> list[_Kept]:
    """What the user holds now and did not before that is part of a state dict taken meanwhile and not saved, by holder."""
    own = {id(each) for module in run.known_modules() for each in (*module.parameters(), *module.buffers())}
    found: dict[str, list[torch.Tensor]] = {}
    for name, thing in held_by(run.roots()):
        if not isinstance(thing, torch.Tensor) or id(thing) in known or id(thing) in own:
            continue
        if storage(thing) in watch.taken.keys() - watch.saved:
            found.setdefault(name.rpartition("[")[0] or name, []).append(thing)
    return [_Kept.now(name, False, watch.taken[storage(each[0])], each) for name, each in found.items()]


def _live(run: Run) -> dict[int, _Live]:
    """Storage -> the parameter or buffer of the model, or of a module trained beside it, that lives there."""
    found: dict[int, _Live] = {}
    for module in run.known_modules():
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            found.setdefault(storage(tensor), _Live(name, tensor.requires_grad))
    found.pop(0, None)
    return found


@contextmanager
def _watching(watch: _Watch) -> Iterator[None]:
    """Note the state dicts that are taken, by the line that asked for the whole, and the tensors that are saved."""
    state_dict, save = nn.Module.state_dict, torch.save

    def taking(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        watch.depth += 1
        try:
            found = state_dict(module, *args, **kwargs)
        finally:
            watch.depth -= 1
        if watch.depth == 0:
            watch.last = user_site()
            watch.taken.update(dict.fromkeys(_storages(found.values()), watch.last))
        return found

    def saving(thing: Any, *args: Any, **kwargs: Any) -> Any:
        watch.saved.update(_storages(inner for _, inner in held_by({"saved": thing})))
        return save(thing, *args, **kwargs)

    patched: Any = nn.Module
    saver: Any = torch
    patched.state_dict, saver.save = taking, saving
    try:
        yield
    finally:
        patched.state_dict, saver.save = state_dict, save


def _storages(things: Iterable[Any]) -> set[int]:
    return {storage(thing) for thing in things if isinstance(thing, torch.Tensor)} - {0}
