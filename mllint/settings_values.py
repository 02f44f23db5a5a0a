"""What a key of the configuration may hold: types, choices, and sentences about what cannot be.

May not: know which keys there are (settings.py does), or read files.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

FailOn = Literal["error", "warning", "info"]

#: What ``output-format`` may be; the first is the default.
OUTPUT_FORMATS = (
    "full",
    "concise",
    "grouped",
    "json",
    "json-lines",
    "junit",
    "github",
    "gitlab",
    "pylint",
    "rdjson",
    "azure",
    "sarif",
    "lintrunner",
)

_LEAST = {"max-file-size": 1, "jobs": 0}

#: Keys of one string that must be one of these.
CHOICES: dict[str, tuple[str, ...]] = {"fail-on": get_args(FailOn), "output-format": OUTPUT_FORMATS}


#: Folders that hold no code of the project's own: never walked into unless ``exclude`` says otherwise.
DEFAULT_EXCLUDE = (
    ".direnv",
    ".eggs",
    ".git",
    ".hg",
    ".ipynb_checkpoints",
    ".mllint_cache",
    ".mypy_cache",
    ".nox",
    ".pyenv",
    ".pytest_cache",
    ".ruff_cache",
    ".svn",
    ".tox",
    ".venv",
    "__pypackages__",
    "_build",
    "buck-out",
    "build",
    "dist",
    "lightning_logs",
    "mlruns",
    "node_modules",
    "site-packages",
    "venv",
    "wandb",
)

#: 10 MB: the largest source file of the packages that mllint is tried on has under a quarter of it.
DEFAULT_MAX_FILE_SIZE = 10_000_000

#: Rule selectors: codes, prefixes of codes, families, names, ``ALL``.
Selectors = tuple[str, ...]

#: Path patterns.
Patterns = tuple[str, ...]

#: Paths of files or folders, which start from the folder of the file that names them, or from the current folder.
Paths = tuple[str, ...]

#: Path patterns, each with rule selectors.
PerFile = tuple[tuple[str, Selectors], ...]

#: Rule, option, value and the place that says so, for each option that somebody decided; a later one wins.
RuleOptions = tuple[tuple[str, str, "bool | int | float | str | tuple[str, ...]", str], ...]

#: Key of `[tool.mllint.probe]`, value and the place that says so; a later one wins.
ProbeTable = tuple[tuple[str, "int | str | tuple[str, ...]", str], ...]

_LISTS = ("Selectors", "Patterns", "Paths", "tuple[str, ...]")


#: What somebody who comes from ruff writes, and what to write here.
_OTHERWISE = {
    "lint": "there is no such table here; write its keys directly below `[tool.mllint]`",
    "tool": "only in a pyproject.toml do the keys stand below `[tool.mllint]`; here write them without a table",
    "extend-ignore": "write `ignore`, which adds to what was ignored before",
    "extend-unfixable": "write `unfixable`, which adds to what was unfixable before",
}


class ConfigError(ValueError):
    """A configuration nobody can follow. ``str()`` names the file, the key and what to do."""


def anchored(pattern: str, folder: str) -> str:
    """A path pattern, absolute from a folder; a bare name matches anywhere and stays as it is."""
    if "/" not in pattern or pattern.startswith("/") or not folder:
        return pattern
    literal = "".join(f"[{character}]" if character in "*?[{" else character for character in folder)
    return posixpath.join(literal, pattern)


def path_from(path: str, folder: str) -> str:
    """A path, absolute from a folder. One that begins with ``~`` stays for whoever knows where that is."""
    return path if path.startswith("~") else posixpath.normpath(posixpath.join(folder, path))


def anchored_per_file(value: PerFile, folder: str) -> PerFile:
    """`anchored` for each pattern; a ``!`` before it stays there."""
    return tuple(
        (f"!{anchored(pattern[1:], folder)}" if pattern.startswith("!") else anchored(pattern, folder), selectors)
        for pattern, selectors in value
    )


def nearest(key: str, known: Iterable[str]) -> str:
    """The key that was probably meant, else all of them."""
    known = list(known)
    kebab = key.replace("_", "-").lower()
    if kebab in _OTHERWISE:
        return _OTHERWISE[kebab]
    if kebab in known:
        return f"write `{kebab}`"
    near = closest(kebab, known)
    if near:
        return f"did you mean `{near}`?"
    return "the keys are " + ", ".join(f"`{name}`" for name in sorted(known))


def closest(word: str, known: Iterable[str]) -> str:
    """The known word that is most like this one; "" where none is."""
    import difflib  # only a mistake needs it

    return next(iter(difflib.get_close_matches(word, list(known), n=1)), "")


def checked(key: str, value: object, kind: str, where: str) -> object:
    """The value as a field annotated ``kind`` holds it. Raises ConfigError where it has another type or cannot be."""
    if kind in _LISTS:
        return strings(key, value, where)
    if kind == "PerFile":
        return _per_file(key, value, where)
    if kind == "RuleOptions":
        return _rule_options(key, value, where)
    if kind == "ProbeTable":
        from mllint.settings_probe import probe_table  # only those who have the table pay for it

        return probe_table(key, value, where)
    if kind == "bool":
        if not isinstance(value, bool):
            raise ConfigError(f"{where}: `{key}` must be true or false, not {toml(value)}")
        return value
    if kind == "int":
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConfigError(f"{where}: `{key}` must be a whole number, not {toml(value)}")
    elif not isinstance(value, str):
        raise ConfigError(f"{where}: `{key}` must be a string, not {toml(value)}")
    check_range(key, value, where)
    return value


def check_range(key: str, value: object, where: str) -> None:
    """Raises ConfigError where a value of the right type is not one of the possible ones."""
    if key in _LEAST and isinstance(value, int) and value < _LEAST[key]:
        raise ConfigError(f"{where}: `{key}` must be at least {_LEAST[key]}, not {value}")
    if key in CHOICES and value not in CHOICES[key]:
        known = ", ".join(f'"{choice}"' for choice in CHOICES[key])
        near = closest(str(value).lower(), CHOICES[key])
        hint = f'; did you mean "{near}"?' if near else ""
        raise ConfigError(f"{where}: `{key}` must be one of {known}, not {toml(value)}{hint}")


def strings(key: str, value: object, where: str) -> tuple[str, ...]:
    """A list of strings as a tuple."""
    if isinstance(value, str):
        raise ConfigError(f'{where}: `{key}` must be a list; write `{key} = ["{value}"]`')
    if key == "rules" and isinstance(value, Mapping):
        raise ConfigError(f"{where}: `rules` must be a list of folders; options of a rule stand in `[options.<rule>]`")
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where}: `{key}` must be a list of strings, not {toml(value)}")
    for item in value:
        if not isinstance(item, str) or not item.strip():
            raise ConfigError(f"{where}: `{key}` must hold strings that are not empty, not {toml(item)}")
    if key == "select" and not value:
        raise ConfigError(f"{where}: `select` is empty, so nothing would be checked; remove it for the default rules")
    return tuple(value)


def _per_file(key: str, value: object, where: str) -> PerFile:
    """A table of patterns with lists of selectors."""
    if not isinstance(value, Mapping):
        raise ConfigError(f'{where}: `{key}` must be a table; write `{key} = {{ "pattern" = ["ML501"] }}`')
    for pattern in value:
        if not pattern.removeprefix("!").strip():
            raise ConfigError(f"{where}: `{key}` has an empty pattern; name a file or a glob")
    return tuple((pattern, strings(f'{key}."{pattern}"', listed, where)) for pattern, listed in value.items())


def _rule_options(key: str, value: object, where: str) -> RuleOptions:
    """A table of rules, each a table of options. Which rules and options there are is not known here."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: `{key}` must be a table; write `[{key}.<rule>]` and its options below")
    found: list[tuple[str, str, bool | int | float | str | tuple[str, ...], str]] = []
    for rule, table in value.items():
        if not isinstance(table, Mapping):
            raise ConfigError(f"{where}: `{key}.{rule}` must be a table; write `[{key}.{rule}]` and its options below")
        for name, chosen in table.items():
            if isinstance(chosen, list):
                chosen = tuple(chosen)
            texts = isinstance(chosen, tuple) and all(isinstance(item, str) for item in chosen)
            if not texts and not isinstance(chosen, (bool, int, float, str)):
                raise ConfigError(f"{where}: `{key}.{rule}.{name}` cannot be {toml(chosen)}")
            found.append((rule, name, chosen, where))
    return tuple(found)


def toml(value: object) -> str:
    """A value as its author wrote it, shortened."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, (list, tuple)):
        text = f"[{', '.join(toml(item) for item in value)}]"
    else:
        text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
