"""What text an expression denotes, and at which bytes each of its characters was written.

May not: run code or guess. What is unknown inside a text is a `HOLE`; an expression that need not be a text,
or whose text is not known at all, is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mllint.analysis.strings import formatting
from mllint.analysis.strings.bindings import Binding, Bindings, bindings
from mllint.analysis.walk import summands
from mllint.lazy import cst
from mllint.reading.literals import decode
from mllint.reading.located import HOLE, Located, hole, join

if TYPE_CHECKING:
    from mllint.analysis.context import Context

#: How many expressions one question may look at, so that no file makes it exponential.
_BUDGET = 3000
#: How deep expressions may nest (each level costs some Python frames).
_DEPTH = 60
_EMPTY = Located("", (), ())
#: Calls that hand their first argument through as text.
SAME_TEXT = frozenset(
    {
        "str",
        "bytes",
        "bytearray",
        "str.encode",
        "bytes.decode",
        "ctypes.c_char_p",
        "ctypes.create_string_buffer",
        "numpy.char.array",
    }
)


def fold(node: cst.CSTNode, ctx: Context) -> Located | None:
    """The text of an expression of the file at hand; None where it denotes none, or none that is known.

    Its characters need not stand in the order of the file, nor side by side (see `contiguous`): a name or a
    second literal may stand anywhere. ``path`` is set where the text comes from another file of the project.
    """
    return Folder(ctx).fold(node)


def contiguous(located: Located, start: int, end: int) -> bool:
    """Do the characters ``start`` to ``end`` (half open) stand side by side, so that one edit covers them?"""
    return all(located.ends[at] == located.starts[at + 1] for at in range(start, end - 1))


class Folder:
    """One question's bookkeeping: what is being looked up (names may refer to themselves) and what it may cost."""

    def __init__(self, ctx: Context, busy: set[object] | None = None) -> None:
        self.ctx = ctx
        self.table = bindings(ctx) or Bindings()  # without a tree, no name is known
        self.busy: set[object] = set() if busy is None else busy
        self._budget = _BUDGET
        self._depth = 0

    def fold(self, node: cst.CSTNode) -> Located | None:
        """The text of one expression."""
        reader = _READERS.get(type(node).__name__)
        if reader is None or self._depth >= _DEPTH or self._budget <= 0:
            return None
        self._budget -= 1
        self._depth += 1
        try:
            return reader(self, node)
        finally:
            self._depth -= 1

    def enter(self, node: object) -> bool:
        """Begin to look behind a node, unless that is under way already."""
        if node in self.busy:
            return False
        self.busy.add(node)
        return True

    def leave(self, node: object) -> None:
        """The end of what `enter` began."""
        self.busy.discard(node)

    def bound(self, found: Sequence[Binding], use: cst.CSTNode | None = None) -> Located | None:
        """The text behind a name with these bindings: one assignment, perhaps lengthened by ``+=``."""
        first = [binding for binding in found if binding.kind == "assign"]
        added = [binding for binding in found if binding.kind == "add"]
        if len(first) != 1 or len(first) + len(added) != len(found) or first[0].value is None:
            return None
        if not self.enter(first[0].node):
            return None
        try:
            text = self.fold(first[0].value)
            return self._lengthened(text, first[0], added, use) if text is not None and added else text
        finally:
            self.leave(first[0].node)

    def _lengthened(self, text: Located, first: Binding, added: Sequence[Binding], use: cst.CSTNode | None) -> Located:
        """A text after the ``+=`` statements before its use; those in a loop or branch only leave a hole."""
        same_scope = use is not None and self.table.scope(use) is self.table.scope(first.node)
        parts: list[tuple[Located | None, cst.CSTNode]] = [(text, first.node)]
        for binding in added:
            if same_scope and use is not None and self.ctx.span(binding.node)[0] >= self.ctx.span(use)[0]:
                continue
            straight = self._block(binding.node) is self._block(first.node)
            value = self.fold(binding.value) if straight and binding.value is not None else None
            parts.append((value, binding.node))
        return self.joined(parts) or text

    def _block(self, statement: cst.CSTNode) -> cst.CSTNode | None:
        above = self.table.above(statement)
        return next(
            (node for node in above if isinstance(node, (cst.IndentedBlock, cst.Module, cst.SimpleStatementSuite))),
            None,
        )

    def value(self, node: cst.CSTNode) -> cst.BaseExpression | None:
        """`Bindings.value`."""
        return self.table.value(node)

    def elements(self, node: cst.CSTNode) -> list[cst.BaseExpression] | None:
        """`Bindings.elements`."""
        return self.table.elements(node)

    def joined(self, parts: Iterable[tuple[Located | None, cst.CSTNode]]) -> Located | None:
        """Parts one after the other; unknown ones become holes. None where all are unknown.

        One text has one file: where parts come from several, the longest decides and the others become holes.
        """
        pairs = list(parts)
        known = [part for part, _ in pairs if part is not None]
        if not known:
            return None
        path = max(known, key=lambda part: len(part.text)).path
        pieces = []
        for part, node in pairs:
            if part is None or (part.path != path and part.text):
                part = hole(0, 0, path) if path else hole(*self.ctx.span(node))
            pieces.append(part)
        found = join(pieces)
        return found if found.path == path else replace(found, path=path)

    def argument(self, node: cst.CSTNode | None) -> Located | None:
        """The text of a formatting argument, if it stands in this file too."""
        found = self.fold(node) if node is not None else None
        return found if found is not None and not found.path else None


def _simple(folder: Folder, node: cst.SimpleString) -> Located | None:
    start = folder.ctx.span(node)[0] + len(node.prefix) + len(node.quote)
    prefix = node.prefix.lower()
    return decode(node.raw_value, start, raw="r" in prefix, binary="b" in prefix)


