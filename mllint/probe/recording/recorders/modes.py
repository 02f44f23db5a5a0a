"""The mode of the model at every optimizer step, and the calls that changed it for good.

May not: call `train` or `eval` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from mllint.probe.measured.modes import ModeChange, Modes, StepMode
from mllint.probe.recording.eager import uncompiled
from mllint.probe.recording.frames import code_site, nearness, user_site
from mllint.probe.recording.hooking import takes_hooks
from mllint.probe.recording.run import Run
from mllint.probe.recording.usercode import run_validation
from mllint.probe.site import Site

#: Steps before and after the validation.
_BEFORE, _AFTER = 2, 2


class _Watch:
    """What happens to modes: the call that last set the mode of each module, and the modes at each optimizer step."""

    def __init__(self, roots: dict[str, nn.Module]) -> None:
        self.roots = roots
        self.set_by: dict[int, Site | None] = {}
        self.cause: list[Site | None] = []
        self.trained = False  # has a loss been computed in training mode since the last optimizer step?
        self.at_step: dict[int, bool] | None = None

    def modes(self) -> dict[int, bool]:
        return {id(module): module.training for root in self.roots.values() for module in root.modules()}

    def forward(self, module: nn.Module, *rest: Any) -> None:
        if torch.is_grad_enabled() and module.training:
            self.trained = True

    def optimizer_steps(self, *rest: Any) -> None:
        if self.at_step is None:
            self.at_step = self.modes()


def record(run: Run) -> Modes:
    """Raises Skip where the user's validation raises."""
    model, validate = run.model, run.entry.validate
    watch = _Watch(_watched(run))
    steps: list[StepMode] = []
    changes: list[ModeChange] = []
    with _watching(watch, model), uncompiled():
        settled = _step(run, watch, steps, validated=False)
        for number in range(1, _BEFORE + _AFTER):
            validated = number == _BEFORE and validate is not None
            if validated:
                run_validation(run)
            modes = _step(run, watch, steps, validated=validated)
            changes += _changes(watch, settled, modes, number + 1, validated=validated)
            settled = modes
    return Modes(tuple(steps), tuple(changes), code_site(validate), code_site(run.entry.step))


def _watched(run: Run) -> dict[str, nn.Module]:
    """The model, and what else is trained with it (a discriminator): what is only looked at may change its mode."""
    found = {"": run.model}
    trained = {id(tensor) for each in run.optimizers for group in each.param_groups for tensor in group["params"]}
    for module in run.known_modules()[1:]:
        if any(id(parameter) in trained for parameter in module.parameters()):
            found[type(module).__name__] = module
    return found


def _step(run: Run, watch: _Watch, steps: list[StepMode], *, validated: bool) -> dict[int, bool]:
    """One step; the modes at its optimizer step, or after it where no optimizer steps."""
    watch.trained, watch.at_step = False, None
    run.step(len(steps))
    modes = watch.modes() if watch.at_step is None else watch.at_step
    if watch.trained:
        modes = {**modes, id(run.model): True}
    steps.append(StepMode(len(steps) + 1, validated, modes[id(run.model)]))
    return modes


def _changes(
    watch: _Watch, before: dict[int, bool], after: dict[int, bool], number: int, *, validated: bool
) -> Iterator[ModeChange]:
    """The outermost modules in another mode. Parts that a step itself switches, with no validation in between, are on
    purpose: freezing on a schedule."""
    for holder, root in watch.roots.items():
        changed = {
            path: module
            for path, module in root.named_modules()
            if before.get(id(module), after[id(module)]) != after[id(module)]
        }
        for path, module in changed.items():
            above = path.rpartition(".")[0]
            if path and (above in changed or "" in changed):
                continue
            if not validated and path:
                continue
            inner = [each for name, each in changed.items() if not path or name == path or name.startswith(path + ".")]
            yield ModeChange(
                path,
                type(module).__name__,
                holder,
                number,
                after[id(module)],
                "validate" if validated else "step",
                watch.set_by.get(id(module)),
                len(inner) - 1,
                any(_sensitive(each) for each in (module.modules() if not path else inner)),
            )


def _sensitive(module: nn.Module) -> bool:
    """Does the module do something else in the other mode? Of classes that are not torch's one cannot tell: yes."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0
    if isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)):
        return bool(module.track_running_stats)
    if isinstance(module, (nn.RReLU, nn.RNNBase, nn.MultiheadAttention)):
        return bool(getattr(module, "dropout", 1.0))
    forward: Any = getattr(type(module), "forward", None)
    code = getattr(forward, "__code__", None)
    if code is None or not nearness(code.co_filename):
        return False
    return "training" in code.co_names


@contextmanager
def _watching(watch: _Watch, model: nn.Module) -> Iterator[None]:
    """Note which line of the user's calls `train` and `eval`; the outermost call is the cause of those below it."""
    train, evaluate = nn.Module.train, nn.Module.eval

    def noting(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            watch.cause.append(watch.cause[-1] if watch.cause else user_site())
            try:
                watch.set_by[id(module)] = watch.cause[-1]
                return original(module, *args, **kwargs)
            finally:
                watch.cause.pop()

        return called

    patched: Any = nn.Module
    patched.train, patched.eval = noting(train), noting(evaluate)
    handles = [register_optimizer_step_pre_hook(watch.optimizer_steps)]
    if takes_hooks(model):
        handles.append(model.register_forward_pre_hook(watch.forward))
    try:
        yield
    finally:
        patched.train, patched.eval = train, evaluate
        for handle in handles:
            handle.remove()
