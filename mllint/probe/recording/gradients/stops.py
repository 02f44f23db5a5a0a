"""Where a gradient ends although the graph goes on: the node that gets one and passes zeros, and its line.

May not: judge whether zero is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from mllint.probe.recording.frames import nearness, shown
from mllint.probe.recording.gradients.graph import Node, leaf, nodes
from mllint.probe.recording.oracle.blame import backward_site
from mllint.probe.site import Site

#: Nodes of functions made of steps: their derivative is zero wherever it exists.
STEPWISE = frozenset(
    {"Round", "Floor", "Ceil", "Trunc", "Sign", "Heaviside", "FloorDivide", "Fix"}
    | {"FakeQuantizePerTensorAffineCachemask", "FakeQuantizePerChannelAffineCachemask"}
)
#: Nodes of activations and clamps that are flat on some side.
FLAT_SOMEWHERE = frozenset(
    {"Relu", "Threshold", "Hardtanh", "Hardsigmoid", "Hardswish", "Clamp", "ClampMin", "ClampMax", "Gelu"}
    | {"Sigmoid", "Tanh", "Silu", "Mish", "Elu", "Softplus", "LeakyRelu", "Relu6"}
)


#: The nodes above a node, each with the edge that leads down to it.
_Above = dict[Node, list[tuple[Node, int]]]


@dataclass(frozen=True)
class Stop:
    """``node`` got a gradient of at most ``arriving`` and gave zeros to the one ``below`` (``hooked``: gave one that
    a hook below turned into zeros; ``cancelled``: gave one that others make up for). ``inside``: between it and the
    loss another parameter is used."""

    node: Node
    below: Node
    arriving: float
    hooked: bool = False
    cancelled: bool = False
    inside: bool = False

    @property
    def operation(self) -> str:
        """`Softmax` of ``SoftmaxBackward0``, the class of a custom Function."""
        function = custom_function(self.node)
        return function.__name__ if function is not None else self.node.name().partition("Backward")[0]


@dataclass
class _Seen:
    """What a backward brought: nodes with a gradient other than zero, and which edges below them carried one."""

    arriving: dict[Node, float] = field(default_factory=dict)
    carried: dict[Node, tuple[bool, ...]] = field(default_factory=dict)

    def gave(self, node: Node, position: int) -> bool:
        """Did this node pass something other than zeros at this edge?"""
        carried = self.carried.get(node, ())
        return position < len(carried) and carried[position]

    def note(self, node: Node, given: Sequence[torch.Tensor | None], came: Sequence[torch.Tensor | None]) -> None:
        top = max((_top(gradient) for gradient in came), default=0.0)
        if top:
            self.arriving[node] = top
            carried = tuple(bool(_top(gradient)) for gradient in given)
            before = self.carried.get(node, carried)
            self.carried[node] = tuple(a or b for a, b in zip(carried, before, strict=False))


def find_stops(loss: torch.Tensor, silent: Sequence[torch.nn.Parameter]) -> dict[int, list[Stop]]:
    """One backward from ``loss``: for each silent parameter (by id) that is in the graph, the nodes where its
    gradient ends."""
    seen, ends = _Seen(), dict[int, Node]()
    above: _Above = {}
    wanted = {id(parameter) for parameter in silent}
    handles = []
    for node in nodes([loss.grad_fn]):
        for position, (below, _) in enumerate(node.next_functions):
            if below is not None:
                above.setdefault(below, []).append((node, position))
        tensor = leaf(node)
        if tensor is None:
            handles.append(node.register_hook(_noting(seen, node)))
        elif id(tensor) in wanted:
            ends[id(tensor)] = node
    try:
        loss.backward()  # type: ignore[no-untyped-call]
    finally:
        for handle in handles:
            handle.remove()
    return {number: list(_stops_above(node, above, seen)) for number, node in ends.items()}


def _noting(seen: _Seen, node: Node) -> Any:
    def hook(given: Any, came: Any) -> None:
        seen.note(node, given, came)

    return hook


def _stops_above(end: Node, above: _Above, seen: _Seen) -> Iterator[Stop]:
    """Upwards over everything that got only zeros, to the nodes that got more."""
    passed, waiting = {end}, [end]
    while waiting:
        below = waiting.pop()
        giving = [node for node, position in above.get(below, ()) if seen.gave(node, position)]
        for node, position in above.get(below, ()):
            if node in seen.arriving:
                came = seen.gave(node, position)
                hooked = came and (_has_hooks(below) or len(giving) == 1)
                arriving = seen.arriving[node]
                yield Stop(node, below, arriving, hooked, came and not hooked, _uses_parameters_above(node, above))
            elif node not in passed:
                passed.add(node)
                waiting.append(node)


def _has_hooks(node: Node) -> bool:
    """Has the user put a hook on the gradient of this leaf?"""
    tensor = leaf(node)
    return tensor is not None and bool(getattr(tensor, "_backward_hooks", None))


def _uses_parameters_above(node: Node, above: _Above) -> bool:
    """Does an operation between this one and the loss use a leaf (a layer's weight)?"""
    passed, waiting = {node}, [parent for parent, _ in above.get(node, ())]
    while waiting:
        parent = waiting.pop()
        if parent not in passed:
            passed.add(parent)
            if any(below is not None and leaf(below) is not None for below, _ in parent.next_functions):
                return True
            waiting += [each for each, _ in above.get(parent, ())]
    return False


def _top(gradient: torch.Tensor | None) -> float:
    """The greatest absolute value; infinite for not-a-number."""
    if not isinstance(gradient, torch.Tensor) or not gradient.numel():
        return 0.0
    values = gradient.coalesce().values() if gradient.layout == torch.sparse_coo else gradient
    top = float(values.detach().abs().max())
    return top if top == top else float("inf")


def custom_function(node: Node) -> type | None:
    """The user's (or a library's) autograd Function that a node belongs to, None for torch's own nodes."""
    function = getattr(type(node), "_forward_cls", None)
    return function if isinstance(function, type) and backward_site(function) is not None else None


def hook_site(parameter: torch.Tensor) -> Site | None:
    """Where the first hook on a parameter's gradient is defined, None where it has none."""
    for hook in (getattr(parameter, "_backward_hooks", None) or {}).values():
        code = getattr(hook, "__code__", None)
        if code is not None and nearness(code.co_filename):
            return Site(shown(code.co_filename), code.co_firstlineno, code.co_name)
    return None
