"""What a configuration may say about ``mllint probe``: the keys of `[tool.mllint.probe]`, their types and meanings.

May not: read files, or know which checks there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from mllint.settings_values import ConfigError, ProbeTable, nearest, path_from, strings, toml

DEVICES = ("auto", "cpu", "cuda", "rehearse")


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """``timeout`` is in seconds, ``memory`` a size such as ``8GB`` ("" for no limit)."""

    target: str = ""
    steps: int = 8
    seed: int = 0
    device: str = DEVICES[0]
    timeout: int = 300
    memory: str = ""
    checks: tuple[str, ...] = ()
    skip_checks: tuple[str, ...] = ()


#: Key -> its meaning, and an example of a value ("" where the default says it all).
PROBE_MEANINGS: dict[str, tuple[str, str]] = {
    "target": (
        "What `mllint probe` runs when the command line names nothing: `path.py`, `path.py:function` or "
        "`package.module:function`.",
        '"train.py"',
    ),
    "steps": ("How many training steps a check may take in a row.", ""),
    "seed": ("The seed under which the target is loaded and run.", ""),
    "device": (
        "Where to run: `auto` takes a GPU where there is one, else the CPU and a rehearsal of host syncs.",
        '"cpu"',
    ),
    "timeout": ("Seconds for the whole run; what takes longer is ended.", ""),
    "memory": ("The most memory that the target may allocate, where the system can limit it.", '"8GB"'),
    "checks": ("Checks to make besides the default ones; `all` means every one.", '["all"]'),
    "skip-checks": ("Checks to leave out.", '["layer-oracle"]'),
}

_LEAST = {"steps": 1, "seed": 0, "timeout": 1}
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def probe_table(key: str, value: object, where: str) -> ProbeTable:
    """The checked entries of the table. Raises ConfigError."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: `{key}` must be a table; write `[tool.mllint.{key}]` and its keys below")
    kinds = {entry.name.replace("_", "-"): str(entry.type) for entry in fields(ProbeSettings)}
    found = []
    for name, told in value.items():
        if name not in kinds:
            raise ConfigError(f"{where}: unknown key `{key}.{name}`; {nearest(name, kinds)}")
        found.append((name.replace("-", "_"), _checked(f"{key}.{name}", name, told, kinds[name], where), where))
    return tuple(found)


def anchored_target(table: ProbeTable, folder: str) -> ProbeTable:
    """The table with a target that is a file starting from a folder."""
    return tuple(
        (name, path_from(str(value), folder) if name == "target" and ".py" in str(value) and folder else value, where)
        for name, value, where in table
    )


def probe_settings(table: ProbeTable, over: Iterable[tuple[str, Any]] = ()) -> ProbeSettings:
    """What holds after all places had their say; ``over`` is the command line. Raises ConfigError."""
    values: dict[str, Any] = {name: value for name, value, _ in table}
    for name, value in over:
        if value is not None:
            key = name.replace("_", "-")
            _in_range(f"--{key}", key, value, "command line")
            values[name] = value
    return ProbeSettings(**values)


def memory_bytes(text: str) -> int:
    """``8GB``, ``512M`` or a number of bytes; 0 for "". Raises ConfigError."""
    if not text:
        return 0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if found is None or float(found[1]) == 0:
        raise ConfigError(f"`memory` must be a size such as `8GB` or `512MB`, not {toml(text)}")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def _checked(shown: str, name: str, value: object, kind: str, where: str) -> Any:
    if kind.startswith("tuple"):
        return strings(shown, value, where)
    if kind == "int" and (not isinstance(value, int) or isinstance(value, bool)):
        raise ConfigError(f"{where}: `{shown}` must be a whole number, not {toml(value)}")
    if kind == "str" and not isinstance(value, str):
        raise ConfigError(f"{where}: `{shown}` must be a string, not {toml(value)}")
    _in_range(f"`{shown}`", name, value, where)
    return value


def _in_range(shown: str, name: str, value: object, where: str) -> None:
    place = "" if where == "command line" else f"{where}: "
    if name in _LEAST and isinstance(value, int) and value < _LEAST[name]:
        raise ConfigError(f"{place}{shown} must be at least {_LEAST[name]}, not {value}")
    if name == "device" and value not in DEVICES:
        raise ConfigError(f"{place}{shown} must be one of {', '.join(DEVICES)}, not {toml(value)}")
    if name == "memory":
        try:
            memory_bytes(str(value))
        except ConfigError as error:
            raise ConfigError(f"{place}{error}") from error
