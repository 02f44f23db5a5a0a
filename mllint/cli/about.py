"""``mllint rule``, ``linter``, ``clean`` and ``version``: what there is to know without checking anything.

May not: read checked code.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import click

from mllint import __version__
from mllint.checking.cache import CACHE_FOLDER
from mllint.checking.packs import builtin_rules
from mllint.checking.select import FAMILIES, begins, expand, unknown_selector
from mllint.cli.completion import complete_rules
from mllint.cli.packs import rules_here, with_settings
from mllint.rule import Rule
from mllint.settings import Settings


@click.command()
@click.argument("code", required=False, shell_complete=complete_rules)
@click.option("--all", "everything", is_flag=True, help="Explain every rule.")
@click.option("--output-format", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True)
@with_settings
def rule(code: str | None, everything: bool, output_format: str, here: Callable[[], Settings]) -> None:
    """Explain a rule, by code or name.

    Why it exists, bad and good code, its fix, its limits.
    """
    from mllint.authoring.explain import as_data, as_markdown, as_text, page

    rules = builtin_rules()
    if not everything and not code:
        raise click.UsageError("name a rule (`mllint rule ML201`) or ask for `--all`")
    wanted = () if everything else _called(code, rules)
    if not wanted:  # nothing of mllint's own alone: then a broken configuration matters
        rules = rules_here(here)
        wanted = rules if everything else _called(code, rules)
    if not wanted:
        metas = [known.meta for known in rules]
        several = expand(code or "", metas)
        if several:
            raise click.UsageError(f"`{code}` selects several rules: {', '.join(several)}; name one")
        raise click.UsageError(unknown_selector(code or "", metas))
    pages = [page(type(known)) for known in wanted]
    if output_format == "json":
        click.echo(json.dumps([as_data(shown) for shown in pages] if everything else as_data(pages[0]), indent=2))
    elif output_format == "markdown":
        click.echo("\n".join(as_markdown(shown) for shown in pages), nl=False)
    else:
        click.echo("\n".join(as_text(shown, color=True) for shown in pages), nl=False)


@click.command()
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@with_settings
def linter(output_format: str, here: Callable[[], Settings]) -> None:
    """List the families and their rules."""
    from mllint.rule import reported_by, summary

    rules = rules_here(here)
    families = _families(rules)
    if output_format == "json":
        rows = [
            {
                "prefix": prefix,
                "name": name,
                "about": about,
                "rules": [known.meta.code for known in rules if begins(prefix, known.meta.code)],
            }
            for prefix, (name, about) in families.items()
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for prefix, (name, about) in families.items():
        members = [known for known in rules if begins(prefix, known.meta.code)]
        if not members:
            continue
        click.echo(f"{prefix}  {': '.join(part for part in (name, about) if part)}")
        for known in members:
            level, by = known.meta.severity.value, "+".join(reported_by(known))
            click.echo(f"  {known.meta.code}  {known.meta.name:<26} {level:<8} {by:<12} {summary(known)}")


def _called(code: str | None, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The rules of this code or name."""
    return tuple(known for known in rules if code in (known.meta.code, known.meta.name))


def _families(rules: tuple[Rule, ...]) -> dict[str, tuple[str, str]]:
    """Prefix -> name and subject: mllint's families, and one for the letters of each user's codes."""
    own = {known.meta.code.rstrip("0123456789") for known in rules} - {"ML"}
    return FAMILIES | dict.fromkeys(sorted(own), ("", "rules of your own"))


@click.command()
@click.argument("folder", default=".", type=click.Path())
def clean(folder: str) -> None:
    """Remove the caches below a folder.

    FOLDER is the current one if none is named.
    """
    removed = 0
    for current, folders, _ in os.walk(folder):
        if CACHE_FOLDER in folders:
            cache = Path(current, CACHE_FOLDER)
            if cache.is_symlink():
                cache.unlink()  # what it points to belongs to somebody else
            else:
                shutil.rmtree(cache)
            folders.remove(CACHE_FOLDER)
            removed += 1
            click.echo(f"Removed {cache.as_posix()}", err=True)
    if not removed:
        click.echo(f"No cache below {folder}", err=True)


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"mllint {__version__}")


__all__ = ["clean", "linter", "rule", "version"]
