"""``mllint test-rules``: hold the rules of a pack to what rules promise.

May not: run a pack that may not run. What is named on this command line is the user's own word.
Exit codes: 0 every promise is kept, 1 one is not, 2 a pack cannot be tested.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from shlex import quote

import click

from mllint.authoring.trial import Trial, render, try_pack
from mllint.cli.completion import complete_paths
from mllint.cli.options import working_folder
from mllint.cli.packs import faults_said, shown, with_settings
from mllint.cli.terminal import use_color
from mllint.settings import ConfigError, Settings


@click.command("test-rules")
@click.argument("packs", nargs=-1, metavar="[PACK]...", shell_complete=complete_paths)
@click.option("--fixtures", default="", metavar="FOLDER", help="Where the fixtures are; by default beside the rules.")
@click.option("-v", "--verbose", is_flag=True, help="List the promises that are kept too.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colours in the output.")
@with_settings
def test_rules(packs: tuple[str, ...], fixtures: str, verbose: bool, color: str, here: Callable[[], Settings]) -> None:
    """Test your own rules on their fixtures.

    PACK is a folder or a file with rules; by default, those of the configuration.
    """
    trials: list[Trial] = []
    with faults_said():
        for pack in dict.fromkeys(packs or _configured(here())):
            trials += try_pack(Path(pack), Path(fixtures) if fixtures else None)
    click.echo(render(trials, everything=verbose, color=use_color(color, sys.stdout)), nl=False)
    sys.exit(int(any(trial.failures for trial in trials)))


def _configured(settings: Settings) -> tuple[str, ...]:
    """The packs that the configuration names and that may run. Raises ConfigError where there is none."""
    cwd = working_folder()
    if settings.withheld:
        names = " ".join(quote(shown(pack, cwd)) for pack in settings.withheld)
        raise ConfigError(f"rules that a configuration names do not run by themselves; run `mllint test-rules {names}`")
    if not settings.rules:
        raise ConfigError("the configuration names no rules; name a folder: `mllint test-rules lint`")
    return tuple(shown(pack, cwd) for pack in settings.rules)


__all__ = ["test_rules"]
