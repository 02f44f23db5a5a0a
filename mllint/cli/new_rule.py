"""``mllint new-rule``: the files of a rule for a pack of one's own.

May not: write over a file, or load the pack: what it holds is read from the names of its files.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from shlex import quote

import click

from mllint.authoring.scaffold import new_rule_fault, new_rule_files
from mllint.cli.completion import complete_paths
from mllint.cli.options import working_folder
from mllint.cli.packs import shown, with_settings
from mllint.reading.config import posix
from mllint.settings import Settings


@click.command("new-rule")
@click.argument("code")
@click.argument("name")
@click.option(
    "--pack",
    default="",
    metavar="FOLDER",
    help="Where rules are kept; by default the configured folder.",
    shell_complete=complete_paths,
)
@with_settings
def new_rule(code: str, name: str, pack: str, here: Callable[[], Settings]) -> None:
    """Write a new rule with its fixtures.

    CODE is like ACME001, NAME says the bad pattern: bare-torch-save.
    """
    settings = here()
    folder = Path(pack or _configured(settings))
    stems = [path.stem for path in folder.glob("*.py") if not path.name.startswith("_")]
    fault = new_rule_fault(code, name, stems)
    if not fault and folder.exists() and not folder.is_dir():
        fault = f"{folder} is no folder; name one with --pack"
    if fault:
        raise click.UsageError(fault)
    files = {folder / path: text for path, text in new_rule_files(code, name).items()}
    present = [path for path in files if path.exists()]
    if present:
        raise click.UsageError(f"{present[0]} exists already; nothing was written")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        click.echo(f"Wrote {path.as_posix()}")
    click.echo(_what_next(folder, settings))


def _configured(settings: Settings) -> str:
    """The only folder of rules that the configuration names, else ``lint``."""
    folders = [pack for pack in (*settings.rules, *settings.withheld) if not pack.endswith(".py")]
    return shown(folders[0], working_folder()) if len(folders) == 1 else "lint"


def _what_next(folder: Path, settings: Settings) -> str:
    """What is left to do, with the lines of configuration that are missing."""
    written = folder.as_posix()
    absolute = posix(os.path.abspath(folder))
    command = f"mllint test-rules {quote(written)}"
    steps = [f"Edit the rule and its fixtures until `{command}` passes and they say what you mean."]
    if absolute not in (*settings.rules, *settings.withheld):
        steps.append(_configuration(absolute, settings))
    steps.append(
        "Run `mllint check --allow-packs`: without the flag, rules that lie beside the checked code do not run."
    )
    return "\n" + "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))


def _configuration(pack: str, settings: Settings) -> str:
    """The lines that name a pack, for the configuration file that holds in the current folder."""
    config = settings.config_path or f"{working_folder()}/pyproject.toml"
    path = posix(os.path.relpath(pack, os.path.dirname(config)))
    header = ["[tool.mllint]"] if config.endswith("pyproject.toml") else []
    lines = [*header, f'rules = ["{path}"]', f'extend-exclude = ["{path}/fixtures"]']
    text = "\n".join(f"       {line}" for line in lines)
    return f"Name the folder in {shown(config, working_folder())}, and leave its fixtures out of checks:\n\n{text}\n"


__all__ = ["new_rule"]
