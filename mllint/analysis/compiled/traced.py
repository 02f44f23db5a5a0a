"""Which code of a file runs while something is traced: the traced functions, what is defined in them, what they call.

May not: follow a call into another file, or look into what the framework calls back at run time.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from mllint.analysis.compiled.applications import Application, Compiler
from mllint.analysis.names import dotted_name
from mllint.analysis.syntax import Syntax

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Body: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.With | ast.AsyncWith

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BODIES = (*_FUNCTIONS, ast.Lambda, ast.With, ast.AsyncWith)

#: Functions of functions: what they are given is traced with what they give.
_WRAPPERS = frozenset(
    {"functools.partial", "jax.grad", "jax.value_and_grad", "jax.vmap", "jax.checkpoint", "jax.remat", "jax.pmap"}
    | {"jax.jacfwd", "jax.jacrev", "jax.hessian", "jax.vjp", "jax.linearize"}
)

#: What these are given runs in Python at each call.
_CALLBACKS = frozenset(
    {"py_function", "numpy_function", "py_func", "pure_callback", "io_callback", "callback", "id_tap", "id_print"}
    | {"host_callback", "custom_op", "init_scope", "ensure_compile_time_eval", "do_not_convert"}
)

#: A condition that asks whether this is a trace: what follows from it is meant.
_ASKS = re.compile(r"trac|compiling|scripting|export|eager|onnx|dynamo|capturing")
_ASKS_TRAINING = re.compile(r"\btraining\b|is_train")

#: Decorators that let a helper run as it stands. With any other one it is unknown what runs.
_PLAIN = frozenset({"staticmethod", "classmethod", "torch.no_grad", "torch.inference_mode"})
_DEPTH = 3


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """A body that runs while something is traced. ``name``: of what is traced; ``body`` itself may be a helper."""

    application: Application
    name: str
    body: Body
    outermost: Body


def traced_bodies(
    found: list[Application], kinds: frozenset[Compiler], syntax: Syntax, name: Callable[[ast.expr], str]
) -> list[Traced]:
    """Every body in the file that one of these compilers traces, each once: targets first, then helpers."""
    bodies: dict[ast.AST, Traced] = {}
    pending: list[tuple[Traced, int]] = []
    for each in found:
        if each.compiler in kinds:
            body = _body_of(each.target, each, syntax, name)
            if body is not None and body not in bodies:
                traced = Traced(each, _shown(body, each), body, body)
                bodies[body] = traced
                pending.append((traced, _DEPTH))
    while pending:
        traced, depth = pending.pop(0)
        for node in traced_nodes(traced):
            helper = _helper(node, traced, syntax, name) if isinstance(node, ast.Call) and depth else None
            if helper is not None and helper not in bodies:
                bodies[helper] = Traced(traced.application, traced.name, helper, helper)
                pending.append((bodies[helper], depth - 1))
    return list(bodies.values())


def traced_nodes(traced: Traced) -> Iterator[ast.AST]:
    """The nodes that run while the body is traced, functions defined in it included."""
    passive = traced.application.compiler in ("jit.trace", "export")
    called_back: set[str] = set()
    body = traced.body.body
    pending: list[ast.AST] = list(reversed(body)) if isinstance(body, list) else [body]
    for node in ast.walk(traced.body):
        if isinstance(node, ast.Call) and _is_callback(node):
            called_back.update(each.id for each in ast.walk(node) if isinstance(each, ast.Name))
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.If, ast.IfExp)):
            test = ast.unparse(node.test)
            if _ASKS.search(test) or (passive and _ASKS_TRAINING.search(test)):
                continue
        if isinstance(node, ast.Call) and _is_callback(node):
            continue
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)) and (node.name in called_back or _is_special(node)):
            continue
        if isinstance(node, ast.With) and any(
            isinstance(item.context_expr, ast.Call) and _is_callback(item.context_expr) for item in node.items
        ):
            continue
        yield node
        pending.extend(reversed(list(ast.iter_child_nodes(node))))


def _is_callback(call: ast.Call) -> bool:
    return not _CALLBACKS.isdisjoint(dotted_name(call.func).split("."))


def _is_special(node: Function | ast.ClassDef) -> bool:
    """May a nested definition run at another time than the trace, for the sake of its decorators?"""
    return any(_is_callback_name(decorator) for decorator in node.decorator_list)


def _is_callback_name(node: ast.expr) -> bool:
    target = node.func if isinstance(node, ast.Call) else node
    return not _CALLBACKS.isdisjoint(dotted_name(target).split("."))


def _shown(body: Body, application: Application) -> str:
    if isinstance(body, _FUNCTIONS):
        return body.name
    return "the graph" if application.compiler == "capture" else "the lambda"


def _body_of(
    target: ast.AST | None, application: Application, syntax: Syntax, name: Callable[[ast.expr], str]
) -> Body | None:
    """The body that is traced where this is the target; None where the file does not show it."""
    if isinstance(target, _BODIES):
        return target
    if isinstance(target, ast.Name):
        return _named(target.id, application.statement, syntax)
    if isinstance(target, ast.Attribute) and dotted_name(target.value) == "self":
        return _method(target.attr, application.statement, syntax)
    if isinstance(target, ast.Call):
        if name(target.func) in _WRAPPERS and target.args:
            return _body_of(target.args[0], application, syntax, name)
        return _forward(target, syntax)
    return None


def _named(name: str, statement: ast.AST, syntax: Syntax) -> Body | None:
    """The one function that a name means at a statement, or the ``forward`` of the object that it is bound to."""
    for scope in syntax.ancestors(statement):
        if not isinstance(scope, (*_FUNCTIONS, ast.Module)):
            continue
        bound = [
            node
            for node in _own(scope)
            if (isinstance(node, (*_FUNCTIONS, ast.ClassDef)) and node.name == name)
            or (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store))
            or (isinstance(node, ast.arg) and node.arg == name)
        ]
        functions = [node for node in bound if isinstance(node, _FUNCTIONS)]
        if functions:  # ``step = jax.jit(step)`` binds the name once more, to the same function
            return functions[0] if len(functions) == 1 else None
        if bound:
            made = [
                node.value
                for node in _own(scope)
                if isinstance(node, ast.Assign) and len(node.targets) == 1 and dotted_name(node.targets[0]) == name
            ]
            calls = [value for value in made if isinstance(value, ast.Call)]
            return _forward(calls[0], syntax) if len(calls) == len(made) == len(bound) == 1 else None
    return None


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope, the definitions in it, but not what is in these."""
    pending = list(ast.iter_child_nodes(scope))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef, ast.Lambda)):
            pending.extend(ast.iter_child_nodes(node))


