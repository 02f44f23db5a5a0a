"""What the ruff configuration of a project decides about a file, read as ruff reads it.

May not: open files (the project loads them), or guess: what cannot be read or resolved is no answer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from posixpath import dirname, join, normpath, relpath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mllint.analysis.project import Project

#: In one folder the first of these that configures ruff wins.
_NAMES = (".ruff.toml", "ruff.toml", "pyproject.toml")

#: A table of a configuration file.
Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RuffSettings:
    """The file that configures ruff for a checked file, and its tables: those it extends first, its own last."""

    path: str
    layers: tuple[Table, ...]

    @property
    def external(self) -> tuple[str, ...]:
        """Codes and prefixes of other tools (``lint.external``)."""
        given = [layer for layer in self.layers if _has(layer, "external")]
        return tuple(_strings(given[-1], "external")) if given else ()

    def is_on(self, code: str, path: str) -> bool:
        """Is a rule that ruff does not select by itself surely on for this file?"""
        return self._selected(code) and not self._left_out(code, relpath(path, dirname(self.path)))

    def _selected(self, code: str) -> bool:
        """The most specific selector decides, an ignored one among equals. Ignores of all layers count, which errs
        towards False."""
        first = max((number for number, layer in enumerate(self.layers) if _has(layer, "select")), default=0)
        chosen = [word for layer in self.layers[first:] for word in _strings(layer, "select", "extend-select")]
        ignored = [word for layer in self.layers for word in _strings(layer, "ignore", "extend-ignore")]
        return _specificity(chosen, code) > _specificity(ignored, code)

    def _left_out(self, code: str, relative: str) -> bool:
        """Might the file be excluded, or the rule ignored in it? Patterns match rather too much here."""
        for layer in self.layers:
            if any(_matches(pattern, relative) for pattern in _strings(layer, "exclude", "extend-exclude")):
                return True
            for key in ("per-file-ignores", "extend-per-file-ignores"):
                table = _value(layer, key)
                for pattern, words in table.items() if isinstance(table, dict) else ():
                    if _specificity(_texts(words), code) >= 0 and _matches(pattern, relative):
                        return True
        return False


def ruff_settings(project: Project, path: str) -> RuffSettings | None:
    """The configuration of ruff that holds for an absolute path; None where there is none or it is not fully known."""
    folder = dirname(path)
    while folder == project.root or folder.startswith(project.root.rstrip("/") + "/"):
        for name in _NAMES:
            file = join(folder, name)
            data = project.load_bytes(file)
            table = None if data is None else _section(file, data)
            if table is not None:
                layers = _with_extended(project, file, table, ())
                return None if layers is None else RuffSettings(file, layers)
        if folder == dirname(folder):
            break
        folder = dirname(folder)
    return None


def _section(file: str, data: bytes) -> Table | None:
    """Ruff's table of a file; None for a pyproject.toml without one. What is no TOML configures nothing."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        table: Any = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if file.endswith("/pyproject.toml"):
        tool = table.get("tool")
        table = tool.get("ruff") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None


def _with_extended(project: Project, file: str, table: Table, seen: tuple[str, ...]) -> tuple[Table, ...] | None:
    """The tables that a file extends, the farthest first, and its own; None where one of them is out of sight."""
    named = table.get("extend")
    if named is None:
        return (table,)
    if not isinstance(named, str) or named.startswith("~") or "$" in named:
        return None
    base = normpath(join(dirname(file), named))
    data = project.load_bytes(base) if base not in (*seen, file) else None
    if data is None:
        return None
    above = _with_extended(project, base, _section(base, data) or {}, (*seen, file))
    return None if above is None else (*above, table)


def _value(layer: Table, key: str) -> object:
    """A linter setting, from ``lint`` or, as in older configurations, beside it."""
    lint = layer.get("lint")
    return lint[key] if isinstance(lint, dict) and key in lint else layer.get(key)


def _has(layer: Table, key: str) -> bool:
    return isinstance(_value(layer, key), list)


def _strings(layer: Table, *keys: str) -> Iterator[str]:
    for key in keys:
        yield from _texts(_value(layer, key))
        if key == "exclude":  # the linter's own list stands beside the general one
            yield from _texts(layer.get(key))


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _specificity(selectors: Sequence[str], code: str) -> int:
    """The length of the longest selector that covers a code, 0 for ALL; -1 where none does."""
    return max((0 if word == "ALL" else len(word) for word in selectors if _covers(word, code)), default=-1)


def _covers(selector: str, code: str) -> bool:
    family = code.rstrip("0123456789")
    return selector == "ALL" or (selector.startswith(family) and code.startswith(selector))


def _matches(pattern: str, relative: str) -> bool:
    """Could a pattern mean this path or a folder above it? ``*`` also crosses folders, and negation always could."""
    if pattern.startswith("!"):
        return True
    parts = relative.split("/")
    above = ["/".join(parts[: number + 1]) for number in range(len(parts))]
    names = [*parts, *above, *(f"/{path}" for path in above)]
    return any(fnmatchcase(name, pattern.removeprefix("./").rstrip("/")) for name in names)
