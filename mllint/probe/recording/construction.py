"""Where modules and parameters are made: the user's lines, noted while the target is loaded.

May not: change what is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from mllint.probe.recording.frames import user_site
from mllint.probe.site import Site


class Made:
    """The sites at which modules and parameters were first assigned to a module."""

    def __init__(self) -> None:
        self._modules: WeakKeyDictionary[nn.Module, Site] = WeakKeyDictionary()
        self._parameters: dict[int, Site] = {}
        self._containers: WeakKeyDictionary[nn.Module, dict[str, Site]] = WeakKeyDictionary()
        self._kept: list[torch.Tensor] = []  # an id is good as long as its object lives

    def note(self, value: Any) -> None:
        """Remember the user's line at work as the one that made ``value``, unless one is known."""
        if isinstance(value, nn.Module) and value not in self._modules:
            site = user_site()
            if site is not None:
                self._modules[value] = site
        elif isinstance(value, nn.Parameter) and id(value) not in self._parameters:
            site = user_site()
            if site is not None:
                self._parameters[id(value)] = site
                self._kept.append(value)

    def note_container(self, module: nn.Module, name: str, value: Any) -> None:
        """Remember the line that gave a module a plain list, tuple, dict or set: what is in it is not registered."""
        if isinstance(value, (list, tuple, dict, set)) and name not in self._containers.get(module, ()):
            site = user_site()
            if site is not None:
                self._containers.setdefault(module, {})[name] = site

    def container_of(self, module: nn.Module, name: str) -> Site | None:
        """Where a module was first given this plain container, as far as that was seen."""
        return self._containers.get(module, {}).get(name)

    def of(self, thing: nn.Module | torch.Tensor) -> Site | None:
        """Where a module or parameter was made, as far as that was seen."""
        return self._modules.get(thing) if isinstance(thing, nn.Module) else self._parameters.get(id(thing))


@contextmanager
def watching(made: Made) -> Iterator[None]:
    """While this is open, every assignment of a module or parameter to a module is noted."""
    assign, add, register = nn.Module.__setattr__, nn.Module.add_module, nn.Module.register_parameter

    def noting_assign(module: nn.Module, name: str, value: Any) -> None:
        made.note(value)
        made.note_container(module, name, value)
        assign(module, name, value)

    def noting_add(module: nn.Module, name: str, value: Any) -> None:
        made.note(value)
        add(module, name, value)

    def noting_register(module: nn.Module, name: str, value: Any) -> None:
        made.note(value)
        register(module, name, value)

    changed: Any = nn.Module
    changed.__setattr__, changed.add_module, changed.register_parameter = noting_assign, noting_add, noting_register
    try:
        yield
    finally:
        changed.__setattr__, changed.add_module, changed.register_parameter = assign, add, register
