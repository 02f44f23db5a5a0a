"""C-like text (CUDA C++, OpenCL C, PTX) cut into code, comments and literals.

May not: judge, or understand more than tokens. A `Region` counts characters of the text it was made from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

#: ``inactive`` is text that no compiler reads as code: ``#if 0`` blocks, the rest of an ``#error`` or ``#pragma`` line.
#: ``asm`` is a string literal that holds assembly: inside an ``asm`` statement, or a whole PTX module.
RegionKind = Literal["code", "line_comment", "block_comment", "string", "char", "asm", "inactive"]


@dataclass(frozen=True, slots=True)
class Region:
    """The characters ``start`` to ``end`` (half open) of a text and what they are."""

    kind: RegionKind
    start: int
    end: int


_TOKEN = re.compile(
    r"""
    (?P<line_comment>//(?:[^\n\\]|\\\r?\n|\\.|\\\Z)*)
  | (?P<block_comment>/\*[\s\S]*?(?:\*/|\Z))
  | (?P<raw>\b(?:u8|[uUL])?R"(?P<mark>[^ ()\\\t\v\f\n"]{0,16})\([\s\S]*?(?:\)(?P=mark)"|\Z))
  | (?P<directive>^[ \t]*\#[ \t]*[a-z]+)
  | (?P<number>\.?[0-9](?:'?[0-9A-Za-z_.]|(?<=[eEpP])[+-])*)
  | (?P<word>[^\W\d]\w*)
  | (?P<string>"(?:[^"\\\n]|\\\r?\n|\\.)*(?:"|(?=\n)|\\?\Z))
  | (?P<char>'(?:[^'\\\n]|\\.)*(?:'|(?=\n)|\\?\Z))
  | (?P<bracket>[();])
    """,
    re.VERBOSE | re.MULTILINE,
)
_LINE_REST = re.compile(r"(?:[^\n\\/]|\\\r?\n|\\.|/(?![/*]))*")
_HEADER_NAME = re.compile(r"[ \t]*<[^>\n]*>")
_FALSE_CONDITION = re.compile(r"[ \t]+(?:0|false)[ \t\r]*(?=$|//|/\*)", re.MULTILINE)
_MESSAGES = frozenset({"error", "warning", "pragma", "region", "endregion", "ident", "message"})
#: What may stand between string literals that the compiler joins, and the literals themselves.
_JOINED = frozenset({"string", "line_comment", "block_comment"})
_ASM = frozenset({"asm", "__asm__", "__asm"})
#: What every PTX module begins with, after comments: ``.version``.
_PTX_START = re.compile(r"(?:\s|//[^\n]*\n|/\*[\s\S]*?\*/)*\.version\s+\d")


def regions(text: str) -> tuple[Region, ...]:
    """The whole text as consecutive regions, in order and without gaps.

    An unterminated string or character literal ends with its line, as compilers recover from one.
    """
    found: list[Region] = []
    at = 0
    for region in _promoted(text, list(_tokens(text))):
        if region.start > at:
            found.append(Region("code", at, region.start))
        if region.end > region.start:
            found.append(region)
        at = region.end
    if at < len(text):
        found.append(Region("code", at, len(text)))
    return tuple(found)


def _tokens(text: str) -> Iterator[Region]:
    """Comments, literals and inactive text in order; what lies between is code. ``asm`` by its statement."""
    at = 0
    depth = 0  # of parentheses inside an asm statement
    waiting = False  # ``asm`` was read, its parenthesis was not
    while match := _TOKEN.search(text, at):
        kind, at = match.lastgroup, match.end()
        if kind == "word":
            waiting = match.group() in _ASM or (waiting and match.group().strip("_") in ("volatile", "goto", "inline"))
        elif kind == "bracket":
            if match.group() == "(":
                depth += 1 if waiting or depth else 0
            elif match.group() == ")":
                depth -= 1 if depth else 0
            else:
                depth = 0
            waiting = False
        elif kind == "directive":
            inert = _inert(text, match)
            if inert is not None:
                yield inert
                at = inert.end
        elif kind in ("string", "raw"):
            yield Region("asm" if depth else "string", match.start(), at)
        elif kind in ("line_comment", "block_comment", "char"):
            yield Region(kind, match.start(), at)  # type: ignore[arg-type]  # one of three literal kinds


def _inert(text: str, directive: re.Match[str]) -> Region | None:
    """The text after a preprocessor directive that no compiler reads as code."""
    name, at = directive.group().strip(" \t#"), directive.end()
    if name in _MESSAGES:
        return Region("inactive", at, _end(_LINE_REST, text, at))
    if name in ("include", "import"):
        return Region("string", at, _end(_HEADER_NAME, text, at))
    if name == "if" and (condition := _FALSE_CONDITION.match(text, at)):
        return Region("inactive", condition.end(), _branch_end(text, condition.end()))
    return None


def _branch_end(text: str, at: int) -> int:
    """Where the branch that begins at ``at`` ends: its ``#else``, ``#elif`` or ``#endif``, or the end of the text."""
    open_conditions = 0
    while match := _TOKEN.search(text, at):
        at = match.end()
        if match.lastgroup != "directive":
            continue
        name = match.group().strip(" \t#")
        if name in ("if", "ifdef", "ifndef"):
            open_conditions += 1
        elif open_conditions == 0 and name in ("else", "elif", "elifdef", "elifndef", "endif"):
            return match.start()
        elif name == "endif":
            open_conditions -= 1
    return len(text)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _promoted(text: str, tokens: list[Region]) -> Iterator[Region]:
    """The tokens, with runs of adjacent string literals that spell a PTX module turned into ``asm``."""
    run: list[Region] = []
    for token in tokens:
        if run and (token.kind not in _JOINED or text[run[-1].end : token.start].strip()):
            yield from _as_module(text, run)
            run = []
        if token.kind == "string" or (run and token.kind in _JOINED):
            run.append(token)
        else:
            yield token
    yield from _as_module(text, run)


def _as_module(text: str, run: list[Region]) -> list[Region]:
    if not run or ".version" not in text[run[0].start : run[-1].end]:
        return run
    literals = [text[part.start : part.end] for part in run if part.kind == "string"]
    content = "".join(literal.split('"', 1)[-1].removesuffix('"') for literal in literals)
    content = content.replace("\\n", "\n").replace("\\t", "\t")
    if literals[0].partition('"')[0].endswith("R"):
        content = content.partition("(")[2]
    if not _PTX_START.match(content):
        return run
    return [Region("asm", part.start, part.end) if part.kind == "string" else part for part in run]
