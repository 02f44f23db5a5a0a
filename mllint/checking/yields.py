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
    return [item for item in found if isinstance(item, Diagnostic) and not _fault(item, code)]


def check_yielded(found: Sequence[object], code: str) -> None:
    """Raise TypeError for what is no finding of the rule with this code."""
    for item in found:
        fault = _fault(item, code)
        if fault:
            raise TypeError(fault)


def _fault(item: object, code: str) -> str:
    """Why something is no finding of the rule with this code; "" if it is one."""
    if not isinstance(item, Diagnostic):
        return f"yielded {type(item).__name__}, not what `ctx.report` returns"
    if item.code != code:
        return f"yielded a finding of {item.code}"
    message: object = item.message  # nothing has checked what an author wrote
    if not isinstance(message, str) or not message:
        return f"yielded a finding whose message is {message!r}"
    return "" if 0 <= item.start <= item.end else f"yielded a finding at bytes {item.start} to {item.end}"
