"""Every name that a parser declares, where the files show all that happens to the parser.

May not: guess. What is passed to code that cannot be read, kept in an attribute or built in a loop is `Unseen`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from mllint.analysis.arguments.options import option_of, text
from mllint.analysis.arguments.receivers import GROUPS
from mllint.analysis.arguments.views import Files, Function, Unseen, View, parameter_of
from mllint.analysis.syntax import Scope

#: Parsers that put exactly what is declared into the namespace.
_PLAIN = frozenset({"argparse.ArgumentParser", "configargparse.ArgParser", "configargparse.ArgumentParser"})

#: Methods that make a namespace.
PARSES = frozenset({"parse_args", "parse_known_args", "parse_intermixed_args", "parse_known_intermixed_args"})

#: Methods and attributes of a parser that declare nothing.
_NEUTRAL = PARSES | frozenset(
    [
        "allow_abbrev",
        "description",
        "epilog",
        "error",
        "exit",
        "format_help",
        "format_usage",
        "formatter_class",
        "get_default",
        "print_help",
        "print_usage",
        "prog",
        "register",
        "required",
        "title",
        "usage",
    ]
)

#: Functions that take a parser and leave it alone.
_HARMLESS = frozenset({"argcomplete.autocomplete", "print", "type", "isinstance"})


@dataclass
class Declared:
    """The names that one or several parsers declare. What happens in other files waits in ``pending``, so that
    the project is asked only where the answer matters."""

    files: Files
    names: set[str] = field(default_factory=set)
    pending: list[tuple[View, ast.Call, ast.expr | None]] = field(default_factory=list)
    _seen: set[tuple[str, Scope, str]] = field(default_factory=set)
    _returned: set[Function] = field(default_factory=set)

    def settle(self) -> None:
        """Follow parsers into the other files that they are passed to or come from."""
        while self.pending:
            view, call, passed = self.pending.pop()
            there, function = self.files.function(call.func, view)
            if passed is None:
                self._result(there, function)
            else:
                self.variable(there, function, parameter_of(function, call, passed))

    def variable(self, view: View, scope: Scope, name: str) -> None:
        """All that happens to a variable which holds a parser."""
        if (view.path, scope, name) in self._seen:
            return
        self._seen.add((view.path, scope, name))
        if (scope, name) in view.uses.tangled or not view.uses.binds(scope, name):
            raise Unseen(name)
        for use in view.uses.of(scope, name):
            if isinstance(use.node.ctx, ast.Load):
                self._use(view, use.node, use.above, use.statement)
            elif isinstance(use.parent, ast.Assign) and use.parent.targets == [use.node]:
                self.value(view, use.parent.value, use.statement)
            else:
                raise Unseen(name)

    def value(self, view: View, value: ast.expr, statement: ast.AST) -> None:
        """An expression that gives a parser, a group of one, or its sub-commands."""
        if isinstance(value, ast.Name):
            self.variable(view, view.uses.owner(value.id, statement), value.id)
            return
        if not isinstance(value, ast.Call):
            raise Unseen(type(value).__name__)
        if view.name(value.func) in _PLAIN:
            self._parents(view, value, statement)
        elif isinstance(value.func, ast.Attribute) and value.func.attr in (*GROUPS, "add_subparsers"):
            self.value(view, value.func.value, statement)
            self._parents(view, value, statement)
        elif self.files.is_local(value.func, view):
            self._result(*self.files.function(value.func, view))
        else:
            self.pending.append((view, value, None))

    def _result(self, view: View, function: Function) -> None:
        """A function that returns a parser."""
        if function in self._returned:
            return
        self._returned.add(function)
        returned = view.returned(function)
        if not returned:
            raise Unseen(function.name)
        for value in returned:
            if value is None:
                raise Unseen(function.name)
            self.value(view, value, function.body[0])

    def _parents(self, view: View, call: ast.Call, statement: ast.AST) -> None:
        """A call that makes a parser: those of its ``parents`` count as its own."""
        for keyword in call.keywords:
            if keyword.arg is None:
                raise Unseen("**")
            if keyword.arg == "parents":
                if not isinstance(keyword.value, (ast.List, ast.Tuple)):
                    raise Unseen("parents")
                for parent in keyword.value.elts:
                    self.value(view, parent, statement)

    def _use(self, view: View, node: ast.expr, above: tuple[ast.AST, ...], statement: ast.AST) -> None:
        """One thing that happens to a parser; ``above`` holds it, from inside out."""
        parent = above[0]
        if isinstance(parent, ast.Attribute):
            call = above[1] if len(above) > 1 and isinstance(above[1], ast.Call) and above[1].func is parent else None
            self._method(view, parent.attr, call, above[2:], statement)
        elif isinstance(parent, (ast.Call, ast.keyword)):
            taker = parent if isinstance(parent, ast.Call) else above[1]
            if not isinstance(taker, ast.Call):
                raise Unseen("class argument")
            self._passed(view, taker, node)
        elif isinstance(parent, ast.Assign):
            self._kept(view, parent)
        elif not isinstance(parent, (ast.Return, ast.Expr)):
            holder = above[1] if len(above) > 1 else None
            if not (isinstance(holder, ast.keyword) and holder.arg == "parents"):
                raise Unseen(type(parent).__name__)

    def _method(
        self, view: View, name: str, call: ast.Call | None, above: tuple[ast.AST, ...], statement: ast.AST
    ) -> None:
        if name in _NEUTRAL:
            return
        if call is None:
            raise Unseen(name)
        if name == "add_argument":
            self._declare(call, statement)
        elif name == "set_defaults":
            if any(keyword.arg is None for keyword in call.keywords):
                raise Unseen("**")
            self.names.update(keyword.arg for keyword in call.keywords if keyword.arg)
        elif name in (*GROUPS, "add_subparsers"):
            dest = next((keyword.value for keyword in call.keywords if keyword.arg == "dest"), None)
            if dest is not None:
                self.names.add(text(dest))
            self._parents(view, call, statement)
            self._use(view, call, above, statement)
        else:
            raise Unseen(name)

    def _declare(self, call: ast.Call, statement: ast.AST) -> None:
        option = option_of(call, statement)
        if option is None or not option.dest or "{" in option.dest:
            raise Unseen("computed option")
        action = option.keywords.get("action")
        paired = isinstance(action, ast.Attribute) and action.attr == "BooleanOptionalAction"
        if action is not None and not isinstance(action, ast.Constant) and not paired:
            raise Unseen("an action may set any name")
        self.names.add(option.dest)

    def _passed(self, view: View, call: ast.Call, node: ast.expr) -> None:
        if view.name(call.func) in _HARMLESS:
            return
        if self.files.is_local(call.func, view):
            there, function = self.files.function(call.func, view)
            self.variable(there, function, parameter_of(function, call, node))
        else:
            self.pending.append((view, call, node))

    def _kept(self, view: View, assignment: ast.Assign) -> None:
        """``group = parser.add_argument_group()``, ``other = parser``: the new name is followed too."""
        for target in assignment.targets:
            if not isinstance(target, ast.Name):
                raise Unseen("kept in an attribute")
            self.variable(view, view.uses.owner(target.id, assignment), target.id)
