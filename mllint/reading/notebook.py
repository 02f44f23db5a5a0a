"""Jupyter notebooks: the Python of the code cells as one source, with IPython's own syntax put out of the way.

Cells are numbered from 1 and cells of every type count, as ruff does and as one counts on the screen. May not:
open files, write a notebook, or run anything.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from mllint.reading.source import DecodeFailure, Source

#: Cell magics whose cell is Python all the same; every other one hands the cell to something else.
_PYTHON_CELLS = {
    "capture",
    "debug",
    "ipytest",
    "prun",
    "pypy",
    "python",
    "python3",
    "time",
    "timeit",
}

#: At the start of a statement only IPython reads these: ``%magic``, ``!shell``, ``?help``, ``/auto call``.
_ESCAPE = re.compile(r"[%!?/,;]")
#: And these, which IPython runs as magics without their ``%`` (automagic); as Python they would be no statement.
_BARE = re.compile(r"(?:pip3?|conda|mamba|micromamba|uv) [a-z]|(?:ls|cd|mkdir|cp|mv|rm|cat)(?: +[\w./~-][^=(\[]*)+$")
_HELP = re.compile(r"(?:[^\W\d]|\*)[\w.*]*(?:\[[^\[\]]*\])*\?{1,2}[ \t]*;?[ \t]*(?:#.*)?$")
_PLACE = r"[^\W\d]\w*(?:\.\w+|\[[^\[\]]*\])*"
_ASSIGNED = re.compile(rf"{_PLACE}(?:[ \t]*,[ \t]*{_PLACE})*[ \t]*(?::[^=]*)?=[ \t]*(?=[%!])")
#: A cell without any of these holds none of the above: nearly all cells, at the cost of one search.
_SUSPECT = re.compile(
    r"^[ \t]*[%!?/,;]|\?[ \t]*;?[ \t]*(?:#.*)?$|=[ \t]*[%!]|^[ \t]*(?:pip|conda|mamba|micromamba|uv|ls|cd|mkdir|cp|mv|rm|cat)\b",
    re.MULTILINE,
)

_OUTSIDE = re.compile(r"""#|'''|\"{3}|['"()\[\]{}\\]""")
_INSIDE = {quote: re.compile(rf"(?:[^\\]|\\.)*?{quote}") for quote in ("'", '"', "'''", '"""')}


def read_notebook(path: str, raw: bytes) -> Source:
    """The code cells' text, each cell followed by a newline; a cell of another type or language takes no row.

    ``cell_rows[n - 1]`` is the row where cell n begins, or would begin. A notebook in another language gives an
    empty source. Raises DecodeFailure.
    """
    content = _content(raw)
    cells = _cells(content)
    rows: list[int] = []
    texts: list[str] = []
    row = 1
    for cell in cells if _is_python(content) else []:
        rows.append(row)
        text = _code(cell)
        if text is not None:
            texts.append(text)
            row += text.count("\n") + 1
    if not texts:
        return Source(path, "notebook", b"")
    data = "\n".join((*texts, "")).encode("utf-8", "replace")
    starts = tuple(start for start in rows if start < row)  # what follows the last text belongs to its cell
    return Source(path, "notebook", data, cell_rows=starts)


# -- the file format -------------------------------------------------------------------------------------------


