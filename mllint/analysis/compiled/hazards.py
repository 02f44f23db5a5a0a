"""What makes a compiled function that lives at module level dangerous: what its one cache is keyed on, and when it
compiles at all.

May not: ask who imports the module, or count a trace for each shape as a fault of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mllint.analysis.compiled.applications import Application
from mllint.analysis.compiled.cudagraphs import GRAPH_MODES
from mllint.analysis.compiled.fallbacks import broad_handler, tries_imports
from mllint.analysis.syntax import Syntax

HazardKind = Literal["graphs", "static", "xla", "try"]

#: Options by which the author of a `tf.function` has decided what is traced again.
_TF_DECIDED = ("input_signature", "reduce_retracing", "experimental_relax_shapes")
_XLA = ("jit_compile", "experimental_compile")
_STATIC_SHAPES = frozenset({"shape", "get_shape", "as_list", "static_shape"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True, eq=False)
class Hazard:
    """One reason. ``value`` is the option's expression, or the handler that hardly runs."""

    kind: HazardKind
    value: ast.expr | ast.ExceptHandler


def hazards(application: Application, syntax: Syntax, name: Callable[[ast.expr], str]) -> list[Hazard]:
    """The reasons that the place of compilation itself shows, the gravest first."""
    found: list[Hazard] = []
    options = application.options
    if application.compiler == "torch.compile":
        if application.literal("mode") in GRAPH_MODES:
            found.append(Hazard("graphs", options["mode"]))
        if application.literal("dynamic") is False:
            found.append(Hazard("static", options["dynamic"]))
    elif application.compiler == "tf.function" and not is_decided(application):
        xla = next((options[key] for key in _XLA if application.literal(key) is True), None)
        if xla is not None:
            found.append(Hazard("xla", xla))
    if application.compiler in ("torch.compile", "tf.function"):
        handler = _useless_handler(application, syntax, name)
        if handler is not None:
            found.append(Hazard("try", handler))
    return found


def is_decided(application: Application) -> bool:
    """Does a `tf.function` say itself what it is traced for?"""
    return application.has(*_TF_DECIDED)


def reads_static_shapes(application: Application) -> bool:
    """Does the compiled function use Python's view of a shape, which is unknown in a relaxed trace? True where the
    function is not in sight."""
    target = application.target
    if not isinstance(target, (*_FUNCTIONS, ast.Lambda)):
        return True
    return any(isinstance(node, ast.Attribute) and node.attr in _STATIC_SHAPES for node in ast.walk(target))


def _useless_handler(
    application: Application, syntax: Syntax, name: Callable[[ast.expr], str]
) -> ast.ExceptHandler | None:
    """The broad handler around a compilation that happens later, at the first call."""
    inner: ast.AST = application.statement
    for above in syntax.ancestors(application.statement):
        if isinstance(above, ast.Try) and inner in above.body:
            calls_it = len(above.body) > 1 and _is_called(application, above)
            handler = broad_handler(above, name)
            return handler if handler and not calls_it and not tries_imports(above.body) else None
        inner = above
    return None


def _is_called(application: Application, attempt: ast.Try) -> bool:
    """Is something called in the rest of the ``try``? It may be the compiled function, and compile it."""
    rest = [each for each in attempt.body if each is not application.statement]
    return any(isinstance(node, ast.Call) for statement in rest for node in ast.walk(statement))
