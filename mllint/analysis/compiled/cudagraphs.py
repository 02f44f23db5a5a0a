"""CUDA graphs that torch.compile makes: which compilations ask for them, what is called several times a step, and the
places where someone works around graphs that are replayed too early.

May not: judge hand-made captures (`torch.cuda.graph`), whose static buffers have to be copied.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterator, Sequence

from mllint.analysis.compiled.applications import Application
from mllint.analysis.compiled.steps import takes_steps
from mllint.analysis.compiled.words import CUDA_GRAPHS
from mllint.analysis.names import dotted_name
from mllint.analysis.syntax import Syntax, expressions

_MARK = "cudagraph_mark_step_begin"
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SIMPLE = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return)

#: Modes of torch.compile that record CUDA graphs.
GRAPH_MODES = ("reduce-overhead", "max-autotune")
_SWITCH = "triton.cudagraphs"

_ABOUT_GRAPHS = re.compile("|".join(map(re.escape, CUDA_GRAPHS)))
_ABOUT_SAVING = re.compile(r"overwr|clon|cop(y|ies)|reus|replay|stale|buffer|memory|keep|safe|alias", re.IGNORECASE)


def makes_graphs(application: Application) -> bool:
    """Does this compilation record CUDA graphs?"""
    if application.compiler != "torch.compile":
        return False
    if application.literal("mode") in GRAPH_MODES:
        return True
    return any(value is True for value in _switch_values(application.options.get("options")))


def marks(syntax: Syntax) -> list[tuple[ast.stmt, ast.Call]]:
    """Calls that mark the begin of a CUDA graph step, those of a function got by ``getattr`` included."""
    kept = {
        dotted_name(target)
        for statement in syntax.statements(ast.Assign)
        if _gets_mark(statement.value)
        for target in statement.targets
    } - {""}
    found = []
    for statement in syntax.statements(*_SIMPLE):
        for node in expressions(statement):
            if not isinstance(node, ast.Call):
                continue
            written = dotted_name(node.func)
            if written.rpartition(".")[2] == _MARK or written in kept or _gets_mark(node.func):
                found.append((statement, node))
    return found


def _gets_mark(node: ast.expr) -> bool:
    """``getattr(torch.compiler, "cudagraph_mark_step_begin", …)``, or the function itself."""
    if isinstance(node, ast.Call) and dotted_name(node.func) == "getattr" and len(node.args) > 1:
        return isinstance(node.args[1], ast.Constant) and node.args[1].value == _MARK
    return isinstance(node, ast.Attribute) and node.attr == _MARK


def switches_off(syntax: Syntax, name: Callable[[ast.expr], str]) -> Iterator[ast.expr | ast.stmt]:
    """Places that turn CUDA graphs off: inductor's configuration, a patch of it, an options table."""
    for statement in syntax.statements(*_SIMPLE, ast.With):
        if isinstance(statement, ast.Assign) and _sets_off(statement, name):
            yield statement
            continue
        for node in expressions(statement):
            if isinstance(node, ast.Dict) and False in _switch_values(node):
                yield node
            elif isinstance(node, ast.Call) and name(node.func).endswith("_inductor.config.patch"):
                words = [each.value if isinstance(each, ast.Constant) else None for each in node.args]
                if words[:1] == [_SWITCH] and words[1:] == [False]:
                    yield node


def _sets_off(statement: ast.Assign, name: Callable[[ast.expr], str]) -> bool:
    """``torch._inductor.config.triton.cudagraphs = False``"""
    if not isinstance(statement.value, ast.Constant) or statement.value.value is not False:
        return False
    return any(name(target).endswith(f"_inductor.config.{_SWITCH}") for target in statement.targets)


def _switch_values(node: ast.expr | None) -> list[object]:
    """What a table says about CUDA graphs."""
    if not isinstance(node, ast.Dict):
        return []
    return [
        value.value
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == _SWITCH and isinstance(value, ast.Constant)
    ]


def saving_clones(syntax: Syntax, lines: Sequence[str]) -> Iterator[ast.expr]:
    """``.clone()`` calls that a comment explains with CUDA graphs; ``lines`` are those of the file."""
    for statement in syntax.statements(*_SIMPLE):
        for node in expressions(statement):
            clones = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "clone"
            if clones and _explained(_comment(statement, lines)):
                yield node
                break


def _explained(comment: str) -> bool:
    return bool(_ABOUT_GRAPHS.search(comment) and _ABOUT_SAVING.search(comment))


def _comment(statement: ast.stmt, lines: Sequence[str]) -> str:
    """The comments on a statement's own lines and on the lines right above it."""
    last = statement.end_lineno or statement.lineno
    found = [line.partition("#")[2] for line in lines[statement.lineno - 1 : last]]
    row = statement.lineno - 2
    while row >= 0 and lines[row].lstrip().startswith("#"):
        found.append(lines[row])
        row -= 1
    return " ".join(found)


