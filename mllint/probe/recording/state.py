"""A snapshot of everything that a training step changes, put back bit for bit.

What the user's objects hold is walked (`holdings.py`); tensors and containers keep their identity: values are copied into the
tensors that were there. May not: know why it is taken.
"""

from __future__ import annotations

import random
import re
import sys
import types
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mllint.probe.recording.holdings import bindings, entered, held_by, is_array, is_numpy_generator, slots, users_own
from mllint.probe.recording.values import KeptTensor, same_values

#: Bytes of tensors and arrays outside modules and optimizers that are copied: data sets are neither small nor changed.
_FOREIGN_BYTES = 64 << 20
_MISSING = object()


class Snapshot:
    """The state of everything that the roots hold, and of the random generators, at one moment."""

    def __init__(self, roots: Mapping[str, Any]) -> None:
        """``roots``: name -> object (the model, optimizers, the user's functions)."""
        self._tensors: list[tuple[str, KeptTensor]] = []
        self._contents: list[tuple[str, Any, Any]] = []
        self._bound: list[tuple[dict[str, Any], str, Any]] = []
        self._kinds: list[tuple[str, Any, type]] = []
        self._random = random_state()
        left = _FOREIGN_BYTES
        for name, thing in held_by(roots):
            if isinstance(thing, torch.Tensor):
                owned = isinstance(thing, nn.Parameter) or "._buffers[" in name or ".state[" in name
                left -= 0 if owned else size(thing)
                if owned or left >= 0:
                    self._tensors.append((name, KeptTensor.of(thing)))
            elif isinstance(thing, types.FunctionType):
                self._bound += [
                    (space, key, space.get(key, _MISSING)) for space, names in bindings(thing) for key in names
                ]
            else:
                left -= thing.nbytes if is_array(thing) else 0
                content = _content(thing) if left >= 0 or not is_array(thing) else None
                if content is not None:
                    self._contents.append((name, thing, content))
            if isinstance(thing, nn.Module):
                self._kinds.append((name, thing, type(thing)))

    def restore(self) -> None:
        """Put everything back; what is as it was is not touched."""
        for _, thing, kind in self._kinds:
            if type(thing) is not kind:
                thing.__class__ = kind
        for _, thing, content in self._contents:
            if not _is_as(thing, content):
                _put_back(thing, content)
        for space, key, value in self._bound:
            if space.get(key, _MISSING) is not value:
                space.pop(key) if value is _MISSING else space.__setitem__(key, value)
        with torch.no_grad():
            for _, kept in self._tensors:
                kept.restore()
        restore_random(self._random)

    def differences(self) -> tuple[str, ...]:
        """What is not as it was, by name; empty after `restore`."""
        found = [name for name, kept in self._tensors if not kept.unchanged()]
        found += [name for name, thing, content in self._contents if not _is_as(thing, content)]
        found += [key for space, key, value in self._bound if space.get(key, _MISSING) is not value]
        found += [f"class of {name}" for name, thing, kind in self._kinds if type(thing) is not kind]
        if not _equal(random_state(), self._random):
            found.append("random generators")
        return tuple(dict.fromkeys(_readable(name) for name in found))


def random_state() -> dict[str, Any]:
    """The state of every random generator that training code uses without naming one."""
    state: dict[str, Any] = {"python": random.getstate(), "torch": torch.get_rng_state()}
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        state["numpy"] = numpy.random.get_state()
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random(state: dict[str, Any]) -> None:
    """Put the random generators back."""
    random.setstate(state["python"])
    torch.set_rng_state(state["torch"])
    if "numpy" in state:
        sys.modules["numpy"].random.set_state(state["numpy"])
    if "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])


def seed_everything(seed: int) -> None:
    """Set every random generator that training code uses without naming one."""
    random.seed(seed)
    torch.manual_seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)


def size(tensor: torch.Tensor) -> int:
    """Bytes of a tensor's values, 0 where it has none of its own."""
    return tensor.numel() * tensor.element_size() if tensor.layout == torch.strided else 0


