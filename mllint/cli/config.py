"""``mllint config``: the keys of a configuration, with type, default and meaning.

May not: need a configuration that can be followed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import click

from mllint.checking.packs import PackError, builtin_rules
from mllint.cli.completion import complete_keys
from mllint.cli.packs import rules_here, with_settings
from mllint.rule import Rule
from mllint.settings import ConfigError, Settings


@click.command()
@click.argument("key", required=False, shell_complete=complete_keys)
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@with_settings
def config(key: str | None, output_format: str, here: Callable[[], Settings]) -> None:
    """List the keys of a configuration, or explain one.

    KEY is a key, or `options.RULE.NAME` for an option of a rule.
    """
    from mllint.authoring.keys import as_data, as_text, known_keys
    from mllint.cli.terminal import use_color
    from mllint.settings_values import nearest

    keys = {known.name: known for known in known_keys(rule.meta for rule in _rules(here))}
    if key is None:
        everything = {name: as_data(known) for name, known in keys.items()}
        click.echo(json.dumps(everything, indent=2) if output_format == "json" else "\n".join(keys))
        return
    wanted = key.removeprefix("tool.mllint.")
    if wanted not in keys:
        raise click.UsageError(f"unknown key `{key}`; {nearest(wanted, keys)}")
    known = keys[wanted]
    if output_format == "json":
        click.echo(json.dumps(as_data(known), indent=2))
    else:
        click.echo(as_text(known, use_color("auto", sys.stdout)), nl=False)


def _rules(here: Callable[[], Settings]) -> tuple[Rule, ...]:
    """The rules that are known in the current folder; those of mllint where the configuration is wrong, since this
    command is what helps to mend it."""
    try:
        return rules_here(here)
    except (ConfigError, PackError) as error:
        click.echo(f"warning: options of your own rules are not known here: {error}", err=True)
        return builtin_rules()


__all__ = ["config"]
