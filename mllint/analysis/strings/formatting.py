"""String formatting and string methods on text that knows where it stands.

May not: change a character's place. A field becomes the text of its argument where that is known, else a hole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from mllint.lazy import cst
from mllint.reading.located import HOLE, Located, join

if TYPE_CHECKING:
    from mllint.analysis.strings.fold import Folder

_PERCENT = re.compile(
    r"%(?:\((?P<key>[^)]*)\))?(?P<shape>[#0\- +]*(?:\*|\d+)?(?:\.(?:\*|\d+))?)[hlL]?(?P<kind>[diouxXeEfFgGcrsa%])"
)
_BRACES = re.compile(r"\{\{|\}\}|\{(?P<field>[^{}!:]*)(?P<shape>(?:[!:][^{}]*(?:\{[^{}]*\}[^{}]*)*)?)\}")
_DOLLARS = re.compile(r"\$(?:(?P<twice>\$)|\{\w+\}|[A-Za-z_]\w*)")


def percent(template: Located, right: cst.BaseExpression, folder: Folder) -> Located:
    """``template % right``."""
    single = not isinstance(right, (cst.Tuple, cst.Dict))
    arguments = [item.value for item in right.elements] if isinstance(right, cst.Tuple) else [right] if single else []
    named = _named(right, folder) if isinstance(right, cst.Dict) else {}
    position = 0

    def meaning(match: re.Match[str]) -> Located:
        nonlocal position
        if match["kind"] == "%":
            return _shrunk(template, match, "%")
        key, value = match["key"], None
        if key is not None:
            value = named.get(key)
        else:
            value = arguments[position] if position < len(arguments) else None
            position += 1 + match["shape"].count("*")
        known = folder.argument(value) if match["kind"] == "s" and not match["shape"] else None
        return known if known is not None else _shrunk(template, match, HOLE)

    return _substituted(template, _PERCENT, meaning)


def formatted(template: Located, call: cst.Call, folder: Folder) -> Located:
    """``template.format(…)``."""
    starred = any(argument.star for argument in call.args)
    given: dict[str, cst.BaseExpression] = {}
    for number, argument in enumerate(call.args if not starred else ()):
        given[argument.keyword.value if argument.keyword else str(number)] = argument.value
    position = -1

    def meaning(match: re.Match[str]) -> Located:
        nonlocal position
        if match["field"] is None:
            return _shrunk(template, match, match.group()[0])
        position += 1 if not match["field"] else 0
        value = given.get(match["field"] or str(position))
        known = folder.argument(value) if not match["shape"] else None
        return known if known is not None else _shrunk(template, match, HOLE)

    return _substituted(template, _BRACES, meaning)


def dollars(template: Located) -> Located:
    """``string.Template``: fields become holes, ``$$`` one dollar."""
    return _substituted(template, _DOLLARS, lambda match: _shrunk(template, match, "$" if match["twice"] else HOLE))


def dedented(text: Located) -> Located:
    """``textwrap.dedent``: without the white space that all lines begin with; blank lines lose all of theirs."""
    bounds: list[tuple[int, int]] = []
    at = 0
    for line in text.text.split("\n"):
        bounds.append((at, at + len(line)))
        at += len(line) + 1
    lines = [text.text[start:end] for start, end in bounds]
    margins = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines if line.strip(" \t")]
    margin = _common(margins)
    parts: list[Located] = []
    for (start, end), line in zip(bounds, lines, strict=True):
        kept = start + margin if line.strip(" \t") else end
        parts.append(text.part(kept, min(end + 1, len(text.text))))
    return join(parts)


def _common(texts: list[str]) -> int:
    """How many characters all texts begin with in common."""
    shortest, longest = min(texts, default=""), max(texts, default="")
    pairs = enumerate(zip(shortest, longest, strict=False))
    return next((at for at, (one, other) in pairs if one != other), len(shortest))


def _stripped(text: Located, call: cst.Call, folder: Folder) -> Located | None:
    method = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
    characters = None
    if call.args:
        given = folder.fold(call.args[0].value)
        if given is None or HOLE in given.text:
            return None
        characters = given.text
    start = 0 if method == "rstrip" else len(text.text) - len(text.text.lstrip(characters))
    end = len(text.text) if method == "lstrip" else len(text.text.rstrip(characters))
    return text.part(start, max(start, end))


def _encoded(text: Located, call: cst.Call, folder: Folder) -> Located | None:
    """``.encode()``: the same text; what an error handler does to non-ASCII characters is left open."""
    named = {argument.keyword.value: argument.value for argument in call.args if argument.keyword}
    handler = named.get("errors") or (call.args[1].value if len(call.args) > 1 and not call.args[1].keyword else None)
    codec = named.get("encoding") or (call.args[0].value if call.args and not call.args[0].keyword else None)
    spelled = folder.fold(codec) if codec is not None else None
    utf8 = codec is None or (spelled is not None and spelled.text.lower().replace("_", "-") in ("utf-8", "utf8"))
    if text.text.isascii() or (handler is None and utf8):
        return text
    return Located(re.sub(r"[^\x00-\x7f]", HOLE, text.text), text.starts, text.ends, text.path)


def _replaced(text: Located, call: cst.Call, folder: Folder) -> Located | None:
    """``.replace(old, new)``; with an unknown part what is left of the text is not known either."""
    if len(call.args) != 2:
        return None
    old, new = folder.fold(call.args[0].value), folder.fold(call.args[1].value)
    if old is None or not old.text or HOLE in old.text:
        return None
    known = new if new is not None and new.path == text.path else None
    pattern = re.compile(re.escape(old.text))
    return _substituted(text, pattern, lambda match: known if known is not None else _shrunk(text, match, HOLE))


def _named(mapping: cst.Dict, folder: Folder) -> dict[str, cst.BaseExpression]:
    found: dict[str, cst.BaseExpression] = {}
    for item in mapping.elements:
        key = folder.fold(item.key) if isinstance(item, cst.DictElement) else None
        if key is not None:
            found[key.text] = item.value
    return found


def _shrunk(text: Located, match: re.Match[str], character: str) -> Located:
    """One character in place of a whole match."""
    return Located(character, (text.starts[match.start()],), (text.ends[match.end() - 1],), text.path)


def _substituted(text: Located, pattern: re.Pattern[str], meaning: Callable[[re.Match[str]], Located]) -> Located:
    parts: list[Located] = []
    at = 0
    for match in pattern.finditer(text.text):
        parts.append(text.part(at, match.start()))
        parts.append(meaning(match))
        at = match.end()
    parts.append(text.part(at, len(text.text)))
    found = join(parts)
    return found if found.path == text.path else Located(found.text, found.starts, found.ends, text.path)


#: String methods whose result is known from the text and the call.
METHODS: dict[str, Callable[[Located, cst.Call, Folder], Located | None]] = {
    "format": formatted,
    "strip": _stripped,
    "lstrip": _stripped,
    "rstrip": _stripped,
    "encode": _encoded,
    "decode": lambda text, call, folder: text,
    "replace": _replaced,
}
