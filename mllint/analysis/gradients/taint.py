"""What each value of a file is computed from: one pass over statements and expressions, in order.

May not: decide what a call does (`taint_calls`), or look at another file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import replace

from mllint.analysis.gradients import fill_calls, taint_calls
from mllint.analysis.gradients.fills import NOTHING, UNKNOWN, Value, derived, joined
from mllint.analysis.gradients.flow import own_label
from mllint.analysis.gradients.scopes import Environment, Reading, Unit
from mllint.analysis.gradients.taint_values import Expressions
from mllint.analysis.names import dotted_name

#: After so many passes over a loop's body nothing new is learned (names are copied along chains of this length).
_PASSES = 4


def read_unit(reading: Reading, unit: Unit) -> None:
    """Collect one function's facts."""
    frame = Frame(reading, unit, dict(reading.closures.get(unit.qualname, {})))
    for name in unit.parameters:
        label = own_label(unit.qualname, name)
        plain = name.lstrip("*")
        frame.env[plain] = Value(frozenset({label}), through="" if name[0] == "*" else label, head=label)
        own = frozenset({label + ".grad"})  # a parameter of the model is no gradient, what it holds is
        frame.env[plain + ".grad"] = Value(own, through=label + ".grad")
    reading.busy.add(unit.qualname)
    reading.drafts[unit.qualname] = frame.draft
    if isinstance(unit.node, ast.Lambda):
        frame.give_back(frame.value(unit.node.body))
    else:
        frame.run(unit.node.body)
    reading.busy.discard(unit.qualname)


