"""What a rehearsal notes while a step runs, with the lines of code at work.

May not: judge whether an event is too many.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from mllint.probe.recording.frames import nearness, site_of, stack
from mllint.probe.site import Site

_TORCH = os.path.dirname(torch.__file__) + os.sep
_HERE = str(Path(__file__).resolve().parent) + os.sep
_OURS = str(Path(__file__).resolve().parents[3]) + os.sep
#: Parts of torch that wait by a decision of their own, which the user's line does not show.
_FRAMEWORK = tuple(
    _TORCH + part.replace("/", os.sep) for part in ("optim/", "amp/grad_scaler", "cuda/", "nn/modules/", "nn/utils/rnn")
)
_VALIDATING = os.path.join(_TORCH, "distributions") + os.sep
_ENGINE = os.path.join(_TORCH, "autograd", "graph.py")
_MODULE = os.path.join(_TORCH, "nn", "modules", "module.py")

#: Whose code asked for it: the user's, an installed library's, torch's own (optimizers, scalers, modules), or the probe itself; ``placed``: the
#: user's, but perhaps only since the rehearsal has put a part of the batch on the device.
Asker = Literal["user", "library", "framework", "probe", "placed"]


#: What is `called` where the arguments of a distribution are looked at.
VALIDATION = "validate_args"


@dataclass(frozen=True, slots=True)
class Where:
    """The code at work: ``site`` is the user's innermost own line, ``stack`` all lines that are not torch's, innermost first.
    ``in_module``: a module's forward is at work; ``in_backward``: torch's engine is, and no code of the user's within it;
    ``validating``: a distribution of torch's is, at its arguments."""

    site: Site | None
    stack: tuple[Site, ...]
    asker: Asker
    in_module: bool = False
    in_backward: bool = False
    validating: bool = False


def at_work(limit: int = 8) -> Where:
    """The code at work now."""
    sites: list[Site] = []
    own: Site | None = None
    asker: Asker | None = None
    in_module = in_backward = validating = False
    for frame in stack(sys._getframe(1)):
        name = frame.f_code.co_filename
        near = nearness(name)
        if near:
            asker = asker or ("user" if near == 2 else "library")
            if near == 2 and own is None:
                own = site_of(frame)
            if len(sites) < limit:
                sites.append(site_of(frame))
            elif own is not None:
                break
        elif name == _MODULE:
            in_module = in_module or (bool(sites) and frame.f_code.co_name == "_call_impl")
        elif asker is None and not in_backward:
            validating = validating or name.startswith(_VALIDATING)
            if name == _ENGINE:
                in_backward = True
            elif name.startswith(_FRAMEWORK):
                asker = "framework"
            elif name.startswith(_OURS) and not name.startswith(_HERE):
                asker = "probe"
    if asker is None or (asker == "library" and own is None) or (in_backward and asker != "framework"):
        asker = "user"  # the graph is the user's; and a target inside a library is one too
    return Where(own or (sites[0] if sites else None), tuple(sites), asker, in_module, in_backward, validating)


@dataclass(frozen=True, slots=True)
class HostTensor:
    """Where a tensor of the host comes from: ``made`` by a function, ``moved`` there by the user's code, ``batch``, or an
    ``attribute`` of a module. ``asked``: the user's code asked for the CPU in so many words."""

    kind: Literal["made", "moved", "batch", "attribute"]
    name: str = ""
    where: Where | None = None
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """The host waited for the device. ``called`` is the function as the user wrote it, ``operator`` the one below autograd,
    ``node`` the autograd node of a backward pass and ``forward`` the code that made it."""

    kind: str
    called: str
    operator: str
    where: Where
    node: str = ""
    forward: Where | None = None


@dataclass(frozen=True, slots=True)
class Mix:
    """An operator got tensors of both devices, or ``numpy`` one of the GPU: torch would raise here."""

    called: str
    operator: str
    on_device: tuple[str, ...]
    on_host: tuple[str, ...]
    where: Where
    host: HostTensor | None = None


@dataclass(frozen=True, slots=True)
class EarlyRead:
    """The result of an asynchronous copy to the host was read (``called``) although nothing had waited for the copy."""

    called: str
    where: Where
    copied: Where


@dataclass
class Log:
    """The events of one step, in order."""

    waits: list[Wait] = field(default_factory=list)
    mixes: list[Mix] = field(default_factory=list)
    early: list[EarlyRead] = field(default_factory=list)
