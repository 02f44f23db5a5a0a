"""``mllint check --show-settings``: the settings of the first file that would be checked.

May not: check anything.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from mllint.checking.select import selection
from mllint.cli.packs import metas_of, packs_of
from mllint.output.settings import render
from mllint.reading.config import Finder, posix
from mllint.reading.files import Found
from mllint.rule import WithheldMeta
from mllint.settings import Settings


def show_settings(found: Found, everyone: Sequence[Settings], cwd: str) -> int:
    """Print the settings of the first of some files, of a run under all these settings; the exit code."""
    for problem in found.problems:
        click.echo(f"error: {problem.path}: {problem.message}", err=True)
    if not found.targets:
        if not found.problems:
            click.echo("error: no file under the given paths, so there are no settings to show", err=True)
        return 2
    first = found.targets[0]
    _show(first.absolute, first.settings, everyone, cwd)
    return 2 if found.problems else 0


def show_settings_of_input(name: str, finder: Finder) -> int:
    """The same for the file that standard input stands for, which is not read."""
    absolute = posix(os.path.abspath(os.path.join(finder.cwd, name or "stdin.py")))
    _show(absolute, finder.settings(os.path.dirname(absolute)), (), finder.cwd)
    return 0


def _show(absolute: str, settings: Settings, everyone: Sequence[Settings], cwd: str) -> None:
    metas = metas_of(packs_of(settings, everyone))
    running = [meta for meta in metas if not isinstance(meta, WithheldMeta)]
    click.echo(render(absolute, settings, selection(settings, metas, cwd), running), nl=False)


__all__ = ["show_settings", "show_settings_of_input"]
