"""One step as bars over time: forward passes by depth, the backward pass, the optimizers.

May not: judge.
"""

from __future__ import annotations

from mllint.probe.measured.step_timeline import Span, StepTimeline
from mllint.probe.page.html import drawing, duration, element, text
from mllint.probe.trace import Trace

_WIDTH, _LEFT, _ROW = 1000.0, 8.0, 20.0
_LEGEND = (("forward", "forward"), ("backward", "backward"), ("optimizer", "optimizer"))


def timeline(trace: Trace) -> str:
    """The section, "" where no step was timed."""
    measured = trace.get(StepTimeline)
    if measured is None or not measured.spans or measured.seconds <= 0:
        return ""
    scale = (_WIDTH - 2 * _LEFT) / measured.seconds
    deepest = max(span.depth for span in measured.spans)
    shapes = [_bar(span, scale) for span in measured.spans]
    height = (deepest + 1) * _ROW + 34
    base = (deepest + 1) * _ROW + 8
    shapes.append(element("line", x1=_LEFT, x2=_WIDTH - _LEFT, y1=base, y2=base, class_="axis"))
    for part in range(5):
        x = _LEFT + part / 4 * (_WIDTH - 2 * _LEFT)
        anchor = ("start", "middle", "middle", "middle", "end")[part]
        shapes.append(
            element("text", text(duration(measured.seconds * part / 4)), x=f"{x:.1f}", y=base + 16, text_anchor=anchor)
        )
    legend = element(
        "div", *(element("span", element("i", class_=kind), name) for kind, name in _LEGEND), class_="legend"
    )
    parts = [f"One step on {trace.device}, {duration(measured.seconds)} with hooks on {len(measured.spans)} passes"]
    if measured.left_out:
        parts.append(f"{measured.left_out} more are not drawn")
    return "".join(
        (
            element("h2", "One step over time"),
            element("p", text("; ".join(parts) + "."), class_="dim"),
            legend,
            element("div", drawing(_WIDTH, height, *shapes, label="one training step over time"), class_="chart"),
        )
    )


def _bar(span: Span, scale: float) -> str:
    x, width = _LEFT + span.begin * scale, max(1.0, (span.end - span.begin) * scale)
    y = span.depth * _ROW + 2
    name = span.name or "model"
    tip = element("title", text(f"{span.phase} {name}: {duration(span.end - span.begin)}"))
    shape = element(
        "rect", tip, x=f"{x:.1f}", y=f"{y:.1f}", width=f"{width:.1f}", height=_ROW - 4, rx=2, class_=span.phase
    )
    if width < 7 * len(name) + 8:
        return shape
    return shape + element("text", text(name), x=f"{x + 4:.1f}", y=f"{y + 12:.1f}", style="fill:#fff")
