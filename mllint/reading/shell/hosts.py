"""Where shell stands in files of other kinds: Makefiles, Dockerfiles, YAML, Markdown.

May not: read shell. Each host gives pieces: a script, or a list of words, with the prose around it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from mllint.reading.located import HOLE, Located, join, locate
from mllint.reading.shell import Argument, argument
from mllint.reading.shell.unquote import characters, with_plain_newlines
from mllint.reading.source import Source

if TYPE_CHECKING:
    from tree_sitter import Node, Parser


@dataclass(frozen=True, slots=True)
class Piece:
    """A script, or where that is None a list of words; and the words a person reads with it."""

    script: Located | None
    words: tuple[Argument, ...] = ()
    prose: str = ""


class Page:
    """A file with plain newlines, as the grammars want it, that still knows where its bytes stand."""

    def __init__(self, source: Source) -> None:
        self.text = with_plain_newlines(locate(source.data))
        self.data = self.text.text.encode("utf-8")
        self.lines = self.text.text.split("\n")
        self.starts = (0, *accumulate(len(line) + 1 for line in self.lines))
        self._character = None if self.text.text.isascii() else characters(self.text.text)

    def piece(self, start: int, end: int) -> Located:
        """The bytes ``start`` to ``end`` of ``data`` as text located in the file."""
        if self._character is None:
            return self.text.part(start, end)
        return self.text.part(self._character[start], self._character[end])

    def word(self, node: Node, value: Located) -> Argument:
        """A word that stands where the node stands."""
        whole = self.piece(node.start_byte, node.end_byte)
        return argument(value, whole.starts[0], whole.ends[-1])

    def comments_above(self, row: int) -> str:
        """The comment lines directly above a row (counted from zero), without what precedes the ``#``."""
        lines: list[str] = []
        while row > 0:
            row -= 1
            line = self.lines[row].strip().lstrip("@-+")
            if not line.startswith("#"):
                break
            lines.insert(0, line)
        return "\n".join(lines)


def scripts(source: Source) -> Iterator[Piece]:
    """Every piece of shell in a file, in order. Kinds that hold none give nothing."""
    reader = _READERS.get(source.kind)
    if reader is not None and source.data.strip():
        yield from reader(Page(source))


@lru_cache(maxsize=4)
def _parser(name: str) -> Parser:
    from importlib import import_module

    from tree_sitter import Language, Parser

    with warnings.catch_warnings():  # tree-sitter-dockerfile 0.2 hands over a plain pointer
        warnings.simplefilter("ignore", DeprecationWarning)
        return Parser(Language(import_module(f"tree_sitter_{name}").language()))


def descendants(root: Node, *kinds: str) -> Iterator[Node]:
    """Nodes of these kinds in source order; nothing below a found one."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type in kinds:
            yield node
        else:
            pending.extend(reversed(node.children))


def without(text: Located, pattern: re.Pattern[str], instead: str = "") -> Located:
    """The text with each match left out, or replaced by one character that stands where the match stood."""
    parts: list[Located] = []
    at = 0
    for match in pattern.finditer(text.text):
        parts.append(text.part(at, match.start()))
        if instead:
            start, end = text.span(*match.span())
            parts.append(Located(instead, (start,), (end,), text.path))
        at = match.end()
    return join([*parts, text.part(at, len(text.text))]) if parts else text


def _shell(page: Page) -> Iterator[Piece]:
    yield Piece(page.text)


# --- Makefiles ------------------------------------------------------------------------------------------------

_PREFIX = re.compile(r"\A[\s@+-]+")
_MAKE_SHELL = re.compile(r"(?<=\$\()shell\s+")
_REFERENCE = re.compile(
    r"\$\((?!shell\s)[^()$]*(?:\$?\([^()]*\)[^()]*)*\)|\$\{[^{}]*\}|\$[@<^?*+|%]|(?<!\$)\$[A-Z](?!\w)"
)


def _makefile(page: Page) -> Iterator[Piece]:
    root = _parser("make").parse(page.data).root_node
    for node in descendants(root, "recipe_line"):
        text = page.piece(node.start_byte, node.end_byte)
        yield Piece(_as_make_passes_it(without(text, _PREFIX)), prose=page.comments_above(node.start_point.row))


def _as_make_passes_it(text: Located) -> Located:
    """What the shell gets: ``$$`` is one ``$``, make's own references are unknown, ``$(shell x)`` runs x too."""
    parts: list[Located] = []
    at = 0
    for match in re.finditer(r"\$\$", text.text):  # between two of them stand make's references
        parts += [_references(text.part(at, match.start())), text.part(match.end() - 1, match.end())]
        at = match.end()
    return join([*parts, _references(text.part(at, len(text.text)))])


def _references(text: Located) -> Located:
    return without(without(text, _REFERENCE, HOLE), _MAKE_SHELL)


# --- Dockerfiles ----------------------------------------------------------------------------------------------

_COMMENT_LINE = re.compile(r"(?m)^[ \t]*#.*\n?")


def _dockerfile(page: Page) -> Iterator[Piece]:
    root = _parser("dockerfile").parse(page.data).root_node
    for node in descendants(root, "run_instruction", "cmd_instruction", "entrypoint_instruction"):
        prose = page.comments_above(node.start_point.row)
        for child in node.children:
            if child.type == "json_string_array":
                yield Piece(None, tuple(_json_words(page, child)), prose)
            elif child.type == "shell_command":
                if not any(True for _ in descendants(child, "heredoc_marker")):
                    text = page.piece(child.start_byte, child.end_byte)
                    # Docker drops comment lines before the shell sees the line that they interrupt.
                    yield Piece(without(text, _COMMENT_LINE), prose=prose)
            elif child.type == "heredoc_block":
                lines = list(descendants(child, "heredoc_line"))
                if lines:
                    yield Piece(page.piece(lines[0].start_byte, lines[-1].end_byte), prose=prose)


def _json_words(page: Page, array: Node) -> Iterator[Argument]:
    for node in descendants(array, "json_string"):
        inner = page.piece(node.start_byte + 1, node.end_byte - 1)
        yield page.word(node, unescaped(inner))


def unescaped(text: Located) -> Located:
    """A double-quoted JSON or YAML string without the backslashes before quotes; other escapes stay."""
    parts: list[Located] = []
    at = 0
    for match in re.finditer(r"\\(.)", text.text, re.DOTALL):
        plain = {"n": "\n", "t": "\t"}.get(match[1], match[1])
        start, end = text.span(*match.span())
        parts += [text.part(at, match.start()), Located(plain, (start,), (end,), text.path)]
        at = match.end()
    return join([*parts, text.part(at, len(text.text))]) if parts else text


def _yaml(page: Page) -> Iterator[Piece]:
    from mllint.reading.shell.in_yaml import pieces

    return pieces(page, _parser("yaml").parse(page.data).root_node)


def _markdown(page: Page) -> Iterator[Piece]:
    from mllint.reading.shell.in_markdown import pieces

    return pieces(page)


_READERS: dict[str, Callable[[Page], Iterator[Piece]]] = {
    "shell": _shell,
    "makefile": _makefile,
    "dockerfile": _dockerfile,
    "yaml": _yaml,
    "markdown": _markdown,
}
