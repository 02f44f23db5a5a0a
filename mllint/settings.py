"""What the user decided: tables and command-line flags become one frozen `Settings`.

Everything here is pure, so a bad value is found without touching a file. Keys are written in kebab case, as
in ruff. May not: read files, the environment or the current folder, or know which codes exist.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from mllint.record import dataclass
from mllint.settings_values import (
    DEFAULT_EXCLUDE,
    DEFAULT_MAX_FILE_SIZE,
    OUTPUT_FORMATS,
    ConfigError,
    FailOn,
    Paths,
    Patterns,
    PerFile,
    ProbeTable,
    RuleOptions,
    Selectors,
    anchored,
    anchored_per_file,
    check_range,
    checked,
    nearest,
    path_from,
)


@dataclass(frozen=True, slots=True)
class Layer:
    """What one place says about which rules are on and which may fix; None where it is silent.

    A later layer that has ``select`` puts the earlier ones aside; the others change what they say, as in ruff.
    """

    where: str = ""
    select: Selectors | None = None
    extend_select: Selectors = ()
    ignore: Selectors = ()
    fixable: Selectors | None = None
    extend_fixable: Selectors = ()
    unfixable: Selectors = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """All decisions for the files below one configuration file.

    ``root`` is the absolute folder that relative patterns start from (forward slashes; "" without a
    configuration), ``config_path`` the file they were read from, ``origins`` where each key that somebody decided
    was decided, ``layers`` who says what about the selection of rules, the newest last. ``withheld`` are packs that may
    not run (reading/trust.py).
    """

    root: str = ""
    config_path: str = ""
    origins: tuple[tuple[str, str], ...] = ()
    layers: tuple[Layer, ...] = ()
    withheld: Paths = ()
    extend: str = ""
    rules: Paths = ()
    allow_packs: Paths = ()
    preview: bool = False
    per_file_ignores: PerFile = ()
    extend_per_file_ignores: PerFile = ()
    extend_safe_fixes: Selectors = ()
    extend_unsafe_fixes: Selectors = ()
    options: RuleOptions = ()
    probe: ProbeTable = ()
    baseline: str = ""
    fail_on: FailOn = "warning"
    exclude: Patterns = DEFAULT_EXCLUDE
    extend_exclude: Patterns = ()
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
    """What one layer decided over the ones below it; None where it is silent.

    ``cwd`` is where its relative paths start, ``where`` names it in errors.
    """

    cwd: str = ""
    where: str = "command line"
    select: Selectors | None = None
    extend_select: Selectors | None = None
    ignore: Selectors | None = None
    fixable: Selectors | None = None
    extend_fixable: Selectors | None = None
    unfixable: Selectors | None = None
    extend: str | None = None
    rules: Paths | None = None
    allow_packs: Paths | None = None
    preview: bool | None = None
    per_file_ignores: PerFile | None = None
    extend_per_file_ignores: PerFile | None = None
    extend_safe_fixes: Selectors | None = None
    extend_unsafe_fixes: Selectors | None = None
    options: RuleOptions | None = None
    probe: ProbeTable | None = None
    baseline: str | None = None
    fail_on: FailOn | None = None
    exclude: Patterns | None = None
    extend_exclude: Patterns | None = None
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


#: Keys that add to what the layers below say, instead of replacing it.
ADDING = (
    "rules",
    "extend_exclude",
    "extend_per_file_ignores",
    "extend_safe_fixes",
    "extend_unsafe_fixes",
    "options",
    "probe",
)

#: Keys of one path, which starts from the folder of the file that has it, or from the current folder.
_PATHS = ("baseline", "cache_dir")
_PACKS = ("rules", "allow_packs")

#: Fields that are no keys of a configuration.
_FACTS = ("where", "root", "config_path", "origins", "layers", "withheld")
_OF_LAYERS = tuple(entry.name for entry in fields(Layer) if entry.name not in _FACTS)

#: Kebab-case key -> the annotation of its field, for every key that a configuration file may hold.
KEYS: dict[str, str] = {
    entry.name.replace("_", "-"): str(entry.type).removesuffix(" | None")
    for entry in (*fields(Layer), *fields(Settings))
    if entry.name not in _FACTS
}


def from_table(table: Mapping[str, object], *, config_path: str, root: str, base: Settings | None = None) -> Settings:
    """The settings of one configuration file, which may build on another one. Raises ConfigError."""
    values = _values(table, config_path)
    for name in _PATHS:
        if values.get(name):
            values[name] = path_from(values[name], root)
    beside = posixpath.dirname(config_path)  # also for a file of ``--config``, whose patterns start elsewhere
    if "probe" in values:
        from mllint.settings_probe import anchored_target

        values["probe"] = anchored_target(values["probe"], beside)
    values |= {name: tuple(path_from(path, beside) for path in values[name]) for name in _PACKS if name in values}
    below = _settled(base) if base else Settings()
    # No folder for its patterns: they stay as written, and start from the root that the settings have.
    return replace(merge(below, Flags(where=config_path, **values)), root=root, config_path=config_path)


def flags_from_table(table: Mapping[str, object], *, where: str, cwd: str) -> Flags:
    """The flags that ``--config 'key = value'`` stands for; ``where`` names it in errors. Raises ConfigError."""
    if "extend" in table:
        raise ConfigError(f"{where}: `extend` works in a configuration file only; name that one with --config")
    return Flags(cwd=cwd, where=where, **_values(table, where))


def merge(settings: Settings, flags: Flags) -> Settings:
    """The settings with another layer's decisions over them. Raises ConfigError where a flag's value cannot be."""
    given = {
        entry.name: getattr(flags, entry.name)
        for entry in fields(Flags)
        if entry.name not in ("cwd", "where") and getattr(flags, entry.name) is not None
    }
    layer = {name: given.pop(name) for name in _OF_LAYERS if name in given}
    for name, value in given.items():
        check_range(name.replace("_", "-"), value, flags.where)
    changes: dict[str, Any] = {**given, **_from_folder(given, flags.cwd)}
    for name in ADDING:
        if name in changes:
            changes[name] = getattr(settings, name) + changes[name]
    if layer:
        changes["layers"] = (*settings.layers, Layer(flags.where, **layer))
    if "rules" in changes:
        changes["withheld"] = tuple(pack for pack in settings.withheld if pack not in changes["rules"])
    return replace(settings, origins=_origins(settings, given, flags.where), **changes)


def _from_folder(values: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Those of some values that are paths or patterns, with the relative ones starting from a folder."""
    moved: dict[str, Any] = {}
    for name, value in values.items():
        kind = KEYS[name.replace("_", "-")]
        if kind == "Patterns":
            moved[name] = tuple(anchored(pattern, folder) for pattern in value)
        elif kind == "PerFile":
            moved[name] = anchored_per_file(value, folder)
        elif kind == "ProbeTable" and value:
            from mllint.settings_probe import anchored_target

            moved[name] = anchored_target(value, folder)
        elif kind == "Paths":
            moved[name] = tuple(path_from(path, folder) for path in value)
        elif name in _PATHS and value:
            moved[name] = path_from(value, folder)
    return moved


