"""What runs once a step: the loops that take steps, and the functions that such loops, or a framework, call each time.

May not: look at another file, or take a loop for one over steps that may go through configurations.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TypeAlias

from mllint.analysis.names import dotted_name
from mllint.analysis.syntax import Syntax

Loop: TypeAlias = ast.For | ast.AsyncFor | ast.While
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)

#: Loop variables that count steps or hold their data. ``batch_size`` is a configuration.
_STEP_WORDS = frozenset({"batch", "minibatch", "microbatch", "epoch", "step", "iteration", "iter"})
_CONFIGURATION_WORDS = frozenset({"size", "sizes", "config", "cfg", "mode", "kind", "name", "shape", "dim", "num", "n"})
_DATA = re.compile(r"loader|\bdataset\b|data_iter|dataiter", re.IGNORECASE)

#: Methods that only a training step calls.
_TRAINS = frozenset({"backward", "zero_grad", "apply_gradients", "train_on_batch"})
_OPTIMIZER = re.compile(r"optim|\bopt\b|_opt\b|scaler", re.IGNORECASE)

#: Methods that a framework calls for each batch, in classes with bases.
_PER_CALL_METHODS = frozenset(
    {"forward", "training_step", "validation_step", "test_step", "prediction_step", "compute_loss"}
)

#: A condition with such a word, or a comparison in it, may hold only once.
_ONCE = re.compile(r"first|init|once|done|ready|warm|cached?|built|has_|exists|_is_|last|final", re.IGNORECASE)


def step_loop(statement: ast.AST, syntax: Syntax) -> Loop | None:
    """The innermost loop around a statement, in its own function, if that loop takes a step each time round and the
    statement runs every time."""
    inner = statement
    for above in syntax.ancestors(statement):
        if isinstance(above, (*_SCOPES, ast.Module)) or not _runs_each_time(inner, above, syntax):
            return None
        if isinstance(above, _LOOPS):
            return above if inner in above.body and takes_steps(above) else None
        inner = above
    return None


def per_step_function(statement: ast.AST, syntax: Syntax) -> Function | None:
    """The function that a statement belongs to, if the statement runs each time that the function does."""
    inner = statement
    for above in syntax.ancestors(statement):
        if isinstance(above, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return above
        if isinstance(above, (*_LOOPS, ast.ClassDef, ast.Module)) or not _runs_each_time(inner, above, syntax):
            return None
        inner = above
    return None


def is_called_by_a_framework(function: Function, syntax: Syntax) -> bool:
    """Is it a method like ``forward`` that PyTorch, Lightning or a Trainer calls for each batch, or an optimizer's ``step``?"""
    holder = syntax.parent(function)
    if not isinstance(holder, ast.ClassDef) or not holder.bases:
        return False
    optimizer = any("Optimizer" in ast.unparse(base) for base in holder.bases)
    return function.name in _PER_CALL_METHODS or (optimizer and function.name == "step")


def calling_loop(function: Function, syntax: Syntax) -> Loop | None:
    """A loop over steps in this file that calls the function each time round."""
    holder = syntax.parent(function)
    method = isinstance(holder, ast.ClassDef)
    if not method and not isinstance(holder, ast.Module):
        return None
    written = f"self.{function.name}" if method else function.name
    for loop in syntax.statements(*_LOOPS):
        if not takes_steps(loop):
            continue
        if method and holder not in syntax.ancestors(loop):
            continue
        for node in _own_nodes(loop.body):
            if isinstance(node, ast.Call) and dotted_name(node.func) == written:
                owner = _statement_of(node, loop)
                if owner is not None and step_loop(owner, syntax) is loop:
                    return loop
    return None


def takes_steps(loop: Loop) -> bool:
    """Does each turn of a loop take a step of training, or go to the next batch or epoch?"""
    if not isinstance(loop, ast.While):
        if isinstance(loop.iter, (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp)):
            return False
        if _DATA.search(ast.unparse(loop.iter)):
            return True
    counted = loop.test if isinstance(loop, ast.While) else loop.target
    words = [set(node.id.lower().split("_")) for node in ast.walk(counted) if isinstance(node, ast.Name)]
    if any(each & _STEP_WORDS and not each & _CONFIGURATION_WORDS for each in words):
        return True
    return any(isinstance(node, ast.Call) and _trains(node) for node in _own_nodes(loop.body))


def _trains(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    attribute = call.func.attr
    return attribute in _TRAINS or (attribute == "step" and bool(_OPTIMIZER.search(ast.unparse(call.func.value))))


def _runs_each_time(inner: ast.AST, above: ast.AST, syntax: Syntax) -> bool:
    """Does a part of a statement run whenever the statement does, as far as one can tell?"""
    if isinstance(above, ast.If):
        return not _may_hold_once(above)
    if isinstance(above, (ast.ExceptHandler, ast.match_case, ast.Match)):
        return False
    if isinstance(above, _LOOPS):
        return not _leaves_after(inner, syntax)
    return True


def _may_hold_once(node: ast.If) -> bool:
    """Might the condition hold only the first time? Plain switches (``if args.compile``) do not change."""
    changed = {
        dotted_name(target)
        for statement in _own_nodes([*node.body, *node.orelse])
        if isinstance(statement, ast.Assign)
        for target in statement.targets
    }
    for part in ast.walk(node.test):
        if isinstance(part, (ast.Compare, ast.UnaryOp, ast.NamedExpr, ast.Constant, ast.Subscript, ast.Call)):
            return True
        if isinstance(part, (ast.Name, ast.Attribute)):
            written = dotted_name(part)
            if written in changed or _ONCE.search(written):
                return True
    return False


def _leaves_after(statement: ast.AST, syntax: Syntax) -> bool:
    """Does the loop end, whatever happens, behind this statement?"""
    block, position = syntax.block(statement)
    return any(isinstance(later, (ast.Break, ast.Return, ast.Raise)) for later in block[position + 1 :])


def _statement_of(node: ast.AST, loop: Loop) -> ast.stmt | None:
    """The innermost statement of a loop that holds an expression."""
    holders = [each for each in _own_nodes(loop.body) if isinstance(each, ast.stmt) and node in set(ast.walk(each))]
    return min(holders, key=lambda each: (each.end_lineno or 0) - each.lineno, default=None)


def _own_nodes(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """All nodes of some statements, but for those in nested loops, functions and classes."""
    pending: list[ast.AST] = [node for node in body if not isinstance(node, (*_SCOPES, *_LOOPS))]
    while pending:
        node = pending.pop()
        yield node
        pending += [child for child in ast.iter_child_nodes(node) if not isinstance(child, (*_SCOPES, *_LOOPS))]
