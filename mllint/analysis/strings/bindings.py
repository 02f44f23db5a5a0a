"""Which values the names of one file can have: assignments by scope, and the way up from a node.

May not: evaluate, or look at another file. Built in one walk, once for each file that a rule asks about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mllint.analysis.walk import children
from mllint.lazy import cst

if TYPE_CHECKING:
    from mllint.analysis.context import Context

#: Class names of the nodes that open a scope; names of classes, so that asking does not import LibCST.
_SCOPES = frozenset({"Module", "FunctionDef", "Lambda", "ClassDef", "ListComp", "SetComp", "DictComp", "GeneratorExp"})
#: Methods that change the list they are called on.
_MUTATORS = frozenset({"append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse"})


@dataclass(frozen=True, slots=True)
class Binding:
    """One place that gives a name a value.

    ``kind``: ``assign`` (``value`` is the expression), ``add`` (``+=``), ``with`` (``value`` is the context
    manager), ``parameter``, ``class``, or ``other``, where nothing is known of the value.
    """

    kind: str
    node: cst.CSTNode
    value: cst.BaseExpression | None = None


@dataclass(frozen=True, slots=True)
class Bindings:
    """The table of one module. ``attributes`` holds what ``self.x = …`` and class bodies give to each ``x``.

    ``mutated`` are names whose list or dict is changed after it was made, in whatever scope.
    """

    parents: dict[cst.CSTNode, cst.CSTNode] = field(default_factory=dict)
    scopes: dict[cst.CSTNode, dict[str, list[Binding]]] = field(default_factory=dict)
    attributes: dict[str, list[Binding]] = field(default_factory=dict)
    mutated: set[str] = field(default_factory=set)

    def above(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The nodes above a node, innermost first."""
        current = self.parents.get(node)
        while current is not None:
            yield current
            current = self.parents.get(current)

    def scope(self, node: cst.CSTNode) -> cst.CSTNode:
        """The innermost scope around a node; the node itself at the very top."""
        return next((above for above in self.above(node) if type(above).__name__ in _SCOPES), node)

    def lookup(self, name: cst.Name) -> list[Binding]:
        """All bindings of a name in the innermost scope that binds it; a class body is seen only from itself."""
        innermost = True
        for node in self.above(name):
            kind = type(node).__name__
            if kind not in _SCOPES:
                continue
            if innermost or kind != "ClassDef":
                found = self.scopes.get(node, {}).get(name.value)
                if found:
                    return found
            innermost = False
        return []

    def value(self, node: cst.CSTNode) -> cst.BaseExpression | None:
        """The expression behind a name assigned exactly once; any other expression is itself."""
        for _ in range(8):
            if not isinstance(node, cst.Name):
                break
            found = self.lookup(node)
            if len(found) != 1 or found[0].kind != "assign" or found[0].value is None:
                return None
            node = found[0].value
        return node if isinstance(node, cst.BaseExpression) else None

    def elements(self, node: cst.CSTNode) -> list[cst.BaseExpression] | None:
        """The items of a list or tuple display, also behind a name that nothing changes; else None."""
        if isinstance(node, cst.Name) and node.value in self.mutated:
            return None
        value = self.value(node)
        return [item.value for item in value.elements] if isinstance(value, (cst.List, cst.Tuple)) else None


def bindings(ctx: Context) -> Bindings | None:
    """The table of the file at hand, built when first asked for; None without a lossless tree."""
    if ctx.module is None or ctx.shared is None:
        return None
    known = ctx.shared.memory.get("bindings")
    if not isinstance(known, Bindings):
        known = _collect(ctx.module)
        ctx.shared.memory["bindings"] = known
    return known


def _collect(module: cst.Module) -> Bindings:
    table = Bindings()
    pending: list[cst.CSTNode] = [module]
    nodes: list[cst.CSTNode] = []
    while pending:
        node = pending.pop()
        nodes.append(node)
        below = children(node)
        table.parents.update(dict.fromkeys(below, node))
        pending.extend(reversed(below))
    for node in nodes:
        _record(table, node)
    return table


