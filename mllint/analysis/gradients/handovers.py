"""Calls of functions that this file or another one defines: what is passed, and what comes back.

May not: know what a library's functions do (`taint_calls` does).
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from mllint.analysis.gradients.fills import NOTHING, UNKNOWN, Value, amount, derived, spot_of
from mllint.analysis.gradients.flow import Amount, Handover, Passed, arguments_of, own_label
from mllint.analysis.names import dotted_name

if TYPE_CHECKING:
    from mllint.analysis.gradients.taint_values import Expressions


def hand_over(frame: Expressions, node: ast.Call, function: Value) -> Value:
    """A call of a function that this file or another one defines: record what it is given."""
    arguments = list(node.args)
    launch = "$" in function.callee and len(arguments) == 3 and isinstance(arguments[2], ast.Tuple)
    if launch and isinstance(arguments[2], ast.Tuple):  # cupy: kernel(grid, block, (arguments…))
        arguments = list(arguments[2].elts)
    elif "$" in function.callee and len(arguments) > 3 and function.callee.startswith("queue"):
        arguments = arguments[3:]
    starred = next((at for at, item in enumerate(arguments) if isinstance(item, ast.Starred)), len(arguments))
    values = [frame.value(item) for item in arguments]
    named = {keyword.arg: frame.value(keyword.value) for keyword in node.keywords}
    frame.escape(*values, *named.values())
    handover = Handover(
        function.callee,
        spot_of(node),
        tuple(_passed(value, item) for value, item in zip(values[:starred], arguments[:starred], strict=False)),
        tuple((keyword.arg, _passed(named[keyword.arg], keyword.value)) for keyword in node.keywords if keyword.arg),
        function.bound,
        dotted_name(node.func).partition(".")[0] in ("self", "cls", "super"),
    )
    if function.callee and any(
        passed.origins for passed in (*handover.positional, *(item for _, item in handover.keywords))
    ):
        _record(frame, node, handover)
    everything = derived([*values, *named.values()])
    unknown = Value(maybe=everything.labels | everything.maybe)
    if function.callee[:1] != "@":
        return unknown
    return _summarised(frame, node, handover, arguments, unknown)


def _record(frame: Expressions, node: ast.Call, handover: Handover) -> None:
    key = (node.lineno, node.col_offset, handover.callee)
    known = frame.draft.handovers.get(key)
    if known is not None and len(known.positional) == len(handover.positional):
        merged = tuple(
            Passed(tuple(sorted({*old.origins, *new.origins})), new.amount)
            for old, new in zip(known.positional, handover.positional, strict=False)
        )
        handover = replace(handover, positional=merged)
    frame.draft.handovers[key] = handover


def _passed(value: Value, node: ast.expr) -> Passed:
    return Passed(tuple(sorted(value.origins)), amount(value, node))


def _summarised(
    frame: Expressions, node: ast.Call, handover: Handover, arguments: list[ast.expr], unknown: Value
) -> Value:
    """What a function of this file gives back for these arguments, and what it does to them."""
    qualname = handover.callee[1:].removesuffix("()")
    applied = qualname.endswith(".apply")
    unit = frame.reading.units.get(qualname.removesuffix(".apply") + ".forward" if applied else qualname)
    if unit is None:
        return unknown
    draft = frame.reading.draft(unit.qualname)
    given = arguments_of(handover, unit.parameters, unit.method, int(applied))
    own = {own_label(unit.qualname, name): frozenset(passed.origins) for name, passed in given.items()}
    places = arguments_of(
        replace(
            handover,
            positional=tuple(Passed((str(at),), Amount()) for at in range(len(handover.positional))),
            keywords=(),
        ),
        unit.parameters,
        unit.method,
        int(applied),
    )
    for parameter, labels in sorted(draft.effects.items()):
        place = places.get(parameter)
        if place is not None and len(place.origins) == 1:
            frame.mutate(arguments[int(place.origins[0])], Value(_mapped(labels, own, unit.qualname)))
    if draft.returned is None:
        return unknown if unit.qualname in frame.reading.busy else UNKNOWN
    return _renamed(draft.returned, own, unit.qualname)


def _mapped(labels: frozenset[str], own: dict[str, frozenset[str]], qualname: str) -> frozenset[str]:
    found: frozenset[str] = NOTHING
    for label in labels:
        if label in own:
            found |= own[label]
        elif label[0] != "#" and label.rpartition(":")[0] != qualname:
            found |= {label}
    return found


def _renamed(value: Value, own: dict[str, frozenset[str]], qualname: str) -> Value:
    return Value(
        _mapped(value.labels, own, qualname),
        value.number,
        value.bias,
        maybe=_mapped(value.maybe, own, qualname),
        parts=tuple(_renamed(part, own, qualname) for part in value.parts),
        callee=value.callee,
        bound=value.bound,
        text=value.text,
    )
