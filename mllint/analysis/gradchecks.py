"""Custom autograd Functions of a file, and whether any file of the project passes them to ``gradcheck``.

May not: decide whether a backward is right.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.analysis.names import dotted_name

if TYPE_CHECKING:
    from mllint.analysis.index import FileIndex
    from mllint.analysis.project import Project
    from mllint.analysis.syntax import Syntax

#: The base classes of torch that have a backward of the user's own.
FUNCTION_ROOTS = frozenset(
    ["torch.autograd.Function", "torch.autograd.function.Function", "torch.autograd.function.InplaceFunction"]
)

#: Methods that give back the tensor as it is.
_SAME = frozenset({"clone", "view_as", "view", "contiguous", "detach", "new_tensor"})

_CHECKS = r"\bgrad(grad)?check\b"


def functions_with_backward(syntax: Syntax, index: FileIndex) -> Iterator[ast.ClassDef]:
    """Classes derived from torch's Function, directly or through a class of the same file, with a backward that does something."""
    known: set[str] = set()
    for node in syntax.statements(ast.ClassDef):
        bases = [dotted_name(base) for base in node.bases]
        if any(index.dotted(base) in FUNCTION_ROOTS or base in known for base in bases if base):
            known.add(node.name)
            if any(_is_backward(each) for each in node.body):
                yield node


def _is_backward(node: ast.stmt) -> bool:
    """A method ``backward`` (or ``vjp``) that is more than a docstring, ``pass`` or a refusal."""
    if not isinstance(node, ast.FunctionDef) or node.name not in ("backward", "vjp"):
        return False
    told = [each for each in node.body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))]
    return bool(told) and not isinstance(told[0], (ast.Raise, ast.Pass))


def hands_its_input_on(node: ast.ClassDef) -> bool:
    """Does every return of the forward give a parameter as it is? Such a Function is there to change gradients."""
    forward = next((each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "forward"), None)
    if forward is None:
        return False
    given = {each.arg for each in (*forward.args.posonlyargs, *forward.args.args)}
    if forward.args.vararg is not None:
        given.add(forward.args.vararg.arg)
    returned = [each.value for each in ast.walk(forward) if isinstance(each, ast.Return)]
    return bool(returned) and all(_is_given(value, given) for value in returned)


def _is_given(value: ast.expr | None, given: set[str]) -> bool:
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _SAME:
        value = value.func.value
    if isinstance(value, ast.Tuple):
        return any(_is_given(each, given) for each in value.elts)
    return isinstance(value, ast.Name) and value.id in given


def is_checked(name: str, path: str, project: Project) -> bool:
    """Could any file that calls ``gradcheck`` mean this class of the file ``path``: by its name, or by the name of
    something that uses it?"""
    checking = set(project.matching(_CHECKS))
    if not checking:
        return False
    if path in checking:
        return True
    names = {name}
    for _ in range(2):
        using = {each for word in sorted(names) for each in project.mentioned(word)}
        if using & checking:
            return True
        names = {found for each in sorted(using) for found in _users(each, names, project)} - names
        if len(names) > 20:  # a name that is everywhere says nothing: unknown
            return True
    return any(project.mentioned(word) & checking for word in sorted(names))


def _users(path: str, names: set[str], project: Project) -> Iterator[str]:
    """Module-level functions, classes and variables of a file whose text mentions one of these names."""
    syntax, data = project.syntax(path), project.load_bytes(path)
    if syntax is None or data is None:
        return
    lines = data.decode("utf-8", "replace").split("\n")
    word = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(names)))})\b")
    for node in syntax.module.body:
        own = "\n".join(lines[node.lineno - 1 : node.end_lineno])
        if not word.search(own):
            continue
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
