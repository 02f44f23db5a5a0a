"""What the user decided: a table and command-line flags become one frozen `Settings`.

Everything here is pure, so a bad value is found without touching a file. Keys are written in kebab case, as
in ruff. May not: read files, the environment or the current folder, or know which codes exist.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

FailOn = Literal["error", "warning", "info"]

#: What ``output-format`` may be; the first is the default.
OUTPUT_FORMATS = ("full", "concise", "json", "github", "sarif")

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


class ConfigError(ValueError):
    """A configuration nobody can follow. ``str()`` names the file, the key and what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All decisions for the files below one configuration file.

    ``root`` is the absolute folder that relative patterns start from (forward slashes; "" without a
    configuration), ``config_path`` the file they were read from. An empty ``select`` means the default rules.
    ``jobs`` 0 chooses by itself; ``max_file_size`` is in bytes; an empty ``cache_dir`` means the default place.
    """

    root: str = ""
    config_path: str = ""
    select: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    preview: bool = False
    fail_on: FailOn = "warning"
    exclude: tuple[str, ...] = DEFAULT_EXCLUDE
    extend_exclude: tuple[str, ...] = ()
    force_exclude: bool = False
    respect_gitignore: bool = True
    output_format: str = OUTPUT_FORMATS[0]
    fix: bool = False
    unsafe_fixes: bool = False
    show_fixes: bool = False
    max_file_size: int = DEFAULT_MAX_FILE_SIZE
    jobs: int = 0
    cache: bool = True
    cache_dir: str = ""


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line decided; None where it is silent. ``cwd`` is where its relative paths start."""

    cwd: str = ""
    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    preview: bool | None = None
    fail_on: FailOn | None = None
    exclude: tuple[str, ...] | None = None
    extend_exclude: tuple[str, ...] | None = None
    force_exclude: bool | None = None
    respect_gitignore: bool | None = None
    output_format: str | None = None
    fix: bool | None = None
    unsafe_fixes: bool | None = None
    show_fixes: bool | None = None
    max_file_size: int | None = None
    jobs: int | None = None
    cache: bool | None = None
    cache_dir: str | None = None


#: Kebab-case key -> the annotation of its field, for every key that a configuration file may hold.
_TYPES: dict[str, str] = {
    field.name.replace("_", "-"): str(field.type)
    for field in fields(Settings)
    if field.name not in ("root", "config_path")
}
_LEAST = {"max-file-size": 1, "jobs": 0}
_CHOICES: dict[str, tuple[str, ...]] = {"fail-on": get_args(FailOn), "output-format": OUTPUT_FORMATS}


def from_table(table: Mapping[str, object], *, config_path: str, root: str) -> Settings:
    """The settings of one configuration file. Raises ConfigError."""
    values = _values(table, config_path)
    if values.get("cache_dir"):
        values["cache_dir"] = posixpath.join(root, values["cache_dir"])
    return replace(Settings(root=root, config_path=config_path), **values)


def flags_from_table(table: Mapping[str, object], *, where: str, cwd: str) -> Flags:
    """The flags that ``--config 'key = value'`` stands for; ``where`` names it in errors. Raises ConfigError."""
    return replace(Flags(cwd=cwd), **_values(table, where))


def merge(settings: Settings, flags: Flags) -> Settings:
    """The settings with the command line's decisions over them.

    Rule selection works in layers, as in ruff: ``--select`` puts the file's whole selection aside, the other
    two change it and win over it. Raises ConfigError where a flag's value cannot be.
    """
    changes: dict[str, Any] = {
        field.name: getattr(flags, field.name)
        for field in fields(Flags)
        if field.name not in ("cwd", "select", "extend_select", "ignore") and getattr(flags, field.name) is not None
    }
    for name, value in changes.items():
        _check_range(name.replace("_", "-"), value, "command line")
    for name in ("exclude", "extend_exclude"):
        if name in changes:
            changes[name] = tuple(_anchored(pattern, flags.cwd) for pattern in changes[name])
    if flags.extend_exclude is not None:
        changes["extend_exclude"] = settings.extend_exclude + changes["extend_exclude"]
    if flags.cache_dir:
        changes["cache_dir"] = posixpath.join(flags.cwd, flags.cache_dir)
    return replace(settings, **changes, **_selection(settings, flags))


