"""What the value of an expression is computed from.

May not: walk statements (`taint`), or decide what a call does (`taint_calls`).
"""

from __future__ import annotations

import ast
from dataclasses import replace

from mllint.analysis.gradients import callees, fill_calls, taint_calls
from mllint.analysis.gradients.fills import (
    NOTHING,
    UNKNOWN,
    Value,
    amount,
    derived,
    joined,
    named_number,
    negated,
    spot_of,
)
from mllint.analysis.gradients.flow import Fill
from mllint.analysis.gradients.scopes import Draft, Environment, Reading, Unit
from mllint.analysis.gradients.tensor_words import QUERIES
from mllint.analysis.names import dotted_name

#: Attributes of a tensor that are made of its elements.
_VIEWS = frozenset({"T", "mT", "H", "mH", "real", "imag", "data", "grad", "values", "at", "base", "flat"})


class Expressions:
    """One function being read: its names, what they hold now, and the facts found; the statements are in `Frame`."""

    def __init__(self, reading: Reading, unit: Unit, env: Environment) -> None:
        self.reading = reading
        self.unit = unit
        self.env = env
        self.draft = reading.drafts.get(unit.qualname) or Draft()
        #: The calls of the statement at hand. Their parts are asked for again and again: 2 to the depth without this.
        self.called: dict[ast.Call, Value] = {}

    # --- facts ---------------------------------------------------------------------------------------------

    def fill(self, form: str, node: ast.expr | ast.stmt, target: Value, value: Value, value_node: ast.expr) -> Value:
        """Elements of ``target`` are overwritten by ``value``. Gives the result."""
        origins = target.origins
        if not origins or not (value.negative or value.through) or (value.through and value.through in origins):
            return Value(target.labels, maybe=target.maybe)
        token = f"#{node.lineno}:{node.col_offset}:{form}"
        key = (token, self.unit.qualname)
        known = self.draft.fills.get(key)
        if known is not None:
            origins |= known[1]
        what = amount(value, value_node)
        if known is not None and known[0].amount.negative:
            what = known[0].amount
        fill = Fill(form, spot_of(node), tuple(sorted(origins)), what)
        self.draft.fills[key] = (fill, origins, token)
        return Value(target.labels | {token}, maybe=target.maybe)

    def escape(self, *values: Value) -> None:
        """These values leave the function's sight: the fills they went through matter."""
        for value in values:
            self.reading.live.update(label for label in value.labels if label[0] == "#")

    def give_back(self, value: Value) -> None:
        """A ``return`` or ``yield`` of this value."""
        self.escape(value)
        for part in value.parts or (value,):
            if part.buffer and part.like and self.unit.gradients:
                self.escape(self.fill_buffer(part, Value(part.like)))
        self.draft.returned = value if self.draft.returned is None else joined(self.draft.returned, value)

    def fill_buffer(self, buffer: Value, written: Value) -> Value:
        """A tensor full of a large negative constant holds gradients beside it from now on."""
        node = self.reading.texts.get(buffer.buffer)
        if node is None or not written.origins:
            return written
        form = dotted_name(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
        number = fill_calls.fill_argument(node)
        return self.fill(form or "full", node, written, replace(buffer, labels=NOTHING), number)

    def mutate(self, target: ast.expr, value: Value) -> None:
        """Elements of what an expression names now derive from ``value`` too."""
        raise NotImplementedError

    # --- expressions ---------------------------------------------------------------------------------------

    def value(self, node: ast.expr) -> Value:
        """What an expression's value is computed from."""
        if isinstance(node, ast.Name):
            return self.name(node.id)
        if isinstance(node, ast.Constant):
            return self.constant(node)
        if isinstance(node, ast.Attribute):
            return self.attribute(node)
        if isinstance(node, ast.Call):
            known = self.called.get(node)
            if known is None:
                known = self.called[node] = taint_calls.call(self, node)
            return known
        if isinstance(node, ast.Subscript):
            return self.subscript(node)
        if isinstance(node, ast.BinOp):
            left, right = self.value(node.left), self.value(node.right)
            return fill_calls.operate(self, node, node.op, left, right, node.left, node.right)
        if isinstance(node, ast.UnaryOp):
            operand = self.value(node.operand)
            if isinstance(node.op, ast.Not):
                return UNKNOWN
            return negated(operand) if isinstance(node.op, ast.USub) else derived([operand])
        return self.compound(node)

    def compound(self, node: ast.expr) -> Value:
        if isinstance(node, (ast.Tuple, ast.List)):
            parts = tuple(self.value(item) for item in node.elts)
            if any(isinstance(item, ast.Starred) for item in node.elts):
                return derived(parts)
            return replace(derived(parts), parts=parts) if parts else UNKNOWN
        if isinstance(node, ast.IfExp):
            self.value(node.test)
            body, other = self.value(node.body), self.value(node.orelse)
            if self.unit.device and (body.origins or other.origins) and (body.negative or other.negative):
                kept, fill, at = (other, body, node.body) if body.negative else (body, other, node.orelse)
                return self.fill("conditional", node, kept, fill, at)
            return joined(body, other)
        if isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                self.value(side)
            return UNKNOWN
        if isinstance(node, ast.NamedExpr):
            value = self.value(node.value)
            self.env[node.target.id] = value
            return value
        if isinstance(node, ast.Lambda):
            return taint_calls.define(self, node, f"<lambda {node.lineno}:{node.col_offset}>")
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            return self.comprehension(node)
        if isinstance(node, ast.Starred):
            return derived([self.value(node.value)])
        if isinstance(node, (ast.Yield, ast.YieldFrom, ast.Await)):
            value = self.value(node.value) if node.value else UNKNOWN
            if not isinstance(node, ast.Await):
                self.give_back(value)
            return value
        if isinstance(node, ast.JoinedStr):
            return self.text(node)
        values = [self.value(child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        if isinstance(node, ast.BoolOp):
            result = values[0]
            for value in values[1:]:
                result = joined(result, value)
            return result
        return derived(values) if isinstance(node, (ast.Dict, ast.Set)) else UNKNOWN

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Value:
        kept = dict(self.env)
        for generator in node.generators:
            self.bind(generator.target, self.item(generator.iter))
        result = self.value(node.value if isinstance(node, ast.DictComp) else node.elt)
        self.env = kept
        return derived([result])

    def bind(self, target: ast.expr, value: Value) -> None:
        """Give the names of a comprehension's target what one item holds."""
        if isinstance(target, (ast.Tuple, ast.List)):
            same = len(value.parts) == len(target.elts)
            for at, inner in enumerate(target.elts):
                self.bind(inner, value.parts[at] if same else derived([value]))
        elif isinstance(target, ast.Starred):
            self.bind(target.value, derived([value]))
        elif isinstance(target, ast.Name):
            self.env[target.id] = value

    def item(self, iterable: ast.expr) -> Value:
        """What one item of an iterable is."""
        if isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Name):
            if iterable.func.id == "zip":
                return Value(parts=tuple(self.item(argument) for argument in iterable.args))
            if iterable.func.id == "enumerate" and iterable.args:
                return Value(parts=(UNKNOWN, self.item(iterable.args[0])))
            if iterable.func.id in ("reversed", "list", "tuple", "iter") and iterable.args:
                return self.item(iterable.args[0])
        if (
            isinstance(iterable, ast.Call)
            and isinstance(iterable.func, ast.Attribute)
            and iterable.func.attr == "items"
        ):
            return Value(parts=(UNKNOWN, derived([self.value(iterable.func.value)])))
        value = self.value(iterable)
        if value.parts:
            item = value.parts[0]
            for part in value.parts[1:]:
                item = joined(item, part)
            return item
        return Value(value.labels, maybe=value.maybe)

    def name(self, name: str) -> Value:
        known = self.env.get(name)
        if known is None:
            known = self.reading.module.get(name)
        if known is not None:
            return known
        dotted = self.reading.aliases.get(name)
        if dotted and dotted.rpartition(".")[2].isupper():
            return Value(through="=" + dotted)
        return UNKNOWN

    def constant(self, node: ast.Constant) -> Value:
        if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
            return Value(number=float(node.value) if abs(node.value) < 1e300 or isinstance(node.value, float) else None)
        return self.text(node) if isinstance(node.value, str) else UNKNOWN

    def text(self, node: ast.Constant | ast.JoinedStr) -> Value:
        token = f"{node.lineno}:{node.col_offset}"
        self.reading.texts[token] = node
        return Value(text=token)

    def attribute(self, node: ast.Attribute) -> Value:
        name = dotted_name(node)
        if name and name in self.env:
            return self.env[name]
        head, dot, rest = name.partition(".")
        dotted = self.reading.aliases.get(head, head) + dot + rest
        number = named_number(node, dotted)
        if number is not None:
            return Value(number=number)
        base = self.value(node.value)
        if node.attr in _VIEWS:
            return Value(base.labels, maybe=base.maybe)
        if name and head in self.reading.aliases and node.attr.isupper() and head not in self.env:
            return Value(through="=" + dotted)
        if base.callee and node.attr not in QUERIES:
            return callees.member(base, node.attr)
        return self.reading.attributes.get(node.attr, UNKNOWN)

    def subscript(self, node: ast.Subscript) -> Value:
        base = self.value(node.value)
        self.value(node.slice)
        place = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if isinstance(place, int) and -len(base.parts) <= place < len(base.parts):
            return base.parts[place]
        return Value(base.labels, base.number, base.bias, maybe=base.maybe, callee=base.callee, bound=base.bound)