class Frame(Expressions):
    """One function (or the module level) being read, statement by statement."""

    # --- statements ----------------------------------------------------------------------------------------

    def run(self, body: Iterable[ast.stmt]) -> bool:
        """Read statements in order; False where their end is never reached."""
        return all(self.step(statement) for statement in body)

    def step(self, node: ast.stmt) -> bool:
        """Read one statement; False where what follows it is never reached."""
        self.called.clear()
        if isinstance(node, ast.Return):
            self.give_back(self.value(node.value) if node.value else UNKNOWN)
            return False
        if isinstance(node, (ast.Raise, ast.Continue, ast.Break)):
            return not isinstance(node, ast.Raise)
        if isinstance(node, ast.Expr):
            self.value(node.value)
        elif isinstance(node, ast.Assign):
            value = self.value(node.value)
            for target in node.targets:
                self.assign(target, value, node, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self.assign(node.target, self.value(node.value), node, node.value)
        elif isinstance(node, ast.AugAssign):
            self.augment(node)
        elif isinstance(node, ast.If):
            self.value(node.test)
            return self.branches([node.body, node.orelse])
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
            self.loop(node)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                entered = self.value(item.context_expr)
                if item.optional_vars is not None:
                    self.assign(item.optional_vars, entered, node, item.context_expr)
            return self.run(node.body)
        elif isinstance(node, ast.Match):
            self.value(node.subject)
            self.branches([case.body for case in node.cases] + [[]])
        elif isinstance(node, ast.Try) or type(node).__name__ == "TryStar":
            return self.attempt(node)  # type: ignore[arg-type]  # TryStar has the same fields
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            taint_calls.define(self, node, node.name)
        return True

    def branches(self, bodies: list[list[ast.stmt]]) -> bool:
        before, ends = self.env, []
        for body in bodies:
            self.env = dict(before)
            if self.run(body):
                ends.append(self.env)
        self.env = merged(ends) if ends else before
        return bool(ends)

    def loop(self, node: ast.For | ast.AsyncFor | ast.While) -> None:
        for _ in range(_PASSES):
            before = dict(self.env)
            self.called.clear()
            if isinstance(node, ast.While):
                self.value(node.test)
            else:
                self.assign(node.target, self.item(node.iter), node, None)
            self.run(node.body)
            self.env = merged([before, self.env])
            if self.env == before:
                break
        self.run(node.orelse)

    def attempt(self, node: ast.Try) -> bool:
        before = dict(self.env)
        reached = self.run(node.body) and self.run(node.orelse)
        ends = [self.env] if reached else []
        start = merged([before, self.env])
        for handler in node.handlers:
            self.env = dict(start)
            if self.run(handler.body):
                ends.append(self.env)
        self.env = merged(ends) if ends else start
        return self.run(node.finalbody) and bool(ends)

    def assign(self, target: ast.expr, value: Value, node: ast.stmt, source: ast.expr | None) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            self.unpack(target, value, node, source)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, derived([value]), node, None)
        elif isinstance(target, ast.Subscript):
            self.store(target, value, node, source)
        else:
            name = dotted_name(target)
            if value.maybe and taint_calls.names_gradient(name.rpartition(".")[2]):
                value = replace(value, labels=value.labels | value.maybe, maybe=NOTHING)
            if isinstance(target, ast.Attribute):
                self.escape(value)
            if name:
                self.env[name] = value
                for inner in [known for known in self.env if known.startswith(name + ".")]:
                    del self.env[inner]

    def unpack(self, target: ast.Tuple | ast.List, value: Value, node: ast.stmt, source: ast.expr | None) -> None:
        items = target.elts
        same = len(value.parts) == len(items) and not any(isinstance(item, ast.Starred) for item in items)
        for at, item in enumerate(items):
            part = value.parts[at] if same else Value(value.labels, maybe=value.maybe)
            inner = source.elts[at] if same and isinstance(source, (ast.Tuple, ast.List)) else None
            self.assign(item, part, node, inner)

    def store(self, target: ast.Subscript, value: Value, node: ast.stmt, source: ast.expr | None) -> None:
        """``base[index] = value``."""
        self.value(target.slice)
        base = self.value(target.value)
        if isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str):
            self.mutate(target.value, value)
            return
        if base.buffer and value.origins:
            value = self.fill_buffer(base, value)
        if base.labels and source is not None and (value.negative or value.through):
            self.mutate(target.value, self.fill("indexed store", node, base, value, source))
            return
        self.mutate(target.value, value)

    def mutate(self, target: ast.expr, value: Value) -> None:
        """Elements of what an expression names now derive from ``value`` too."""
        while isinstance(target, (ast.Subscript, ast.Call)) or (
            isinstance(target, ast.Attribute) and not dotted_name(target)
        ):
            target = target.func if isinstance(target, ast.Call) else target.value
            if isinstance(target, ast.Attribute) and target.attr not in self.env:
                target = target.value if not dotted_name(target) or dotted_name(target) not in self.env else target
        name = dotted_name(target)
        if not name:
            return
        known = self.env.get(name)
        if known is None:
            known = self.value(target)
        label = known.through
        if label and label[0] != "=":
            parameter = label.rpartition(":")[2]
            self.escape(value)
            self.draft.effects[parameter] = self.draft.effects.get(parameter, NOTHING) | value.origins
        elif isinstance(target, ast.Attribute):
            self.escape(value)
        self.env[name] = Value(known.labels | value.labels, maybe=known.maybe, through=label)

    def augment(self, node: ast.AugAssign) -> None:
        load = self.value(node.target)
        value = fill_calls.operate(self, node, node.op, load, self.value(node.value), node.target, node.value)
        if isinstance(node.target, ast.Subscript) or load.through:
            self.mutate(node.target, value)
        else:
            self.assign(node.target, value, node, None)


def merged(ends: list[Environment]) -> Environment:
    """What names hold where several ways meet; a name that one way does not know keeps what the others say."""
    first = ends[0]
    if len(ends) == 1:
        return first
    result = dict(first)
    for other in ends[1:]:
        for name, value in other.items():
            known = result.get(name)
            result[name] = value if known is None else joined(known, value)
    return result
