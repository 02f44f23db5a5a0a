"""The user's functions that one plain step enters.

May not: see what runs in threads that torch starts itself (the backward pass of a GPU).
"""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Any

from mllint.probe.measured.code_reached import CodeReached
from mllint.probe.recording.frames import nearness, shown
from mllint.probe.recording.run import Run
from mllint.probe.site import Site


def record(run: Run) -> CodeReached:
    """Raises what the step raises."""
    seen: dict[CodeType, None] = {}

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code not in seen:
            seen[frame.f_code] = None

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        run.step(0)
    finally:
        sys.setprofile(before)
    return CodeReached(
        tuple(
            Site(shown(code.co_filename), code.co_firstlineno, code.co_name)
            for code in seen
            if nearness(code.co_filename) == 2 and code.co_name.isidentifier()
        )
    )
