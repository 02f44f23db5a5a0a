"""Calls and operators that overwrite elements of a tensor with a constant.

May not: walk statements, or judge whether a value is a gradient; it records fills, `routes` finds whose they are.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from mllint.analysis.gradients.fills import LARGE, NOTHING, UNKNOWN, Value, derived, float_of, folded, without_tokens
from mllint.analysis.names import dotted_name

if TYPE_CHECKING:
    from mllint.analysis.gradients.taint_values import Expressions


#: A constant as a tensor: its name and where the constant is among the arguments.
_CONSTANT_MAKERS = {
    "tensor": 0, "as_tensor": 0, "scalar_tensor": 0, "array": 0, "asarray": 0, "constant": 0, "convert_to_tensor": 0,
    "float16": 0, "float32": 0, "float64": 0, "bfloat16": 0, "half": 0, "double": 0, "new_tensor": 0, "cast": 0,
    "constexpr": 0, "abs": 0,
}  # fmt: skip


_FULL_MAKERS = {
    "full_like": (1, "fill_value"),
    "full": (1, "fill_value"),
    "new_full": (1, "fill_value"),
    "fill": (1, "value"),
}


def operate(
    frame: Expressions,
    node: ast.expr | ast.stmt,
    operator: ast.operator,
    left: Value,
    right: Value,
    left_node: ast.expr,
    right_node: ast.expr,
) -> Value:
    """``left operator right``, which adds a fill where a mask times a large number meets a gradient."""
    if left.number is not None and right.number is not None and not (left.labels or right.labels):
        return Value(number=folded(operator, left.number, right.number))
    if left.text and isinstance(operator, (ast.Mod, ast.Add)):
        return Value(text=left.text)
    if isinstance(operator, ast.Add):
        for kept, fill, at in ((left, right, right_node), (right, left, left_node)):
            if kept.origins and not fill.origins and fill.bias <= LARGE:
                return frame.fill("mask added", node, kept, fill, at)
            if kept.origins and fill.buffer:
                return frame.fill_buffer(fill, kept)
    elif isinstance(operator, ast.Sub):
        if left.origins and not right.origins and right.bias >= -LARGE:
            return frame.fill("mask subtracted", node, left, replace(right, bias=-right.bias), right_node)
        if right.number == 1 and not left.origins:
            return Value(bias=-1.0)
    both = derived([left, right])
    if frame.unit.device and isinstance(operator, (ast.Add, ast.Sub)) and (left.head or right.head):
        return replace(both, head=left.head or right.head)
    if isinstance(operator, (ast.Mult, ast.Div)):
        for scale, mask in ((left, right), (right, left)):
            if scale.number is not None and mask.number is None and not scale.labels:
                factor = scale.number if isinstance(operator, ast.Mult) else (1 / scale.number if scale.number else 0.0)
                return Value(both.labels, bias=factor * (mask.bias or 1.0), maybe=both.maybe)
    return both


def argument_at(node: ast.Call, place: int | str) -> ast.expr | None:
    if isinstance(place, int):
        plain = not any(isinstance(item, ast.Starred) for item in node.args[: place + 1])
        return node.args[place] if place < len(node.args) and plain else None
    return next((keyword.value for keyword in node.keywords if keyword.arg == place), None)


POINTER_MAKERS = frozenset(
    {"make_block_ptr", "advance", "make_tensor_descriptor", "multiple_of", "max_contiguous", "cast"}
)


def pointed_at(pointer: Value) -> Value:
    """What is loaded through a pointer: it derives from where the pointer starts, not from what was added to it."""
    return Value(frozenset({pointer.head}) if pointer.head else pointer.labels, maybe=pointer.maybe)


def stored(frame: Expressions, node: ast.Call, values: list[Value]) -> Value:
    pointer, value = pointed_at(values[0]), values[1]
    if value.negative and pointer.origins and dotted_name(node.func).endswith("store"):
        value = frame.fill("store", node, Value(pointer.labels), value, node.args[1])
    frame.escape(value)
    for label in pointer.origins:
        qualname, _, parameter = label.rpartition(":")
        if qualname == frame.unit.qualname:
            frame.draft.effects[parameter] = frame.draft.effects.get(parameter, NOTHING) | value.origins
    return UNKNOWN


def constant_of(
    frame: Expressions, node: ast.Call, last: str, values: list[Value], named: dict[str | None, Value]
) -> Value | None:
    """A constant, alone or as a whole tensor of it."""
    if last == "float" and len(node.args) == 1:
        argument = node.args[0]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            return Value(number=float_of(argument.value))
        return Value(values[0].labels, values[0].number, through=values[0].through)
    if last in _CONSTANT_MAKERS and values and values[0].number is not None:
        return Value(number=values[0].number)
    if last in ("ones_like", "ones", "new_ones"):
        return Value(number=1.0)
    if last in _FULL_MAKERS:
        at, name = _FULL_MAKERS[last]
        value = named.get(name) or (values[at] if len(values) > at else UNKNOWN)
        token = f"{node.lineno}:{node.col_offset}"
        frame.reading.texts[token] = node
        like = values[0].origins if values and last == "full_like" else NOTHING
        return Value(number=value.number, buffer=token if value.negative else "", like=like, through=value.through)
    return None


def fill_argument(node: ast.expr) -> ast.expr:
    """The constant of a ``full_like`` and its kin."""
    if isinstance(node, ast.Call):
        for name in ("fill_value", "value"):
            argument = argument_at(node, name)
            if argument is not None:
                return argument
        return (
            node.args[0]
            if len(node.args) == 1
            else node.args[-1]
            if len(node.args) == 2
            else node.args[1]
            if node.args
            else node
        )
    return node


#: Functions that fill: the argument that is filled, and the one with the value.
_FUNCTION_FILLS: dict[str, tuple[int, int | str, int | str]] = {
    "masked_fill": (0, 2, "value"),
    "masked_fill_": (0, 2, "value"),
    "index_fill": (0, 3, "value"),
    "putmask": (0, 2, "values"),
    "place": (0, 2, "vals"),
    "copyto": (0, 1, "src"),
    "load": (0, 2, "other"),
    "fill_": (0, 1, "value"),
    "constant_": (0, 1, "val"),
    "masked_select_fill": (0, 2, "value"),
}


_IN_PLACE = frozenset({"masked_fill_", "putmask", "place", "copyto", "fill_", "constant_"})


def function_fill(
    frame: Expressions, node: ast.Call, last: str, values: list[Value], named: dict[str | None, Value]
) -> Value | None:
    if last in ("where", "select", "where_v2"):
        kept, other = (
            argument_at(node, place) or argument_at(node, name) for place, name in ((1, "input"), (2, "other"))
        )
        kept, other = kept or argument_at(node, "x"), other or argument_at(node, "y")
        if kept is None or other is None:
            return None
        return choose(frame, node, "where", kept, other)
    if last not in _FUNCTION_FILLS:
        return None
    target_at, value_at, value_name = _FUNCTION_FILLS[last]
    target_node = argument_at(node, target_at) or argument_at(node, "input")
    value_node = argument_at(node, value_at) or argument_at(node, value_name)
    if target_node is None or value_node is None:
        return None
    target = frame.value(target_node)
    if last == "load":
        target = pointed_at(target)
    result = frame.fill(last.rstrip("_"), node, target, frame.value(value_node), value_node)
    if last in _IN_PLACE:
        frame.mutate(target_node, result)
    return result


def choose(frame: Expressions, node: ast.expr, form: str, kept_node: ast.expr, other_node: ast.expr) -> Value:
    """``where(mask, kept, other)``: either side may be the fill of the other."""
    kept, other = frame.value(kept_node), frame.value(other_node)
    both = derived([kept, other])
    for target, value, at in ((kept, other, other_node), (other, kept, kept_node)):
        if target.origins and value.negative and not value.labels:
            return frame.fill(form, node, target, value, at)
    for target, value, at in ((kept, other, other_node), (other, kept, kept_node)):
        if target.origins and value.through:
            filled = frame.fill(form, node, target, value, at)
            both = Value(both.labels | filled.labels, maybe=both.maybe)
    if kept.number is not None and other.number is not None:
        return Value(both.labels, bias=min(kept.number, other.number))  # where(mask, 0, -1e9): a mask to be added
    if kept.number is not None or other.number is not None:
        return without_tokens(both)  # a second fill over the first: what shows is not known
    return both


def method_fill(frame: Expressions, node: ast.Call, function: ast.Attribute, owner: Value) -> Value | None:
    name = function.attr
    places: tuple[int | str, ...]
    if name in ("masked_fill", "masked_fill_", "index_put", "index_put_"):
        places = (1, "value", "values")
    elif name in ("fill_", "fill"):
        places = (0, "value")
    elif name in ("index_fill", "index_fill_", "scatter", "scatter_"):
        places = (2, "value")
    elif name == "where":
        other = argument_at(node, 1) or argument_at(node, "other")
        return choose(frame, node, "where", function.value, other) if other is not None else None
    elif name == "set" and isinstance(function.value, ast.Subscript) and _is_at(function.value.value):
        places = (0,)
    else:
        return None
    value_node = next((found for found in (argument_at(node, place) for place in places) if found is not None), None)
    if value_node is None:
        return None
    value = frame.value(value_node)
    if name.startswith(("scatter", "index_put")) and value.origins and (owner.buffer or not value.through):
        result = derived([owner, value])
        if owner.buffer:
            result = frame.fill_buffer(owner, result)
    elif value.negative or value.through:
        result = frame.fill(name.rstrip("_"), node, owner, value, value_node)
        if value.origins - owner.origins:
            result = Value(result.labels | value.labels, maybe=result.maybe)
        if value.number is not None and not result.labels:
            result = Value(bias=value.number, maybe=result.maybe)  # a mask of 0 and large negative numbers
    else:
        result = derived([without_tokens(owner), value])
    if name.endswith("_"):
        frame.mutate(function.value, result)
        if not result.origins and value.negative:
            frame.env.pop(dotted_name(function.value), None)
    return result


def _is_at(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "at"
