"""A closer look at a model in which some parameters get no gradient: forwards with every watch on.

May not: say why; `causes.py` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
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
from mllint.probe.recording.holdings import held_by
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

    @property
    def explained(self) -> set[str]:
        """Parameters for which there is a stop, or a cut that may be the cause."""
        return {*self.stops, *(name for cut in self.cuts.values() for name in cut.parameters)}


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
                with watch, noting_functions(watch, parameters):
                    loss = run.loss(run.batch(number), seed=number)
            except FAILURES:
                continue
        look.used |= watch.used
        look.calls.update(calls.count)
        for cut in watch.cuts.values():
            _add_cut(look, SeenCut(cut.key, cut.module or "", frozenset(cut.above(names) & wanted), cut.activations))
        for path, roots in calls.cutting.items():
            look.cutting.setdefault(path, set()).update(leaves_below(roots, names) & wanted)
        reached = leaves_below(roots_of(loss), names) & wanted - look.stops.keys()
        _add_stops(look, run, loss, watch, {name: parameters[name] for name in reached})
        if wanted <= look.used and wanted <= look.explained:
            break  # the other batches would show the same
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
    with suppress(RuntimeError):  # a step that changes what its graph has kept
        for number, stops in find_stops(loss, list(left.values())).items():
            if stops:
                look.stops[ids[number]] = [_placed(stop, watch) for stop in stops]
    run.clear_gradients()


def _placed(stop: Stop, watch: CutWatch) -> SeenStop:
    site, module = watch.place_of(stop.node)
    return SeenStop(stop, watch.hooks.get(stop.below, site) if stop.hooked else site, module)


def reached_with(run: Run, key: Key, wanted: set[str], reset: Callable[[], None]) -> set[str] | None:
    """Which of the parameters the loss has in its graph, once one cut is undone; None where that cannot be."""
    names = {id(parameter): name for name, parameter in run.model.named_parameters() if name in wanted}
    reset()
    before = {id(tensor) for tensor in _with_graph(run)}
    try:
        with Tamper(key, "open"):
            loss = run.loss(run.batch(0), seed=0)
        return leaves_below(roots_of(loss), names)
    except FAILURES:
        return None
    finally:
        for tensor in _with_graph(run):  # a buffer that took in what has a graph now
            if id(tensor) not in before:
                tensor.detach_()
        reset()


def _with_graph(run: Run) -> list[torch.Tensor]:
    """The tensors held by the user's objects that have a graph and are no views."""
    held = [thing for _, thing in held_by(run.roots()) if isinstance(thing, torch.Tensor)]
    return [tensor for tensor in held if tensor.grad_fn is not None and not tensor._is_view()]


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
        with watched_calls(run.model) as seen, suppress(*FAILURES):
            run.loss(run.batch(number), seed=number)
        calls.update(seen.count)
    reset()
