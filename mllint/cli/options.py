"""The flags of ``mllint check``, named and grouped as ruff has them.

May not: act on a flag.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import click

from mllint.cli.completion import complete_formats, complete_paths, complete_selectors
from mllint.record import dataclass
from mllint.settings import OUTPUT_FORMATS, ConfigError, Flags, PerFile


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
    write_baseline: bool = False
    add_ignore: str | None = None
    changed_only: bool = False
    base_ref: str = ""
    show_files: bool = False
    show_settings: bool = False
    quiet: bool = False
    verbose: bool = False
    color: str = "auto"
    start_method: str = ""
    packs_allowed: bool = False
    home: str = ""


def _selectors(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...] | None:
    """``--select ML2,ML301 --select gradients`` as one tuple; None when the flag is absent."""
    split = tuple(part.strip() for value in values for part in value.split(",") if part.strip())
    if values and not split:
        raise click.BadParameter("nothing is named", ctx, parameter)
    return split or None


def refuse_together(options: CheckOptions) -> None:
    """Raises ConfigError for flags that cannot both be followed."""
    fixing = bool(options.flags.fix or options.fix_only or options.diff)
    reading = bool(options.stdin_filename) or options.paths == ("-",)
    refused = {
        "`--add-ignore` and a flag that fixes; fix first, then run with `--add-ignore`": options.add_ignore is not None
        and fixing,
        "`--add-ignore` and `--write-baseline`; both are for all findings": options.add_ignore is not None
        and options.write_baseline,
        "`--add-ignore` and `--ignore-noqa`, which takes no notice of what it writes": options.add_ignore is not None
        and options.ignore_noqa,
        "`--write-baseline` and `--diff`, which writes nothing": options.write_baseline and options.diff,
        "`--add-ignore` and standard input; name a file to write to": options.add_ignore is not None and reading,
        "`--write-baseline` and standard input; name the file itself": options.write_baseline and reading,
        "`--changed-only` and standard input, of which git knows nothing": (options.changed_only or options.base_ref)
        and reading,
    }
    for what, given in refused.items():
        if given:
            raise ConfigError(f"cannot use {what}")


class CheckCommand(click.Command):
    """``--add-ignore`` takes a reason only behind ``=``, as in ruff: the next word is a path."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = args.index("--") if "--" in args else len(args)
        words = ["--add-ignore=" if word == "--add-ignore" else word for word in args[:options]]
        return super().parse_args(ctx, [*words, *args[options:]])


