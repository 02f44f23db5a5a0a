"""A progress bar as text.

May not: print, keep state, or know the time.
"""

from __future__ import annotations

#: A bar shorter than this says nothing and is left out.
_SHORTEST = 5


def frame(done: int, total: int, width: int) -> str:
    """``Checking 120/480 [#####---------------]  25%`` in at most ``width`` columns; "" where even the count is wider.

    All frames of the same ``total`` and ``width`` are equally long, so that each covers the one before it.
    """
    total = max(total, 0)
    done = min(max(done, 0), total)
    share = done / total if total else 1.0
    digits = len(str(total))
    count = f"Checking {done:>{digits}}/{total}"
    percent = f"{int(share * 100):>3}%"
    room = min(width - len(count) - len(percent) - 4, 40)
    if room >= _SHORTEST:
        filled = int(share * room)
        return f"{count} [{'#' * filled}{'-' * (room - filled)}] {percent}"
    return count if len(count) <= width else ""