def _selection(settings: Settings, flags: Flags) -> dict[str, Any]:
    """The three selection fields after the command line's layer."""
    extend, ignore = flags.extend_select or (), flags.ignore or ()
    if flags.select is not None:
        return {"select": flags.select, "extend_select": extend, "ignore": ignore}
    # The more specific selector wins within a layer, so the later layer has to answer each one that it covers.
    kept = tuple(old for old in settings.ignore if not any(_covers(new, old) for new in extend))
    chosen = settings.select + settings.extend_select
    silenced = tuple(old for old in chosen if old not in ignore and any(_covers(new, old) for new in ignore))
    return {"extend_select": settings.extend_select + extend, "ignore": kept + ignore + silenced}


def _covers(selector: str, other: str) -> bool:
    """Does one selector mean at least the rules of another? Known for equal ones, prefixes of codes and ALL."""
    if selector in (other, "ALL"):
        return True
    return selector.startswith("ML") and (selector[2:].isdigit() or selector == "ML") and other.startswith(selector)


def _anchored(pattern: str, folder: str) -> str:
    """A path pattern of the command line, absolute; a bare name matches anywhere and stays as it is."""
    if "/" not in pattern or pattern.startswith("/") or not folder:
        return pattern
    literal = "".join(f"[{character}]" if character in "*?[{" else character for character in folder)
    return posixpath.join(literal, pattern)


def _values(table: Mapping[str, object], where: str) -> dict[str, Any]:
    """Field name -> checked value of each key of a table."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _TYPES:
            raise ConfigError(f"{where}: unknown key `{key}`; {_nearest(key)}")
        values[key.replace("-", "_")] = _checked(key, value, where)
    return values


def _nearest(key: str) -> str:
    """The key that was probably meant, else all of them."""
    kebab = key.replace("_", "-").lower()
    if kebab in _TYPES:
        return f"write `{kebab}`"
    near = _closest(kebab, _TYPES)
    if near:
        return f"did you mean `{near}`?"
    return "the keys are " + ", ".join(f"`{known}`" for known in sorted(_TYPES))


def _closest(word: str, known: Iterable[str]) -> str:
    """The known word that is most like this one; "" where none is."""
    import difflib  # only a mistake needs it

    return next(iter(difflib.get_close_matches(word, list(known), n=1)), "")


def _checked(key: str, value: object, where: str) -> object:
    """The value as its field holds it. Raises ConfigError where it has another type or cannot be."""
    kind = _TYPES[key]
    if kind.startswith("tuple"):
        return _strings(key, value, where)
    if kind == "bool":
        if not isinstance(value, bool):
            raise ConfigError(f"{where}: `{key}` must be true or false, not {_toml(value)}")
        return value
    if kind == "int":
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConfigError(f"{where}: `{key}` must be a whole number, not {_toml(value)}")
    elif not isinstance(value, str):
        raise ConfigError(f"{where}: `{key}` must be a string, not {_toml(value)}")
    _check_range(key, value, where)
    return value


def _check_range(key: str, value: object, where: str) -> None:
    """Raises ConfigError where a value of the right type is not one of the possible ones."""
    if key in _LEAST and isinstance(value, int) and value < _LEAST[key]:
        raise ConfigError(f"{where}: `{key}` must be at least {_LEAST[key]}, not {value}")
    if key in _CHOICES and value not in _CHOICES[key]:
        known = ", ".join(f'"{choice}"' for choice in _CHOICES[key])
        near = _closest(str(value).lower(), _CHOICES[key])
        hint = f'; did you mean "{near}"?' if near else ""
        raise ConfigError(f"{where}: `{key}` must be one of {known}, not {_toml(value)}{hint}")


def _strings(key: str, value: object, where: str) -> tuple[str, ...]:
    """A list of strings as a tuple."""
    if isinstance(value, str):
        raise ConfigError(f'{where}: `{key}` must be a list; write `{key} = ["{value}"]`')
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where}: `{key}` must be a list of strings, not {_toml(value)}")
    for item in value:
        if not isinstance(item, str) or not item.strip():
            raise ConfigError(f"{where}: `{key}` must hold strings that are not empty, not {_toml(item)}")
    if key == "select" and not value:
        raise ConfigError(f"{where}: `select` is empty, so nothing would be checked; remove it for the default rules")
    return tuple(value)


def _toml(value: object) -> str:
    """A value as its author wrote it, shortened."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a table"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
