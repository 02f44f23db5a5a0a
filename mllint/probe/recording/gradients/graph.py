"""Walks over the graph that autograd has recorded.

May not: run a backward.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

#: A node of the graph; torch's own type says less than is used here.
Node = Any


def roots_of(tensor: torch.Tensor) -> list[Node]:
    """Where a walk from this tensor begins; empty where it requires no gradient."""
    if tensor.grad_fn is not None:
        return [tensor.grad_fn]
    return [torch.autograd.graph.get_gradient_edge(tensor).node] if tensor.requires_grad else []


def nodes(roots: Iterable[Node]) -> Iterator[Node]:
    """Every node below the roots, each once."""
    seen: set[Node] = set()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting.extend(below for below, _ in node.next_functions)


def leaf(node: Node) -> torch.Tensor | None:
    """The tensor into which a node accumulates, None for any other node."""
    found = getattr(node, "variable", None)
    return found if isinstance(found, torch.Tensor) and not node.next_functions else None


def leaves_below(roots: Iterable[Node], names: dict[int, str]) -> set[str]:
    """Names (by id) of the leaves that a gradient arriving at the roots would reach."""
    found = (leaf(node) for node in nodes(roots))
    return {names[id(tensor)] for tensor in found if tensor is not None and id(tensor) in names}


def first_uses(roots: Iterable[Node], names: dict[int, str]) -> dict[str, int]:
    """The number of the earliest operation that used each leaf: numbers grow as the forward goes on."""
    uses: dict[str, int] = {}
    for node in nodes(roots):
        for below, _ in node.next_functions:
            tensor = None if below is None else leaf(below)
            if tensor is not None and id(tensor) in names:
                number = node._sequence_nr()
                name = names[id(tensor)]
                uses[name] = min(number, uses.get(name, number))
    for node in roots:  # the loss may be a leaf itself
        tensor = leaf(node)
        if tensor is not None and id(tensor) in names:
            uses.setdefault(names[id(tensor)], 0)
    return uses
