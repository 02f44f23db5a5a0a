"""Which function an expression stands for: through scopes, classes, wrappers and compiled kernel sources.

May not: value arguments, or look at another file.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from mllint.analysis.gradients.fill_calls import argument_at
from mllint.analysis.gradients.fills import UNKNOWN, Value, spot_of
from mllint.analysis.gradients.flow import ALWAYS, Amount, Handover, Passed
from mllint.analysis.gradients.sources import REGISTRARS
from mllint.analysis.gradients.tensor_words import NUMERIC
from mllint.analysis.names import dotted_name

if TYPE_CHECKING:
    from mllint.analysis.gradients.taint_values import Expressions


#: Calls that give back a function which does what the one they are given does.
WRAPPERS = frozenset(
    [
        "jit",
        "vmap",
        "pmap",
        "compile",
        "wrap_triton",
        "pallas_call",
        "checkpoint",
        "remat",
        "no_grad",
        "once_differentiable",
        "custom_fwd",
        "custom_bwd",
    ]
)


#: Calls that apply their first argument to the others.
APPLIERS = frozenset(
    ["map", "tree_map", "tree_multimap", "checkpoint", "map_structure", "apply_along_axis", "vectorized_map"]
)


#: Calls that compile a kernel from a string: the argument with the source, and the one with the kernel's name.
_COMPILERS: dict[str, tuple[tuple[int | str, ...], tuple[int | str, ...]]] = {
    "RawKernel": ((0, "code"), (1, "name")),
    "RawModule": ((0, "code"), ()),
    "SourceModule": ((0, "source"), ()),
    "ElementwiseKernel": ((2, "operation"), ()),
    "load_inline": (("cuda_sources", 2, "cpp_sources", 1), ()),
    "Program": ((1,), ()),
    "_compile_kernel": ((0,), (1,)),
    "compile_shader": ((0,), ()),
}


_SAME_MODULE = frozenset({"build", "compile"})


def registered(frame: Expressions, decorator: ast.expr, value: Value) -> None:
    """``@tensor.register_hook`` over a function."""
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(node, ast.Attribute) and node.attr in REGISTRARS and not isinstance(decorator, ast.Call):
        hand_gradients(frame, decorator, node.attr, value)


def hand_gradients(frame: Expressions, node: ast.expr, registrar: str, function: Value) -> None:
    """Autograd will call ``function`` with gradients: record it as a call."""
    _, first, last = REGISTRARS[registrar]
    gradient, nothing = Passed((ALWAYS,), Amount()), Passed((), Amount())
    handed = (nothing,) * first + (gradient,) * ((last or first + 16) - first)
    if registrar == "register_post_accumulate_grad_hook":
        handed = (Passed((ALWAYS + ".grad",), Amount()),)
    elif first < 0:
        handed = (Passed((ALWAYS + "-1",), Amount()),)
    callee = function.callee
    key = (node.lineno, node.col_offset, callee, registrar)
    bare = callee.removesuffix("()")
    frame.draft.handovers[key] = Handover(
        bare + callee[len(bare) :], spot_of(node), handed, (), function.bound, "." in callee
    )


def member(base: Value, name: str) -> Value:
    """``base.name`` where ``base`` stands for a function, a compiled module or a class."""
    if base.callee.endswith("$"):
        return Value() if name in ("get_function",) else Value(callee=base.callee + name)
    return Value(callee=f"{base.callee}.{name}") if "()" not in base.callee else UNKNOWN


def resolved(frame: Expressions, written: str) -> str:
    head, dot, rest = written.partition(".")
    if not written or head in frame.env:
        return written
    return frame.reading.aliases.get(head, head) + dot + rest


def callee_of(frame: Expressions, function: ast.expr, written: str) -> Value:
    """The function that is called: ``@`` and its name in this file, or its dotted name."""
    if isinstance(function, ast.Subscript):  # a kernel launch: kernel[grid](...)
        frame.value(function.slice)
        return callee_of(frame, function.value, dotted_name(function.value))
    if not written:
        return Value(callee=frame.value(function).callee)
    head, dot, rest = written.partition(".")
    known = frame.env.get(written) or frame.env.get(head)
    if known is not None and known.callee:
        return known if written == head or known is frame.env.get(written) else member(known, rest)
    reading = frame.reading
    if head in ("self", "cls") and frame.unit.owner:
        inherited = _method_of(frame, frame.unit.owner, rest)
        if inherited:
            return inherited
        kept = reading.attributes.get(rest)
        return kept if kept is not None and kept.callee else Value(callee=written)
    if known is not None:
        return Value(callee=written)
    parts = frame.unit.qualname.split(".")
    for depth in range(len(parts) - 1, -1, -1):
        scope = ".".join(parts[:depth])
        inner = f"{scope}.{head}" if scope else head
        if scope in reading.classes:  # a class's names are not seen from its methods
            continue
        if inner in reading.units and not dot:
            return Value(callee="@" + inner)
        if inner in reading.classes and dot:
            return _method_of(frame, inner, rest) or Value(callee="@" + inner + "." + rest)
    at_top = reading.module.get(head)
    if at_top is not None and at_top.callee:
        return member(at_top, rest) if dot else at_top
    return Value(callee=resolved(frame, written))


def _method_of(frame: Expressions, owner: str, name: str) -> Value | None:
    """A method by name along the base classes that this file holds; beyond them its dotted name."""
    seen: set[str] = set()
    pending = [owner]
    outside = ""
    while pending:
        current = pending.pop(0)
        if current in seen:
            continue
        seen.add(current)
        if f"{current}.{name}" in frame.reading.units:
            return Value(callee=f"@{current}.{name}")
        if name == "apply" and f"{current}.forward" in frame.reading.units:
            return Value(callee=f"@{current}.apply")
        for base in frame.reading.classes.get(current, ()):
            if base in frame.reading.classes:
                pending.append(base)
            elif base and base.partition(".")[0] in frame.reading.aliases and not outside:
                outside = resolved(frame, base) + "." + name
    return Value(callee=outside) if outside and outside.partition(".")[0] not in NUMERIC else None


def register(frame: Expressions, node: ast.Call, registrar: str) -> None:
    places = REGISTRARS[registrar][0]
    for place in places:
        argument = argument_at(node, place)
        if argument is None:
            continue
        function = function_value(frame, argument)
        if function.callee:
            hand_gradients(frame, node, registrar, function)
            return


def function_value(frame: Expressions, node: ast.expr) -> Value:
    """The function that an expression stands for, if any: its ``callee`` is empty otherwise."""
    if isinstance(node, (ast.Name, ast.Attribute)):
        written = dotted_name(node)
        found = callee_of(frame, node, written) if written else UNKNOWN
        known = bool(found.callee) and (found.callee[0] == "@" or written.partition(".")[0] in frame.reading.aliases)
        return found if known or (found.callee and "$" in found.callee) else UNKNOWN
    if isinstance(node, ast.Call):
        if dotted_name(node.func).rpartition(".")[2] == "partial" and node.args:
            inner = function_value(frame, node.args[0])
            return replace(inner, bound=inner.bound + len(node.args) - 1) if inner.callee else inner
        maker = function_value(frame, node.func)
        value = frame.value(node)
        if value.callee:
            return value
        return (
            Value(callee=maker.callee + "()")
            if maker.callee and "." not in maker.callee.removeprefix("@")[:1]
            else UNKNOWN
        )
    return frame.value(node)


def compiled(frame: Expressions, node: ast.Call, last: str) -> Value | None:
    """A kernel compiled from a string, or one taken from such a module."""
    if last in _COMPILERS:
        sources, names = _COMPILERS[last]
        source = next(filter(None, (_source(frame, node, place) for place in sources)), "")
        if not source:
            return None
        if last == "ElementwiseKernel" and len(node.args) < 2:
            return None
        if last == "ElementwiseKernel":
            inputs, outputs = (frame.value(item).text for item in node.args[:2])
            return Value(callee=f"{source}${inputs},{outputs}")
        return Value(callee=f"{source}${next(filter(None, (_literal(node, place) for place in names)), '')}")
    if isinstance(node.func, ast.Attribute) and last in ("get_function", *_SAME_MODULE):
        module = frame.value(node.func.value)
        if module.callee.endswith("$"):
            return Value(callee=module.callee + _literal(node, 0)) if last == "get_function" else module
    return None


def _source(frame: Expressions, node: ast.Call, place: int | str) -> str:
    """The id of a source string, of this file or an imported name; "" where the argument is none."""
    argument = argument_at(node, place)
    if isinstance(argument, (ast.List, ast.Tuple)) and argument.elts:
        argument = argument.elts[0]
    if argument is None:
        return ""
    value = frame.value(argument)
    if isinstance(argument, ast.Name) and argument.id in frame.reading.aliases and not value.text:
        return resolved(frame, argument.id)
    return value.text or (value.through[1:] if value.through[:1] == "=" else "")


def _literal(node: ast.Call, place: int | str) -> str:
    """A string argument that is written out."""
    argument = argument_at(node, place)
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else ""