def _one_line(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A reason that fits behind a suppression."""
    if value is not None and len(value.splitlines()) > 1:
        raise click.BadParameter("the reason must be one line", ctx, parameter)
    return value if value is None else value.strip()


def _per_file(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> PerFile | None:
    """``PATTERN:CODE,PATTERN:CODE`` as patterns with their codes; None when the flag is absent."""
    found: dict[str, tuple[str, ...]] = {}
    for pair in _selectors(ctx, parameter, values) or ():
        pattern, colon, code = (part.strip() for part in pair.rpartition(":"))
        if not colon or not pattern.removeprefix("!") or not code:
            raise click.BadParameter(f"`{pair}` is no `PATTERN:CODE`, such as `tests/*:ML501`", ctx, parameter)
        found[pattern] = (*found.get(pattern, ()), code)
    return tuple(found.items()) or None


def _codes(flag: str, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A flag that takes rule selectors, again and again or separated by commas."""
    return click.option(
        flag, multiple=True, callback=_selectors, metavar="CODES", help=text, shell_complete=complete_selectors
    )


def _files(flag: str, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A flag that takes path patterns with rule selectors."""
    return click.option(flag, multiple=True, callback=_per_file, metavar="PATTERN:CODE", help=text)


def _paths(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...] | None:
    """What a flag was given, None when it is absent: then the configuration decides."""
    return values or None


CONFIG_FLAG = click.option(
    "--config",
    multiple=True,
    metavar="FILE|KEY=VALUE",
    help="A configuration file or one TOML setting.",
    shell_complete=complete_paths,
)
ISOLATED_FLAG = click.option("--isolated", is_flag=True, help="Ignore all configuration files.")

#: Flags about users' own rules.
PACK_FLAGS = (
    click.option(
        "--rules",
        multiple=True,
        callback=_paths,
        metavar="PATH",
        help="A folder or file with rules of your own.",
        shell_complete=complete_paths,
    ),
    click.option("--allow-packs", "packs_allowed", is_flag=True, help="Run rules that came with the checked code."),
)

_CHECK: list[Callable[[Callable[..., Any]], Callable[..., Any]]] = [
    click.argument("paths", nargs=-1, type=click.Path()),
    click.option("--fix/--no-fix", default=None, help="Apply the safe fixes."),
    click.option("--unsafe-fixes/--no-unsafe-fixes", default=None, help="Treat unsafe fixes like safe ones."),
    click.option("--show-fixes/--no-show-fixes", default=None, help="List the fixes that were applied."),
    click.option("--diff", is_flag=True, help="Show what would be fixed; write nothing."),
    click.option("--fix-only", is_flag=True, help="Apply fixes; do not report what remains."),
    click.option("--ignore-noqa", is_flag=True, help="Ignore all suppression comments."),
    click.option(
        "--add-ignore",
        metavar="[=REASON]",
        default=None,
        callback=_one_line,
        help="Write a suppression comment for each finding, with a reason.",
    ),
    click.option(
        "--baseline",
        metavar="FILE",
        type=click.Path(),
        default=None,
        help="A file of known findings, which are not shown.",
    ),
    click.option("--write-baseline", is_flag=True, help="Put all present findings into the baseline."),
    click.option("--changed-only", is_flag=True, help="Check only files that differ from git's last commit."),
    click.option(
        "--base-ref", metavar="REF", default="", help="With --changed-only, which it implies: or from this branch."
    ),
    click.option(
        "--output-format",
        metavar="FORMAT",
        default=None,
        help=f"How findings are printed: {', '.join(OUTPUT_FORMATS)}.",
        shell_complete=complete_formats,
    ),
    click.option(
        "-o",
        "--output-file",
        metavar="FILE",
        default="",
        help="Write the findings to a file.",
        shell_complete=complete_paths,
    ),
    click.option("--preview/--no-preview", default=None, help="Also check and report what is of level info."),
    CONFIG_FLAG,
    ISOLATED_FLAG,
    *PACK_FLAGS,
    _codes("--select", "Rules to check, comma-separated."),
    _codes("--ignore", "Rules to leave out."),
    _codes("--extend-select", "Rules to add."),
    _files("--per-file-ignores", "Rules to leave out in some files."),
    _files("--extend-per-file-ignores", "The same, on top of the configuration's."),
    _codes("--fixable", "Rules whose fixes may be applied."),
    _codes("--unfixable", "Rules whose fixes may not be applied."),
    _codes("--extend-fixable", "Rules to add to those that may fix."),
    _codes("--extend-safe-fixes", "Rules whose unsafe fixes count as safe."),
    _codes("--extend-unsafe-fixes", "Rules whose safe fixes count as unsafe."),
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
    click.option("--show-settings", is_flag=True, help="Show the settings of the first of these files."),
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
        flags = Flags(cwd=working_folder(), **{name: values.pop(name) for name in list(values) if name in names})
        return function(CheckOptions(flags=flags, start_method=_start_method(), home=home_folder(), **values))

    gathered.__doc__ = function.__doc__
    for option in reversed(_CHECK):
        gathered = option(gathered)
    return gathered


def check_parameters(names: Iterable[str]) -> list[click.Parameter]:
    """Some flags of ``check``, by the names of their values, for commands that have them too."""

    def nothing() -> None:
        """Carries the parameters."""

    holder: Any = nothing
    for option in reversed(_CHECK):
        holder = option(holder)
    known: dict[str | None, click.Parameter] = {each.name: each for each in holder.__click_params__}
    return [known[name] for name in names]


def home_folder() -> str:
    """Where the user's own configuration is, as for ruff: in the folder that the system has for such files.

    "" where that is unknown, as in a container without HOME: a relative path would be one in the checked code.
    """
    given = os.environ.get("APPDATA" if os.name == "nt" else "XDG_CONFIG_HOME", "")
    folder = given if os.path.isabs(given) else os.path.expanduser("~" if os.name == "nt" else "~/.config")
    return os.path.join(folder, "mllint").replace(os.sep, "/") if os.path.isabs(folder) else ""


def working_folder() -> str:
    """The current folder, with forward slashes."""
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
