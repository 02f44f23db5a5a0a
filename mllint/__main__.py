"""``python -m mllint`` and the console script.

May not: import anything heavy before it knows that it has to.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line. ``--version`` alone answers before click is imported (0.03 s of 0.05)."""
    if sys.argv[1:] in (["--version"], ["-V"], ["version"]):
        from mllint import __version__

        print(f"mllint {__version__}")
        return
    from mllint.cli import main as command_line

    command_line(prog_name="mllint")


def _forget_current_folder() -> None:
    """Python puts the current folder first, and what is checked there must not be what is imported: its `click.py`.

    In mllint's own checkout it stays: the workers find mllint by it.
    """
    try:
        here = os.getcwd()
    except FileNotFoundError:  # it was removed: the command line says so
        return
    if sys.path[:1] == [here] and os.path.dirname(os.path.dirname(os.path.abspath(__file__))) != here:
        del sys.path[0]


if __name__ == "__main__":
    _forget_current_folder()
    main()
