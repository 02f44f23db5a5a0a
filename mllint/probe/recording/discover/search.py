"""The first thing in a module that can be probed.

May not: know a kind by more than its module.
"""

from __future__ import annotations

from types import ModuleType

from mllint.probe.recording.discover import declared, examples, huggingface, kernelbench, lightning
from mllint.probe.recording.discover.found import Found, Place, Unfit
from mllint.probe.target import Target, TargetError, nothing_found

#: In the order of how much their authors said about themselves. Each has ``WANTED`` and ``find(place)``.
_KINDS = (declared, lightning, huggingface, examples, kernelbench)


def find(target: Target, module: ModuleType) -> Found:
    """What to probe. Raises TargetError, which shows the lines to add."""
    place = Place(module, target.function)
    try:
        place.things()
    except AttributeError as error:
        raise TargetError(_no_such(target, module)) from error
    tried: list[str] = []
    for kind in _KINDS:
        try:
            found: Found | None = kind.find(place)
        except Unfit as unfit:
            tried.append(str(unfit))
            continue
        if found is not None:
            return found
        tried.append(kind.WANTED)
    raise TargetError(nothing_found(target, tried))


def _no_such(target: Target, module: ModuleType) -> str:
    from mllint.settings_values import closest

    near = closest(target.function, [name for name in vars(module) if not name.startswith("__")])
    hint = f"; did you mean `{near}`?" if near else ""
    return f"{target.path or target.module}: no `{target.function}` in it{hint}"
