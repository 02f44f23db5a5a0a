"""The child process: limits first, then the user's code, everything that is learnt written out at once.

A death of this process loses only the check that was at work. May not: import torch before the limits stand, or let
anything that the user's code raises go unsaid.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
import traceback
from typing import Any

from mllint.probe.codec import encoded
from mllint.probe.request import Request
from mllint.probe.target import TargetError
from mllint.probe.trace import Failure

#: Before its time is up, a child notes where it is at work (seconds).
_LAST_WORDS = 0.4


def main() -> None:
    """``argv[1]`` is the file with the request."""
    with open(sys.argv[1], encoding="utf-8") as file:
        request = Request.from_json(file.read())
    crash = open(request.crash, "w", encoding="utf-8")  # noqa: SIM115  # open as long as the process lives
    faulthandler.enable(crash, all_threads=False)
    left = max(0.1, request.until - time.time() - _LAST_WORDS)
    # Ends this process even where nobody else does any more: the command may have been killed.
    faulthandler.dump_traceback_later(left, file=crash, exit=True)
    parts = os.open(request.parts, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def tell(kind: str, part: Any) -> None:
        os.write(parts, (json.dumps([kind, encoded(part)]) + "\n").encode())

    try:
        _limit(request.memory)
        from mllint.probe.recording.work import work

        work(request, tell)
    except TargetError as error:
        tell("failure", Failure("raised", str(error)))
    except BaseException as error:  # noqa: BLE001  # the user's code, which may also exit or interrupt itself
        tell("failure", _failure(error))
    tell("done", None)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)  # no exit handlers, no waiting for threads of the user's: the command ends what is left of the group


def _failure(error: BaseException) -> Failure:
    try:
        from mllint.probe.recording.session import failure_of
    except ImportError:  # torch itself cannot be imported
        text = "".join(traceback.format_exception_only(type(error), error)).strip()
        return Failure("raised", text.partition("\n")[0], text=text)
    return failure_of(error)


def _limit(memory: int) -> None:
    """A limit on what this process may allocate, where the system has such limits."""
    if not memory:
        return
    try:
        import resource
    except ImportError:  # Windows
        return
    # Data, not address space, on Linux: torch reserves far more addresses than it uses.
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    resource.setrlimit(kind, (memory, resource.getrlimit(kind)[1]))
