"""The modules of the model as a tree, each with the worst that was seen in it.

May not: judge; the colours repeat what was measured.
"""

from __future__ import annotations

from collections import defaultdict

from mllint.probe.measured.gradient_flow import GradientFlow
from mllint.probe.measured.layer_oracle import LayerOracle
from mllint.probe.page.flow import parameter_looks
from mllint.probe.page.html import count, element, text
from mllint.probe.trace import ModuleFacts, Trace

#: From harmless to bad; a module shows the worst of what is in it. "" is nothing known.
_RANKS = ("", "quiet", "good", "info", "warning", "error")
#: Trees with more modules than this start folded below the first level.
_OPEN = 60


def tree(trace: Trace) -> str:
    """The section, "" where the trace has no modules."""
    if len(trace.modules) < 2:
        return ""
    below: dict[str, list[ModuleFacts]] = defaultdict(list)
    for module in trace.modules:
        if module.path:
            below[module.path.rpartition(".")[0]].append(module)
    looks = _looks(trace)
    root = trace.modules[0]
    body = _branch(root, below, looks, depth=0, opened=len(trace.modules) <= _OPEN)
    return element("h2", "Modules") + element("div", body, class_="tree")


def _looks(trace: Trace) -> dict[str, str]:
    """For each module path the worst look of its own parameters and of the oracle's verdicts on it."""
    worst: dict[str, str] = {}

    def note(path: str, look: str) -> None:
        if _RANKS.index(look) > _RANKS.index(worst.get(path, "")):
            worst[path] = look

    for parameter in trace.parameters:
        if not parameter.trainable:
            note(parameter.name.rpartition(".")[0], "quiet")
    flow = trace.get(GradientFlow)
    if flow is not None:
        also = {parameter.name: parameter.also for parameter in trace.parameters}
        for name, look in parameter_looks(flow).items():
            for each in (name, *also.get(name, ())):
                note(each.rpartition(".")[0], look)
    oracle = trace.get(LayerOracle)
    blamed = {
        checked.kind
        for checked in (oracle.checked if oracle is not None else ())
        if checked.what == "layer" and checked.blamed
    }
    for module in trace.modules:  # the oracle tries one layer of a class and speaks for all of them
        if module.kind in blamed:
            note(module.path, "error")
    return worst


def _branch(
    module: ModuleFacts, below: dict[str, list[ModuleFacts]], looks: dict[str, str], depth: int, opened: bool
) -> str:
    children = below.get(module.path, [])
    look = max([looks.get(module.path, ""), *(_worst(child, below, looks) for child in children)], key=_RANKS.index)
    name = module.path.rpartition(".")[2] or "model"
    size = f" · {count(module.elements)}" if module.elements else ""
    line = (
        element("span", class_=f"dot {look}".strip())
        + text(name)
        + element("span", text(f" {module.kind}{size}"), class_="dim")
    )
    if not children:
        return element("div", line, class_="leaf")
    inside = "".join(_branch(child, below, looks, depth + 1, opened) for child in children)
    return element("details", element("summary", line), inside, open="" if opened or depth < 1 else None)


def _worst(module: ModuleFacts, below: dict[str, list[ModuleFacts]], looks: dict[str, str]) -> str:
    inner = (_worst(child, below, looks) for child in below.get(module.path, []))
    return max([looks.get(module.path, ""), *inner], key=_RANKS.index)
