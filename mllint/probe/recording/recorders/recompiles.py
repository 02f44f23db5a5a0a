"""What torch.compile compiles again at shapes that it has seen, and where it breaks the graph.

May not: run the user's compiler backend; what is compiled again, and why, is decided before it.
"""

from __future__ import annotations

import os
import re

from mllint.probe.measured.recompiles import GraphBreak, Recompile, Recompiles
from mllint.probe.recording.compiling import Listener, frames_compiled, listening
from mllint.probe.recording.frames import nearness, shown
from mllint.probe.recording.run import Run, first_line
from mllint.probe.recording.skip import Skip
from mllint.probe.recording.usercode import RAISED
from mllint.probe.site import Site

#: Steps on different batches first: shapes seen for the first time are compiled, and so are those made dynamic.
_WARM = 3
_STEPS = 3

_FUNCTION = re.compile(r"Recompiling function (\S+) in (.+):(\d+)\n")
_GUARD = re.compile(r"^\s*- (?:\d+/\d+: )?(.+?)(?:\s+# .*)?$", re.MULTILINE)
_LINE = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')
_TAIL = re.compile(r"# (\S+\.py):(\d+) in (\S+)")
_PLACE = re.compile(r"user code at (.+?):(\d+)\n")
_RESUMED = re.compile(r"^torch_dynamo_resume_in_(.+)_at_\d+$")
_WANTED = re.compile(r"graph_break\(|disable|backward\(|Tensor\.backward|skip_frame|\bset_stance\b", re.IGNORECASE)


def record(run: Run) -> Recompiles:
    """Raises Skip where nothing is compiled."""
    if not frames_compiled():
        raise Skip("nothing is compiled with torch.compile")
    with listening() as listener:
        _steps(run, listener)
    recompiles = [_recompile(text, step) for artifact, step, text in listener.heard if artifact == "recompiles"]
    breaks: dict[Site | None, GraphBreak] = {}
    for artifact, _, text in listener.heard:
        if artifact == "graph_breaks":
            found = _break(text)
            breaks.setdefault(found.site, found)  # one for each line, the first reason
    return Recompiles(_WARM, _STEPS, tuple(each for each in recompiles if each.step > _WARM), tuple(breaks.values()))


def _steps(run: Run, listener: Listener) -> None:
    before = frames_compiled()
    for number in range(_WARM + _STEPS):
        listener.step = number + 1
        try:
            run.step(number % _WARM)
        except RAISED as error:  # dynamo's own are runtime errors
            raise Skip(f"the step does not run with its graphs as traced: {first_line(error)}") from error
        if frames_compiled() == before:
            raise Skip("nothing is compiled with torch.compile")


def _recompile(text: str, step: int) -> Recompile:
    found = _FUNCTION.search(text)
    name, path, row = found.groups() if found else ("", "", "1")
    name = _original(name)
    guard = _GUARD.search(text)
    return Recompile(name, step, _short(guard.group(1) if guard else ""), _guarded(text, name, path, int(row)))


def _guarded(text: str, name: str, path: str, row: int) -> Site | None:
    """The line that a guard came from, where it is the user's; else the function's own first line."""
    for line in _LINE.finditer(text):
        if nearness(line.group(1)) == 2:
            return Site(shown(line.group(1)), int(line.group(2)), _original(line.group(3)))
    tail = _TAIL.search(text)
    if tail and path.endswith(tail.group(1).lstrip(".")):  # torch cuts long paths from the left
        return Site(shown(path), int(tail.group(2)), _original(tail.group(3)))
    return Site(shown(path), row, name) if path and os.path.isabs(path) else None


def _break(text: str) -> GraphBreak:
    lines = [(path, int(row), name) for path, row, name in _LINE.findall(text)]
    place = _PLACE.search(text + "\n")
    if place:
        innermost = (
            place.group(1),
            int(place.group(2)),
            next((n for p, r, n in lines if r == int(place.group(2))), ""),
        )
    else:
        innermost = lines[-1] if lines else ("", 0, "")
    own = nearness(innermost[0]) == 2 if innermost[0] else False
    path, row, name = (
        innermost if own else next((each for each in reversed(lines) if nearness(each[0]) == 2), innermost)
    )
    site = Site(shown(path), row, _original(name)) if path else None
    return GraphBreak(_reason(text), site, own, bool(_WANTED.search(text.partition("User code traceback")[0])))


def _reason(text: str) -> str:
    """Why, in one line: torch's own words, without the sentence that says that there was a break."""
    body = text.partition("Reason:")[2] or text.partition("Graph break:")[2]
    for line in body.splitlines():
        line = line.strip()
        if line.startswith(("from user code", "User code traceback", "File ")):
            break
        if line and not line.startswith("Encountered graph break"):
            return _short(line)
    return ""


def _original(name: str) -> str:
    """A function's name where dynamo resumed it after a break."""
    found = _RESUMED.match(name)
    return _original(found.group(1)) if found else name


def _short(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()[:120]
