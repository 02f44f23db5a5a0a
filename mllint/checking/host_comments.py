"""Comments of the hosts that are not Python: ``#`` line by line, Markdown's ``<!-- -->``, C's ``//`` and ``/* */``.

May not: parse a host further than its comments, strings and statement ends need.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.reading.shell.in_markdown import is_shell
from mllint.reading.source import Source

if TYPE_CHECKING:
    from markdown_it.token import Token


def comment_spans(source: Source) -> Iterator[tuple[int, int]]:
    """Byte offsets (start, end) of each comment with its delimiters, in order."""
    if source.kind == "kernel":
        for found in _C_TOKEN.finditer(source.data):
            if found.lastgroup == "comment":
                yield found.span()
    elif source.kind == "markdown":
        yield from _markdown_spans(source)
    else:
        for row in range(1, len(source.line_starts) + 1):
            yield from _hash_spans(source, row)


def statement_end(source: Source, row: int) -> int:
    """The last row of the statement (or its header) that follows a comment ending in ``row``."""
    first = _next_code_row(source, row)
    if first is None:
        return row
    if source.kind == "kernel":
        return source.row(_c_statement_end(source.data, source.line_starts[first - 1]))
    if source.kind == "markdown":
        return next((last for begin, last in _fences(source) if begin == first), first)
    if source.kind == "yaml":
        return _yaml_end(source, first)
    return source.row(_shell_statement_end(source.data, source.line_starts[first - 1]))


def block_around(source: Source, row: int) -> tuple[int, int]:
    """`Comment.block` and ``block_end`` of a comment in ``row``: a fenced block of Markdown, else the file."""
    if source.kind == "markdown":
        for first, last in _fences(source):
            if first < row <= last:
                return -first, last
    return 0, len(source.line_starts)


def _line(source: Source, row: int) -> bytes:
    """The bytes of a one-based row, without its newline."""
    starts = source.line_starts
    end = starts[row] if row < len(starts) else len(source.data)
    return source.data[starts[row - 1] : end].rstrip(b"\r\n")


def _next_code_row(source: Source, row: int) -> int | None:
    """The next row that has more than blanks and comments."""
    comment = {"kernel": (b"//", b"/*"), "markdown": (b"<!--",)}.get(source.kind, (b"#",))
    for following in range(row + 1, len(source.line_starts) + 1):
        line = _line(source, following).strip()
        if line and not line.startswith(comment):
            return following
    return None


# --- hosts with "#" ---------------------------------------------------------------------------------------

#: A ``#`` opens a comment where a word could begin; quoted text that ends on its line is skipped.
_HASH_TOKEN = re.compile(rb"""\\.|'[^']*'|"(?:\\.|[^"\\])*"|(?P<comment>(?<![^\s;|&()])#.*)""")


def _hash_spans(source: Source, row: int) -> Iterator[tuple[int, int]]:
    line = _line(source, row)
    if b"#" not in line:
        return
    start = source.line_starts[row - 1]
    for found in _HASH_TOKEN.finditer(line):
        if found.lastgroup == "comment":
            yield start + found.start(), start + found.end()


_SHELL_TOKEN = re.compile(
    rb"""\\\r?\n|\\.|'[^']*'|"(?:\\[\s\S]|[^"\\])*"|<<-?[ \t]*(?P<quote>['"]?)(?P<here>\w+)(?P=quote)"""
    rb"""|(?P<more>(?:\|\|?|&&)[ \t]*\r?\n)|(?<!\S)#.*|(?P<newline>\r?\n)"""
)


def _shell_statement_end(data: bytes, start: int) -> int:
    """An offset in the last line of the command that begins at ``start``: strings, here-documents and
    continued lines belong to it."""
    here: list[bytes] = []
    for found in _SHELL_TOKEN.finditer(data, start):
        if found["here"]:
            here.append(found["here"])
        elif found["newline"] or (found["more"] and here):
            end = found.start()
            at = found.end()
            for word in here:
                stop = re.compile(rb"^[ \t]*" + re.escape(word) + rb"[ \t]*$", re.MULTILINE).search(data, at)
                if stop is None:
                    break
                end = at = stop.end()
            return end
    return max(start, len(data) - 1)


