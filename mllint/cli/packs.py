"""Users' packs of rules on the command line: which are loaded, and what is said about those that may not run.

May not: load a pack that the settings withhold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

import click

from mllint.checking.packs import PackError, Packs, known_rules
from mllint.cli.options import CONFIG_FLAG, ISOLATED_FLAG, PACK_FLAGS, home_folder, working_folder
from mllint.reading.config import Finder
from mllint.rule import Meta, Rule
from mllint.settings import ConfigError, Flags, Settings


def packs_of(settings: Settings, everyone: Iterable[Settings] = ()) -> Packs:
    """The packs of some settings. What only other settings of the run name is known by its text alone, so that a flag
    may select it for the files where it counts."""
    others = [pack for other in everyone for pack in (*other.rules, *other.withheld)]
    unread = dict.fromkeys(pack for pack in (*settings.withheld, *others) if pack not in settings.rules)
    return Packs(settings.rules, tuple(unread))


def metas_of(packs: Packs) -> list[Meta]:
    """What is known about every rule. Raises PackError."""
    return [rule.meta for rule in known_rules(packs)]


def warn_withheld(everyone: Iterable[Settings], cwd: str) -> None:
    """Say once for each configuration which of its packs do not run, also to those who asked for quiet: a run without
    a team's rules passes where it should not."""
    told = {settings.config_path: settings.withheld for settings in everyone if settings.withheld}
    for config, packs in told.items():
        names = ", ".join(f"`{shown(pack, cwd)}`" for pack in packs)
        text = f"its own rules in {names} do not run, since they are code that came with what is checked"
        click.echo(f"warning: {shown(config, cwd)}: {text}; read them, then pass `--allow-packs`", err=True)


def shown(path: str, cwd: str) -> str:
    """A path as a person sees it: below the current folder relative, else absolute."""
    below = cwd.rstrip("/") + "/"
    return path[len(below) :] if path.startswith(below) else path


def settings_here(config: tuple[str, ...], isolated: bool, rules: tuple[str, ...] | None, allow: bool) -> Settings:
    """The settings of the current folder. Raises ConfigError."""
    cwd = working_folder()
    return Finder(cwd, Flags(cwd=cwd, rules=rules), config, isolated, home_folder(), allow).settings(cwd)


def with_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command, as ``here``, a question for the settings of the current folder, and the flags that decide them.

    What is wrong with a configuration or a pack ends the command with a line and exit code 2.
    """

    @wraps(function)
    def gathered(
        config: tuple[str, ...], isolated: bool, rules: tuple[str, ...] | None, packs_allowed: bool, **values: Any
    ) -> Any:
        with faults_said():
            return function(here=partial(settings_here, config, isolated, rules, packs_allowed), **values)

    for option in (*PACK_FLAGS, ISOLATED_FLAG, CONFIG_FLAG):
        gathered = option(gathered)
    return gathered


@contextmanager
def faults_said() -> Iterator[None]:
    """What is wrong with a configuration or a pack, as a line on standard error and exit code 2."""
    try:
        yield
    except (ConfigError, PackError) as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from error


def rules_here(here: Callable[[], Settings]) -> tuple[Rule, ...]:
    """The rules that are known in the current folder; it is said which packs do not run. Raises ConfigError, PackError."""
    settings = here()
    warn_withheld((settings,), working_folder())
    return known_rules(Packs(settings.rules))


__all__ = [
    "faults_said",
    "metas_of",
    "packs_of",
    "rules_here",
    "settings_here",
    "shown",
    "warn_withheld",
    "with_settings",
]