def _concatenated(folder: Folder, node: cst.ConcatenatedString) -> Located | None:
    parts: list[tuple[Located | None, cst.CSTNode]] = []
    current: cst.CSTNode = node
    while isinstance(current, cst.ConcatenatedString):  # nests to the right, once for each literal
        parts.append((folder.fold(current.left), current.left))
        current = current.right
    parts.append((folder.fold(current), current))
    return folder.joined(parts)


def _formatted(folder: Folder, node: cst.FormattedString) -> Located | None:
    raw = "r" in node.prefix.lower()
    parts: list[Located] = [_EMPTY]
    for part in node.parts:
        if isinstance(part, cst.FormattedStringText):
            parts.append(decode(part.value, folder.ctx.span(part)[0], raw=raw, formatted=True))
            continue
        plain = isinstance(part, cst.FormattedStringExpression) and not (
            part.conversion or part.format_spec or part.equal
        )
        known = folder.argument(part.expression) if plain and isinstance(part, cst.FormattedStringExpression) else None
        parts.append(known if known is not None else hole(*folder.ctx.span(part)))
    return join(parts)


def _operation(folder: Folder, node: cst.BinaryOperation) -> Located | None:
    if isinstance(node.operator, cst.Modulo):
        template = folder.fold(node.left)
        return formatting.percent(template, node.right, folder) if template is not None else None
    if not isinstance(node.operator, cst.Add):
        return None
    return folder.joined([(folder.fold(part), part) for part in summands(node)])


def _name(folder: Folder, node: cst.Name) -> Located | None:
    found = folder.table.lookup(node)
    if found and all(isinstance(binding.node, cst.ImportAlias) for binding in found):
        return _imported(folder, folder.ctx.name(node))
    return folder.bound(found, node)


def _attribute(folder: Folder, node: cst.Attribute) -> Located | None:
    """``self.SOURCE`` and ``Class.SOURCE`` where that attribute is given exactly one value; ``module.SOURCE``."""
    owner, table = node.value, folder.table
    if not isinstance(owner, cst.Name):
        return _imported(folder, folder.ctx.name(node))
    bound = table.lookup(owner)
    if len(bound) == 1 and bound[0].kind == "class":
        return folder.bound(table.scopes.get(bound[0].node, {}).get(node.attr.value, []))
    if owner.value in ("self", "cls"):
        return folder.bound(table.attributes.get(node.attr.value, []))
    return _imported(folder, folder.ctx.name(node))


def _imported(folder: Folder, dotted: str) -> Located | None:
    from mllint.analysis.strings.loading import imported

    return imported(dotted, folder.ctx, folder.busy)


def _subscript(folder: Folder, node: cst.Subscript) -> Located | None:
    """``SOURCES["add"]`` of a dict display behind a name that nothing changes."""
    if len(node.slice) != 1 or not isinstance(node.slice[0].slice, cst.Index):
        return None
    if isinstance(node.value, cst.Name) and node.value.value in folder.table.mutated:
        return None
    container = folder.value(node.value)
    if not isinstance(container, cst.Dict):
        return None
    key = folder.fold(node.slice[0].slice.value)
    items = [item for item in container.elements if isinstance(item, cst.DictElement)]
    if key is None or HOLE in key.text or len(items) != len(container.elements):
        return None
    values = [item.value for item in items if (name := folder.fold(item.key)) is not None and name.text == key.text]
    return folder.fold(values[-1]) if values else None


def _call(folder: Folder, node: cst.Call) -> Located | None:
    from mllint.analysis.strings.loading import loaded

    name = folder.ctx.name(node.func)
    first = node.args[0].value if node.args and not node.args[0].star and node.args[0].keyword is None else None
    if name in SAME_TEXT:
        return folder.fold(first) if first is not None else None
    if name == "textwrap.dedent":
        text = folder.fold(first) if first is not None else None
        return formatting.dedented(text) if text is not None else None
    found = loaded(node, folder)
    if found is not None or not isinstance(node.func, cst.Attribute):
        return found
    method, owner = node.func.attr.value, node.func.value
    if method == "join" and first is not None and len(node.args) == 1:
        return _join_call(folder, owner, first)
    if method in ("substitute", "safe_substitute"):
        return _template(folder, owner)
    if method not in formatting.METHODS:
        return None
    text = folder.fold(owner)
    return formatting.METHODS[method](text, node, folder) if text is not None else None


def _join_call(folder: Folder, separator: cst.BaseExpression, items: cst.BaseExpression) -> Located | None:
    between, elements = folder.fold(separator), folder.elements(items)
    if between is None or elements is None:
        return None
    parts: list[tuple[Located | None, cst.CSTNode]] = []
    for element in elements:
        if parts:
            parts.append((between, separator))
        parts.append((folder.fold(element), element))
    return folder.joined(parts)


def _template(folder: Folder, owner: cst.BaseExpression) -> Located | None:
    """``string.Template(text).substitute(…)``, also through a name: the text with its ``$fields`` as holes."""
    made = folder.value(owner)
    if not isinstance(made, cst.Call) or folder.ctx.name(made.func) != "string.Template" or not made.args:
        return None
    text = folder.fold(made.args[0].value)
    return formatting.dollars(text) if text is not None else None


#: Who reads which class of node; an expression of any other class denotes no known text.
_READERS: dict[str, Callable[[Folder, Any], Located | None]] = {
    "SimpleString": _simple,
    "ConcatenatedString": _concatenated,
    "FormattedString": _formatted,
    "BinaryOperation": _operation,
    "Name": _name,
    "Attribute": _attribute,
    "Subscript": _subscript,
    "Call": _call,
}
