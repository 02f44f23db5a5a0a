"""What depends on a terminal: colours and the progress bar.

May not: know what is being checked.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TextIO

import click

from mllint.output.progress import frame

#: Runs shorter than this show no bar, and a bar is drawn at most this often (seconds).
_PATIENCE, _INTERVAL = 0.5, 0.1


def use_color(choice: str, stream: TextIO | None) -> bool:
    """``always``, ``never``, or what the stream and the environment (NO_COLOR, FORCE_COLOR) say."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal(stream)


def is_terminal(stream: TextIO | None) -> bool:
    """Does a person watch? A stream that was closed before the start is None."""
    return stream is not None and stream.isatty()


class Progress:
    """A bar on a terminal's standard error, none in a pipe, none when quiet."""

    def __init__(self, total: int, quiet: bool) -> None:
        self._total = total
        self._shown = not quiet and is_terminal(sys.stderr)
        self._started = self._last = time.monotonic()
        self._drawn = 0

    def tick(self, done: int) -> None:
        """Tell how many files are done."""
        now = time.monotonic()
        if not self._shown or now - self._started < _PATIENCE or now - self._last < _INTERVAL:
            return
        from shutil import get_terminal_size  # 2 ms to import, which short runs save

        self._last = now
        text = frame(done, self._total, get_terminal_size().columns - 1)
        click.echo("\r" + text, err=True, nl=False)
        self._drawn = max(self._drawn, len(text))

    def after(self, done: int) -> Callable[[int], None]:
        """A `tick` for one of several runs, ``done`` files being done before it."""
        return lambda more: self.tick(done + more)

    def clear(self) -> None:
        """Take the bar away, so that the findings start on a clean line."""
        if self._drawn:
            click.echo("\r" + " " * self._drawn + "\r", err=True, nl=False)
            self._drawn = 0