def _readable(name: str) -> str:
    """``model._modules['0']._parameters['weight']`` as ``model.0.weight``."""
    return re.sub(r"\._(?:modules|parameters|buffers)\['([^']*)'\]", r".\1", name)


def _content(thing: Any) -> Any:
    """What is inside now, as a value of its own; None for what has no content that a step could change."""
    if isinstance(thing, dict):
        return dict(thing)
    if isinstance(thing, (list, deque)):
        return list(thing)
    if isinstance(thing, set):
        return set(thing)
    if isinstance(thing, types.CellType):
        return (_cell(thing),)
    if isinstance(thing, torch.Generator):
        return thing.get_state()
    if isinstance(thing, random.Random):
        return thing.getstate()
    if is_array(thing):
        return thing.copy()
    if is_numpy_generator(thing):
        return _bits_of(thing).state
    if isinstance(thing, type):
        plain = (int, float, str, bool, type(None), torch.Tensor, list, dict, tuple, set)
        return (
            {k: v for k, v in vars(thing).items() if k[:2] != "__" and isinstance(v, plain)}
            if users_own(thing)
            else None
        )
    kind: Any = type(thing)
    return (slots(thing) or None) if entered(kind) else None


def _put_back(thing: Any, content: Any) -> None:
    if isinstance(thing, dict):
        _refill(thing, content)
    elif isinstance(thing, list):
        thing[:] = content
    elif isinstance(thing, (deque, set)):
        thing.clear()
        thing.extend(content) if isinstance(thing, deque) else thing.update(content)
    elif isinstance(thing, types.CellType):
        if content[0] is _MISSING:
            del thing.cell_contents
        else:
            thing.cell_contents = content[0]
    elif isinstance(thing, torch.Generator):
        thing.set_state(content)
    elif isinstance(thing, random.Random):
        thing.setstate(content)
    elif is_array(thing):
        thing[...] = content
    elif is_numpy_generator(thing):
        _bits_of(thing).state = content
    elif isinstance(thing, type):
        for key in [key for key in _content(thing) if key not in content]:
            delattr(thing, key)
        for key, value in content.items():
            setattr(thing, key, value)
    else:
        for key in [key for key in slots(thing) if key not in content]:
            object.__delattr__(thing, key)
        for key, value in content.items():
            object.__setattr__(thing, key, value)


def _is_as(thing: Any, content: Any) -> bool:
    """Is inside what was inside? Elements by identity: their own content has been kept for itself."""
    now = _content(thing)
    if isinstance(content, dict) and isinstance(now, dict) and not is_numpy_generator(thing):
        return _same_keys(now, content) and all(now[key] is content[key] for key in content)
    if isinstance(content, (list, tuple)) and isinstance(now, (list, tuple)) and not isinstance(thing, random.Random):
        return len(now) == len(content) and all(a is b for a, b in zip(now, content, strict=True))
    return _equal(now, content)


def _refill(thing: dict[Any, Any], content: dict[Any, Any]) -> None:
    """Through the plain type: a subclass may do anything when an item is set."""
    plain: Any = OrderedDict if isinstance(thing, OrderedDict) else dict
    if not _same_keys(thing, content):
        plain.clear(thing)
    for key, value in content.items():
        plain.__setitem__(thing, key, value)


def _same_keys(first: dict[Any, Any], second: dict[Any, Any]) -> bool:
    """In the same order. Tensors are keys of an optimizer's state, and their `==` is no answer."""
    pairs = zip(first, second, strict=False)
    return len(first) == len(second) and all(
        a is b or (not isinstance(a, torch.Tensor) and not isinstance(b, torch.Tensor) and a == b) for a, b in pairs
    )


def _cell(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return _MISSING


def _bits_of(generator: Any) -> Any:
    found = getattr(generator, "bit_generator", None)
    return found if found is not None else generator._bit_generator


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return same_values(first, second)
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_equal(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        return len(first) == len(second) and all(_equal(a, b) for a, b in zip(first, second, strict=True))
    if hasattr(first, "tobytes"):  # an array of numpy, or one of its scalars
        return type(first) is type(second) and bool(first.tobytes() == second.tobytes())
    return bool(first == second)
