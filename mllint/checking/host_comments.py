"""Comments of the hosts that are not Python: ``#`` line by line, Markdown's ``<!-- -->``, C's ``//`` and ``/* */``.

May not: parse a host further than its comments, strings and statement ends need.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mllint.reading.source import Source


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

_FENCE = re.compile(rb"[ \t>]*(?:[-*+] +|\d+[.)] +)?(?P<mark>`{3,}|~{3,})(?P<info>.*)")


def _fences(source: Source) -> Iterator[tuple[int, int]]:
    """First and last row of each fenced code block, the fences included."""
    opened, mark = 0, b""
    for row in range(1, len(source.line_starts) + 1):
        found = _FENCE.match(_line(source, row))
        if found is None:
            continue
        if not opened:
            if b"`" not in found["info"]:  # else it is an inline code span
                opened, mark = row, found["mark"]
        elif found["mark"].startswith(mark) and not found["info"].strip():
            yield opened, row
            opened = 0
    if opened:
        yield opened, len(source.line_starts)


def _markdown_spans(source: Source) -> Iterator[tuple[int, int]]:
    """``<!-- -->`` outside code blocks and ``#`` inside them."""
    starts = (*source.line_starts, len(source.data))
    at = 0
    for first, last in (*_fences(source), (len(starts), len(starts))):
        for found in re.finditer(rb"<!--[\s\S]*?-->", source.data[at : starts[first - 1]]):
            yield at + found.start(), at + found.end()
        for row in range(first + 1, last):
            yield from _hash_spans(source, row)
        at = starts[min(last, len(starts) - 1)]


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
