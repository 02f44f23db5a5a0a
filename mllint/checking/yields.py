"""What a rule hands back, held to what the engine can use: a rule is somebody's plug-in.

May not: run a visit by itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mllint.diagnostic import Diagnostic

Visit = Callable[..., Iterator[Diagnostic]]


def lazily(visit: Visit) -> Visit:
    """The visit as a generator, so that whatever it raises is raised where its findings are taken."""
    if inspect.isgeneratorfunction(visit):
        return visit

    def delayed(*arguments: Any) -> Iterator[Diagnostic]:
        yield from visit(*arguments)

    return delayed


def usable(found: Sequence[object], code: str) -> list[Diagnostic]:
    """What is a finding of the rule with this code."""
    return [item for item in found if isinstance(item, Diagnostic) and item.code == code]


def check_yielded(found: Sequence[object], code: str) -> None:
    """Raise TypeError for what is no finding of the rule with this code."""
    for item in found:
        if not isinstance(item, Diagnostic):
            raise TypeError(f"yielded {type(item).__name__}, not what `ctx.report` returns")
        if item.code != code:
            raise TypeError(f"yielded a finding of {item.code}")
