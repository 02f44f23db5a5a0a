"""Is a name used anywhere? What counts is every mention in the text but in comments and in the definition itself.

May not: judge, or resolve what a mention refers to: a string or another object's attribute counts as well.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator
from functools import lru_cache

from mllint.analysis.project import Project


def is_mentioned(name: str, data: bytes, besides: tuple[int, int] = (0, 0)) -> bool:
    """Is a name mentioned in a text, outside comments and outside the bytes ``besides``?"""
    doubtful: list[int] = []
    for at in _places(name.encode(), data):
        if besides[0] <= at < besides[1]:
            continue
        if b"#" not in data[data.rfind(b"\n", 0, at) + 1 : at]:
            return True  # the usual case; tokenising is for what is left
        doubtful.append(at)
    return bool(doubtful) and not _all_in_comments(doubtful, data)


#: Bytes that make a longer word of one.
_WORD_BYTES = frozenset(bytes([code]) for code in range(256) if code > 127 or chr(code).isalnum() or chr(code) == "_")


def _places(word: bytes, data: bytes) -> Iterator[int]:
    """Where a word stands on its own. A pattern for each name would cost 0.1 ms to compile, 29,000 times."""
    at = data.find(word)
    while at >= 0:
        end = at + len(word)
        if data[at - 1 : at] not in _WORD_BYTES and data[end : end + 1] not in _WORD_BYTES:
            yield at
        at = data.find(word, end)


def is_mentioned_elsewhere(name: str, path: str, project: Project) -> bool:
    """Is a name mentioned in another file of the project: in Python, a configuration, a document?

    Comments count here: to tell them apart, those files would have to be read and tokenised for each name.
    """
    return bool(project.mentioned(name) - {path}) or project.mentioned_in_texts(name)


def _all_in_comments(places: list[int], data: bytes) -> bool:
    """Do these bytes all stand in comments? Not where the text cannot be tokenised."""
    columns = _comments(data)
    for at in places:
        row_start = data.rfind(b"\n", 0, at) + 1
        row, column = data.count(b"\n", 0, at) + 1, len(data[row_start:at].decode("utf-8", "replace"))
        if row not in columns or column < columns[row]:
            return False
    return True


@lru_cache(maxsize=1)
def _comments(data: bytes) -> dict[int, int]:
    """The columns of the comments by row; none where the text cannot be tokenised."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(data.decode("utf-8", "replace")).readline))
    except (tokenize.TokenError, SyntaxError):
        return {}
    return {token.start[0]: token.start[1] for token in tokens if token.type == tokenize.COMMENT}


__all__ = ["is_mentioned", "is_mentioned_elsewhere"]
