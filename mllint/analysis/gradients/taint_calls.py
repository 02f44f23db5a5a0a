"""What a call does with gradients: passes them on, computes with them, chooses by them.

May not: walk statements, or judge whether a value is a gradient.
"""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mllint.analysis.gradients.callees import (
    APPLIERS,
    WRAPPERS,
    callee_of,
    compiled,
    function_value,
    register,
    registered,
    resolved,
)
from mllint.analysis.gradients.fill_calls import (
    POINTER_MAKERS,
    argument_at,
    constant_of,
    function_fill,
    method_fill,
    operate,
    pointed_at,
    stored,
)
from mllint.analysis.gradients.fills import UNKNOWN, Value, derived, without_tokens
from mllint.analysis.gradients.handovers import hand_over
from mllint.analysis.gradients.sources import REGISTRARS
from mllint.analysis.gradients.tensor_words import ARITHMETIC, CHOOSERS, NUMERIC, QUERIES, RANKERS, RESHAPES, TRIANGLES
from mllint.analysis.names import dotted_name

if TYPE_CHECKING:
    from mllint.analysis.gradients.scopes import Function
    from mllint.analysis.gradients.taint_values import Expressions

#: Names that say "gradient": the result of an unknown function of a gradient is one only if it is called so.
_GRADIENT_NAME = re.compile(
    r"(?i)\w*grad\w*|d_?(q|k|v|qk|qkv|kv|x|y|z|o|s|p|w|b|h|u|a|g|out|outs|output|input|inputs|logits?|scores?|attn|probs?|weights?|"
    r"bias|gate|up|down|loss|state|states)|g[xyio]?|cotangents?|cts?|tangents?|\w+_bar"
)


def names_gradient(name: str) -> bool:
    """Does a variable's name say that it holds a gradient?"""
    return _GRADIENT_NAME.fullmatch(name) is not None


def define(frame: Expressions, node: Function, name: str) -> Value:
    """A function inside a function: read it with the names around it, and let its name stand for it."""
    from mllint.analysis.gradients.taint import read_unit

    qualname = f"{frame.unit.qualname}.{name}" if frame.unit.qualname else name
    value = Value(callee="@" + qualname)
    if isinstance(node, ast.Lambda):
        frame.reading.add_lambda(node, qualname, frame.unit)
    else:
        frame.env[name] = value
        for decorator in node.decorator_list:
            registered(frame, decorator, value)
    unit = frame.reading.units.get(qualname)
    if unit is not None and (frame.unit.qualname or isinstance(node, ast.Lambda)):
        frame.reading.closures[qualname] = frame.env if frame.unit.qualname else {}
        if qualname not in frame.reading.busy:
            read_unit(frame.reading, unit)
    return value


def call(frame: Expressions, node: ast.Call) -> Value:
    """The value of a call; what it does to its arguments happens to the frame."""
    function = node.func
    written = dotted_name(function)
    head = written.partition(".")[0]
    dotted = resolved(frame, written)
    last = dotted.rpartition(".")[2] or (function.attr if isinstance(function, ast.Attribute) else "")
    if last in REGISTRARS:
        register(frame, node, last)
    local = callee_of(frame, function, written)
    if local.callee and (local.callee[0] == "@" or "$" in local.callee):
        special = compiled(frame, node, last) or _wrapped(frame, node, last)
        return special or hand_over(frame, node, local)
    library = (
        bool(dotted)
        and dotted.partition(".")[0] in NUMERIC
        and head not in frame.env
        and not dotted.startswith("torch.ops.")
    )
    made = compiled(frame, node, last) or _wrapped(frame, node, last)
    if made is not None:
        return made
    if library or (written and "." not in written and head in _BUILTINS and head not in frame.env):
        return _library(frame, node, last)
    if isinstance(function, ast.Attribute) and not (head in ("self", "cls", "super") or _is_module(frame, head)):
        return _method(frame, node, function)
    return hand_over(frame, node, local)


_BUILTINS = frozenset(
    [
        "sum",
        "max",
        "min",
        "abs",
        "float",
        "int",
        "bool",
        "len",
        "tuple",
        "list",
        "map",
        "zip",
        "reversed",
        "sorted",
        "print",
        "range",
        "isinstance",
        "str",
        "repr",
        "any",
        "all",
    ]
)


def _is_module(frame: Expressions, head: str) -> bool:
    return bool(head) and head in frame.reading.aliases and head not in frame.env


