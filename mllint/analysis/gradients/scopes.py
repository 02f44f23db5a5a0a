"""The functions of one file as the search for gradients sees them, and what is found out about each.

May not: read a function's body (`taint` does).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mllint.analysis.gradients.fills import Value
from mllint.analysis.gradients.flow import Fill, Handover
from mllint.analysis.gradients.sources import (
    autograd_classes,
    custom_gradients,
    is_device_code,
    layer_gradients,
    received,
    registered_gradient,
)
from mllint.analysis.names import dotted_name, parameter_names

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Environment = dict[str, Value]


@dataclass
class Draft:
    """A function's facts while they are collected."""

    fills: dict[tuple[object, ...], tuple[Fill, frozenset[str], str]] = field(default_factory=dict)
    handovers: dict[tuple[object, ...], Handover] = field(default_factory=dict)
    returned: Value | None = None
    effects: dict[str, frozenset[str]] = field(default_factory=dict)


@dataclass
class Unit:
    """One function of the file. ``owner`` is the class it is a method of, ``enclosing`` the names around it."""

    node: Function
    qualname: str
    parameters: tuple[str, ...]
    method: str = ""
    owner: str = ""
    device: bool = False
    gradients: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()


@dataclass
class Reading:
    """What is known of one file while its functions are read."""

    aliases: Mapping[str, str]
    units: dict[str, Unit]
    classes: Mapping[str, tuple[str, ...]]
    module: Environment = field(default_factory=dict)
    attributes: Environment = field(default_factory=dict)
    texts: dict[str, ast.expr] = field(default_factory=dict)
    drafts: dict[str, Draft] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    closures: dict[str, Environment] = field(default_factory=dict)
    gradient_lambdas: set[tuple[int, int]] = field(default_factory=set)

    def add_lambda(self, node: ast.Lambda, qualname: str, around: Unit) -> None:
        """Register a lambda when it is met."""
        parameters = parameter_names(node.args)
        unit = Unit(node, qualname, parameters, owner=around.owner, device=around.device)
        if (node.lineno, node.col_offset) in self.gradient_lambdas:
            unit.gradients = parameters
        self.units[qualname] = unit

    def draft(self, qualname: str) -> Draft:
        """The facts of a function; reads it first where it has not been. In a recursion: what is known so far."""
        if qualname not in self.drafts and qualname not in self.busy and qualname in self.units:
            from mllint.analysis.gradients.taint import (
                read_unit,  # the two need each other: a call is read by reading its callee
            )

            read_unit(self, self.units[qualname])
        return self.drafts.get(qualname) or Draft()


def defaults_of(arguments: ast.arguments) -> Iterator[tuple[str, ast.expr]]:
    """Each parameter that has a default, with it."""
    plain = [*arguments.posonlyargs, *arguments.args]
    for argument, default in zip(plain[len(plain) - len(arguments.defaults) :], arguments.defaults, strict=False):
        yield argument.arg, default
    for argument, keyword_default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=False):
        if keyword_default is not None:
            yield argument.arg, keyword_default


def definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.stmt]]:
    """Every function and class below these statements with its qualified name, without ``<locals>``."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield prefix + statement.name, statement
            yield from definitions(statement.body, prefix + statement.name + ".")
            continue
        for block in ("body", "orelse", "finalbody"):
            yield from definitions(getattr(statement, block, []), prefix)
        for handler in getattr(statement, "handlers", []) or getattr(statement, "cases", []):
            yield from definitions(handler.body, prefix)


def collect(tree: ast.Module, aliases: Mapping[str, str]) -> Reading:
    """Register every function with its parameters and what it receives by nature."""
    found = list(definitions(tree.body))
    classes = {qualname: node for qualname, node in found if isinstance(node, ast.ClassDef)}
    bases = {qualname: tuple(dotted_name(base) for base in node.bases) for qualname, node in classes.items()}
    reading = Reading(aliases, {}, bases)
    autograd = autograd_classes(list(classes.values()), aliases)
    for qualname, node in found:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        owner = qualname.rpartition(".")[0]
        unit = _unit(node, qualname, owner if owner in classes else "")
        unit.device = is_device_code(node, aliases)
        if unit.owner and classes[owner] in autograd:
            unit.gradients = received(node, unit.parameters)
        elif unit.owner:
            unit.gradients = layer_gradients(classes[owner], node)
        elif registered_gradient(node, aliases):
            unit.gradients = unit.parameters[1:]
        reading.units[qualname] = unit
    for unit in list(reading.units.values()):
        if isinstance(unit.node, (ast.FunctionDef, ast.AsyncFunctionDef)) and custom_gradients(unit.node, aliases):
            _inner_gradient(reading, unit)
    return reading


def _unit(node: ast.FunctionDef | ast.AsyncFunctionDef, qualname: str, owner: str) -> Unit:
    marks = {dotted_name(item) for item in node.decorator_list}
    method = ""
    if owner:
        method = "static" if "staticmethod" in marks else "class" if "classmethod" in marks else "instance"
    return Unit(node, qualname, parameter_names(node.args), method, owner)


def _inner_gradient(reading: Reading, outer: Unit) -> None:
    """TensorFlow: the function returned beside the value receives the gradients."""
    for inner in ast.walk(outer.node):
        if isinstance(inner, ast.Return) and isinstance(inner.value, ast.Tuple) and len(inner.value.elts) == 2:
            second = inner.value.elts[1]
            if isinstance(second, ast.Name) and f"{outer.qualname}.{second.id}" in reading.units:
                unit = reading.units[f"{outer.qualname}.{second.id}"]
                unit.gradients = tuple(item for item in unit.parameters if item != "variables" and item[:2] != "**")
            elif isinstance(second, ast.Lambda):
                reading.gradient_lambdas.add((second.lineno, second.col_offset))
