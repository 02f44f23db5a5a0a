"""How much gradient arrives where: one dot a parameter, in the order in which the forward pass uses them.

May not: judge; the colours repeat what was measured.
"""

from __future__ import annotations

import math
from typing import Literal

from mllint.probe.measured.gradient_flow import GradientFlow, How, ParameterFlow
from mllint.probe.page.html import drawing, element, text
from mllint.probe.trace import Trace

Look = Literal["good", "info", "warning", "error"]

#: What the reasons for a missing gradient look like.
_LOOKS: dict[How, Look] = {
    "cut": "error",
    "stop": "error",
    "hook": "error",
    "unknown": "warning",
    "unused": "warning",
    "saturated": "warning",
    "gate": "info",
    "unrouted": "info",
}
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 1000.0, 300.0, 64.0, 12.0, 14.0, 44.0


def flow(trace: Trace) -> str:
    """The section, "" where no gradient was measured."""
    measured = trace.get(GradientFlow)
    if measured is None or not measured.parameters:
        return ""
    looks = parameter_looks(measured)
    ordered = sorted(measured.parameters, key=lambda each: (each.order is None, each.order or 0))
    sizes = [math.log10(each.rms) for each in ordered if each.flows and math.isfinite(each.rms) and each.rms > 0]
    low, high = (math.floor(min(sizes)), math.ceil(max(sizes))) if sizes else (-1, 0)
    high = max(high, low + 1)
    silent = [each for each in ordered if not each.flows]
    dots = [
        _dot(each, looks[each.name], _x(position, len(ordered)), _y(each, low, high))
        for position, each in enumerate(ordered)
    ]
    legend = (("good", "gradient arrives"), ("info", "explained"), ("warning", "unused or saturated"), ("error", "cut"))
    shown = element(
        "div", *(element("span", element("i", class_=look), name) for look, name in legend), class_="legend"
    )
    told = f"{len(ordered)} trainable parameters over {measured.batches} batches, {len(silent)} without a gradient."
    label = f"gradient of {len(ordered)} parameters in the order of their use, {len(silent)} without one"
    chart = element("div", drawing(_WIDTH, _HEIGHT, *_axes(low, high), *dots, label=label), class_="chart")
    return element("h2", "Gradient flow by depth") + element("p", text(told), class_="dim") + shown + chart


def parameter_looks(measured: GradientFlow) -> dict[str, Look]:
    """For every trainable parameter how it is shown."""
    reasons = {name: _LOOKS[cause.how] for cause in measured.causes for name in cause.parameters}
    return {
        each.name: reasons.get(each.name, "good" if each.flows else "warning") if math.isfinite(each.rms) else "error"
        for each in measured.parameters
    }


def _x(position: int, count: int) -> float:
    return _LEFT + (position + 0.5) / count * (_WIDTH - _LEFT - _RIGHT)


def _y(each: ParameterFlow, low: int, high: int) -> float:
    """Height of a parameter's dot; those without a gradient stand on a line of their own, below the axis."""
    if not each.flows or not math.isfinite(each.rms) or each.rms <= 0:
        return _HEIGHT - _BOTTOM + 16
    share = (math.log10(each.rms) - low) / (high - low)
    return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)


def _axes(low: int, high: int) -> list[str]:
    every = max(1, (high - low) // 6)
    shapes = []
    for power in range(low, high + 1, every):
        y = _TOP + (high - power) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)
        shapes.append(element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="axis"))
        shapes.append(element("text", f"1e{power}", x=_LEFT - 8, y=f"{y + 4:.1f}", text_anchor="end"))
    shapes.append(element("text", "none", x=_LEFT - 8, y=_HEIGHT - _BOTTOM + 20, text_anchor="end"))
    middle = (_LEFT + _WIDTH) / 2
    shapes.append(element("text", "first used", x=_LEFT, y=_HEIGHT - 6))
    shapes.append(element("text", "rms of the gradient", x=f"{middle:.0f}", y=_HEIGHT - 6, text_anchor="middle"))
    shapes.append(element("text", "last used", x=_WIDTH - _RIGHT, y=_HEIGHT - 6, text_anchor="end"))
    return shapes


def _dot(each: ParameterFlow, look: Look, x: float, y: float) -> str:
    told = f"rms {each.rms:.2g}, largest {each.largest:.2g}, weights {each.weight:.2g}" if each.flows else "no gradient"
    return element(
        "circle", element("title", text(f"{each.name}: {told}")), cx=f"{x:.1f}", cy=f"{y:.1f}", r=3.5, class_=look
    )
