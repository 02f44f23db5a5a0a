"""Compiled models run as plain Python while they are watched: a compiled region calls no torch function that a mode could see.

May not: compile, or load the compiler where nobody has.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def uncompiled() -> Iterator[None]:
    """What `torch.compile` made runs uncompiled inside, where this torch can do that (2.6 and later)."""
    if "torch._dynamo" not in sys.modules or not hasattr(torch.compiler, "set_stance"):
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
