"""Shell in YAML: the ``run:`` and ``script:`` of continuous integration, the ``command:`` of containers.

May not: know a particular service; a key's name and the shape of its value say what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.reading.located import HOLE, Located, join
from mllint.reading.shell import Argument
from mllint.reading.shell.hosts import Page, Piece, unescaped, without

if TYPE_CHECKING:
    from tree_sitter import Node

#: Keys whose text is a script, whose list is one script an item.
_SCRIPTS = frozenset(
    {"run", "script", "scripts", "before_script", "after_script", "commands", "cmd", "cmds", "shell", "bash", "setup"}
    | {"steps", "pre_command", "post_command", "postCreateCommand", "postStartCommand", "onCreateCommand"}
)
#: Keys whose text is a command line, whose list is the words of one command.
_WORDS = frozenset({"command", "entrypoint", "args"})

#: ``${{ github.… }}`` and Jinja's ``{{ … }}``: filled in before a shell reads the text.
_TEMPLATE = re.compile(r"\$?\{\{.*?\}\}", re.DOTALL)
_FOLD = re.compile(r"[ \t]*\r?\n[ \t]*")
_DOUBLED_QUOTE = re.compile(r"'(?=')")


def pieces(page: Page, root: Node) -> Iterator[Piece]:
    """Every script and command of a YAML file."""
    for mapping in _mappings(root):
        pairs = dict(_pairs(page, mapping))
        words: list[Argument] = []
        for key, value in pairs.items():
            if key in _SCRIPTS:
                yield from _scripts(page, value)
            elif key in _WORDS:
                sequence = _items(value)
                if sequence is None and key != "args":
                    yield from _scripts(page, value)
                elif sequence is not None and (key != "args" or words or "command" not in pairs):
                    words += [word for item in sequence for word in _word(page, item)]
        if words:
            yield Piece(None, tuple(words), page.comments_above(mapping.start_point.row))


def _mappings(root: Node) -> Iterator[Node]:
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type in ("block_mapping", "flow_mapping"):
            yield node
        pending.extend(reversed(node.children))


def _pairs(page: Page, mapping: Node) -> Iterator[tuple[str, Node]]:
    for pair in mapping.children:
        if pair.type in ("block_mapping_pair", "flow_pair"):
            key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
            if key is not None and value is not None:
                yield page.data[key.start_byte : key.end_byte].decode("utf-8").strip("'\""), value


def _items(value: Node) -> list[Node] | None:
    """The items of a list, None for anything else."""
    for node in value.children:
        if node.type == "flow_sequence":
            return [child for child in node.children if child.type == "flow_node"]
        if node.type == "block_sequence":
            items = (child for child in node.children if child.type == "block_sequence_item")
            return [child for item in items for child in item.children if child.type.endswith("_node")]
    return None


def _scripts(page: Page, value: Node) -> Iterator[Piece]:
    items = _items(value)
    for node in [value] if items is None else items:
        text = _text(page, node)
        if text is not None:
            yield Piece(without(text, _TEMPLATE, HOLE), prose=page.comments_above(node.start_point.row))


def _word(page: Page, node: Node) -> Iterator[Argument]:
    text = _text(page, node)
    if text is not None and text.text:
        yield page.word(node, without(text, _TEMPLATE, HOLE))


def _text(page: Page, value: Node) -> Located | None:
    """The text of a scalar as a parser would give it; None for lists, mappings and aliases."""
    for node in value.children:
        if node.type == "block_scalar":
            return _block(page, node)
        if node.type in ("plain_scalar", "single_quote_scalar", "double_quote_scalar"):
            quoted = node.type != "plain_scalar"
            text = page.piece(node.start_byte + quoted, node.end_byte - quoted)
            if "\n" in text.text:
                text = without(text, _FOLD, " ")
            if node.type == "single_quote_scalar":
                return without(text, _DOUBLED_QUOTE)
            return unescaped(text) if quoted else text
    return None


def _block(page: Page, node: Node) -> Located:
    """A ``|`` or ``>`` scalar without its indentation; folded lines are joined by a space."""
    whole = page.piece(node.start_byte, node.end_byte)
    folded = whole.text.startswith(">")
    body = whole.text.find("\n") + 1
    if not body:
        return whole.part(0, 0)
    lines = [(match.start(), match.end()) for match in re.finditer(r"[^\n]*\n?", whole.text[body:]) if match[0]]
    spans = [(body + start, body + end) for start, end in lines]
    indent = min((_indent(whole.text[a:b]) for a, b in spans if whole.text[a:b].strip()), default=0)
    parts: list[Located] = []
    for position, (start, end) in enumerate(spans):
        line = whole.part(min(start + indent, end - 1) if whole.text[start:end].strip() else end - 1, end)
        following = whole.text[slice(*spans[position + 1])] if position + 1 < len(spans) else ""
        if folded and line.text.strip() and following.strip() and _indent(following) == indent:
            line = without(line, _FOLD, " ")
        parts.append(line)
    return join(parts)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
