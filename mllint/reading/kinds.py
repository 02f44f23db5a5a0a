"""What kind of file a name stands for.

May not: open files.
"""

from __future__ import annotations

import re

from mllint.reading.source import Kind

_SUFFIXES: dict[str, Kind] = {
    ".py": "python",
    ".pyw": "python",
    ".pyi": "python",
    ".ipynb": "notebook",
    ".sh": "shell",
    ".bash": "shell",
    ".sbatch": "shell",
    ".slurm": "shell",
    ".pbs": "shell",
    ".mk": "makefile",
    ".dockerfile": "dockerfile",
    ".yml": "yaml",
    ".yaml": "yaml",
    ".md": "markdown",
    ".markdown": "markdown",
    ".ptx": "kernel",
    ".cu": "kernel",
    ".cuh": "kernel",
    ".cl": "kernel",
}
_NAMES: dict[str, Kind] = {
    "Makefile": "makefile",
    "makefile": "makefile",
    "GNUmakefile": "makefile",
    "Dockerfile": "dockerfile",
    "dockerfile": "dockerfile",
    "Containerfile": "dockerfile",
}
#: ``Dockerfile.gpu`` is a Dockerfile; these are its ignore list, a template of one, or a left-over.
_NO_DOCKERFILE = {
    ".dockerignore",
    ".j2",
    ".jinja",
    ".jinja2",
    ".tmpl",
    ".template",
    ".tpl",
    ".bak",
    ".orig",
    ".rej",
    ".swp",
}
_SHEBANG = re.compile(rb"#!\s*(?:\S*/)?(?:env\s+(?:-\S+\s+|\w+=\S*\s+)*(?:\S*/)?)?(python|pypy|(?:ba|da|k)?sh\b)")


def kind_of(path: str, first_bytes: bytes | None = None) -> Kind | None:
    """What a file is, by its name; without a suffix by its ``#!`` line where ``first_bytes`` are given."""
    name = path.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    kind = _SUFFIXES.get(dot + suffix.lower()) if stem else None
    kind = kind or _NAMES.get(name)
    if kind is None and stem.startswith(("Dockerfile", "Containerfile")) and stem.partition(".")[0] in _NAMES:
        return "dockerfile" if dot + suffix.lower() not in _NO_DOCKERFILE and not name.endswith("~") else None
    if kind is None and first_bytes is not None and not dot:
        program = _SHEBANG.match(first_bytes)
        if program:
            return "python" if program[1] in (b"python", b"pypy") else "shell"
    return kind
