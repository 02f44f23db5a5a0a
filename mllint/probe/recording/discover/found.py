"""What a kind of discovery works on and what it gives back.

May not: look for anything itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from torch import nn

from mllint.probe.recording.frames import shown
from mllint.probe.site import Site


class Unfit(Exception):
    """Something of this kind is there, but it cannot be used; the text says why, to follow its name."""


@dataclass(frozen=True)
class Found:
    """``build()`` makes the dictionary of `mllint.probe.recording.entry.KEYS` afresh, ``what`` says what was found and what stands in
    for what was not declared, ``site`` is where it begins."""

    build: Callable[[], Any]
    what: str
    site: Site | None


@dataclass(frozen=True)
class Place:
    """A loaded module, and which of its things may be probed: one that the user named, or all."""

    module: ModuleType
    named: str = ""

    def things(self) -> dict[str, Any]:
        """By name, in the order of the file. Raises AttributeError for a name that there is not."""
        if not self.named:
            return dict(vars(self.module))
        thing: Any = self.module
        for name in self.named.split("."):
            thing = getattr(thing, name)
        return {self.named: thing}

    def classes(self, fits: Callable[[type], bool]) -> Iterator[tuple[str, type]]:
        """Classes that the module defines itself (or the user named) and that fit."""
        for name, thing in self.things().items():
            own = self.named or getattr(thing, "__module__", "") == self.module.__name__
            if isinstance(thing, type) and own and fits(thing):
                yield name, thing

    def instances(self, fits: Callable[[nn.Module], bool]) -> Iterator[tuple[str, nn.Module]]:
        """Modules that were made when the file was imported and that fit."""
        for name, thing in self.things().items():
            if isinstance(thing, nn.Module) and fits(thing):
                yield name, thing


def site_of_thing(thing: Any) -> Site | None:
    """Where a function or class begins, None where that is not known."""
    code = getattr(inspect.unwrap(thing) if callable(thing) else thing, "__code__", None)
    if code is not None:
        return Site(shown(code.co_filename), code.co_firstlineno, code.co_name)
    try:
        kind = thing if isinstance(thing, type) else type(thing)
        file, (_, row) = inspect.getsourcefile(kind), inspect.getsourcelines(kind)
    except (OSError, TypeError):
        return None
    return Site(shown(file), row, kind.__name__) if file else None


def bases(kind: type) -> set[str]:
    """The names of a class and everything that it is made from."""
    return {each.__name__ for each in kind.__mro__}


def only(found: list[tuple[str, Any]], what: str) -> tuple[str, Any] | None:
    """The one candidate of a kind; of classes that build on each other the last one counts. Raises Unfit for several."""
    kinds = [thing for _, thing in found if isinstance(thing, type)]
    leaves = [
        (name, thing)
        for name, thing in found
        if not (isinstance(thing, type) and any(other is not thing and issubclass(other, thing) for other in kinds))
    ]
    if len(leaves) > 1:
        names = ", ".join(f"`{name}`" for name, _ in leaves)
        raise Unfit(f"{what}: several are there ({names}); name one behind a colon")
    return leaves[0] if leaves else None


def needs_arguments(kind: type) -> str:
    """The names of the arguments without which a class cannot be made; "" where it needs none."""
    try:
        parameters = list(inspect.signature(kind).parameters.values())
    except (TypeError, ValueError):
        return ""
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return ", ".join(each.name for each in parameters if each.kind in plain and each.default is each.empty)
