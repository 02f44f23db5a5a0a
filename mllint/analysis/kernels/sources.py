"""All the texts that may reach a compiler through one expression, and the pieces a module is written in.

May not: require certainty. `strings.fold` gives the one text that an expression denotes; here each of several
possible texts counts, since each of them gets compiled at some time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.analysis.strings.bindings import Binding, Bindings, bindings
from mllint.analysis.strings.fold import SAME_TEXT
from mllint.analysis.walk import descendants
from mllint.lazy import cst
from mllint.reading.located import Located

if TYPE_CHECKING:
    from mllint.analysis.context import Context

#: How many steps (names, callers, returns) one text is followed through.
_STEPS = 6
#: Methods whose result is the same text for the question what gets compiled. With an error handler, ``encode`` and
#: ``decode`` may drop just the characters in question.
_SAME = frozenset({"strip", "lstrip", "rstrip"})
_SAME_WITHOUT_HANDLER = frozenset({"encode", "decode"})
#: Functions and methods that put other characters in the place of those that are not ASCII.
_CLEANING = frozenset({"translate", "normalize", "unidecode"})


def sources(node: cst.CSTNode, ctx: Context) -> list[Located]:
    """Each text that an expression may denote: both branches, all assignments, all callers in this file."""
    table = bindings(ctx)
    return list(_expanded(node, table, ctx, _STEPS)) if table is not None else []


def _expanded(node: cst.CSTNode, table: Bindings, ctx: Context, steps: int) -> Iterator[Located]:
    if steps <= 0:
        return
    for inner in _choices(node, table):
        yield from _expanded(inner, table, ctx, steps - 1)
    known = ctx.string(node) if isinstance(node, cst.BaseExpression) else None
    if known is not None:
        yield known
        return
    for inner in _origins(node, table, ctx):
        yield from _expanded(inner, table, ctx, steps - 1)


def _choices(node: cst.CSTNode, table: Bindings) -> list[cst.CSTNode]:
    """The expressions of which an expression is made or one is chosen, where it is itself no text."""
    if isinstance(node, (cst.List, cst.Tuple)):
        return [item.value for item in node.elements]
    if isinstance(node, cst.IfExp):
        return [node.body, node.orelse]
    if isinstance(node, cst.BooleanOperation):
        return [node.left, node.right]
    if isinstance(node, cst.NamedExpr):
        return [node.value]
    return []


def _origins(node: cst.CSTNode, table: Bindings, ctx: Context) -> list[cst.CSTNode]:
    """Where the value of an expression with no single known text may come from."""
    if isinstance(node, cst.Name):
        found: list[cst.CSTNode] = []
        bound = table.lookup(node)
        if any(_cleans(binding.value, ctx) for binding in bound if binding.value is not None):
            return []
        for binding in bound:
            if binding.kind == "parameter":
                found += _passed(binding, table)
            elif binding.kind in ("assign", "add") and binding.value is not None:
                found.append(binding.value)
        return found
    if isinstance(node, cst.Attribute):
        if not isinstance(node.value, cst.Name) or node.value.value not in ("self", "cls"):
            return []
        return [binding.value for binding in table.attributes.get(node.attr.value, []) if binding.value is not None]
    if isinstance(node, cst.Subscript):
        return _items(node, table)
    if isinstance(node, cst.Call):
        function = node.func
        if ctx.name(function) in SAME_TEXT or ctx.name(function) == "textwrap.dedent":
            return [argument.value for argument in node.args[:1]]
        if isinstance(function, cst.Attribute) and _keeps_text(function.attr.value, node):
            return [function.value]
        return _returned(function, table)
    return []


def _keeps_text(method: str, call: cst.Call) -> bool:
    return method in _SAME or (method in _SAME_WITHOUT_HANDLER and not _has_handler(call))


def _has_handler(call: cst.Call) -> bool:
    return len(call.args) > 1 or any(item.keyword is not None and item.keyword.value == "errors" for item in call.args)


def _cleans(value: cst.CSTNode, ctx: Context) -> bool:
    """Does an expression replace the characters in question: ``s.encode("ascii", "ignore")``, ``s.replace("–", "-")``?"""
    for call in (value, *descendants(value)):
        if not isinstance(call, cst.Call):
            continue
        name = _last_name(call.func)
        if name in _CLEANING or (name in _SAME_WITHOUT_HANDLER and _has_handler(call)):
            return True
        if name == "replace" and not ctx.code(ctx.span(call)).isascii():
            return True
    return False


def _items(node: cst.Subscript, table: Bindings) -> list[cst.CSTNode]:
    """All values of a dict or list display that a subscript with an unknown key takes one of."""
    if not isinstance(node.value, cst.Name):
        return []
    found = table.lookup(node.value)
    value = found[0].value if len(found) == 1 else None
    if isinstance(value, cst.Dict):
        return [item.value for item in value.elements]
    return [item.value for item in value.elements] if isinstance(value, (cst.List, cst.Tuple)) else []


def _returned(function: cst.BaseExpression, table: Bindings) -> list[cst.CSTNode]:
    """What a function or method of this file returns."""
    definition: cst.CSTNode | None = None
    if isinstance(function, cst.Name):
        found = table.lookup(function)
        definition = found[0].node if len(found) == 1 else None
    elif (
        isinstance(function, cst.Attribute)
        and isinstance(function.value, cst.Name)
        and function.value.value in ("self", "cls")
    ):
        named = [binding.node for binding in table.attributes.get(function.attr.value, [])]
        definition = named[0] if len(named) == 1 else None
    if not isinstance(definition, cst.FunctionDef):
        return []
    inner = descendants(definition.body, stop=("FunctionDef", "ClassDef", "Lambda"))
    return [node.value for node in inner if isinstance(node, cst.Return) and node.value is not None]


def _passed(binding: Binding, table: Bindings) -> list[cst.CSTNode]:
    """What the callers in this file pass for a parameter, and its default."""
    parameter, parameters = binding.node, table.parents.get(binding.node)
    definition = table.parents.get(parameters) if parameters is not None else None
    if (
        not isinstance(parameter, cst.Param)
        or not isinstance(parameters, cst.Parameters)
        or not isinstance(definition, cst.FunctionDef)
    ):
        return []
    owner = table.scope(definition)
    name = definition.name.value
    if name == "__init__" and isinstance(owner, cst.ClassDef):
        name = owner.name.value
    static = any(
        isinstance(item.decorator, cst.Name) and item.decorator.value == "staticmethod"
        for item in definition.decorators
    )
    order = [*parameters.posonly_params, *parameters.params]
    bound = 1 if isinstance(owner, cst.ClassDef) and not static else 0
    position = next((number - bound for number, item in enumerate(order) if item is parameter), -1)
    found: list[cst.CSTNode] = [parameter.default] if parameter.default is not None else []
    for call in table.parents:
        if isinstance(call, cst.Call) and _last_name(call.func) == name:
            found += _given(call, position, parameter.name.value)
    return found


def _given(call: cst.Call, position: int, keyword: str) -> list[cst.CSTNode]:
    for number, argument in enumerate(call.args):
        if argument.keyword is not None and argument.keyword.value == keyword:
            return [argument.value]
        if argument.star:
            return []
        if argument.keyword is None and number == position:
            return [argument.value]
    return []


def _last_name(function: cst.BaseExpression) -> str:
    if isinstance(function, cst.Attribute):
        return function.attr.value
    return function.value if isinstance(function, cst.Name) else ""


#: Methods that add a line to what is being written.
_WRITERS = frozenset({"append", "extend", "write", "writelines", "insert"})


def written_to(node: cst.CSTNode, table: Bindings) -> str:
    """The name that a text is assigned, added or appended to; "" where there is none."""
    above = table.parents.get(node)
    while isinstance(above, (cst.Element, cst.List, cst.Tuple, cst.Arg)):
        above = table.parents.get(above)
    target: cst.CSTNode | None = None
    if isinstance(above, cst.Assign) and len(above.targets) == 1:
        target = above.targets[0].target
    elif isinstance(above, (cst.AnnAssign, cst.AugAssign)):
        target = above.target
    elif isinstance(above, cst.Call) and isinstance(above.func, cst.Attribute) and above.func.attr.value in _WRITERS:
        target = above.func.value
    return target.value if isinstance(target, cst.Name) else ""


def later_pieces(first: cst.CSTNode, table: Bindings, ctx: Context) -> Iterator[tuple[cst.CSTNode, Located]]:
    """The other texts that one scope adds to the name that ``first`` went to, in the order of the file."""
    name = written_to(first, table)
    if not name:
        return
    scope = table.scope(first)
    for node in table.parents:
        if not isinstance(node, (cst.AugAssign, cst.Call)) or table.scope(node) is not scope:
            continue
        values: list[cst.CSTNode] = []
        if isinstance(node, cst.AugAssign):
            values = [node.value] if isinstance(node.target, cst.Name) and node.target.value == name else []
        elif isinstance(node.func, cst.Attribute) and node.func.attr.value in _WRITERS:
            owner = node.func.value
            if isinstance(owner, cst.Name) and owner.value == name:
                values = [argument.value for argument in node.args]
        for value in values:
            for text in _expanded(value, table, ctx, 2):
                yield value, text


def uses(first: cst.CSTNode, table: Bindings) -> Iterator[cst.Name]:
    """The places where the name that ``first`` was assigned to is read."""
    name = written_to(first, table)
    for node in list(table.parents) if name else ():
        if not isinstance(node, cst.Name) or node.value != name:
            continue
        if any(binding.value is first for binding in table.lookup(node)):
            yield node
