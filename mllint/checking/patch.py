"""The change of one file as a unified diff, which ``git apply`` and ``patch`` take for UTF-8 files.

A file in another encoding is shown readably, as text; its part of a patch does not apply.

May not: read files, or know how the change came about. Bytes in, text out.
"""

from __future__ import annotations

import difflib
import re

from mllint.reading.source import DecodeFailure, read_source


def unified_diff(path: str, before: bytes, after: bytes) -> str:
    """The difference as text, empty where there is none. Newlines stay as they are, ``\\r`` before ``\\n`` too."""
    if before == after:
        return ""
    old, new = _lines(before), _lines(after)
    name = path.replace("\\", "/").removeprefix("./").lstrip("/")
    header = [f"--- {_quoted('a/' + name)}\n", f"+++ {_quoted('b/' + name)}\n"]
    body = list(difflib.unified_diff(old, new, lineterm="\n"))[2:]
    return "".join(
        header + [line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in body]
    )


def _lines(data: bytes) -> list[str]:
    """The lines as ``git`` counts them (only ``\\n`` ends one), in the file's own encoding."""
    try:
        encoding = read_source("", "python", data).encoding
    except DecodeFailure:
        encoding = "utf-8"
    return re.findall(r"[^\n]*\n|[^\n]+", data.decode(encoding, "replace"))


def _quoted(name: str) -> str:
    """A file name as ``git`` writes it in a header: C escapes where needed, a tab behind one with blanks."""
    if re.search(r'["\x00-\x1f\x7f]', name):
        escaped = re.sub(r'["\x00-\x1f\x7f]', lambda found: f"\\{ord(found[0]):03o}", name)
        return f'"{escaped}"'
    return name + "\t" if " " in name else name
