"""The first operation that made a value which is not finite out of finite ones, forward or backward.

May not: blame an infinity that is written on purpose (a mask of -inf), or values that came in broken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from mllint.probe.measured.magnitude import NotFinite
from mllint.probe.recording.frames import user_site
from mllint.probe.recording.gradients.arrivals import BATCHES
from mllint.probe.recording.gradients.calls import watched_calls
from mllint.probe.recording.gradients.cuts import CutWatch, noting_functions
from mllint.probe.recording.gradients.graph import Node, leaf, nodes
from mllint.probe.recording.gradients.sizes import stored
from mllint.probe.recording.gradients.watch import name_of, tensors_in
from mllint.probe.recording.run import Run
from mllint.probe.site import Site

#: Operations that write an infinity because they are told to.
_WRITE = frozenset(
    {"full", "full_like", "new_full", "masked_fill", "masked_fill_", "fill_", "where", "tensor"}
    | {"as_tensor", "triu", "tril", "__setitem__", "index_fill", "index_fill_", "to", "float", "half"}
    | {"bfloat16", "type"}
)


@dataclass(frozen=True)
class _First:
    operation: str
    value: str
    site: Site | None
    module: str | None


class _FiniteWatch(CutWatch):
    """Notes the first operation that makes a not-a-number, and the first that makes an infinity."""

    def __init__(self, at_work: Callable[[], str | None]) -> None:
        super().__init__({}, at_work)
        self.nan: _First | None = None
        self.infinite: _First | None = None

    def seen(self, func: Any, args: Any, kwargs: Any, result: Any) -> Any:
        self.note_nodes(result)
        given = (args, kwargs)
        if self.nan is None and _new(has_nan, given, result):
            self.nan = self._first(func, "nan")
        if self.infinite is None and name_of(func) not in _WRITE and _new(has_infinity, given, result):
            self.infinite = self._first(func, "inf")
        return result

    def _first(self, func: Any, value: str) -> _First:
        return _First(name_of(func) or "attribute", value, user_site(), self._at_work())


def _new(has: Callable[[torch.Tensor], bool], given: Any, result: Any) -> bool:
    """Is it in what came out, and not in what went in?"""
    return any(has(tensor) for tensor in tensors_in(result)) and not any(has(tensor) for tensor in tensors_in(given))


def has_nan(tensor: torch.Tensor) -> bool:
    """Is one of its values not a number?"""
    return _valued(tensor) and bool(torch.isnan(stored(tensor)).any())


def has_infinity(tensor: torch.Tensor) -> bool:
    """Is one of its values infinite?"""
    return _valued(tensor) and bool(torch.isinf(stored(tensor)).any())


def finite(tensor: torch.Tensor) -> bool:
    return not _valued(tensor) or bool(torch.isfinite(stored(tensor)).all())


def _valued(tensor: torch.Tensor) -> bool:
    return (tensor.is_floating_point() or tensor.is_complex()) and tensor.numel() > 0 and not tensor.is_meta


def first_not_finite(run: Run, parameters: tuple[str, ...]) -> NotFinite | None:
    """Run the batches again under a watch. None where everything is finite this time, or came in broken."""
    for number in range(BATCHES):
        if any(not finite(tensor) for tensor in tensors_in(run.batch(number))):
            continue  # the data are at fault
        with watched_calls(run.model) as calls:
            watch = _FiniteWatch(lambda calls=calls: calls.at_work)  # type: ignore[misc]
            with watch, noting_functions(watch, {}):
                loss = run.loss(run.batch(number), seed=number)
        value = float(loss.detach())
        first, direction = (watch.nan or watch.infinite, "forward") if not finite(loss) else (None, "backward")
        if finite(loss) and loss.requires_grad:
            first = _in_backward(run, loss, watch)
        if first is not None:
            scaled = run.entry.scaler is not None and run.entry.step is not None
            module = first.module or ""
            return NotFinite(
                first.operation, direction, first.value, first.site, module, parameters, value, scaled=scaled
            )
    return None


def _in_backward(run: Run, loss: torch.Tensor, watch: CutWatch) -> _First | None:
    found: list[tuple[Node, str]] = []

    def noting(node: Node) -> Any:
        def hook(given: Any, came: Any) -> None:
            results = [gradient for gradient in given if isinstance(gradient, torch.Tensor)]
            if found or all(finite(each) for each in results):
                return
            if all(finite(each) for each in came if isinstance(each, torch.Tensor)):
                found.append((node, "nan" if any(has_nan(each) for each in results) else "inf"))

        return hook

    handles = [node.register_hook(noting(node)) for node in nodes([loss.grad_fn]) if leaf(node) is None]
    run.clear_gradients()
    try:
        loss.backward()  # type: ignore[no-untyped-call]
    finally:
        for handle in handles:
            handle.remove()
        run.clear_gradients()
    if not found:
        return None
    node, value = found[0]
    site, module = watch.place_of(node)
    return _First(node.name().partition("Backward")[0].lower(), value, site, module)
