"""Start the child processes of a probe, end them in time with everything that they started, read what they wrote.

May not: import torch or the user's code.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import IO, Any

from mllint.probe.check import Check
from mllint.probe.gather import Ending, merged, trace_of, with_skipped
from mllint.probe.request import Request
from mllint.probe.site import Site
from mllint.probe.target import Target
from mllint.probe.trace import Trace

#: Bytes of the target's output that are kept, and lines of it that are shown when the child dies.
_KEPT, _SHOWN = 20_000, 8
_OURS = str(Path(__file__).resolve().parents[1])
_ROOT = str(Path(_OURS).parent)
_STANDARD = os.path.realpath(sysconfig.get_path("stdlib"))

# The current folder stays off the path until torch is imported: a `queue.py` in it is not the one that torch means.
_START = (
    "import sys; sys.path[:] = [sys.argv[2], *filter(None, sys.path)]; "
    "from mllint.probe.recording.child import main; del sys.path[0]; main()"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to probe and how long it may take. ``device`` is "auto", "cpu", "cuda" or "rehearse"; ``memory`` is in bytes, 0
    for no limit of its own; ``echo`` hears what the target prints."""

    target: Target
    checks: tuple[Check, ...]
    steps: int
    seed: int
    device: str
    timeout: float
    memory: int = 0
    echo: Callable[[bytes], None] | None = None


def probe(plan: Plan) -> Trace:
    """Run the target in one child, and in a second one what needs the virtual device. Whatever happens to them, this
    returns within the time limit with what was measured."""
    until = time.time() + plan.timeout
    main = _child(plan, "cpu" if plan.device == "rehearse" else plan.device, until)
    device = main.device.partition(":")[0]
    rehearsed = [check for check in plan.checks if "rehearse" in check.devices and device not in check.devices]
    reasons = {check.stem: _why_skipped(check, device, main) for check in plan.checks}
    if rehearsed and main.steps and (plan.device == "rehearse" or (plan.device == "auto" and device == "cpu")):
        rehearsal = _child(replace(plan, checks=tuple(rehearsed)), "rehearse", until)
        main = merged(main, rehearsal)
        reasons |= {check.stem: _why_not_rehearsed(rehearsal) for check in rehearsed}
    return with_skipped(main, plan.checks, reasons)


def _why_skipped(check: Check, device: str, trace: Trace) -> str:
    if device in check.devices:
        if trace.failure is None:
            return "it was not begun"
        return "the run ended before it" if trace.steps else "no first step was completed"
    if check.devices == ("cuda",):
        return "it needs a GPU"
    if device == "cpu" and "rehearse" in check.devices:
        return "it needs the rehearsal (`--device rehearse`)"
    return f"it cannot be made on {device}"


def _why_not_rehearsed(rehearsal: Trace) -> str:
    failed = rehearsal.failure
    return f"the rehearsal failed: {failed.message}" if failed else "the rehearsal ended before it"


# ---- one child


def _child(plan: Plan, device: str, until: float) -> Trace:
    with tempfile.TemporaryDirectory(prefix="mllint-", ignore_cleanup_errors=True) as folder:
        request = Request(
            target=plan.target,
            checks=tuple(check.stem for check in plan.checks),
            steps=plan.steps,
            seed=plan.seed,
            device=device,
            until=until,
            parts=str(Path(folder, "parts")),
            crash=str(Path(folder, "crash")),
            memory=plan.memory,
        )
        asked = Path(folder, "request")
        asked.write_text(request.to_json(), "utf-8")
        code, printed = _run(str(asked), until, plan.echo)
        ending = _ending(code, _text(request.crash), printed)
        # Not `splitlines`: a name may hold any of the characters that it takes for the end of a line.
        return trace_of(str(plan.target), _text(request.parts).split("\n")[:-1], ending)


def _run(request: str, until: float, echo: Callable[[bytes], None] | None) -> tuple[int | None, str]:
    """The child's exit code, None where its time was up, and the end of what it printed."""
    more: dict[str, Any] = {"start_new_session": True}
    if os.name == "nt":
        more = {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    with _ending_as_interrupt():
        process = subprocess.Popen(
            [sys.executable, "-c", _START, request, _ROOT],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **more,
        )
        kept = bytearray()
        assert process.stdout is not None
        reader = threading.Thread(target=_drain, args=(process.stdout, kept, echo), daemon=True)
        reader.start()
        code: int | None = None
        try:
            code = process.wait(max(0.0, until - time.time()))
        except subprocess.TimeoutExpired:
            pass
        finally:
            _end(process)
    reader.join(1.0)
    return code, bytes(kept).decode("utf-8", "replace")


def _drain(stream: IO[bytes], kept: bytearray, echo: Callable[[bytes], None] | None) -> None:
    """Read what the target prints, however much that is, and keep the end of it."""
    while chunk := os.read(stream.fileno(), 1 << 16):
        kept += chunk
        del kept[:-_KEPT]
        if echo is not None:
            echo(chunk)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the child and everything that it started: DataLoader workers would outlive it."""
    if os.name == "nt":
        if process.poll() is None:
            tree = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
            subprocess.run(tree, capture_output=True, check=False)
    else:
        with suppress(ProcessLookupError, PermissionError):  # nobody is left (macOS says it the second way)
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


@contextmanager
def _ending_as_interrupt() -> Iterator[None]:
    """A request to end this process, as a CI job sends it, ends the child as well."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ---- how it ended


def _ending(code: int | None, crash: str, printed: str) -> Ending:
    """How the child ended, from its exit code and the lines that were at work."""
    frames = _frames(crash)
    last = "\n".join(printed.strip("\n").split("\n")[-_SHOWN:])
    if code is None or crash.startswith("Timeout ("):
        return Ending("timed out", "it ran out of time", frames, last)
    if code < 0:
        return Ending("died", _signal(-code), frames, last)
    if code:
        return Ending("died", f"it left with exit code {code}", frames, last)
    return Ending("done", "it left early, without an error", frames, last)


def _signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if name == "SIGKILL":
        return "it was killed (SIGKILL), most likely because memory ran out"
    return (
        f"it was killed ({name}{f': {signal.strsignal(number)}' if signal.strsignal(number) else ''})".lower().replace(
            name.lower(), name
        )
    )


_FRAME = re.compile(r'^  File "(.+)", line (\d+) in (.+)$', re.MULTILINE)


def _frames(crash: str) -> tuple[Site, ...]:
    """The user's own lines in what the fault handler wrote, the innermost last. Of several threads the one counts that runs
    the target."""
    for block in re.split(r"\n(?=Thread |Current thread )", crash):
        found = _FRAME.findall(block)
        if any(path.startswith(_OURS) for path, _, _ in found):
            named = [(path, int(row), "" if name == "<module>" else name) for path, row, name in found]
            return tuple(Site(_shown(path), row, name) for path, row, name in reversed(named) if _theirs(path))
    return ()


def _theirs(path: str) -> bool:
    real = os.path.realpath(path)
    foreign = (_OURS, _STANDARD, *{sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    return not path.startswith("<") and not any(real.startswith(folder + os.sep) for folder in foreign)


def _shown(path: str) -> str:
    """As the trace names files: below the current folder relative."""
    here = os.getcwd().rstrip(os.sep) + os.sep
    return (path[len(here) :] if path.startswith(here) else path).replace(os.sep, "/")


def _text(path: str) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:  # the child died before it wrote anything
        return ""
