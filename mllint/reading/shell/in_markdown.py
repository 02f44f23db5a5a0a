"""Shell in Markdown: fenced code blocks in a shell language, and the prose that goes with them.

May not: read prose as code; what is not fenced is no command.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.reading.located import Located, join
from mllint.reading.shell.hosts import Page, Piece

if TYPE_CHECKING:
    from markdown_it.token import Token

_LANGUAGES = frozenset(
    {"bash", "sh", "shell", "zsh", "console", "terminal", "shell-session", "shellsession", "sh-session", "shellscript"}
)
_PROMPT = re.compile(r"\s*(?:\([\w.-]+\)\s*)?(?:[\w.-]+@[\w.-]+\S*\s?)?[$%]\s+(?=\S)")


def pieces(page: Page) -> Iterator[Piece]:
    """Every shell block of a page."""
    from markdown_it import MarkdownIt

    heading = paragraph = ""
    within = ""
    for token in MarkdownIt("commonmark").parse(page.text.text.replace("\r", " ")):
        if token.type in ("heading_open", "paragraph_open"):
            within = token.type
        elif token.type == "inline" and within == "heading_open":
            heading, paragraph = token.content, ""
        elif token.type == "inline":
            paragraph = token.content
        elif token.type == "fence":
            if is_shell(token.info) and token.map is not None:
                script = _script(page, token)
                comments = re.findall(r"(?m)^\s*#.*$", script.text)
                yield Piece(script, prose="\n".join(filter(None, [heading, paragraph, *comments])))
            paragraph = ""


def is_shell(info: str) -> bool:
    """Does a fence with this info string hold shell commands?"""
    return _language(info) in _LANGUAGES


def _language(info: str) -> str:
    """``bash`` for ``bash title="x"``, ``{.bash}`` and ``bash,linenos``."""
    words = re.split(r"[\s,{}:]+", info.strip().strip("{}").lower())
    return words[0].lstrip(".") if words else ""


def _script(page: Page, token: Token) -> Located:
    """A block's lines, without the prompts and the output of a recorded session."""
    assert token.map is not None
    first = token.map[0] + 1  # the row after the fence, counted from zero
    written = token.content.removesuffix("\n").split("\n") if token.content else []
    lines = [_line(page, first + position, text) for position, text in enumerate(written)]
    if not any(_PROMPT.match(line.text) for line in lines):
        return join(lines)
    kept: list[Located] = []
    goes_on = False
    for line in lines:
        prompt = _PROMPT.match(line.text)
        if prompt or goes_on or line.text.lstrip().startswith("#"):
            kept.append(line.part(prompt.end(), len(line.text)) if prompt else line)
            goes_on = line.text.rstrip().endswith("\\")
    return join(kept)


def _line(page: Page, row: int, text: str) -> Located:
    """A line of a block where it stands in the file; what precedes it there belongs to lists and quotes."""
    content = page.lines[row]
    start = page.starts[row]
    skipped = len(content) - len(text) if content.endswith(text) else len(content) - len(content.lstrip(" \t>"))
    return page.text.part(start + skipped, start + len(content) + 1)  # with its newline; the last line may lack one