def _forward(call: ast.Call, syntax: Syntax) -> Function | None:
    """The ``forward`` of the class that a call makes an object of, through ``.eval()`` and ``.to(…)``."""
    while isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call):
        call = call.func.value
    made = [node for node in syntax.statements(ast.ClassDef) if node.name == dotted_name(call.func)]
    methods = [node for owner in made for node in owner.body if isinstance(node, _FUNCTIONS) and node.name == "forward"]
    return methods[0] if len(made) == len(methods) == 1 else None


def _method(name: str, statement: ast.AST, syntax: Syntax) -> Function | None:
    for above in syntax.ancestors(statement):
        if isinstance(above, ast.ClassDef):
            found = [node for node in above.body if isinstance(node, _FUNCTIONS) and node.name == name]
            return found[0] if len(found) == 1 else None
    return None


def _helper(node: ast.Call, traced: Traced, syntax: Syntax, name: Callable[[ast.expr], str]) -> Function | None:
    """The function of this file that a traced call runs; None for methods of unknown objects and decorated ones."""
    at = traced.body if isinstance(traced.body, ast.stmt) else traced.application.statement
    body: Body | None = None
    if isinstance(node.func, ast.Name):
        body = _named(node.func.id, at, syntax)
    elif isinstance(node.func, ast.Attribute) and dotted_name(node.func.value) == "self":
        body = _method(node.func.attr, at, syntax)
    if not isinstance(body, _FUNCTIONS):
        return None
    plain = all(name(each.func if isinstance(each, ast.Call) else each) in _PLAIN for each in body.decorator_list)
    return body if plain else None
