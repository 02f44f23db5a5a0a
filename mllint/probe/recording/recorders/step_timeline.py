"""One step with a clock: hooks on the upper modules, the backward call and the optimizers.

May not: judge; on the CPU a span is what the host did, on a GPU what it asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from mllint.probe.measured.step_timeline import Span, StepTimeline
from mllint.probe.recording.hooking import takes_hooks
from mllint.probe.recording.run import Run

#: Modules deeper than this are part of their parents' spans.
_DEPTH = 3
#: More spans than this nobody can tell apart on a page.
_MOST = 400


class _Clock:
    """Spans of a running step."""

    def __init__(self) -> None:
        self.zero = time.perf_counter()
        self.spans: list[Span] = []
        self.left_out = 0
        self._open: list[tuple[str, float]] = []

    def now(self) -> float:
        return time.perf_counter() - self.zero

    def add(self, span: Span) -> None:
        if len(self.spans) < _MOST:
            self.spans.append(span)
        else:
            self.left_out += 1

    def enter(self, name: str) -> None:
        self._open.append((name, self.now()))

    def leave(self, name: str) -> None:
        """Close a forward pass, and those inside it that an exception of the user's own cut short."""
        while self._open:
            opened, begin = self._open.pop()
            if opened == name:
                self.add(Span("forward", name, len(self._open), begin, self.now()))
                return


def record(run: Run) -> StepTimeline:
    """One step after a first one that warms up."""
    run.step(0)
    with ExitStack() as stack:
        clock = _Clock()
        for path, module in run.model.named_modules():
            if (
                path.count(".") < _DEPTH
                and takes_hooks(module)
                and (not path or any(True for _ in module.parameters()))
            ):
                stack.enter_context(_hooked(module, path, clock))
        stack.enter_context(_backward_timed(clock))
        for optimizer in run.optimizers:
            stack.enter_context(_optimizer_timed(optimizer, clock))
        clock.zero = time.perf_counter()
        run.step(1)
        seconds = clock.now()
    return StepTimeline(seconds, tuple(sorted(clock.spans, key=lambda span: (span.begin, span.depth))), clock.left_out)


@contextmanager
def _hooked(module: torch.nn.Module, path: str, clock: _Clock) -> Iterator[None]:
    handles = [
        module.register_forward_pre_hook(lambda *_: clock.enter(path)),
        module.register_forward_hook(lambda *_: clock.leave(path)),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _backward_timed(clock: _Clock) -> Iterator[None]:
    original: Callable[..., Any] = torch.autograd.backward

    def timed(*args: Any, **kwargs: Any) -> None:
        begin = clock.now()
        original(*args, **kwargs)
        clock.add(Span("backward", "backward", 0, begin, clock.now()))

    torch.autograd.backward = timed
    try:
        yield
    finally:
        torch.autograd.backward = original


@contextmanager
def _optimizer_timed(optimizer: torch.optim.Optimizer, clock: _Clock) -> Iterator[None]:
    begun: list[float] = []

    def leave(*_: Any) -> None:
        if begun:
            clock.add(Span("optimizer", type(optimizer).__name__, 0, begun.pop(), clock.now()))

    handles = [
        optimizer.register_step_pre_hook(lambda *_: begun.append(clock.now())),
        optimizer.register_step_post_hook(leave),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
