"""Variables that hold what a parser gives, and the names that the file reads from them.

May not: guess. A variable that also holds something else, or that goes where nobody can follow it, is `Unseen`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mllint.analysis.arguments.declared import PARSES, Declared
from mllint.analysis.arguments.views import Files, Function, Unseen, View, parameter_of
from mllint.analysis.names import dotted_name
from mllint.analysis.syntax import Scope

#: Names of functions that are worth asking whether they give a namespace.
_GIVES_ARGUMENTS = re.compile(r"arg|opt|parse|flags|config", re.IGNORECASE)

#: Parts of the names of functions that give a namespace, where they are imported from another file.
IMPORTED = ("parse_arg", "get_arg", "parse_opt", "get_opt", "arg_parse")

#: Functions that only read a namespace, or keep it as it is.
_READERS = frozenset(
    [
        "print",
        "str",
        "repr",
        "id",
        "len",
        "type",
        "isinstance",
        "bool",
        "pprint.pprint",
        "pprint.pformat",
        "json.dumps",
        "json.dump",
        "yaml.dump",
        "torch.save",
        "copy.copy",
        "copy.deepcopy",
        "deepcopy",
        "dict",
        "wandb.init",
        "wandb.config.update",
        "torch.multiprocessing.spawn",
        "multiprocessing.Process",
        "threading.Thread",
        "argparse.Namespace",
    ]
)

#: Methods of loggers and writers.
_WRITERS = frozenset({"info", "debug", "warning", "error", "critical", "log", "write", "write_text", "print"})

#: What may be done with ``vars(args)`` or ``args.__dict__`` without writing into it.
_READING = frozenset({"items", "keys", "values", "get", "copy"})


@dataclass
class Namespace:
    """One variable with a parser's result, and the parameters of this file's functions that it is passed to.

    ``reads`` are the attributes read, ``given`` names that something else gives it. ``leaves`` says that other code
    of the project gets hold of it, ``strangers`` are calls that take it and are not of this file.
    """

    files: Files
    declared: Declared
    reads: list[tuple[ast.Attribute, ast.AST, bool]] = field(default_factory=list)
    given: set[str] = field(default_factory=set)
    leaves: bool = False
    strangers: list[ast.Call] = field(default_factory=list)
    _seen: set[tuple[Scope, str]] = field(default_factory=set)

    def variable(self, scope: Scope, name: str, passed: bool = False) -> None:
        """All that happens to a variable; ``passed`` says that it is a parameter, so that others may pass more."""
        if (scope, name) in self._seen:
            return
        self._seen.add((scope, name))
        uses = self.files.own.uses
        if (scope, name) in uses.tangled:
            raise Unseen(name)
        for use in uses.of(scope, name):
            if not isinstance(use.node.ctx, ast.Load):
                if passed or not isinstance(use.statement, ast.Assign):
                    raise Unseen(name)
                produce(self.files.own, use.statement, name, self.declared)
            else:
                self._use(use.node, use.above, use.statement, passed)

    def _use(self, node: ast.Name, above: tuple[ast.AST, ...], statement: ast.AST, passed: bool) -> None:
        parent = above[0]
        if isinstance(parent, ast.Attribute):
            if parent.attr == "__dict__":
                _only_reads(parent, above[1:])
            elif not isinstance(parent.ctx, ast.Load):
                self.given.add(parent.attr)
            elif not parent.attr.startswith("_"):
                self.reads.append((parent, statement, passed))
        elif isinstance(parent, ast.Call):
            self._call(parent, node, above[1:])
        elif isinstance(parent, ast.keyword) and isinstance(above[1], ast.Call):
            if parent.arg is None:
                raise Unseen("**")
            self._call(above[1], node, above[2:])
        elif isinstance(parent, ast.Assign) and any(isinstance(target, ast.Name) for target in parent.targets):
            raise Unseen("a second name")
        elif isinstance(parent, (ast.Assign, ast.Return, ast.Dict, ast.List, ast.Tuple)):
            self.leaves = True
        elif not isinstance(parent, (ast.FormattedValue, ast.Compare, ast.BoolOp, ast.Expr)):
            raise Unseen(type(parent).__name__)

    def _call(self, call: ast.Call, node: ast.expr, above: tuple[ast.AST, ...]) -> None:
        """The namespace is an argument of a call."""
        files, called = self.files, self.files.own.name(call.func)
        if called in ("hasattr", "getattr", "setattr", "delattr"):
            name = call.args[1] if len(call.args) > 1 else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                self.given.add(name.value)
            elif called in ("setattr", "delattr"):
                raise Unseen(called)
        elif called == "vars":
            _only_reads(call, above)
        elif called in _READERS or (isinstance(call.func, ast.Attribute) and call.func.attr in _WRITERS):
            return
        elif called in files.own.classes or _is_own_method(call, files.own):
            self.leaves = True
        elif files.is_local(call.func, files.own):
            _, function = files.function(call.func, files.own)
            parameter = parameter_of(function, call, node)
            reads = list(self.reads)
            self.variable(function, parameter, passed=True)
            if not self._takes_only(function, parameter, node):
                self.reads = reads  # what others pass may well have the name
        else:
            self.strangers.append(call)

    def _takes_only(self, function: Function, parameter: str, passed: ast.expr) -> bool:
        """Does every use of a function in this file call it with the same variable?"""
        for use in self.files.own.uses.named(function.name):
            call = use.parent
            if not isinstance(call, ast.Call) or call.func is not use.node:
                return False
            arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
            same = [each for each in arguments if ast.dump(each) == ast.dump(passed)]
            if len(same) != 1 or parameter_of(function, call, same[0]) != parameter:
                return False
        return True


def namespaces(files: Files) -> Iterator[tuple[Scope, str]]:
    """The variables of the file at hand that hold what a parser gives, as far as names tell."""
    own, found = files.own, dict[tuple[Scope, str], None]()
    for statement in own.syntax.statements(ast.Assign):
        target = _target(statement)
        if target and may_give(statement):
            found[own.uses.owner(target, statement), target] = None
    yield from found


def _target(statement: ast.Assign) -> str:
    """The name that takes the namespace: ``args = …`` or ``args, rest = …``."""
    target = statement.targets[0] if len(statement.targets) == 1 else None
    if isinstance(target, ast.Tuple) and len(target.elts) == 2:
        target = target.elts[0]
    return target.id if isinstance(target, ast.Name) else ""


def may_give(statement: ast.Assign) -> bool:
    """Could an assignment give a namespace to a name? By the names of what it calls alone."""
    value = statement.value
    if _parsing(value) is not None:
        return True
    called = dotted_name(value.func).rpartition(".")[2] if isinstance(value, ast.Call) else ""
    return (
        bool(_GIVES_ARGUMENTS.search(called))
        and not called.startswith("add_")
        and not called.lower().endswith("parser")
    )


def _parsing(value: ast.expr) -> ast.Call | None:
    """The call of a ``parse_args`` method, also below ``[0]``."""
    if isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Constant) and value.slice.value == 0:
        value = value.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in PARSES:
        return value
    return None


def produce(view: View, statement: ast.Assign, name: str, declared: Declared) -> None:
    """Add what the parser declares whose result an assignment gives to ``name``."""
    if _target(statement) != name:
        raise Unseen(name)
    _give(view, statement.value, statement, declared, isinstance(statement.targets[0], ast.Tuple), 0)


def _give(view: View, value: ast.expr, statement: ast.AST, declared: Declared, pair: bool, depth: int) -> None:
    call = _parsing(value)
    if call is not None:
        known = isinstance(call.func, ast.Attribute) and "known" in call.func.attr
        if known != (pair or isinstance(value, ast.Subscript)) or len(call.args) > 1:
            raise Unseen("not the namespace")
        if any(keyword.arg != "args" for keyword in call.keywords):
            raise Unseen("a namespace of its own")
        assert isinstance(call.func, ast.Attribute)
        declared.value(view, call.func.value, statement)
        return
    if not isinstance(value, ast.Call) or pair or depth > 3:
        raise Unseen("no parser")
    called = dotted_name(value.func).rpartition(".")[2]
    if not declared.files.is_local(value.func, view) and not any(part in called for part in IMPORTED):
        raise Unseen(called)
    there, function = declared.files.function(value.func, view)
    _give_returned(there, function, declared, depth + 1)


def _give_returned(view: View, function: Function, declared: Declared, depth: int) -> None:
    """A function that returns a namespace; what it sets itself counts as declared."""
    returned = view.returned(function)
    if not returned or function.decorator_list:
        raise Unseen(function.name)
    for value in returned:
        if isinstance(value, ast.Name):
            _give_variable(view, function, value.id, declared, depth)
        elif value is not None:
            _give(view, value, function.body[0], declared, False, depth)
        else:
            raise Unseen(function.name)


def _give_variable(view: View, function: Function, name: str, declared: Declared, depth: int) -> None:
    scope = view.uses.owner(name, function.body[0])
    uses = view.uses.of(scope, name)
    stored = [use for use in uses if not isinstance(use.node.ctx, ast.Load)]
    if (scope, name) in view.uses.tangled or not stored or name in {argument.arg for argument in function.args.args}:
        raise Unseen(name)
    for use in stored:
        if not isinstance(use.statement, ast.Assign) or _target(use.statement) != name:
            raise Unseen(name)
        pair = isinstance(use.statement.targets[0], ast.Tuple)
        _give(view, use.statement.value, use.statement, declared, pair, depth)
    inner = Namespace(Files(view, None), Declared(Files(view, None)))
    for use in uses:
        if isinstance(use.node.ctx, ast.Load):
            inner._use(use.node, use.above, use.statement, True)
    declared.names.update(inner.given)
    if inner.strangers:
        raise Unseen(name)


def _is_own_method(call: ast.Call, view: View) -> bool:
    """``self.run(args)`` where a class of the file has such a method."""
    func = call.func
    if not isinstance(func, ast.Attribute) or not isinstance(func.value, ast.Name) or func.value.id != "self":
        return False
    return any(f"{name}.{func.attr}" in view.functions for name in view.classes)


def _only_reads(node: ast.expr, above: tuple[ast.AST, ...]) -> None:
    """Raise `Unseen` where ``vars(args)`` may be written into."""
    parent, holder = above[0], above[1] if len(above) > 1 else None
    if isinstance(parent, ast.Attribute) and parent.attr in _READING:
        return
    if isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Load):
        return
    if isinstance(parent, ast.keyword) and parent.arg is None:
        return
    call = holder if isinstance(parent, ast.keyword) else parent
    if isinstance(call, ast.Call):
        called = dotted_name(call.func)
        if called in _READERS or called.rpartition(".")[2] in (*_WRITERS, "add_hparams", "sorted", "dump", "dumps"):
            return
    if isinstance(parent, (ast.FormattedValue, ast.For, ast.comprehension, ast.Compare, ast.Expr)):
        return
    raise Unseen(ast.unparse(node))
