"""Is a name used anywhere? What counts is every mention in the text but in comments and in the definition itself.

May not: judge, or resolve what a mention refers to: a string or another object's attribute counts as well.
"""

from __future__ import annotations

import io
import re
import tokenize

from mllint.analysis.project import Project

#: In more files than these a name is taken for used, without a look at what the mentions are.
_MOST_FILES = 4


def is_mentioned(name: str, data: bytes, besides: tuple[int, int] = (0, 0)) -> bool:
    """Is a name mentioned in a text, outside comments and outside the bytes ``besides``?"""
    doubtful: list[int] = []
    for match in re.finditer(rb"(?<![A-Za-z0-9_\x80-\xff])%s(?![A-Za-z0-9_\x80-\xff])" % name.encode(), data):
        at = match.start()
        if besides[0] <= at < besides[1]:
            continue
        if b"#" not in data[data.rfind(b"\n", 0, at) + 1 : at]:
            return True  # the usual case; tokenising is for what is left
        doubtful.append(at)
    return bool(doubtful) and not _all_in_comments(doubtful, data)


def is_mentioned_elsewhere(name: str, path: str, project: Project) -> bool:
    """Is a name mentioned in another file of the project: in Python, a configuration, a document?"""
    others = project.mentioned(name) - {path}
    if len(others) > _MOST_FILES or any(is_mentioned(name, project.load_bytes(each) or b"") for each in sorted(others)):
        return True
    return project.mentioned_in_texts(name)


def _all_in_comments(places: list[int], data: bytes) -> bool:
    """Do these bytes all stand in comments? Not where the text cannot be tokenised."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(data.decode("utf-8", "replace")).readline))
    except (tokenize.TokenError, SyntaxError):
        return False
    columns = {token.start[0]: token.start[1] for token in tokens if token.type == tokenize.COMMENT}
    for at in places:
        row_start = data.rfind(b"\n", 0, at) + 1
        row, column = data.count(b"\n", 0, at) + 1, len(data[row_start:at].decode("utf-8", "replace"))
        if row not in columns or column < columns[row]:
            return False
    return True


__all__ = ["is_mentioned", "is_mentioned_elsewhere"]
