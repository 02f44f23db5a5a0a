"""``--show-settings``: what holds for one file and who decided it, as TOML.

May not: resolve anything; it shows what others resolved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields

from mllint.checking.select import Selection
from mllint.output.style import encodable
from mllint.output.toml_ import toml_key, toml_value
from mllint.rule import Meta
from mllint.settings import KEYS, Layer, Settings, origin

_DEFAULT = "default"


def render(absolute: str, settings: Settings, chosen: Selection, metas: Sequence[Meta]) -> str:
    """The document for one file. Each key is followed by the file, flag or default that it comes from."""
    config = toml_value(settings.config_path) if settings.config_path else "none"
    lines = [f"# Resolved settings for: {toml_value(absolute)}", f"# Settings path: {config}", ""]
    lines += (_line(name, settings) for name in KEYS if name.replace("-", "_") in Settings.__dataclass_fields__)
    lines += _resolved(absolute, chosen, metas)
    for layer in settings.layers:
        lines += _layer(layer)
    return encodable("\n".join(lines) + "\n")


def _line(name: str, settings: Settings) -> str:
    field = name.replace("-", "_")
    value = getattr(settings, field)
    if KEYS[name] == "PerFile":
        value = dict(value)
    elif KEYS[name] == "ProbeTable":
        value = {key.replace("_", "-"): told for key, told, _ in value}
    elif KEYS[name] == "RuleOptions":
        tables: dict[str, dict[str, object]] = {}
        for rule, option, told, _ in value:
            tables.setdefault(rule, {})[option] = told
        value = tables
    return f"{name} = {toml_value(value)}  # {_comment(origin(settings, field) or _DEFAULT)}"


def _resolved(absolute: str, chosen: Selection, metas: Sequence[Meta]) -> Iterator[str]:
    """What became of the selectors for this file."""
    on = chosen.codes - chosen.off(absolute)
    yield from ("", "# What follows from them for this file.", "[resolved]")
    yield from _rules("enabled", on, metas)
    yield from _rules("reporting-info", on & chosen.with_info, metas)
    yield from _rules("off-in-this-file", chosen.codes - on, metas)
    yield from _rules("unfixable", on & chosen.unfixable, metas)
    yield from _rules("fixes-made-safe", on & chosen.safe, metas)
    yield from _rules("fixes-made-unsafe", on & chosen.unsafe, metas)
    told = dict(chosen.options)
    for meta in metas:
        if meta.options and meta.code in on:
            values = {**{option.name: option.default for option in meta.options}, **dict(told.get(meta.code, ()))}
            yield f"options.{toml_key(meta.name)} = {toml_value(values)}"


def _rules(title: str, codes: frozenset[str], metas: Iterable[Meta]) -> Iterator[str]:
    listed = [f'\t"{meta.code}",  # {meta.name}' for meta in metas if meta.code in codes]
    if listed:
        yield from (f"{title} = [", *listed, "]")
    else:
        yield f"{title} = []"


def _layer(layer: Layer) -> Iterator[str]:
    """Who says what about the selection of rules."""
    yield from ("", "[[layers]]", f"from = {toml_value(layer.where)}")
    for entry in fields(layer):
        value = getattr(layer, entry.name)
        if entry.name != "where" and value not in (None, ()):
            yield f"{entry.name.replace('_', '-')} = {toml_value(value)}"


def _comment(text: str) -> str:
    """Text that may stand in a comment: on one line, without control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)


__all__ = ["render"]
