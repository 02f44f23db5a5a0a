"""A call of the model made again: with other tensors, under the same seed, on the same state, in a chosen mode.

May not: judge, or leave a mode, hook or buffer behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mllint.probe.recording.hooking import takes_hooks
from mllint.probe.recording.leaks.nested import Place, replaced, tensors_in
from mllint.probe.recording.leaks.outputs import USER_ERRORS, Call, measurable, set_modes
from mllint.probe.recording.run import Run, first_line
from mllint.probe.recording.skip import Skip
from mllint.probe.recording.values import same_values


@dataclass
class Replay:
    """A call, made again as often as wanted. Open it with `replaying`."""

    run: Run
    call: Call
    state: _Remembered
    seed: int = 0
    #: The machine precision of the coarsest floating-point type that any module gave in the last call.
    coarsest: float = 0.0
    #: Where the random numbers of the CPU stood after the last call.
    stream: bytes = b""

    def give(self, changes: Mapping[Place, torch.Tensor] | None = None) -> Any:
        """What the call returns with some of its tensors changed. Raises what the forward raises."""
        changes = changes or {}
        fresh = {
            place: changes[place] if place in changes else tensor.clone()
            for place, tensor in tensors_in(self.call.arguments)
        }
        arguments = replaced(self.call.arguments, fresh)
        module = getattr(self.call.module, "_orig_mod", self.call.module)  # uncompiled: other shapes would recompile
        try:
            with self.run.seeded(self.seed):
                given = module(*arguments["args"], **arguments["kwargs"])
                self.stream = bytes(torch.get_rng_state().untyped_storage())
                return given
        finally:
            self.state.restore()

    def outputs(self, changes: Mapping[Place, torch.Tensor] | None = None) -> dict[Place, torch.Tensor]:
        """The floating-point tensors of the output, without a graph. Raises what the forward raises."""
        with torch.no_grad():
            given = self.give(changes)
        return {place: tensor.detach().clone() for place, tensor in tensors_in(given) if measurable(tensor)}

    def base(self) -> dict[Place, torch.Tensor]:
        """The outputs for the inputs as they were. Raises Skip where the call cannot be made a second time."""
        try:
            with self._precision_watched():
                return self.outputs()
        except USER_ERRORS as error:
            raise Skip(f"the model cannot be called again: {first_line(error)}") from error

    @contextmanager
    def _precision_watched(self) -> Iterator[None]:
        def watch(module: nn.Module, args: Any, output: Any) -> None:
            for _, tensor in tensors_in(output):
                if tensor.is_floating_point():
                    self.coarsest = max(self.coarsest, torch.finfo(tensor.dtype).eps)

        handles = [module.register_forward_hook(watch) for module in self.call.module.modules() if takes_hooks(module)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


@contextmanager
def replaying(run: Run, call: Call, *, evaluating: bool) -> Iterator[Replay]:
    """``evaluating``: in evaluation mode, batch statistics off; else in the modes in which the call was made. Modes are set
    as plain flags: a ``train()`` of the user's own may merge weights or refuse."""
    before = tuple((module, module.training) for module in run.model.modules())
    fastpath = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.callback(set_modes, before)
        stack.callback(torch.backends.mha.set_fastpath_enabled, fastpath)
        torch.backends.mha.set_fastpath_enabled(False)  # it drops padded positions, and takes no gradient
        set_modes([(module, False) for module, _ in before] if evaluating else call.modes)
        if evaluating:
            stack.enter_context(_statistics_given(run.model))
        state = _Remembered(run.model)
        stack.callback(state.restore)
        yield Replay(run, call, state)


class _Remembered:
    """Buffers and attributes of modules at one moment: what a forward may change. Parameters are not copied."""

    def __init__(self, model: nn.Module) -> None:
        self._attributes = [
            (module, dict(vars(module)), dict(module._buffers)) for module in model.modules() if takes_hooks(module)
        ]
        self._values = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]

    def restore(self) -> None:
        for module, attributes, buffers in self._attributes:
            now = vars(module)
            for name in [name for name in now if name not in attributes]:
                del now[name]
            now.update(attributes)
            module._buffers.clear()
            module._buffers.update(buffers)
        with torch.no_grad():
            for buffer, values in self._values:
                if not same_values(buffer, values):
                    buffer.copy_(values)


@contextmanager
def _statistics_given(model: nn.Module) -> Iterator[None]:
    """Batch norms that keep no running statistics take those of the batch in evaluation too: give them some."""
    bare = [
        module
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None
    ]
    for module in bare:
        like = next(module.parameters(), torch.zeros(()))
        module.running_mean = like.detach().new_zeros(module.num_features)
        module.running_var = like.detach().new_ones(module.num_features)
    try:
        yield
    finally:
        for module in bare:
            module.running_mean = module.running_var = None
