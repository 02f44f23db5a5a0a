"""A closer look at a model in which some parameters get no gradient: forwards with every watch on.

May not: say why; `causes.py` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import nn

from mllint.probe.recording.gradients.arrivals import BATCHES
from mllint.probe.recording.gradients.calls import watched_calls
from mllint.probe.recording.gradients.cuts import CutWatch, Key, noting_functions
from mllint.probe.recording.gradients.dependence import FAILURES
from mllint.probe.recording.gradients.graph import leaves_below, roots_of
from mllint.probe.recording.gradients.stops import Stop, find_stops
from mllint.probe.recording.gradients.tamper import Tamper
from mllint.probe.recording.run import Run
from mllint.probe.site import Site

#: Forwards more in which a module that was never called gets another chance.
_MORE = 5


@dataclass(frozen=True)
class SeenCut:
    """A cut and the silent parameters above it."""

    key: Key
    module: str
    parameters: frozenset[str]
    activations: bool


@dataclass(frozen=True)
class SeenStop:
    """A stop with the line and the module that made its node (None: outside of all modules)."""

    stop: Stop
    site: Site | None
    module: str | None


@dataclass
class Look:
    """What the watches saw over all batches. ``cutting`` are modules that gave no graph on, with what hangs above."""

    used: set[str] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)
    cuts: dict[Key, SeenCut] = field(default_factory=dict)
    cutting: dict[str, set[str]] = field(default_factory=dict)
    stops: dict[str, list[SeenStop]] = field(default_factory=dict)


def look_closer(run: Run, silent: Iterable[str], reset: Callable[[], None]) -> Look:
    """Forward (and, for stops, backward) over the batches. What raises under the watches is left out."""
    parameters = dict(run.model.named_parameters())
    names = {id(parameter): name for name, parameter in parameters.items()}
    wanted, look = set(silent), Look()
    for number in range(BATCHES):
        reset()
        with watched_calls(run.model) as calls:
            watch = CutWatch(names, lambda calls=calls: calls.at_work)  # type: ignore[misc]
            try:
                with watch, noting_functions(watch):
                    loss = run.loss(run.batch(number), seed=number)
            except FAILURES:
                continue
        look.used |= watch.used
        look.calls.update(calls.count)
        for cut in watch.cuts.values():
            _add_cut(look, SeenCut(cut.key, cut.module or "", frozenset(cut.above(names) & wanted), cut.activations))
        for path, roots in calls.cutting.items():
            look.cutting.setdefault(path, set()).update(leaves_below(roots, names) & wanted)
        _add_stops(look, run, loss, watch, {name: parameters[name] for name in wanted - look.stops.keys()})
    reset()
    return look


def _add_cut(look: Look, cut: SeenCut) -> None:
    before = look.cuts.get(cut.key)
    if before is not None:
        cut = SeenCut(cut.key, before.module, before.parameters | cut.parameters, before.activations or cut.activations)
    look.cuts[cut.key] = cut


def _add_stops(look: Look, run: Run, loss: torch.Tensor, watch: CutWatch, left: dict[str, nn.Parameter]) -> None:
    """One backward, if a parameter without stops is in the graph."""
    if not left or not loss.requires_grad:
        return
    run.clear_gradients()
    ids = {id(parameter): name for name, parameter in left.items()}
    for number, stops in find_stops(loss, list(left.values())).items():
        if stops:
            look.stops[ids[number]] = [SeenStop(stop, *watch.place_of(stop.node)) for stop in stops]
    run.clear_gradients()


def reached_with(run: Run, key: Key, wanted: set[str], reset: Callable[[], None]) -> set[str]:
    """Which of the parameters the loss has in its graph, once one cut is undone; empty where that cannot be."""
    names = {id(parameter): name for name, parameter in run.model.named_parameters() if name in wanted}
    reset()
    try:
        with Tamper(key, "open"):
            loss = run.loss(run.batch(0), seed=0)
        return leaves_below(roots_of(loss), names)
    except FAILURES:
        return set()
    finally:
        reset()


def is_felt(run: Run, key: Key, reset: Callable[[], None]) -> bool:
    """Does the loss change when the result of a cut is moved?"""
    losses = []
    for shaken in (False, True):
        reset()
        try:
            with Tamper(key, "shake") if shaken else torch.enable_grad():
                losses.append(float(run.loss(run.batch(0), seed=0).detach()))
        except FAILURES:
            return False
        finally:
            reset()
    return abs(losses[1] - losses[0]) > 1e-7 * abs(losses[0])


def call_more(run: Run, calls: Counter[str], reset: Callable[[], None]) -> None:
    """More batches forward, for modules that are called now and then; noted in ``calls``."""
    for number in range(BATCHES, BATCHES + _MORE):
        reset()
        with watched_calls(run.model) as seen:
            try:
                run.loss(run.batch(number), seed=number)
            except FAILURES:
                pass
        calls.update(seen.count)
    reset()
