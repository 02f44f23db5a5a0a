"""Why nothing arrives: each silent parameter gets one cause, and each cause names all that it silences.

The order is that of certainty: gates that open, modules that nobody calls, nodes that end a gradient, operations that
cut the graph (confirmed by letting the gradient through, or by moving their result). May not: judge a cause."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from torch import nn

from mllint.probe.measured.gradient_flow import Cause
from mllint.probe.recording.frames import forward_site
from mllint.probe.recording.gradients.arrivals import Arrivals, arrivals, trainable
from mllint.probe.recording.gradients.dependence import Dependence
from mllint.probe.recording.gradients.gates import open_gates
from mllint.probe.recording.gradients.looking import (
    Look,
    SeenCut,
    SeenStop,
    call_more,
    is_felt,
    look_closer,
    reached_with,
)
from mllint.probe.recording.gradients.stops import (
    FLAT_SOMEWHERE,
    STEPWISE,
    custom_function,
    hook_site,
)
from mllint.probe.recording.gradients.tamper import SAME_VALUES
from mllint.probe.recording.gradients.twins import twin_of
from mllint.probe.recording.gradients.unused import unused_causes
from mllint.probe.recording.oracle.blame import backward_site
from mllint.probe.recording.run import Run
from mllint.probe.site import Site

#: Cuts that are tried; beyond that, the ones that silence the fewest are left out.
_TRIED = 8


@dataclass
class _Inquiry:
    run: Run
    reset: Callable[[], None]
    parameters: dict[str, nn.Parameter]
    losses: list[float]
    silent: set[str]
    dependence: Dependence

    def caused(self, cause: Cause, *, tested: bool = True) -> Cause:
        """The cause with what is known only of all its parameters together."""
        change, noise = self.dependence.change(cause.parameters) if tested else (None, 0.0)
        twin = twin_of(self.run.model, cause.parameters, self.silent) if cause.how in ("cut", "unknown") else ""
        return replace(cause, change=change, noise=noise, twin=twin)

    def ordered(self, names: Iterable[str]) -> tuple[str, ...]:
        chosen = set(names)
        return tuple(name for name in self.parameters if name in chosen)


def find_causes(run: Run, found: Arrivals, silent: Iterable[str]) -> tuple[Cause, ...]:
    """One cause for each parameter in ``silent``. The model is changed; the caller puts it back."""
    parameters = trainable(run.model)
    left, causes = set(silent), []
    withheld = any(found.of[name].in_graph or found.of[name].arrived for name in left)
    if open_gates(run.model) and withheld:
        opened = arrivals(run)
        gated = {name for name in left if opened.of[name].flows}
        if gated:
            causes.append(Cause("gate", tuple(name for name in parameters if name in gated)))
        left -= gated
    before = run.snapshot()
    inquiry = _Inquiry(
        run, before.restore, parameters, found.losses, set(found.silent), Dependence(run, before.restore, parameters)
    )
    if not left:
        return tuple(causes)
    look = look_closer(run, left, before.restore)
    if any(name not in look.used for name in left):
        call_more(run, look.calls, before.restore)
    for cause in unused_causes(run, look, left, inquiry.dependence):
        causes.append(cause)
        left -= set(cause.parameters)
    for cause in (*_stopped(inquiry, look, left), *_cut(inquiry, look, left)):
        causes.append(cause)
        left -= set(cause.parameters)
    if left:
        causes.append(inquiry.caused(Cause("unknown", inquiry.ordered(left))))
    return tuple(causes)


# ---- nodes that end a gradient


def _stopped(inquiry: _Inquiry, look: Look, left: set[str]) -> Iterator[Cause]:
    groups: dict[tuple[str, Site | None, bool, str], list[str]] = {}
    firsts: dict[tuple[str, Site | None, bool, str], SeenStop] = {}
    for name in inquiry.parameters:
        if name in left and name in look.stops:
            seen = max(look.stops[name], key=_suspicion)
            own = hook_site(inquiry.parameters[name]) is not None
            key = (seen.stop.operation, seen.site, seen.stop.hooked, name if seen.stop.hooked and own else "")
            groups.setdefault(key, []).append(name)
            firsts.setdefault(key, seen)
    for group, names in groups.items():
        yield _stop_cause(inquiry, firsts[group], tuple(names))


def _suspicion(seen: SeenStop) -> tuple[bool, bool, float]:
    custom = custom_function(seen.stop.node) is not None
    return seen.stop.hooked or custom, seen.stop.operation in STEPWISE, seen.stop.arriving


def _stop_cause(inquiry: _Inquiry, seen: SeenStop, names: tuple[str, ...]) -> Cause:
    stop, function = seen.stop, custom_function(seen.stop.node)
    if stop.hooked:
        site = hook_site(inquiry.parameters[names[0]]) or seen.site
        return inquiry.caused(Cause("hook", names, "hook", site, seen.module or "", arriving=stop.arriving))
    if function is not None and not stop.cancelled:
        cause = Cause("stop", names, stop.operation, backward_site(function), seen.module or "", applied=seen.site)
        return inquiry.caused(replace(cause, arriving=stop.arriving))
    everything = len(names) == len(inquiry.parameters) and any(inquiry.losses)
    # a margin that is kept ends the same way, but next to the loss and in a loss of zero
    flat = stop.operation in FLAT_SOMEWHERE and seen.module is not None and (stop.inside or everything)
    flat = flat and not stop.cancelled
    stepwise = stop.operation in STEPWISE and not stop.cancelled
    cause = Cause(
        "saturated" if flat else "stop",
        names,
        stop.operation.lower(),
        seen.site,
        seen.module or "",
        builtin=True,
        stepwise=stepwise,
        arriving=stop.arriving,
    )
    return inquiry.caused(cause, tested=stepwise)


# ---- operations that cut the graph


def _cut(inquiry: _Inquiry, look: Look, left: set[str]) -> Iterator[Cause]:
    left = {name for name in left if name not in look.stops}
    candidates = sorted((cut for cut in look.cuts.values() if cut.parameters & left), key=lambda c: -len(c.parameters))
    restored: dict[SeenCut, set[str]] = {}
    untried: set[SeenCut] = set()
    felt: list[SeenCut] = []
    for cut in candidates[:_TRIED]:
        back = reached_with(inquiry.run, cut.key, left, inquiry.reset) if cut.key[0] in SAME_VALUES else None
        if back is None:
            untried.add(cut)
        if back:
            restored[cut] = back & left
        elif is_felt(inquiry.run, cut.key, inquiry.reset):
            felt.append(cut)
    groups: dict[SeenCut, list[str]] = {}
    for name in inquiry.ordered(left):
        blamed = _blamed(name, restored, felt, candidates)
        if blamed is not None:
            groups.setdefault(blamed, []).append(name)
    for cut, names in groups.items():
        cause = Cause("cut", tuple(names), cut.key[0], cut.key[1], cut.module, activations=cut.activations)
        yield inquiry.caused(replace(cause, restored=None if cut in untried else cut in restored))
    yield from _cutting_modules(inquiry, look, left - {name for names in groups.values() for name in names})


def _blamed(
    name: str, restored: dict[SeenCut, set[str]], felt: list[SeenCut], candidates: list[SeenCut]
) -> SeenCut | None:
    opening = [cut for cut, names in restored.items() if name in names]
    if opening:
        return max(opening, key=lambda cut: len(restored[cut]))
    return next((cut for cut in (*felt, *candidates) if name in cut.parameters), None)


def _cutting_modules(inquiry: _Inquiry, look: Look, left: set[str]) -> Iterator[Cause]:
    """No function was seen to cut (an extension did, say): the modules that took a graph in and gave none out."""
    for path, above in sorted(look.cutting.items(), key=lambda item: -item[0].count(".")):
        names = inquiry.ordered(above & left)
        if names:
            kind = type(inquiry.run.model.get_submodule(path))
            cause = Cause("cut", names, kind.__name__, forward_site(kind), path, activations=True)
            yield inquiry.caused(cause)
            left = left - set(names)
