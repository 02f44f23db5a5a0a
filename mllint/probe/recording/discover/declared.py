"""A function that says everything itself: ``mllint_probe``, or the one that the user named.

May not: call it.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from mllint.probe.recording.discover.found import Found, Place, Unfit, needs_arguments, site_of_thing
from mllint.probe.target import DEFAULT_FUNCTION

WANTED = f"a function `{DEFAULT_FUNCTION}`: there is none"


def find(place: Place) -> Found | None:
    """Raises Unfit where it takes arguments."""
    name = place.named or DEFAULT_FUNCTION
    thing = place.things().get(name)
    if isinstance(thing, Mapping):
        return Found(lambda: thing, f"`{name}`", None)
    if thing is None:
        _say_which(place)
        return None
    if isinstance(thing, (type, nn.Module)):
        return None
    if not callable(thing):
        raise Unfit(f"a function `{name}`: it is {type(thing).__name__}, not a function")
    needed = needs_arguments(thing)
    if needed:
        raise Unfit(f"a function `{name}`: it must take no arguments, and this one needs {needed}")
    return Found(thing, f"`{name}`", site_of_thing(thing))


def _say_which(place: Place) -> None:
    """Raises Unfit for a file with several targets of longer names."""
    names = [name for name, thing in place.things().items() if name.startswith(DEFAULT_FUNCTION) and callable(thing)]
    if names:
        raise Unfit(f"a function `{DEFAULT_FUNCTION}`: name one of {', '.join(f'`{name}`' for name in names)}")
