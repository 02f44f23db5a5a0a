"""A Python file and the functions that its calls mean, in it and in other files of the project.

May not: say what a function does.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from mllint.analysis.arguments.uses import Uses
from mllint.analysis.names import dotted_name, parameter_names
from mllint.analysis.syntax import Syntax

if TYPE_CHECKING:
    from mllint.analysis.index import FileIndex
    from mllint.analysis.project import Project

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Unseen(Exception):
    """Something happens to an object that the files do not show: nothing can be said about it."""


@dataclass
class View:
    """One file. ``functions`` by qualified name; None where a name is defined twice."""

    path: str
    syntax: Syntax
    index: FileIndex
    uses: Uses
    functions: dict[str, Function | None] = field(default_factory=dict)
    classes: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for node in self.syntax.statements(*_FUNCTIONS):
            outer = self.syntax.qualname(node)
            qualname = f"{outer}.{node.name}" if outer else node.name
            self.functions[qualname] = None if qualname in self.functions else node
        self.classes = frozenset(node.name for node in self.syntax.statements(ast.ClassDef))

    def name(self, node: ast.expr) -> str:
        """What a chain of names stands for, through the imports of this file."""
        return self.index.dotted(dotted_name(node))

    def returned(self, function: Function) -> list[ast.expr | None]:
        """What the ``return`` statements of a function give, in order."""
        found = self.syntax.statements(ast.Return)
        return [each.value for each in found if self.syntax.scope(each) is function]


@dataclass
class Files:
    """The file at hand, and others as far as somebody asks."""

    own: View
    project: Project | None
    _others: dict[str, View | None] = field(default_factory=dict)

    def function(self, called: ast.expr, view: View) -> tuple[View, Function]:
        """The function that a call means; raises `Unseen` where that is not certain."""
        dotted = view.name(called)
        if self.is_local(called, view):
            function = view.functions.get(dotted)
            if function is None:
                raise Unseen(dotted)
            return view, function
        found = self.project.resolve(dotted, view.path) if self.project is not None and dotted else None
        other = self.view(found.path) if found else None
        function = other.functions.get(found.name) if found and other else None
        if other is None or function is None:
            raise Unseen(dotted)
        return other, function

    def is_local(self, called: ast.expr, view: View) -> bool:
        """Is the name that is called defined in the file itself?"""
        head = dotted_name(called).partition(".")[0]
        return head in view.functions or head in view.classes

    def view(self, path: str) -> View | None:
        """Another file of the project."""
        if path == self.own.path:
            return self.own
        if path not in self._others:
            assert self.project is not None
            syntax, index = self.project.syntax(path), self.project.index(path)
            self._others[path] = View(path, syntax, index, Uses(syntax)) if syntax and index else None
        return self._others[path]


def parameter_of(function: Function, call: ast.Call, passed: ast.expr) -> str:
    """The parameter that takes an argument of a call; raises `Unseen` for ``*`` and ``**``."""
    for keyword in call.keywords:
        if keyword.value is passed and keyword.arg is not None:
            if keyword.arg in parameter_names(function.args):
                return keyword.arg
            raise Unseen(keyword.arg)
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    if names[:1] in (["self"], ["cls"]):
        del names[0]
    for position, argument in enumerate(call.args):
        if isinstance(argument, ast.Starred):
            break
        if argument is passed and position < len(names):
            return names[position]
    raise Unseen(function.name)


__all__ = ["Files", "Function", "Unseen", "View", "parameter_of"]
