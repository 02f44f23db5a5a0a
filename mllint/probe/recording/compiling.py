"""torch.compile from outside: is it at work, and what does it compile; everything as before afterwards.

May not: import torch._dynamo where the user's code has not: that alone takes a second.
"""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

#: Artifact of torch's logging -> the logger that writes it. The text of both has been read the same way since torch 2.4.
_LOGGERS = {
    "recompiles": "torch._dynamo.guards.__recompiles",
    "graph_breaks": "torch._dynamo.symbolic_convert.__graph_breaks",
}


def frames_compiled() -> int:
    """How many functions torch.compile has looked at in this process so far."""
    utils = sys.modules.get("torch._dynamo.utils")
    return 0 if utils is None else int(utils.counters["frames"]["total"])


def can_run_eagerly() -> bool:
    """Is there nothing compiled, or a torch (2.6 and later) that can be told to leave it?"""
    return frames_compiled() == 0 or hasattr(torch.compiler, "set_stance")


class Listener(logging.Handler):
    """Keeps ``(artifact, step, text)`` of what dynamo says about recompiling and breaking graphs."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.step = 0
        self.heard: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        artifact = next(name for name, logger in _LOGGERS.items() if logger == record.name)
        self.heard.append((artifact, self.step, record.getMessage()))


@contextmanager
def listening() -> Iterator[Listener]:
    """Hear dynamo from a state as in a fresh process; graphs run as they were traced, since compiling them would take long and
    says nothing more. Afterwards caches are empty (what is compiled is compiled again when it is called)
    and counters, logging and the backend as before."""
    import torch._dynamo
    from torch._dynamo import symbolic_convert
    from torch._dynamo.output_graph import OutputGraph
    from torch._dynamo.utils import counters

    before = copy.deepcopy(dict(counters))
    backend = OutputGraph.call_user_compiler
    patched: Any = OutputGraph
    torch._dynamo.reset()
    told: Any = getattr(symbolic_convert, "graph_break_dup_warning_checker", None)
    if told is not None:
        told.reset()  # a break that was told of before is told of again
    patched.call_user_compiler = lambda graph, module, *args, **kwargs: module.forward
    try:
        with _logged() as listener:
            yield listener
    finally:
        patched.call_user_compiler = backend
        torch._dynamo.reset()
        counters.clear()
        counters.update(before)


@contextmanager
def _logged() -> Iterator[Listener]:
    import torch._logging._internal as internal

    listener, enabled = Listener(), internal.log_state.artifact_names
    loggers = [logging.getLogger(name) for name in _LOGGERS.values()]
    chatter = logging.getLogger("torch._dynamo")  # some releases warn of a break on the way, by another logger
    were = [(logger, logger.level, logger.propagate) for logger in (*loggers, chatter)]
    added = [name for name in _LOGGERS if name not in enabled]
    enabled.update(added)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(listener)
    chatter.setLevel(logging.ERROR)
    try:
        yield listener
    finally:
        enabled.difference_update(added)
        for logger in loggers:
            logger.removeHandler(listener)
        for logger, level, propagate in were:
            logger.setLevel(level)
            logger.propagate = propagate
