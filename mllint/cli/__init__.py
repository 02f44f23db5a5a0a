"""The command line: the only printer, the only exit codes.

May not: hold logic that a test without a terminal would want. Commands are imported when they are called.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys

import click

from mllint import __version__

#: Each command and the module that holds it; imported on first use, so ``check`` pays for ``check`` alone.
_COMMANDS = {
    "check": "mllint.cli.check",
    "probe": "mllint.cli.probe",
    "rule": "mllint.cli.about",
    "linter": "mllint.cli.about",
    "clean": "mllint.cli.about",
    "version": "mllint.cli.about",
    "new-rule": "mllint.cli.new_rule",
    "test-rules": "mllint.cli.test_rules",
    "config": "mllint.cli.config",
    "completion": "mllint.cli.completion",
    "generate-shell-completion": "mllint.cli.completion",
}


class _LateGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = getattr(importlib.import_module(module), cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Arguments, also those in files: ``@file`` stands for its lines, as in ruff and as lintrunner hands over paths."""
        return super().parse_args(ctx, [line for word in args for line in _spelled_out(word)])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; where that is cut short from outside, say so in a line."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
                stream.reconfigure(errors="backslashreplace")  # a name or a source line that it cannot encode
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
            # As ruff does: JSON has to be UTF-8, and a pipe on Windows would have a code page.
            sys.stdout.reconfigure(encoding="utf-8")
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nInterrupted", err=True)
            ctx.exit(130)
        except OSError as error:
            if error.errno == errno.EPIPE:  # click's affair: whoever reads has enough
                raise
            name = f"{error.filename}: " if error.filename else ""
            click.echo(f"error: {name}{(error.strerror or str(error)).lower()}", err=True)
            ctx.exit(2)


def _spelled_out(word: str) -> list[str]:
    """The word itself; for ``@file`` the lines of that file, each an argument. Raises UsageError.

    What exists under the whole word is meant itself: pre-commit hands over names such as ``@types/a.py``.
    """
    if not word.startswith("@") or word == "@" or os.path.lexists(word):
        return [word]
    try:
        with open(word[1:], encoding="utf-8") as file:
            return [line for line in file.read().split("\n") if line]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise click.UsageError(f"{word}: the arguments in this file cannot be read: {reason}") from error


@click.group(cls=_LateGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="mllint", message="%(prog)s %(version)s")
def main() -> None:
    """Find the silent bugs of machine-learning training code before the GPU does."""
