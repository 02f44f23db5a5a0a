"""What users told single rules: the options of a configuration, held against those that the rules have.

May not: read a configuration, or know any rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mllint.rule import Meta, Option, OptionValue, WithheldMeta
from mllint.settings_values import ConfigError, RuleOptions, closest, toml

#: Code -> the options of that rule that somebody decided, with their values; sorted.
ChosenOptions = tuple[tuple[str, tuple[tuple[str, OptionValue], ...]], ...]


def chosen_options(given: RuleOptions, metas: Sequence[Meta]) -> ChosenOptions:
    """The options of the rules by code; of two places that decide one, the later counts. Raises ConfigError."""
    chosen: dict[str, dict[str, OptionValue]] = {}
    for rule, name, value, where in given:
        meta = _meta(rule, metas, where)
        if isinstance(meta, WithheldMeta):
            continue  # which options it has stands in code that may not run
        chosen.setdefault(meta.code, {})[name] = _value(meta, rule, name, value, where)
    return tuple((code, tuple(sorted(options.items()))) for code, options in sorted(chosen.items()))


def _meta(rule: str, metas: Sequence[Meta], where: str) -> Meta:
    found = next((meta for meta in metas if rule in (meta.code, meta.name)), None)
    if found is None:
        names = [word for meta in metas if meta.options for word in (meta.code, meta.name)]
        raise ConfigError(f"{where}: unknown rule `{rule}` in `options`; {_hint(rule, names, 'rules with options')}")
    return found


def _value(meta: Meta, rule: str, name: str, value: OptionValue, where: str) -> OptionValue:
    option = next((option for option in meta.options if option.name == name), None)
    if option is None:
        if not meta.options:
            raise ConfigError(f"{where}: `options.{rule}`: {meta.code} has no options; remove the table")
        names = [known.name for known in meta.options]
        raise ConfigError(f"{where}: unknown option `{name}` of `{rule}`; {_hint(name, names, 'options')}")
    wanted = type(option.default)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise ConfigError(f"{where}: `options.{rule}.{name}` must be {_kind(option)}, not {toml(value)}")
    return value


def _kind(option: Option) -> str:
    """What a value of the option has to be, in words."""
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
    return kinds.get(type(option.default), "a list of strings")


def _hint(word: str, known: Iterable[str], what: str) -> str:
    """The known word that was probably meant, else all of them."""
    known = sorted(known)
    near = closest(word, known)
    if near:
        return f"did you mean `{near}`?"
    return f"the {what} are " + ", ".join(f"`{name}`" for name in known) if known else f"there are no {what}"