def _settled(settings: Settings) -> Settings:
    """Settings whose patterns mean the same under any root: for those that are built on."""
    values = {entry.name: getattr(settings, entry.name) for entry in fields(Settings) if entry.name not in _FACTS}
    return replace(settings, **_from_folder(values, settings.root))


def _origins(settings: Settings, given: Mapping[str, Any], where: str) -> tuple[tuple[str, str], ...]:
    """Where each decided key was decided, after one more layer."""
    origins = dict(settings.origins)
    for name in given:
        before = origins.get(name, "")
        origins[name] = f"{before}, {where}" if name in ADDING and before and before != where else where
    return tuple(sorted(origins.items()))


def origin(settings: Settings, name: str) -> str:
    """Where a field was decided: a file or ``command line``, several for one that adds up; "" for a default."""
    return dict(settings.origins).get(name, "")


def _values(table: Mapping[str, object], where: str) -> dict[str, Any]:
    """Field name -> checked value of each key of a table."""
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in KEYS:
            raise ConfigError(f"{where}: unknown key `{name}`; {nearest(name, KEYS)}")
        values[name.replace("-", "_")] = checked(name, value, KEYS[name], where)
    return values


__all__ = [
    "DEFAULT_EXCLUDE",
    "DEFAULT_MAX_FILE_SIZE",
    "KEYS",
    "OUTPUT_FORMATS",
    "ConfigError",
    "FailOn",
    "Flags",
    "Layer",
    "PerFile",
    "ProbeTable",
    "RuleOptions",
    "Settings",
    "flags_from_table",
    "from_table",
    "merge",
    "origin",
]
