"""Which Python values the calls in sight pass to a function: TensorFlow traces it once for each of them.

May not: guess at values that are computed, or follow a call through another function.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from mllint.analysis.syntax import Syntax, expressions

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_LOOPS = (ast.For, ast.AsyncFor)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_STATEMENTS = (
    *(ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return, ast.Assert, ast.Delete, ast.Raise),
    *(ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith),
)
_NUMBERS_AND_TEXTS = (bool, int, float, str)

#: What `range` with unknown bounds stands for: two values that nothing else equals.
_SOME = ("range", "range too")


def differing(function: Function, calls: Iterable[Mapping[str, frozenset[object]]]) -> tuple[str, int] | None:
    """The parameter for which most different literals are passed, and how many; None where none gets two. A switch
    that is on or off does not count: two traces are all that it ever costs."""
    defaults = _defaults(function)
    values: dict[str, set[object]] = {}
    for call in calls:
        for parameter in {**defaults, **call}:
            given = call.get(parameter, defaults.get(parameter, frozenset()))
            values.setdefault(parameter, set()).update(given)
    many = {name: given for name, given in values.items() if not _are_truth_values(given)}
    most = max(many.items(), key=lambda item: len(item[1]), default=("", set()))
    return (most[0], len(most[1])) if len(most[1]) > 1 else None


def _are_truth_values(values: set[object]) -> bool:
    return values <= {("bool", True), ("bool", False)}


def calls_of(syntax: Syntax) -> Iterator[tuple[ast.stmt, ast.Call]]:
    """Every call of a file with the statement that it stands in."""
    for statement in syntax.statements(*_STATEMENTS):
        for node in expressions(statement):
            if isinstance(node, ast.Call):
                yield statement, node


def passed(function: Function, statement: ast.stmt, call: ast.Call, syntax: Syntax) -> dict[str, frozenset[object]]:
    """What a call passes to each parameter, as literals; an empty set where it is none. Parameters that the call
    leaves to their defaults are absent."""
    arguments = function.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    given: dict[str, frozenset[object]] = {}
    for name, value in zip(names, call.args):  # noqa: B905  # a call may leave parameters to their defaults
        if isinstance(value, ast.Starred):
            return {each: frozenset() for each in names}
        given[name] = _literals(value, statement, syntax)
    for keyword in call.keywords:
        if keyword.arg is None:
            return {each: given.get(each, frozenset()) for each in (*names, *_keyword_only(function))}
        given[keyword.arg] = _literals(keyword.value, statement, syntax)
    return given


def _keyword_only(function: Function) -> list[str]:
    return [argument.arg for argument in function.args.kwonlyargs]


def _literals(value: ast.expr, statement: ast.stmt, syntax: Syntax) -> frozenset[object]:
    literal = _literal(value)
    if literal is not None:
        return frozenset({literal})
    if isinstance(value, ast.Name):
        return _looped(value.id, statement, syntax)
    return frozenset()


def _literal(value: ast.expr) -> object | None:
    """A number, text or truth value with its type, since ``1`` and ``True`` are different traces."""
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        inner = _literal(value.operand)
        return ("-", inner) if inner is not None else None
    if isinstance(value, ast.Constant) and isinstance(value.value, _NUMBERS_AND_TEXTS):
        return (type(value.value).__name__, value.value)
    return None


def _looped(name: str, statement: ast.stmt, syntax: Syntax) -> frozenset[object]:
    """The values of a loop variable over ``range`` or over a display of literals."""
    for above in syntax.ancestors(statement):
        if isinstance(above, _SCOPES):
            return frozenset()
        if isinstance(above, _LOOPS) and isinstance(above.target, ast.Name) and above.target.id == name:
            if isinstance(above.iter, (ast.List, ast.Tuple, ast.Set)):
                found = [_literal(each) for each in above.iter.elts]
                return frozenset(found) if None not in found else frozenset()
            if isinstance(above.iter, ast.Call) and isinstance(above.iter.func, ast.Name):
                return frozenset(_SOME) if above.iter.func.id == "range" else frozenset()
            return frozenset()
    return frozenset()


def _defaults(function: Function) -> dict[str, frozenset[object]]:
    """The parameters that have a literal default, with it."""
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(plain[len(plain) - len(arguments.defaults) :], arguments.defaults, strict=True)]
    pairs += [
        (argument, default)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is not None
    ]
    literals = ((argument.arg, _literal(default)) for argument, default in pairs)
    return {name: frozenset({value}) for name, value in literals if value is not None}
