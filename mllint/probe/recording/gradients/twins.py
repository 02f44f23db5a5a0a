"""A silenced module beside one like it that learns: a teacher and its student, a target network and its source.

May not: decide that a silenced module is a teacher; that is the rule's.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import torch
from torch import nn

#: Words in the path of a module that is meant to follow another one.
_FOLLOWER = re.compile(
    r"teacher|target|ema|momentum|shadow|frozen|reference|(^|[._])(ref|old|k|key)($|[._])|_k($|\.)|_old($|\.)", re.I
)


def twin_of(model: nn.Module, names: Collection[str], silent: Collection[str]) -> str:
    """The path of a module that gets gradients and is like a wholly ``silent`` one which follows it (is named so, or
    has the same values); "" unless each of ``names`` lies in such a module."""
    modules = dict(model.named_modules())
    twins: dict[str, str] = {}
    for name in names:
        inside = next((path for path in twins if name.startswith(f"{path}.")), None)
        if inside is not None:
            continue
        found = _twin_above(name, modules, set(silent))
        if found is None:
            return ""
        twins[found[0]] = found[1]
    return next(iter(twins.values()), "")


def _twin_above(name: str, modules: dict[str, nn.Module], silent: set[str]) -> tuple[str, str] | None:
    parts = name.split(".")[:-1]
    for length in range(1, len(parts) + 1):
        path = ".".join(parts[:length])
        shapes = _shapes(modules[path])
        if not all(f"{path}.{inner}" in silent for inner in shapes):
            continue
        for other, module in modules.items():
            if (
                other
                and not _overlap(other, path)
                and not _numbered_siblings(other, path)
                and _shapes(module) == shapes
            ):
                learns = any(f"{other}.{inner}" not in silent for inner in shapes)
                if learns and (_FOLLOWER.search(path) or _same_values(modules[path], module)):
                    return path, other
    return None


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}


def _same_values(first: nn.Module, second: nn.Module) -> bool:
    others = dict(second.named_parameters())
    weights = [(each, others[name]) for name, each in first.named_parameters() if each.dim() > 1]
    return bool(weights) and all(torch.equal(one, other) for one, other in weights)


def _overlap(first: str, second: str) -> bool:
    return first == second or first.startswith(f"{second}.") or second.startswith(f"{first}.")


def _numbered_siblings(first: str, second: str) -> bool:
    """Two layers of one list."""
    pairs = list(zip(first.split("."), second.split("."), strict=False))
    return any(a != b and a.isdigit() and b.isdigit() for a, b in pairs)