def _wrapped(frame: Expressions, node: ast.Call, last: str) -> Value | None:
    """``partial(f, …)``, ``vmap(f)``: a function again; ``tree_map(f, …)``: a call of it."""
    if not node.args or last not in WRAPPERS | APPLIERS | {"partial"}:
        return None
    function = function_value(frame, node.args[0])
    if not function.callee:
        return None
    if last == "partial":
        return replace(function, bound=function.bound + len(node.args) - 1)
    if last in APPLIERS and (len(node.args) > 1 or last not in WRAPPERS):
        rest = ast.Call(func=node.args[0], args=node.args[1:], keywords=[])
        return hand_over(frame, ast.copy_location(rest, node), function)
    return function


def _library(frame: Expressions, node: ast.Call, last: str) -> Value:
    """A function of a numeric library: it fills, asks, chooses, or computes."""
    values = [frame.value(argument) for argument in node.args]
    named = {keyword.arg: frame.value(keyword.value) for keyword in node.keywords}
    filled = function_fill(frame, node, last, values, named)
    if filled is not None:
        return filled
    made = constant_of(frame, node, last, values, named)
    if made is not None:
        return made
    if last in ("store", "atomic_add", "atomic_xchg", "atomic_cas") and len(values) > 1:
        return stored(frame, node, values)
    if last == "load" and values:
        return pointed_at(values[0])
    if last in POINTER_MAKERS and (values or "base" in named):
        pointer = values[0] if values else named["base"]
        return replace(pointed_at(pointer), head=pointer.head)
    if last in TRIANGLES and values and values[0].negative and not values[0].labels:
        return Value(bias=values[0].number or values[0].bias)
    everything = derived([*values, *(value for name, value in named.items() if name not in ("mask", "where", "out"))])
    if last.endswith("_") and node.args and last not in QUERIES:
        frame.mutate(node.args[0], everything)
    out = argument_at(node, "out")
    if out is not None:
        frame.mutate(out, everything)
    return _passed_through(last, everything)


def _passed_through(last: str, everything: Value) -> Value:
    if last in QUERIES:
        return UNKNOWN
    if last in RANKERS:
        return Value(parts=(without_tokens(everything), UNKNOWN))
    if last in CHOOSERS:
        return without_tokens(everything)
    return everything


def _method(frame: Expressions, node: ast.Call, function: ast.Attribute) -> Value:
    """A method of an object that is no module and not ``self``: most likely a tensor's."""
    name = function.attr
    owner = frame.value(function.value)
    values = [frame.value(argument) for argument in node.args]
    named = {keyword.arg: frame.value(keyword.value) for keyword in node.keywords}
    filled = method_fill(frame, node, function, owner)
    if filled is not None:
        return filled
    if owner.text and name in ("replace", "format", "strip", "encode"):
        return Value(text=owner.text)
    bare = name.rstrip("_")
    if owner.number is not None and not owner.labels and name in RESHAPES:
        return owner
    made = constant_of(frame, node, name, [owner, *values] if name in ("full_like",) else values, named)
    if made is not None and name not in ("float", "half", "double"):
        return made
    if name in QUERIES:
        return UNKNOWN
    if bare in ARITHMETIC:
        everything = derived([owner, *values, *named.values()])
        if name in ("add", "add_") and node.args and len(node.args) == 1:
            everything = operate(frame, node, ast.Add(), owner, values[0], function.value, node.args[0])
        elif name in ("sub", "sub_") and len(node.args) == 1:
            everything = operate(frame, node, ast.Sub(), owner, values[0], function.value, node.args[0])
        elif name in ("mul", "mul_") and len(node.args) == 1 and owner.number is None:
            everything = operate(frame, node, ast.Mult(), owner, values[0], function.value, node.args[0])
        if name.endswith("_") or name in ("append", "extend", "insert"):
            if owner.buffer and everything.origins and name != "copy_":
                everything = frame.fill_buffer(owner, everything)
            frame.mutate(function.value, everything)
        return everything
    _escaping(frame, node, owner, values, named)
    if name.endswith("_") and not name.startswith("_") and owner.buffer:
        frame.mutate(function.value, UNKNOWN)
    if owner.labels:
        return _passed_through(name, Value(owner.labels, maybe=owner.maybe))
    gradients = derived([*values, *named.values()])
    if name in TRIANGLES and owner.negative:
        return Value(bias=owner.number or owner.bias)
    return Value(bias=owner.bias if name in RESHAPES else 0.0, maybe=gradients.labels | gradients.maybe)


def _escaping(
    frame: Expressions, node: ast.Call, owner: Value, values: list[Value], named: dict[str | None, Value]
) -> None:
    """An unknown method sees its arguments."""
    if owner.origins and not any(value.origins for value in (*values, *named.values())):
        return
    frame.escape(*values, *named.values())
