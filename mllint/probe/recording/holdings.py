"""What the user's objects hold: everything that a training step could change, with the name a reader knows it by.

The walk enters containers, instances of the user's and of installed libraries' classes, modules, optimizers, and the user's
functions (closures, defaults, the globals they name). It never enters torch itself, mllint or the standard library.
May not: change anything, or compute an attribute.
"""

from __future__ import annotations

import argparse
import functools
import sys
import threading
import types
from collections import deque
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import torch

from mllint.probe.recording.frames import nearness

#: Where the walk stops: no training script holds more that a step changes.
LIMIT = 200_000
#: Classes of torch whose instances a step changes through their attributes.
_TORCH = ("torch.nn.", "torch.optim.", "torch.amp.", "torch.cuda.amp.", "torch.utils.data.")
_PLAIN = (str, bytes, int, float, complex, bool, type(None), type(Ellipsis), torch.dtype, torch.device, torch.Size)
#: From this length on a list that begins with a plain value is taken to hold nothing else.
_LONG = 10_000
_NAMESPACES = (types.SimpleNamespace, argparse.Namespace)
_CALLERS = ("__call__", "__getitem__", "__iter__", "__next__")


def held_by(roots: Mapping[str, Any], limit: int = LIMIT) -> Iterator[tuple[str, Any]]:
    """Every object that the roots hold, once, by the shortest name that leads to it, the nearest first."""
    seen: set[int] = set()
    kept: list[Any] = []  # an id is good as long as its object lives
    waiting = deque(roots.items())
    while waiting and len(kept) < limit:
        name, thing = waiting.popleft()
        if isinstance(thing, _PLAIN) or id(thing) in seen:
            continue
        seen.add(id(thing))
        kept.append(thing)
        yield name, thing
        if not _long_and_plain(thing):
            waiting.extend(pair for pair in _inside(name, thing) if not isinstance(pair[1], _PLAIN))


def is_array(thing: Any) -> bool:
    """Is it a numpy array?"""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(thing, numpy.ndarray)


def is_numpy_generator(thing: Any) -> bool:
    """Is it a random generator of numpy, old or new?"""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(thing, (numpy.random.Generator, numpy.random.RandomState))


def users_own(kind: Any) -> bool:
    """Is the class defined in the user's own code?"""
    return _nearness_of(kind) == 2


@lru_cache(maxsize=4096)
def entered(kind: Any) -> bool:
    """Does the walk look at the attributes of instances of this class?"""
    if issubclass(kind, (threading.Thread, type, types.ModuleType, BaseException)):
        return False
    if any(f"{base.__module__}.".startswith(_TORCH) for base in kind.__mro__):
        return True
    return _nearness_of(kind) > 0 or kind in _NAMESPACES


def attributes(thing: Any) -> dict[str, Any]:
    """An instance's own dictionary, the dictionary itself; an empty one where there is none."""
    try:
        found = object.__getattribute__(thing, "__dict__")
    except AttributeError:
        return {}
    return found if isinstance(found, dict) else {}


def slots(thing: Any) -> dict[str, Any]:
    """The values in an instance's ``__slots__``."""
    found: dict[str, Any] = {}
    for kind in type(thing).__mro__:
        named = vars(kind).get("__slots__", ())
        for name in (named,) if isinstance(named, str) else tuple(named):
            member = vars(kind).get(name)
            if isinstance(member, types.MemberDescriptorType):
                try:
                    found[name] = member.__get__(thing)
                except AttributeError:  # never assigned
                    continue
    return found


def bindings(function: types.FunctionType) -> tuple[tuple[dict[str, Any], frozenset[str]], ...]:
    """The namespaces whose names a user's function reads or assigns: its globals, and the user's modules among them."""
    if nearness(function.__code__.co_filename) != 2:
        return ()
    names, space = frozenset(_names(function.__code__)), function.__globals__
    modules = [space[name] for name in sorted(names & space.keys()) if _is_users_module(space[name])]
    return ((space, names), *((vars(module), names) for module in modules))


@lru_cache(maxsize=4096)
def _nearness_of(kind: Any) -> int:
    """As `nearness` of the file that defines a class; what was made in a shell is the user's own."""
    if kind.__module__ == "builtins":
        return 0
    if kind.__module__ == "__main__":
        return 2
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return nearness(file) if isinstance(file, str) else 0


def _long_and_plain(thing: Any) -> bool:
    """A vocabulary or a list of token ids, say: no need to look at each of a million numbers."""
    if not isinstance(thing, (list, tuple, dict)) or len(thing) <= _LONG:
        return False
    return isinstance(next(iter(thing.values() if isinstance(thing, dict) else thing)), _PLAIN)


def _inside(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, dict):
        own, is_instance = name.removesuffix(".__dict__"), name.endswith(".__dict__")
        pairs = [*thing.items()]
        yield from ((f"{own}.{key}" if is_instance else f"{name}[{_key(key)}]", value) for key, value in pairs)
    elif isinstance(thing, (list, tuple, set, frozenset, deque)):
        yield from ((f"{name}[{number}]", value) for number, value in enumerate([*thing]))
    elif isinstance(thing, types.CellType):
        yield from _content(name, thing)
    elif isinstance(thing, types.FunctionType):
        yield from _of_function(name, thing)
    elif isinstance(thing, types.MethodType):
        yield from ((name, thing.__func__), (type(thing.__self__).__name__, thing.__self__))
    elif isinstance(thing, (staticmethod, classmethod)):
        yield name, thing.__func__
    elif isinstance(thing, property):
        yield name, thing.fget
    elif isinstance(thing, functools.partial):
        yield from ((name, thing.func), (f"{name}.args", thing.args), (f"{name}.keywords", thing.keywords))
    elif isinstance(thing, type) and users_own(thing):
        found = {key: value for key, value in vars(thing).items() if key[:2] != "__" or key in _CALLERS}
        yield from ((f"{thing.__name__}.{key}", value) for key, value in found.items())
        yield from ((base.__name__, base) for base in thing.__bases__)
    kind: Any = type(thing)
    if isinstance(thing, torch.nn.Parameter) or (entered(kind) and not isinstance(thing, torch.Tensor)):
        yield f"{name}.__dict__", attributes(thing)
        yield from ((f"{name}.{key}", value) for key, value in slots(thing).items())
        yield kind.__name__, kind


def _key(key: Any) -> str:
    return repr(key) if isinstance(key, (str, int, float, bool, type(None))) else type(key).__name__


def _content(name: str, cell: types.CellType) -> Iterator[tuple[str, Any]]:
    try:
        yield name, cell.cell_contents
    except ValueError:  # not bound yet
        return


def _of_function(name: str, function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    wrapped = attributes(function).get("__wrapped__")
    if wrapped is not None:
        yield name, wrapped
    # A decorator's wrapper, from whichever library, closes over the user's function.
    yield from zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
    if nearness(function.__code__.co_filename) != 2:
        return
    yield from ((f"{name}.defaults[{number}]", value) for number, value in enumerate(function.__defaults__ or ()))
    yield from (function.__kwdefaults__ or {}).items()
    for space, names in bindings(function):
        yield from ((key, space[key]) for key in sorted(names & space.keys()))


def _is_users_module(thing: Any) -> bool:
    file = getattr(thing, "__file__", None) if isinstance(thing, types.ModuleType) else None
    return isinstance(file, str) and nearness(file) == 2


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _names(inner)
