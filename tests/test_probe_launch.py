"""What happens to the child process of a probe: it dies, hangs, floods its output, leaves workers behind.

May not: take seconds in which nothing is proved; each child imports torch.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mllint.probe.check import Check, all_checks
from mllint.probe.gather import Ending, merged, trace_of, with_skipped
from mllint.probe.launch import Plan, probe
from mllint.probe.target import target_of
from mllint.probe.trace import CheckRun, Failure, Trace

HEAD = """\
import os, sys, time
import torch

def stop():
    pass

calls = []

def loss(model, batch):
    calls.append(1)
    if len(calls) > AFTER:
        stop()
    return model(batch).square().mean()

def mllint_probe():
    return {"model": torch.nn.Linear(4, 1), "batches": [torch.randn(8, 4)], "loss": loss}
"""


def probed(
    tmp_path: Path, text: str, *, after: int = 0, timeout: float = 60.0, memory: int = 0, **rest: object
) -> Trace:
    """The trace of a file that begins like the others and goes on with ``text``; ``stop`` is called after some losses."""
    path = tmp_path / "target_file.py"
    path.write_text(HEAD.replace("AFTER", str(after)) + text)
    target = target_of(str(path), os.path.isfile, os.path.isdir)
    return probe(Plan(target, (), 8, 0, "cpu", timeout, memory))


def last_row(trace: Trace, tmp_path: Path) -> str:
    """The text of the user's line that was at work last."""
    assert trace.failure is not None and trace.failure.frames, trace.failure
    return (tmp_path / "target_file.py").read_text().splitlines()[trace.failure.frames[-1].row - 1].strip()


def test_a_crash_keeps_the_steps_before_it_and_names_the_line(tmp_path: Path) -> None:
    text = "def stop():\n    import ctypes\n    ctypes.string_at(0)\n"
    trace = probed(tmp_path, text, after=2)
    assert trace.failure is not None and trace.failure.kind == "died"
    assert "SIGSEGV" in trace.failure.message or os.name == "nt"
    assert trace.steps == 2 and len(trace.losses) == 2
    assert last_row(trace, tmp_path) == "ctypes.string_at(0)"
    assert {module.path for module in trace.modules} == {""}, "what was known before the crash is kept"


def test_a_hang_is_ended_in_time_with_the_line_at_work_and_its_workers(tmp_path: Path) -> None:
    text = (
        "import subprocess\n"
        f"worker = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(120)'])\n"
        f"open({str(tmp_path / 'worker')!r}, 'w').write(str(worker.pid))\n"
        "def stop():\n    while True:\n        time.sleep(60)\n"
    )
    began = time.monotonic()
    trace = probed(tmp_path, text, after=1, timeout=6)
    assert time.monotonic() - began < 9
    assert trace.failure is not None and trace.failure.kind == "timed out"
    assert trace.steps == 1
    assert last_row(trace, tmp_path) == "time.sleep(60)"
    assert gone(int((tmp_path / "worker").read_text()))


def gone(number: int) -> bool:
    """Has a process ended? (Its new parent may take a moment to notice.)"""
    for _ in range(100):
        try:
            os.kill(number, 0)
            state = Path(f"/proc/{number}/stat")
            if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_a_flood_of_output_and_an_exit_without_a_word(tmp_path: Path) -> None:
    text = (
        "def stop():\n"
        "    for _ in range(300):\n        os.write(1, b'\\xff\\x00\\x1b[31m' * 20_000)\n"
        "    print('the last words', flush=True)\n    assert sys.stdin.read() == ''\n    os._exit(7)\n"
    )
    trace = probed(tmp_path, text)
    assert trace.failure is not None and trace.failure.kind == "died"
    assert "exit code 7" in trace.failure.message and trace.steps == 0
    assert trace.failure.text.endswith("the last words") and len(trace.failure.text) <= 20_000


def test_a_target_that_interrupts_itself_and_a_limit_on_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    limited = "def stop():\n    global kept\n    kept = torch.ones(400_000_000)\n"
    if sys.platform == "linux":
        trace = probed(tmp_path, limited, after=1, memory=1_000_000_000)
        assert trace.failure is not None and "memory" in trace.failure.text and trace.steps == 1
    trace = probed(tmp_path, "def mllint_probe():\n    os.chdir('/')\n    raise KeyboardInterrupt\n")
    assert trace.failure is not None and trace.failure.kind == "raised" and "KeyboardInterrupt" in trace.failure.message
    assert last_row(trace, tmp_path) == "raise KeyboardInterrupt"
    assert trace.failure.frames[-1].path == "target_file.py", "whatever the current folder is by then"


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_ends_the_command_ends_the_child(tmp_path: Path, number: signal.Signals) -> None:
    """A CI job sends SIGTERM to the command alone; the child has a group of its own, so Ctrl-C does not reach it either."""
    path = tmp_path / "target_file.py"
    note = tmp_path / "child"
    path.write_text(f"import os, time\nopen({str(note)!r}, 'w').write(str(os.getpid()))\ntime.sleep(100)\n")
    command = [sys.executable, "-m", "mllint", "probe", "--isolated", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(400):
        if note.exists() and note.read_text():
            break
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(20) == 128 + number
    assert gone(int(note.read_text()))


# ---- what became of the parts, without a child

EARLY = [
    '["device", "cpu"]',
    '["found", {"what": "`mllint_probe`", "entry": {"path": "a.py", "row": 3, "function": ""}}]',
]
STARTED = [*EARLY, '["step", 0.5]', '["started", "first-loss"]']


def test_a_line_that_was_cut_off_is_left_out() -> None:
    trace = trace_of("a.py", [*STARTED, '["check", {"chec'], Ending("died", "it was killed (SIGSEGV)"))
    assert trace.steps == 1 and trace.entry is not None and trace.entry.row == 3
    assert trace.failure is not None and trace.failure.during == "first-loss"


def test_an_end_without_a_word_is_a_death() -> None:
    trace = trace_of("a.py", EARLY, Ending())
    assert trace.failure is not None and trace.failure.kind == "died"
    assert trace_of("a.py", [*EARLY, '["done", null]'], Ending()).failure is None


def test_only_a_time_out_of_the_rehearsal_counts_as_the_users() -> None:
    main = Trace(steps=3)
    late = Trace(failure=Failure("timed out", "it ran out of time", "host-syncs"))
    dead = trace_of("a.py", ['["started", "host-syncs"]'], Ending("died", "it was killed (SIGSEGV)"))
    assert merged(main, late).failure == late.failure
    assert merged(main, dead).failure is None
    assert [run.outcome for run in merged(main, dead).checks] == ["crashed"]


def test_every_check_that_was_asked_for_is_accounted_for() -> None:
    checks = [Check(stem, (), "", 1.0, int) for stem in ("one_thing", "another_thing")]
    trace = with_skipped(
        Trace(checks=(CheckRun("one-thing", "measured"),)), checks, dict.fromkeys(["one_thing", "another_thing"], "why")
    )
    assert {run.check: (run.outcome, run.reason) for run in trace.checks} == {
        "one-thing": ("measured", ""),
        "another-thing": ("skipped", "why"),
    }
    assert all_checks()
