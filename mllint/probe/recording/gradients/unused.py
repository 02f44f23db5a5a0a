"""Parameters that no operation ever saw: of modules that nobody calls, or that were not routed to.

May not: judge whether a module may be unused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torch import nn

from mllint.probe.measured.gradient_flow import Cause, How
from mllint.probe.recording.gradients.dependence import Dependence
from mllint.probe.recording.gradients.looking import Look
from mllint.probe.recording.run import Run

#: Above this the loss depends on what no operation was seen to use: it was used out of sight.
_UNMOVED = 1e-9


def unused_causes(run: Run, look: Look, left: set[str], dependence: Dependence) -> Iterator[Cause]:
    """Parameters that were never used, by the outermost module that was never called. What the loss depends on is
    none."""
    unseen = [name for name in left if name not in look.used]
    change, noise = dependence.change(unseen) if unseen else (0.0, 0.0)
    if change is not None and change > _UNMOVED + 10 * noise:
        unseen = [name for name in unseen if not _depends(dependence, name)]
    groups: dict[tuple[How, str], list[str]] = {}
    order = list(dict(run.model.named_parameters()))
    for name in sorted(unseen, key=order.index):
        owner = name.rpartition(".")[0]
        called = look.calls[owner] > 0 or not owner
        among = None if called else _called_siblings(run.model, owner, look.calls)
        how: How = "idle" if called else "unused" if among is None else "unrouted"
        path = among or owner
        if how == "unused":
            path = _outermost(run.model, owner, set(unseen), look.calls)
        groups.setdefault((how, path), []).append(name)
    for (how, path), names in groups.items():
        made = run.made_at(path) if path else None
        yield Cause(how, tuple(names), site=made, module=path, change=0.0)


def _depends(dependence: Dependence, name: str) -> bool:
    change, noise = dependence.change([name])
    return change is None or change > _UNMOVED + 10 * noise


def _outermost(model: nn.Module, owner: str, unseen: set[str], calls: Counter[str]) -> str:
    """The outermost module around ``owner`` that was not called and has nothing but unseen parameters."""
    parts, found = owner.split("."), owner
    for length in range(len(parts), 0, -1):
        path = ".".join(parts[:length])
        inner = (f"{path}.{name}" for name, each in model.get_submodule(path).named_parameters() if each.requires_grad)
        if calls[path] or not all(name in unseen for name in inner):
            break
        found = path
    return found


def _called_siblings(model: nn.Module, owner: str, calls: Counter[str]) -> str | None:
    """The list or dict of modules that holds it, or something around it, and of which another one was called."""
    parts = owner.split(".")
    for length in range(len(parts), 0, -1):
        parent, own = ".".join(parts[: length - 1]), parts[length - 1]
        around = model.get_submodule(parent)
        if isinstance(around, (nn.ModuleList, nn.ModuleDict)):
            siblings = [f"{parent}.{name}" if parent else name for name, _ in around.named_children() if name != own]
            if any(count and _at_or_below(path, sibling) for sibling in siblings for path, count in calls.items()):
                return parent
    return None


def _at_or_below(path: str, above: str) -> bool:
    return path == above or path.startswith(f"{above}.")