def _record(table: Bindings, node: cst.CSTNode) -> None:
    """Enter what one node binds."""
    if isinstance(node, cst.Assign):
        for target in node.targets:
            _bind(table, target.target, "assign", node, node.value)
    elif isinstance(node, cst.AnnAssign):
        if node.value is not None:
            _bind(table, node.target, "assign", node, node.value)
    elif isinstance(node, cst.AugAssign):
        kind = "add" if isinstance(node.operator, cst.AddAssign) else "other"
        _bind(table, node.target, kind, node, node.value)
    elif isinstance(node, cst.NamedExpr):
        _bind(table, node.target, "assign", node, node.value)
    elif isinstance(node, cst.WithItem):
        if node.asname is not None:
            _bind(table, node.asname.name, "with", node, node.item)
    elif isinstance(node, (cst.For, cst.CompFor)):
        _bind(table, node.target, "other", node, None)
    elif isinstance(node, cst.Param):
        _enter(table, table.scope(node), node.name.value, Binding("parameter", node, node.default))
    elif isinstance(node, (cst.FunctionDef, cst.ClassDef)):
        kind = "class" if isinstance(node, cst.ClassDef) else "other"
        _enter(table, table.scope(node), node.name.value, Binding(kind, node))
    elif isinstance(node, cst.Call):
        _record_mutation(table, node)
    else:
        _record_rare(table, node)


def _record_rare(table: Bindings, node: cst.CSTNode) -> None:
    """Enter the bindings of nodes that say nothing of the value."""
    targets: list[cst.CSTNode | None] = []
    if isinstance(node, (cst.ExceptHandler, cst.ExceptStarHandler)):
        targets = [node.name.name if node.name else None]
    elif isinstance(node, cst.Del):
        targets = [node.target]
    elif isinstance(node, cst.ImportAlias):
        name: cst.CSTNode = node.asname.name if node.asname else node.name
        while isinstance(name, cst.Attribute):
            name = name.value
        targets = [name]
    elif isinstance(node, (cst.MatchAs, cst.MatchStar)):
        targets = [node.name]
    elif isinstance(node, cst.MatchMapping):
        targets = [node.rest]
    elif isinstance(node, (cst.Global, cst.Nonlocal)):
        # The function writes a name of an outer scope: nothing is known of that name, here or there.
        for item in node.names:
            for scope in (table.scope(node), *table.above(node)):
                if type(scope).__name__ in _SCOPES:
                    _enter(table, scope, item.name.value, Binding("other", node))
    for target in targets:
        if target is not None:
            _bind(table, target, "other", node, None)


def _bind(table: Bindings, target: cst.CSTNode, kind: str, node: cst.CSTNode, value: cst.BaseExpression | None) -> None:
    """Enter one assignment target, taking tuples apart where the value is one of the same length."""
    if isinstance(target, cst.Name):
        _enter(table, table.scope(node), target.value, Binding(kind, node, value))
    elif isinstance(target, cst.Attribute):
        table.attributes.setdefault(target.attr.value, []).append(Binding(kind, node, value))
    elif isinstance(target, cst.Subscript) and isinstance(target.value, cst.Name):
        table.mutated.add(target.value.value)
    elif isinstance(target, (cst.Tuple, cst.List)):
        values: list[cst.BaseExpression | None] = [None] * len(target.elements)
        if kind == "assign" and isinstance(value, (cst.Tuple, cst.List)) and len(value.elements) == len(values):
            plain = all(isinstance(item, cst.Element) for item in (*value.elements, *target.elements))
            values = [item.value for item in value.elements] if plain else values
        for element, part in zip(target.elements, values, strict=True):
            _bind(table, element.value, "assign" if part is not None else "other", node, part)
    elif isinstance(target, cst.StarredElement):
        _bind(table, target.value, "other", node, None)


def _enter(table: Bindings, scope: cst.CSTNode, name: str, binding: Binding) -> None:
    table.scopes.setdefault(scope, {}).setdefault(name, []).append(binding)
    if type(scope).__name__ == "ClassDef":
        table.attributes.setdefault(name, []).append(binding)


def _record_mutation(table: Bindings, call: cst.Call) -> None:
    function = call.func
    if (
        isinstance(function, cst.Attribute)
        and function.attr.value in _MUTATORS
        and isinstance(function.value, cst.Name)
    ):
        table.mutated.add(function.value.value)


def quote_at(offset: int, ctx: Context) -> str:
    """The quotes of the string literal around a byte offset; "" where there is none, as in a .cu file."""
    table = bindings(ctx)
    for node in table.parents if table is not None else ():
        if isinstance(node, cst.SimpleString):
            quote = node.quote
        elif isinstance(node, cst.FormattedString):
            quote = node.end
        else:
            continue
        start, end = ctx.span(node)
        if start <= offset < end:
            return quote
    return ""
