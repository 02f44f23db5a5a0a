"""The keys of a configuration, options of rules included, described: for the terminal, for machines, for the documents.

May not: say anything about a key that is not written at its field, in the table of meanings or in a rule's Meta.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from mllint.output.style import paint
from mllint.output.toml_ import toml_value
from mllint.rule import Meta, Option
from mllint.settings import KEYS, Layer, Settings
from mllint.settings_meanings import MEANINGS
from mllint.settings_probe import DEVICES, PROBE_MEANINGS, ProbeSettings
from mllint.settings_values import CHOICES

_TYPES = {
    "str": "string",
    "int": "whole number",
    "float": "number",
    "tuple[str, ...]": "list of strings",
    "Paths": "list of paths",
    "Selectors": "list of rule selectors",
    "Patterns": "list of path patterns",
    "PerFile": "table: path pattern -> list of rule selectors",
    "RuleOptions": "table: rule -> table of its options",
    "ProbeTable": "table",
}

_PROBE = "tool.mllint.probe"

#: What stands for "not decided" in the fields, said in words of the configuration.
_DEFAULTS = {"fixable": '["ALL"]'}


@dataclass(frozen=True, slots=True)
class Key:
    """One key: ``default`` and ``example`` are written as in the file ("" without one); ``scope`` is its table."""

    name: str
    type: str
    default: str
    meaning: str
    example: str = ""
    scope: str = ""


def known_keys(metas: Iterable[Meta]) -> tuple[Key, ...]:
    """All keys in the order of the documents, then those of the probe, then the options of these rules."""
    defaults = {entry.name: entry.default for entry in (*fields(Layer), *fields(Settings))}
    found = []
    for name, kind in KEYS.items():
        meaning, example = MEANINGS[name]
        default = defaults[name.replace("-", "_")]
        found.append(Key(name, _type(name, kind), _DEFAULTS.get(name) or _default(kind, default), meaning, example))
    found += (_of_probe(entry.name, str(entry.type), entry.default) for entry in fields(ProbeSettings))
    return (*found, *(_option(meta, option) for meta in metas for option in meta.options))


def as_text(key: Key, color: bool = False) -> str:
    """What there is to know about a key, for a terminal."""
    lines = [key.meaning, "", f"Default value: {key.default or 'none'}", f"Type: {key.type}"]
    if key.example:
        name = key.name.rpartition(".")[2]
        lines += ["Example:", *([f"    [{key.scope}]"] if key.scope else []), f"    {name} = {key.example}"]
    return "\n".join([paint(key.name, "bold", color), "", *lines]) + "\n"


def as_data(key: Key) -> dict[str, object]:
    """The same as plain data, with ruff's field names."""
    example = f"{key.name.rpartition('.')[2]} = {key.example}" if key.example else None
    return {
        "doc": key.meaning,
        "default": key.default or None,
        "value_type": key.type,
        "scope": key.scope or None,
        "example": example,
        "deprecated": None,
    }


def as_markdown(keys: Sequence[Key]) -> str:
    """Tables of keys, of the probe's keys and of options."""
    own = [key for key in keys if not key.scope]
    probe = [key for key in keys if key.scope == _PROBE]
    options = [key for key in keys if key.scope not in ("", _PROBE)]
    text = _table(own)
    if probe:
        text += f"\n## The probe\n\nKeys of `mllint probe`, in the table `[{_PROBE}]`.\n\n"
        text += _table(probe)
    if options:
        text += "\n## Options of rules\n\n"
        text += "They stand in a table for each rule, by its code or name: `[tool.mllint.options.<rule>]`.\n\n"
        text += _table(options)
    return text


def _table(keys: Sequence[Key]) -> str:
    rows = ["| key | type | default | meaning | example |", "| --- | --- | --- | --- | --- |"]
    for key in keys:
        name = key.name.removeprefix("options.").removeprefix("probe.")
        default = f"`{key.default}`" if key.default else "none"
        example = f"`{key.name.rpartition('.')[2]} = {key.example}`" if key.example else ""
        cells = (f"`{name}`", key.type, default, key.meaning, example)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) + "\n"


def _type(name: str, kind: str) -> str:
    if name in CHOICES:
        return " | ".join(f'"{choice}"' for choice in CHOICES[name])
    return _TYPES.get(kind, kind)


def _default(kind: str, value: object) -> str:
    """A default as TOML; "" where it means that nothing was decided."""
    if kind in ("PerFile", "RuleOptions", "ProbeTable"):
        return "{}"
    if value is None or value == "":
        return ""
    return toml_value(value)


def _of_probe(field: str, kind: str, default: object) -> Key:
    name = field.replace("_", "-")
    meaning, example = PROBE_MEANINGS[name]
    shown = " | ".join(f'"{device}"' for device in DEVICES) if name == "device" else _type("", kind)
    return Key(f"probe.{name}", shown, _default(kind, default), meaning, example, _PROBE)


def _option(meta: Meta, option: Option) -> Key:
    kind = type(option.default).__name__
    kind = "tuple[str, ...]" if kind == "tuple" else kind
    default = toml_value(option.default)
    name = f"options.{meta.name}.{option.name}"
    return Key(name, _type("", kind), default, option.meaning, default, f"tool.mllint.options.{meta.name}")
