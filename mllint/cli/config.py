"""``mllint config``: the keys of a configuration, with type, default and meaning.

May not: need a configuration that can be followed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable

import click

from mllint.checking.packs import PackError, builtin_rules
from mllint.cli.completion import complete_keys
from mllint.cli.packs import rules_here, with_settings
from mllint.rule import Rule
from mllint.settings import KEYS, ConfigError, Settings


@click.command()
@click.argument("key", required=False, shell_complete=complete_keys)
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@with_settings
def config(key: str | None, output_format: str, here: Callable[[], Settings]) -> None:
    """List the keys of a configuration, or explain one.

    KEY is a key, `options.RULE.NAME` for an option of a rule, or `options.RULE` for a list of them.
    """
    from mllint.authoring.keys import as_data, as_text, known_keys
    from mllint.cli.terminal import use_color
    from mllint.settings_values import nearest

    wanted = (key or "").removeprefix("tool.mllint.")
    rules = () if wanted in KEYS else _rules(here)  # for a key of mllint's own nobody's rules matter
    keys = {known.name: known for known in known_keys(rule.meta for rule in rules)}
    wanted = _by_name(wanted, rules)
    below = {name: known for name, known in keys.items() if not key or name.startswith(f"{wanted}.")}
    if below and wanted not in keys:
        everything = {name: as_data(known) for name, known in below.items()}
        click.echo(json.dumps(everything, indent=2) if output_format == "json" else "\n".join(below))
        return
    if any(wanted == f"options.{rule.meta.name}" for rule in rules):
        raise click.UsageError(f"`{wanted.partition('.')[2]}` has no options")
    if wanted not in keys:
        raise click.UsageError(f"unknown key `{key}`; {nearest(wanted, keys)}")
    known = keys[wanted]
    if output_format == "json":
        click.echo(json.dumps(as_data(known), indent=2))
    else:
        click.echo(as_text(known, use_color("auto", sys.stdout)), nl=False)


def _by_name(key: str, rules: Iterable[Rule]) -> str:
    """`options.ACME001.depth` as `options.rule-name.depth`: a table may have either."""
    table, _, rest = key.partition(".")
    code, dot, option = rest.partition(".")
    name = next((rule.meta.name for rule in rules if rule.meta.code == code), code)
    return f"{table}.{name}{dot}{option}" if table == "options" and rest else key


def _rules(here: Callable[[], Settings]) -> tuple[Rule, ...]:
    """The rules that are known in the current folder; those of mllint where the configuration is wrong, since this
    command is what helps to mend it."""
    try:
        return rules_here(here)
    except (ConfigError, PackError) as error:
        click.echo(f"warning: options of your own rules are not known here: {error}", err=True)
        return builtin_rules()


__all__ = ["config"]