def _content(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DecodeFailure(f"byte {raw[error.start]:#04x} at offset {error.start} is not valid utf-8") from error
    if not text.strip():
        raise DecodeFailure("not a notebook: the file is empty")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise DecodeFailure(f"not a notebook: no valid JSON at {where}: {error.msg.lower()}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise DecodeFailure("not a notebook: JSON that no notebook holds") from error
    if not isinstance(content, dict):
        raise DecodeFailure("not a notebook: the JSON is no object with `cells`")
    return content


def _cells(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells in the order of the page; format 3 keeps them in worksheets."""
    cells = content.get("cells")
    if cells is None and isinstance(content.get("worksheets"), list):
        sheets = [sheet for sheet in content["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets for cell in (sheet.get("cells") or [])]
    if cells is None:
        raise DecodeFailure("not a notebook: the JSON has no `cells`")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise DecodeFailure("not a notebook: `cells` is no list of objects")
    return cells


def _is_python(content: dict[str, Any]) -> bool:
    """Is the notebook's language Python? One that does not say is taken for Python."""
    language = _get(content, "metadata", "language_info", "name") or _get(content, "metadata", "kernelspec", "language")
    return not isinstance(language, str) or language.lower() in ("python", "python3", "ipython")


def _get(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _code(cell: dict[str, Any]) -> str | None:
    """The Python of a code cell, newlines as ``\\n``; None for any other cell."""
    if cell.get("cell_type") != "code":
        return None
    language = _get(cell, "metadata", "vscode", "languageId") or cell.get("language")
    if isinstance(language, str) and language.lower() not in ("python", "python3", "ipython"):
        return None
    source = cell.get("source", cell.get("input", ""))
    text = "".join(part for part in source if isinstance(part, str)) if isinstance(source, list) else source
    if not isinstance(text, str):
        raise DecodeFailure("not a notebook: the source of a cell is no text")
    return without_magics(_dedented(text.replace("\r\n", "\n").replace("\r", "\n")))


def _dedented(text: str) -> str:
    """A cell without the indentation of its first line, which IPython takes off every line; columns count from there."""
    indent = text[: len(text) - len(text.lstrip(" \t"))]
    return "\n".join(line.removeprefix(indent) for line in text.split("\n")) if indent else text


# -- IPython's syntax ------------------------------------------------------------------------------------------


def without_magics(text: str) -> str | None:
    """A cell's text with magics and shell escapes replaced by harmless Python of the same length and rows.

    None where a ``%%magic`` makes the cell something else than Python.
    """
    if not _SUSPECT.search(text):
        return text
    lines = text.split("\n")
    state = _State()
    at = 0
    while at < len(lines):
        if state.at_statement:
            body = lines[at].lstrip(" \t")
            magic = re.match(r"%%(\w+)(?!.*\?\s*$)", body)
            if magic and magic[1] not in _PYTHON_CELLS:
                return None
            at = _replace_escape(lines, at, body)
        state = _after(lines[at], state)
        at += 1
    return "\n".join(lines)


def _replace_escape(lines: list[str], at: int, body: str) -> int:
    """Replace the escape that begins in a line, if any, in place; the row where it ends (else ``at``)."""
    assigned = _ASSIGNED.match(body)
    if assigned:
        start, harmless = len(lines[at]) - len(body) + assigned.end(), "..."
    elif _ESCAPE.match(body) or _HELP.match(body) or _BARE.match(body):
        start, harmless = len(lines[at]) - len(body), "pass"
    else:
        return at
    last = at
    while lines[last].endswith("\\") and last + 1 < len(lines):
        last += 1
    room = len(lines[at]) - start
    filler = harmless if len(harmless) <= room else "0"
    lines[at] = lines[at][:start] + filler.ljust(room)
    for row in range(at + 1, last + 1):
        lines[row] = " " * len(lines[row])
    return last


@dataclass(frozen=True, slots=True)
class _State:
    """What is still open at the end of a line: a string, brackets, a backslash."""

    quote: str = ""
    depth: int = 0
    continued: bool = False

    @property
    def at_statement(self) -> bool:
        """Does a statement begin on the next line?"""
        return not (self.quote or self.depth or self.continued)


def _after(line: str, before: _State) -> _State:
    """What is open after one more line."""
    quote, depth, at = before.quote, before.depth, 0
    while True:
        if quote:
            closed = _INSIDE[quote].match(line, at)
            if closed is None:
                goes_on = len(quote) == 3 or line.endswith("\\")
                return _State(quote if goes_on else "", depth)
            quote, at = "", closed.end()
        found = _OUTSIDE.search(line, at)
        if found is None or found[0] == "#":
            return _State("", depth)
        token, at = found[0], found.end()
        if token == "\\":
            if at == len(line):
                return _State("", depth, continued=True)
        elif token in "([{":
            depth += 1
        elif token in ")]}":
            depth = max(0, depth - 1)
        else:
            quote = token