_BLOCK_SCALAR = re.compile(rb"(?P<key>\s*(?:- +)*).*[|>][+-]?\d?[+-]?\s*(?:#.*)?")


def _yaml_end(source: Source, row: int) -> int:
    """The row itself, or the last row of the block scalar (``run: |``) that it opens."""
    header = _BLOCK_SCALAR.fullmatch(_line(source, row))
    if header is None:
        return row
    last = row
    for following in range(row + 1, len(source.line_starts) + 1):
        line = _line(source, following)
        if line.strip():
            if len(line) - len(line.lstrip(b" ")) <= len(header["key"]):
                break
            last = following
    return last


# --- Markdown ---------------------------------------------------------------------------------------------


def _tokens(source: Source) -> list[Token]:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").parse(source.text.replace("\r", " "))


def _fences(source: Source) -> Iterator[tuple[int, int]]:
    """First and last row of each fenced code block, the fences included."""
    for token in _tokens(source):
        if token.type == "fence" and token.map is not None:
            yield token.map[0] + 1, token.map[1]


def _markdown_spans(source: Source) -> Iterator[tuple[int, int]]:
    """``<!-- -->`` where it is HTML (not in code, not in a code span), and ``#`` inside shell blocks."""
    for token in _tokens(source):
        if token.map is None:
            continue
        first, last = token.map
        if token.type == "fence" and is_shell(token.info):
            for row in range(first + 2, last + 1):
                yield from _hash_spans(source, row)
        elif token.type == "html_block":
            yield from _html_comments(source, first, last, [token.content.strip()])
        elif token.type == "inline":
            marked = [child for child in token.children or () if child.type in ("code_inline", "html_inline")]
            if any(child.content.startswith("<!--") for child in marked if child.type == "html_inline"):
                codes = [("" if child.type == "html_inline" else "`") + child.content for child in marked]
                yield from _html_comments(source, first, last, codes)


def _html_comments(source: Source, first: int, last: int, pieces: list[str]) -> Iterator[tuple[int, int]]:
    """Comments among the pieces of HTML and code (behind a backtick) that stand, in order, in some rows."""
    starts = (*source.line_starts, len(source.data))
    text = source.data[: starts[min(last, len(starts) - 1)]]
    at = starts[first]
    for piece in pieces:
        written = piece.removeprefix("`").encode()
        found = text.find(written, at)
        if found < 0:  # a quote's or list's mark stands between two lines of it
            continue
        at = found + len(written)
        if not piece.startswith("`"):
            for comment in re.finditer(rb"<!--[\s\S]*?-->", text[found:at]):
                yield found + comment.start(), found + comment.end()


# --- C and its relatives ----------------------------------------------------------------------------------

#: Comments, strings (raw ones too), characters, and numbers with ``'`` between their digits.
_C_TOKEN = re.compile(
    rb"""(?P<comment>//(?:\\\r?\n|[^\r\n])*|/\*[\s\S]*?(?:\*/|\Z))"""
    rb"""|R"(?P<raw>[^()\\\s]{0,16})\([\s\S]*?\)(?P=raw)"|"(?:\\[\s\S]|[^"\\\r\n])*"|'(?:\\.|[^'\\\r\n])+'"""
    rb"""|\b\d(?:\w|\.|'(?=\w))*|(?P<mark>[()\[\]{};])"""
)


def _c_statement_end(data: bytes, start: int) -> int:
    """Where the statement that begins at ``start`` ends: its ``;``, the brace that opens its body or closes
    the one around it; for a preprocessor line the end of that line."""
    directive = re.compile(rb"[ \t]*#(?:\\\r?\n|[^\r\n])*").match(data, start)
    if directive:
        return max(start, directive.end() - 1)
    depth = 0
    for found in _C_TOKEN.finditer(data, start):
        mark = found["mark"]
        if mark in (b"(", b"["):
            depth += 1
        elif mark in (b")", b"]"):
            depth -= 1
        elif mark and depth <= 0:
            return found.start()
    return max(start, len(data) - 1)
