"""Is the object that ``add_argument`` is called on a parser that works as argparse's does?

May not: look at another file. Parsers that convert values in their own way (jsonargparse, tap) count as no.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Literal

from mllint.analysis.names import dotted_name, parameter_names
from mllint.analysis.syntax import Syntax

#: Classes whose parsing of a value is that of argparse.
PARSERS = frozenset(
    {
        "argparse.ArgumentParser",
        "configargparse.ArgParser",
        "configargparse.ArgumentParser",
        "deepspeed.runtime.config.ArgumentParser",
        "transformers.HfArgumentParser",
        "trl.TrlParser",
    }
)

#: Methods of a parser that hand out something with an ``add_argument`` of its own.
GROUPS = frozenset({"add_argument_group", "add_mutually_exclusive_group", "add_parser"})

#: Names under which functions take a parser, or a group of one, from somebody else.
_CUSTOMARY = re.compile(r"(^|_|arg)(parser|group)$")

#: Annotations of such parameters.
_ANNOTATION = re.compile(r"\b(ArgumentParser|ArgParser|_?ArgumentGroup|_ActionsContainer|Any)\b")

Sure = Literal["yes", "likely", "unknown", "no"]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Receivers:
    """Answers for one file; assignments are read once, when first asked."""

    def __init__(self, syntax: Syntax, name: Callable[[ast.expr], str]) -> None:
        self._syntax = syntax
        self._name = name
        self._values: dict[tuple[ast.AST | None, str], list[ast.expr]] | None = None

    def is_parser(self, node: ast.expr, statement: ast.AST, depth: int = 0) -> Sure:
        """Is ``node``, as read in ``statement``, a parser? ``likely`` where only names say so."""
        if depth > 5:
            return "no"
        if isinstance(node, ast.Call):
            return self._made_by(node, statement, depth)
        written = dotted_name(node)
        if not written:
            return "no"
        if written == "self":
            return self._is_parser_class(self._class_around(statement))
        values, owner = self._bound(written, statement)
        answers = {self.is_parser(value, statement, depth + 1) for value in values if dotted_name(value) != written}
        for answer in ("no", "yes", "likely"):
            if answer in answers:
                return answer
        return self._by_custom(written, owner)

    def _bound(self, written: str, statement: ast.AST) -> tuple[list[ast.expr], ast.AST | None]:
        """What a name is assigned in the scope that binds it, and the function whose parameter it is."""
        values = self._assigned()
        if "." in written:
            return values.get((None, written), []), None
        for scope in self._syntax.ancestors(statement):
            if not isinstance(scope, (*_FUNCTIONS, ast.Module)):
                continue
            found = values.get((scope, written), [])
            if isinstance(scope, _FUNCTIONS) and written in parameter_names(scope.args):
                return found, scope
            if found:
                return found, None
        return [], None

    def _made_by(self, call: ast.Call, statement: ast.AST, depth: int) -> Sure:
        called = self._name(call.func)
        if called in PARSERS:
            return "yes"
        if isinstance(call.func, ast.Attribute) and call.func.attr in GROUPS:
            if call.func.attr == "add_parser":  # on what ``add_subparsers`` gave, which is rarely anything else
                return "likely"
            return self.is_parser(call.func.value, statement, depth + 1)
        made = next((node for node in self._syntax.statements(ast.ClassDef) if node.name == called), None)
        if made is not None:
            return self._is_parser_class(made)
        last = called.rpartition(".")[2]
        return "no" if last[:1].isupper() else "unknown"

    def _is_parser_class(self, made: ast.ClassDef | None) -> Sure:
        """Is it derived from a known parser and leaves the declaration of options alone?"""
        if made is None or not any(self._name(base) in PARSERS for base in made.bases):
            return "no"
        own = {item.name for item in made.body if isinstance(item, _FUNCTIONS)}
        return "no" if own & {"add_argument", "_add_action", "_get_value", "parse_known_args"} else "yes"

    def _by_custom(self, written: str, owner: ast.AST | None) -> Sure:
        """By the name alone; ``owner`` is the function whose parameter it is."""
        if not _CUSTOMARY.search(written.lower()):
            return "unknown"
        if isinstance(owner, _FUNCTIONS):
            if owner.name == "add_arguments_to_parser":  # LightningCLI's hook: a parser of jsonargparse
                return "no"
            for argument in (*owner.args.posonlyargs, *owner.args.args, *owner.args.kwonlyargs):
                if argument.arg == written and argument.annotation is not None:
                    return "likely" if _ANNOTATION.search(ast.unparse(argument.annotation)) else "no"
        return "likely"

    def _class_around(self, statement: ast.AST) -> ast.ClassDef | None:
        return next((above for above in self._syntax.ancestors(statement) if isinstance(above, ast.ClassDef)), None)

    def _assigned(self) -> dict[tuple[ast.AST | None, str], list[ast.expr]]:
        """What the file assigns to each name in each scope; to a dotted name, in any scope (None)."""
        if self._values is None:
            self._values = {}
            found: list[ast.Assign | ast.AnnAssign] = self._syntax.statements(ast.Assign, ast.AnnAssign)
            for statement in found:
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                for target in targets:
                    written = dotted_name(target)
                    if written and statement.value is not None:
                        scope = None if "." in written else self._syntax.scope(statement)
                        self._values.setdefault((scope, written), []).append(statement.value)
        return self._values
