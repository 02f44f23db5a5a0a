"""``mllint completion``, and what a shell offers while somebody types rule codes, formats and paths.

May not: import the rules before somebody asks for their names, or run a user's own: those are read as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mllint.settings import OUTPUT_FORMATS, ConfigError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from mllint.rule import Meta


def complete_selectors(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Codes, families and names of rules that go on as the last part of ``ML2,dup`` begins."""
    from mllint.checking.select import FAMILIES

    before, comma, typed = incomplete.rpartition(",")
    metas = _metas(ctx)
    words = ["ALL", *(word for meta in metas for word in (meta.code, meta.name))]
    words += [name for prefix, (name, _) in FAMILIES.items() if any(meta.code.startswith(prefix) for meta in metas)]
    begun = typed.upper() if typed.lower().startswith("ml") and typed[2:].isdigit() else typed
    return [f"{before}{comma}{word}" for word in sorted(set(words)) if word.startswith(begun)]


def complete_rules(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Codes and names of single rules."""
    words = {word for meta in _metas(ctx) for word in (meta.code, meta.name)}
    return [word for word in sorted(words) if word.startswith(incomplete)]


def complete_paths(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What the shell itself offers for paths."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def _metas(ctx: click.Context) -> list[Meta]:
    """What is known about each rule in the current folder: of packs, what their text shows."""
    from mllint.checking.packs import builtin_rules
    from mllint.checking.withheld import withheld_rules
    from mllint.cli.packs import settings_here

    try:
        settings = settings_here((), False, ctx.params.get("rules"), False)
        packs = (*settings.rules, *settings.withheld)
    except ConfigError:  # it is said when the command runs
        packs = ()
    return [rule.meta for rule in (*builtin_rules(), *(rule for pack in packs for rule in withheld_rules(pack)))]


def complete_formats(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of the output formats."""
    return [name for name in OUTPUT_FORMATS if name.startswith(incomplete)]


def complete_keys(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The keys of the configuration. (Packs are left alone: a completion runs nobody's code.)"""
    from mllint.authoring.keys import known_keys
    from mllint.checking.packs import builtin_rules

    names = [known.name for known in known_keys([rule.meta for rule in builtin_rules()])]
    return [name for name in names if name.startswith(incomplete)]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    For bash: `eval "$(mllint completion bash)"` in ~/.bashrc.
    """
    from click.shell_completion import ShellComplete, get_completion_class

    from mllint.cli import main

    kind = get_completion_class(shell)
    assert kind is not None, f"click knows no completion for {shell}"
    # Not `kind(...).source()`: that of bash first runs a bash, to complain about old ones.
    script = ShellComplete.source(kind(main, {}, "mllint", "_MLLINT_COMPLETE"))
    # click 8.5's fish script splits at every comma, and so loses all but the first of `ML2,ML301`.
    click.echo(script.replace('string split ","', 'string split -m 1 ","'))


#: The same under ruff's name; `mllint --help` lists it once.
generate_shell_completion = click.Command(
    "generate-shell-completion",
    callback=completion.callback,
    params=completion.params,
    help=completion.help,
    hidden=True,
)

__all__ = [
    "complete_formats",
    "complete_keys",
    "complete_rules",
    "complete_selectors",
    "completion",
    "generate_shell_completion",
]
