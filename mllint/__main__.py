"""``python -m mllint`` and the console script.

May not: import anything heavy before it knows that it has to.
"""

from __future__ import annotations

import gc
import os
import sys

#: How many objects more than it frees a check makes before cycles are looked for: it leaves few, and going over the trees
#: of a small run takes 25 ms.
_RARELY = 1_000_000


def main() -> None:
    """Run the command line. ``--version`` alone answers before click is imported (0.03 s of 0.05)."""
    if sys.argv[1:] in (["--version"], ["-V"], ["version"]):
        from mllint import __version__

        print(f"mllint {__version__}")
        return
    if sys.argv[1:2] == ["check"]:
        gc.set_threshold(_RARELY)
    from mllint.cli import main as command_line

    try:
        command_line(prog_name="mllint")
    except SystemExit as end:
        if sys.argv[1:2] == ["check"] and type(end.code) is int and sys.gettrace() is sys.getprofile() is None:
            _end_at_once(end.code)
        raise


def _end_at_once(code: int) -> None:
    """End without freeing what the system frees at once: trees and modules, 20 ms of a small run. Where something cannot
    be written any more, Python ends as usual and says so."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return
    os._exit(code)


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
