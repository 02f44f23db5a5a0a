"""The flags of ``mllint probe``; those that ``check`` has too mean the same.

May not: act on a flag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from mllint.cli.completion import complete_paths
from mllint.cli.options import CheckOptions, check_parameters, home_folder, working_folder
from mllint.settings import Flags
from mllint.settings_probe import DEVICES

#: Flags that are those of ``check``.
_SHARED = (
    "output_format",
    "output_file",
    "preview",
    "config",
    "isolated",
    "rules",
    "packs_allowed",
    "select",
    "ignore",
    "extend_select",
    "per_file_ignores",
    "extend_per_file_ignores",
    "fail_on",
    "ignore_noqa",
    "exit_zero",
    "quiet",
    "verbose",
    "color",
)

#: Flags that stand over a key of `[tool.mllint.probe]`.
_KEYS = ("steps", "seed", "device", "timeout", "memory")


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """What the command line asks for. ``shared`` has what ``check`` knows too, ``over`` what stands over the table of the
    configuration (None where the flag is absent)."""

    target: str
    shared: CheckOptions
    over: tuple[tuple[str, Any], ...] = ()
    checks: tuple[str, ...] = ()
    skip_checks: tuple[str, ...] = ()
    trace: str = ""
    judge: str = ""
    report: str = ""
    list_checks: bool = False


def _names(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """``--checks a,b --checks c`` as one tuple."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def _file(flag: str, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(flag, metavar="FILE", default="", help=text, shell_complete=complete_paths)


_PROBE: list[Callable[[Callable[..., Any]], Callable[..., Any]]] = [
    click.argument("target", required=False, default="", shell_complete=complete_paths),
    click.option("--steps", type=int, default=None, metavar="NUMBER", help="Training steps that a check may take."),
    click.option(
        "--device", type=click.Choice(DEVICES), default=None, help="Where to run; auto: a GPU if there is one."
    ),
    click.option("--seed", type=int, default=None, metavar="NUMBER", help="The seed of the run."),
    click.option("--timeout", type=int, default=None, metavar="SECONDS", help="For the whole run; 300 unless said."),
    click.option("--memory", default=None, metavar="SIZE", help="The most memory to allocate, such as 8GB."),
    click.option(
        "--checks", multiple=True, callback=_names, metavar="NAMES", help="Further checks to make; `all` for every one."
    ),
    click.option("--skip-checks", multiple=True, callback=_names, metavar="NAMES", help="Checks to leave out."),
    click.option("--list-checks", is_flag=True, help="List the checks with their cost in plain steps; run nothing."),
    _file("--report", "Write an HTML page."),
    _file("--trace", "Write what was recorded, as JSON."),
    _file("--judge", "Judge such a file instead of running a target."),
]


def probe_options(function: Callable[..., Any]) -> Any:
    """Put all flags of ``probe`` on a command that takes one `ProbeOptions`."""

    def gathered(**values: Any) -> Any:
        own = {name: values.pop(name) for name in ProbeOptions.__dataclass_fields__ if name in values}
        over = tuple((name, values.pop(name)) for name in _KEYS)
        names = Flags.__dataclass_fields__
        flags = Flags(cwd=working_folder(), **{name: values.pop(name) for name in list(values) if name in names})
        shared = CheckOptions(paths=(), flags=flags, home=home_folder(), **values)
        return function(ProbeOptions(shared=shared, over=over, **own))

    gathered.__doc__ = function.__doc__
    parameters = [*check_parameters(_SHARED)]
    command: Any = gathered
    for option in reversed(_PROBE):
        command = option(command)
    # click takes them in reverse order, as decorators stand
    command.__click_params__ = [*reversed(parameters), *command.__click_params__]
    return command


__all__ = ["ProbeOptions", "probe_options"]
