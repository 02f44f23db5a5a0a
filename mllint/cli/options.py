"""The flags of ``mllint check``, named and grouped as ruff has them.

May not: act on a flag.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from mllint.settings import OUTPUT_FORMATS, Flags


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What the command line asks for and no configuration file can say. The rest is in ``flags``."""

    paths: tuple[str, ...]
    flags: Flags
    config: tuple[str, ...] = ()
    isolated: bool = False
    stdin_filename: str = ""
    fix_only: bool = False
    diff: bool = False
    exit_zero: bool = False
    exit_non_zero_on_fix: bool = False
    statistics: bool = False
    output_file: str = ""
    ignore_noqa: bool = False
    show_files: bool = False
    quiet: bool = False
    verbose: bool = False
    color: str = "auto"
    start_method: str = ""


def _selectors(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...] | None:
    """``--select ML2,ML301 --select gradients`` as one tuple; None when the flag is absent."""
    split = tuple(part.strip() for value in values for part in value.split(",") if part.strip())
    if values and not split:
        raise click.BadParameter("nothing is named", ctx, parameter)
    return split or None


_CHECK = [
    click.argument("paths", nargs=-1, type=click.Path()),
    click.option("--fix/--no-fix", default=None, help="Apply the safe fixes."),
    click.option("--unsafe-fixes/--no-unsafe-fixes", default=None, help="Treat unsafe fixes like safe ones."),
    click.option("--show-fixes/--no-show-fixes", default=None, help="List the fixes that were applied."),
    click.option("--diff", is_flag=True, help="Show what would be fixed; write nothing."),
    click.option("--fix-only", is_flag=True, help="Apply fixes; do not report what remains."),
    click.option("--ignore-noqa", is_flag=True, help="Ignore all suppression comments."),
    click.option(
        "--output-format", metavar=f"[{'|'.join(OUTPUT_FORMATS)}]", default=None, help="How findings are printed."
    ),
    click.option("-o", "--output-file", metavar="FILE", default="", help="Write the findings to a file."),
    click.option("--preview/--no-preview", default=None, help="Also check and report what is of level info."),
    click.option("--config", multiple=True, metavar="FILE|KEY=VALUE", help="A configuration file or one TOML setting."),
    click.option("--isolated", is_flag=True, help="Ignore all configuration files."),
    click.option(
        "--select", multiple=True, callback=_selectors, metavar="CODES", help="Rules to check, comma-separated."
    ),
    click.option("--ignore", multiple=True, callback=_selectors, metavar="CODES", help="Rules to leave out."),
    click.option("--extend-select", multiple=True, callback=_selectors, metavar="CODES", help="Rules to add."),
    click.option(
        "--fail-on",
        type=click.Choice(["error", "warning", "info"]),
        default=None,
        help="The least level that fails the run.",
    ),
    click.option("--exclude", multiple=True, callback=_selectors, metavar="PATTERNS", help="Paths to leave out."),
    click.option(
        "--extend-exclude", multiple=True, callback=_selectors, metavar="PATTERNS", help="Further paths to leave out."
    ),
    click.option("--force-exclude/--no-force-exclude", default=None, help="Exclude even what is named as a path."),
    click.option("--respect-gitignore/--no-respect-gitignore", default=None, help="Leave out what git ignores."),
    click.option("-n", "--no-cache", "cache", flag_value=False, default=None, help="Neither read nor write the cache."),
    click.option("--cache-dir", metavar="FOLDER", default=None, help="Where the cache is kept."),
    click.option(
        "-j", "--jobs", type=int, metavar="NUMBER", default=None, help="Processes; 0 means one for each core."
    ),
    click.option("--stdin-filename", metavar="NAME", default="", help="The file that standard input stands for."),
    click.option("-e", "--exit-zero", is_flag=True, help="Exit with 0 even if there are findings."),
    click.option("--exit-non-zero-on-fix", is_flag=True, help="Exit with 1 if anything was fixed."),
    click.option("--statistics", is_flag=True, help="Only count the findings of each rule."),
    click.option("--show-files", is_flag=True, help="List the files that would be checked."),
    click.option("-q", "--quiet", is_flag=True, help="Print findings, but nothing else."),
    click.option("-v", "--verbose", is_flag=True, help="Say more on standard error."),
    click.option(
        "--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colours in the output."
    ),
]


def check_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Put all flags of ``check`` on a command that takes one `CheckOptions`."""

    def gathered(**values: Any) -> Any:
        names = Flags.__dataclass_fields__
        flags = Flags(cwd=_cwd(), **{name: values.pop(name) for name in list(values) if name in names})
        return function(CheckOptions(flags=flags, start_method=_start_method(), **values))

    gathered.__doc__ = function.__doc__
    for option in reversed(_CHECK):
        gathered = option(gathered)
    return gathered


def _cwd() -> str:
    try:
        return os.getcwd().replace(os.sep, "/")
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, "the current folder was removed; go to another one") from error


def _start_method() -> str:
    """How workers are started, for tests and odd platforms; "" leaves it to the platform."""
    method = os.environ.get("MLLINT_START_METHOD", "")
    if method:
        from multiprocessing import get_all_start_methods

        if method not in get_all_start_methods():
            known = ", ".join(get_all_start_methods())
            raise click.UsageError(f"MLLINT_START_METHOD is `{method}`; here it can be {known}")
    return method