def graph_callees(found: Collection[Application]) -> frozenset[str]:
    """Names, as written, that this file binds to something compiled with CUDA graphs."""
    names: set[str] = set()
    for each in found:
        if not makes_graphs(each):
            continue
        statement = each.statement
        if each.decorates and isinstance(statement, _FUNCTIONS):
            names.add(statement.name)
        elif isinstance(statement, ast.Assign):
            names.update(map(dotted_name, statement.targets))
    return frozenset(names - {""})


def called_repeatedly(names: Collection[str], syntax: Syntax) -> bool:
    """Is one of these called several times a step: twice in one function or loop body, or through a helper that is?"""
    seen = set(names)
    for _ in range(3):
        helpers: set[str] = set()
        for holder, calls in _calls_by_holder(seen, syntax).items():
            if calls and _is_inner_loop(holder, syntax):
                return True
            if _together(calls, syntax):
                return True
            if isinstance(holder, _FUNCTIONS) and calls:
                in_class = isinstance(syntax.parent(holder), ast.ClassDef)
                helpers.add(f"self.{holder.name}" if in_class else holder.name)
        if helpers <= seen:
            return False
        seen = helpers | set(names)
    return False


def _is_inner_loop(holder: ast.AST, syntax: Syntax) -> bool:
    """Is it a loop within one step of a loop over steps?"""
    if not isinstance(holder, _LOOPS) or takes_steps(holder):
        return False
    outer = turn(holder, syntax)
    return isinstance(outer, _LOOPS) and takes_steps(outer)


def _calls_by_holder(names: Collection[str], syntax: Syntax) -> dict[ast.AST, list[ast.stmt]]:
    """The statements that call one of these names (once for each call), by the loop or function that they belong to."""
    found: dict[ast.AST, list[ast.stmt]] = {}
    for statement in syntax.statements(*_SIMPLE):
        for node in expressions(statement):
            if isinstance(node, ast.Call) and dotted_name(node.func) in names:
                found.setdefault(turn(statement, syntax), []).append(statement)
    return found


def turn(statement: ast.AST, syntax: Syntax) -> ast.AST:
    """What a statement runs once in: the innermost loop, function, or module."""
    for above in syntax.ancestors(statement):
        if isinstance(above, (*_LOOPS, *_FUNCTIONS, ast.Module)):
            return above
    return syntax.module


def stands_in_main_loop(statement: ast.AST, syntax: Syntax) -> bool:
    """Is the statement the business of a loop over steps, rather than of what such a loop calls?"""
    holder = turn(statement, syntax)
    return isinstance(holder, _LOOPS) and takes_steps(holder)


def _exclusive(one: ast.stmt, other: ast.stmt, syntax: Syntax) -> bool:
    """Do two statements stand in different branches, so that only one of them runs?"""
    mine, yours = dict(_branches(one, syntax)), dict(_branches(other, syntax))
    return any(mine[condition] != yours[condition] for condition in mine.keys() & yours.keys())


def _branches(statement: ast.stmt, syntax: Syntax) -> Iterator[tuple[ast.AST, str]]:
    """Each ``if`` or ``try`` around a statement, within the same turn, and which part of it holds the statement."""
    inner: ast.AST = statement
    for above in syntax.ancestors(statement):
        if isinstance(above, (*_LOOPS, *_FUNCTIONS, ast.Module)):
            return
        if isinstance(above, ast.If):
            yield above, "else" if inner in above.orelse else "then"
        elif isinstance(above, ast.Try):
            yield above, "except" if inner in above.handlers else "try"
        inner = above


def holding_functions(statements: Sequence[ast.stmt], syntax: Syntax) -> frozenset[str]:
    """How the functions are called (``run``, ``self.run``) that hold these statements outside of any loop."""
    holders = {turn(each, syntax) for each in statements}
    return frozenset(
        f"self.{each.name}" if isinstance(syntax.parent(each), ast.ClassDef) else each.name
        for each in holders
        if isinstance(each, _FUNCTIONS)
    )


def several_in_one_turn(statements: Sequence[ast.stmt], syntax: Syntax) -> list[ast.stmt]:
    """Those of some statements that share a loop's turn, or a function, with another one."""
    groups: dict[ast.AST, list[ast.stmt]] = {}
    for each in statements:
        groups.setdefault(turn(each, syntax), []).append(each)
    return [each for group in groups.values() for each in _together(group, syntax)]


def _together(group: Sequence[ast.stmt], syntax: Syntax) -> list[ast.stmt]:
    """Those of some statements of one turn that run beside another one of them."""
    return [
        each
        for at, each in enumerate(group)
        if any(not _exclusive(each, other, syntax) for number, other in enumerate(group) if number != at)
    ]


__all__ = [
    "GRAPH_MODES",
    "called_repeatedly",
    "graph_callees",
    "holding_functions",
    "makes_graphs",
    "marks",
    "saving_clones",
    "several_in_one_turn",
    "stands_in_main_loop",
    "switches_off",
]
