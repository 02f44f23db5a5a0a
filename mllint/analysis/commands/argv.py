"""Lists of words in Python: ``["ssh", host] + command``, ``shlex.split("…")``, names that stand for them.

May not: say whether anything runs them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mllint.analysis.strings.bindings import bindings
from mllint.analysis.walk import summands
from mllint.lazy import cst
from mllint.reading.located import HOLE, Located
from mllint.reading.shell import Argument, argument

if TYPE_CHECKING:
    from mllint.analysis.context import Context

#: How many names and sums one list may lead through.
_DEPTH = 12
#: Programs whose words are patterns.
_TAKING_PATTERNS = frozenset({"pkill", "killall", "pgrep", "pidof"})
_TOKEN = re.compile(r"'([^']*)'|\"([^\"]*)\"|(\S+)")


def words_of(node: cst.BaseExpression, ctx: Context, depth: int = 0) -> list[Argument] | None:
    """The words of an expression that is a list or tuple of words; None where it is none, or not known to be one."""
    if depth > _DEPTH:
        return None
    if isinstance(node, (cst.List, cst.Tuple)):
        found: list[Argument] = []
        for element in node.elements:
            if isinstance(element, cst.StarredElement):
                found += _part(element.value, ctx, depth + 1)
                continue
            word = argument_at(element.value, ctx)
            if word.value.text == HOLE and any(earlier.value.text in _TAKING_PATTERNS for earlier in found):
                word = _looped(element.value, ctx) or word
            found.append(word)
        return found
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
        return _sum(node, ctx, depth)
    if isinstance(node, cst.Call):
        return _split(node, ctx, depth)
    if isinstance(node, cst.Name):
        return _named(node, ctx, depth)
    return None


def argument_at(node: cst.BaseExpression, ctx: Context) -> Argument:
    """One word: its text where that is known, else a hole."""
    text = ctx.string(node)
    start, end = ctx.span(node)
    if text is None and ctx.name(node) == "sys.executable":
        return argument(Located("python", (start,) * 6, (end,) * 6), start, end)
    if text is None or text.path:
        return argument(Located(HOLE, (start,), (end,)), start, end)
    if text.text and start <= text.starts[0] and text.ends[-1] <= end:  # without the quotes, as a shell script's words
        start, end = text.starts[0], text.ends[-1]
    return argument(text, start, end)


def _looped(node: cst.BaseExpression, ctx: Context) -> Argument | None:
    """The variable of a loop over some texts as the one pattern ``(a|b)``; None where a text is not known."""
    table = bindings(ctx)
    if table is None or not isinstance(node, cst.Name):
        return None
    loops = [binding.node for binding in table.lookup(node)]
    if not all(isinstance(loop, (cst.For, cst.CompFor)) for loop in loops):
        return None
    around = loops if len(loops) == 1 else [loop for loop in table.above(node) if loop in loops]
    if not around or not isinstance(around[0].target, cst.Name):  # type: ignore[attr-defined]
        return None
    texts = [ctx.string(item) for item in table.elements(around[0].iter) or ()]  # type: ignore[attr-defined]
    known = [text.text for text in texts if text is not None and not text.path and HOLE not in text.text]
    if not known or len(known) != len(texts):
        return None
    start, end = ctx.span(node)
    pattern = f"({'|'.join(known)})"
    return argument(Located(pattern, (start,) * len(pattern), (end,) * len(pattern)), start, end)


def _part(node: cst.BaseExpression, ctx: Context, depth: int) -> list[Argument]:
    """The words of a part of a list; a part that is not known stands for any number of words."""
    words = words_of(node, ctx, depth)
    return words if words is not None else [_unknown(node, ctx)]


def _unknown(node: cst.CSTNode, ctx: Context) -> Argument:
    start, end = ctx.span(node)
    return argument(Located(HOLE, (start,), (end,)), start, end, splat=True)


def _sum(node: cst.BinaryOperation, ctx: Context, depth: int) -> list[Argument] | None:
    """``a + b + c``: a list as soon as one part is one."""
    words = [(part, words_of(part, ctx, depth + 1)) for part in summands(node)]
    if all(found is None for _, found in words):
        return None
    return [word for part, found in words for word in (found if found is not None else [_unknown(part, ctx)])]


def _split(call: cst.Call, ctx: Context, depth: int) -> list[Argument] | None:
    """``shlex.split("…")``, ``"…".split()``, ``list(words)``, ``words.copy()``."""
    function = call.func
    name = ctx.name(function)
    first = call.args[0].value if call.args and call.args[0].keyword is None and not call.args[0].star else None
    if name in ("list", "tuple", "copy.copy", "copy.deepcopy") and first is not None:
        return words_of(first, ctx, depth + 1)
    if name == "shlex.split" and first is not None:
        return _tokens(ctx.string(first))
    if isinstance(function, cst.Attribute) and function.attr.value == "copy" and not call.args:
        return words_of(function.value, ctx, depth + 1)
    if isinstance(function, cst.Attribute) and function.attr.value == "split" and not call.args:
        return _tokens(ctx.string(function.value))
    return None


def _tokens(text: Located | None) -> list[Argument] | None:
    """A text taken apart at blanks, quoted words kept whole."""
    if text is None or text.path:
        return None
    found = []
    for match in _TOKEN.finditer(text.text):
        group = match.lastindex or 0
        start, end = text.span(*match.span())
        found.append(argument(text.part(*match.span(group)), start, end))
    return found


def _named(node: cst.Name, ctx: Context, depth: int) -> list[Argument] | None:
    """The words behind a name assigned once, with what ``+=`` adds and a hole for what methods add."""
    table = bindings(ctx)
    if table is None:
        return None
    found = table.lookup(node)
    first = [binding for binding in found if binding.kind == "assign"]
    added = [binding for binding in found if binding.kind == "add"]
    if len(first) != 1 or len(first) + len(added) != len(found) or first[0].value is None:
        return None
    words = words_of(first[0].value, ctx, depth + 1)
    if words is None:
        return None
    for binding in added:
        words = words + (_part(binding.value, ctx, depth + 1) if binding.value is not None else [])
    return [*words, _unknown(node, ctx)] if node.value in table.mutated else words
