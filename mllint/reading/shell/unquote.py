"""Text as a program gets it, with places kept: quote removal, newlines, bytes and characters.

May not: know what a word means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mllint.reading.located import HOLE, Located
from mllint.reading.shell import Argument

if TYPE_CHECKING:
    from tree_sitter import Node

_EXPANSIONS = frozenset(
    {"simple_expansion", "expansion", "command_substitution", "arithmetic_expansion", "process_substitution"}
)
_ANSI_C = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}


def unquoted(script: Located, node: Node, at: Callable[[int], int]) -> Argument:
    """One word of a command. ``at`` turns a byte offset of the script into a character position."""
    first, last = at(node.start_byte), at(node.end_byte)
    expansions = {at(start): at(end) for start, end in _expansions(node)}
    kept, replaced = _scan(script.text, first, last, expansions)
    text = "".join(replaced.get(position, script.text[position]) for position in kept)
    value = Located(
        text,
        tuple(script.starts[position] for position in kept),
        tuple(script.ends[position] for position in kept),
        script.path,
    )
    start, end = script.span(first, last)
    return Argument(value, start, end, not expansions and HOLE not in text)


def _expansions(node: Node) -> list[tuple[int, int]]:
    """Byte spans of the outermost expansions in a word."""
    found: list[tuple[int, int]] = []
    pending = [node]
    while pending:
        current = pending.pop()
        if current.type in _EXPANSIONS:
            found.append((current.start_byte, current.end_byte))
        else:
            pending.extend(current.children)
    return found


def _scan(text: str, first: int, last: int, expansions: dict[int, int]) -> tuple[list[int], dict[int, str]]:
    """Positions of the characters that stay, and those of them that stand for another character."""
    kept: list[int] = []
    replaced: dict[int, str] = {}
    quote = ""
    at = first
    while at < last:
        character = text[at]
        if at in expansions and quote != "'":
            end = max(expansions[at], at + 1)
            kept.extend(range(at, end))
            at = end
            continue
        if quote == "'":
            if character == "'":
                quote = ""
            else:
                kept.append(at)
        elif quote == "$'" and character == "\\" and at + 1 < last:
            at += 1
            kept.append(at)
            replaced[at] = _ANSI_C.get(text[at], text[at])
        elif quote == "$'":
            if character == "'":
                quote = ""
            else:
                kept.append(at)
        elif character == "\\" and at + 1 < last:
            if text[at + 1] == "\n":
                at += 1
            elif quote and text[at + 1] not in '$`"\\':
                kept.append(at)
            else:
                at += 1
                kept.append(at)
        elif character == '"':
            quote = "" if quote else '"'
        elif not quote and character == "'":
            quote = "'"
        elif not quote and character == "$" and text[at + 1 : at + 2] in ("'", '"'):
            if text[at + 1] == "'":
                quote = "$'"
                at += 1
        else:
            kept.append(at)
        at += 1
    return kept, replaced


def characters(text: str) -> list[int]:
    """For each byte offset of the encoded text the character that it is part of."""
    found: list[int] = []
    for position, character in enumerate(text):
        found.extend([position] * len(character.encode("utf-8", "replace")))
    found.append(len(text))
    return found


def with_plain_newlines(script: Located) -> Located:
    """The same text without the carriage returns of Windows newlines, which the grammar takes for letters."""
    if "\r\n" not in script.text:
        return script
    kept = [at for at in range(len(script.text)) if script.text[at : at + 2] != "\r\n"]
    return Located(
        "".join(script.text[at] for at in kept),
        tuple(script.starts[at] for at in kept),
        tuple(script.ends[at] for at in kept),
        script.path,
    )
