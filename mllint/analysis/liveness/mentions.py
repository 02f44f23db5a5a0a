"""Is a name used anywhere? What counts is every mention in the text but in comments and in the definition itself.

May not: judge, or resolve what a mention refers to: a string or another object's attribute counts as well.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator

from mllint.analysis.project import Project

#: In more files than these a name is taken for used, without a look at what the mentions are.
_MOST_FILES = 4


def is_mentioned_here(name: str, data: bytes, definition: tuple[int, int]) -> bool:
    """Is a name mentioned in a file outside the rows (first, last) of its definition?"""
    inside = range(definition[0], definition[1] + 1)
    return any(row not in inside for row in _rows(name, data))


def is_mentioned_elsewhere(name: str, path: str, project: Project) -> bool:
    """Is a name mentioned in another file of the project: in Python, a configuration, a document?"""
    others = project.mentioned(name) - {path}
    if len(others) > _MOST_FILES:
        return True
    if any(next(_rows(name, project.load_bytes(other) or b""), 0) for other in sorted(others)):
        return True
    return project.mentioned_in_texts(name)


def _rows(name: str, data: bytes) -> Iterator[int]:
    """The rows of all mentions of a word outside comments."""
    comments: dict[int, int] | None = None
    for match in re.finditer(rb"(?<![A-Za-z0-9_\x80-\xff])%s(?![A-Za-z0-9_\x80-\xff])" % name.encode(), data):
        row_start = max(data.rfind(b"\n", 0, match.start()), data.rfind(b"\r", 0, match.start())) + 1
        row = data.count(b"\n", 0, match.start()) + 1
        if b"#" in data[row_start : match.start()]:
            comments = _comments(data) if comments is None else comments
            column = len(data[row_start : match.start()].decode("utf-8", "replace"))
            if column >= comments.get(row, column + 1):
                continue
        yield row


def _comments(data: bytes) -> dict[int, int]:
    """For each row with a comment, the column (characters) that it begins in. Empty where the text is no Python."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(data.decode("utf-8", "replace")).readline))
    except (tokenize.TokenError, SyntaxError):
        return {}
    return {token.start[0]: token.start[1] for token in tokens if token.type == tokenize.COMMENT}


__all__ = ["is_mentioned_elsewhere", "is_mentioned_here"]
