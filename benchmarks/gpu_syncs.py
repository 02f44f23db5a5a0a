"""Replay the table of host syncs on a GPU: where is it wrong?

    python benchmarks/gpu_syncs.py

Runs the 81 constructs of fixtures/sync_table/ under torch's sync debug mode and the profiler, prints where they disagree with
the table, and writes benchmarks/gpu_syncs.json with device, driver and versions. Exit code 0: they agree, 1: they do not,
2: there is no GPU here.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TABLE = HERE.parent / "fixtures" / "sync_table" / "constructs.py"
RESULT = HERE / "gpu_syncs.json"

#: Calls of the CUDA runtime that make the host wait, in the profiler.
_WAITING = ("cudaStreamSynchronize", "cudaEventSynchronize", "cudaDeviceSynchronize", "cudaMemcpy")


def main() -> int:
    try:
        import torch
    except ImportError:
        print("gpu_syncs: torch is not installed here", file=sys.stderr)
        return 2
    if not torch.cuda.is_available():
        print("gpu_syncs: torch sees no GPU here, so nothing was replayed and nothing written", file=sys.stderr)
        return 2
    rows = [_replayed(torch, construct, things) for construct, things in _constructs()]
    wrong = [row for row in rows if row["observed"] != row["expected"]]
    for row in wrong:
        print(
            f"{row['name']}: the table says {row['expected']}, observed {row['observed']} ({row['error'] or row['evidence']})"
        )
    found = {"environment": _environment(torch), "constructs": rows, "disagreements": [row["name"] for row in wrong]}
    RESULT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(f"{len(rows) - len(wrong)} of {len(rows)} agree on {found['environment']['gpu']}; see {RESULT.name}")
    return 1 if wrong else 0


def _constructs() -> list[tuple[Any, Any]]:
    spec = importlib.util.spec_from_file_location("sync_table_constructs", TABLE)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [(construct, module.things) for construct in module.CONSTRUCTS]


def _replayed(torch: Any, construct: Any, things: Callable[[str], Any]) -> dict[str, Any]:
    """One construct, once to warm up, once under the debug mode, once under the profiler: any of these may see it wait."""
    from mllint.probe.recording.gpu_syncs import waits_of

    row = {"name": construct.name, "expected": construct.waits, "why": construct.why, "error": ""}
    evidence: dict[str, Any] = {}
    try:
        given = things("cuda")
        construct.run(given)
        torch.cuda.synchronize()
        evidence["watched"] = waits_of(lambda: construct.run(given))
        torch.cuda.synchronize()
        evidence["profiled"] = _profiled(torch, lambda: construct.run(given))
    except Exception as error:  # noqa: BLE001  # whatever one construct does, the others are replayed
        return {**row, "observed": None, "evidence": evidence, "error": f"{type(error).__name__}: {error}"}
    return {**row, "observed": bool(evidence["watched"] or evidence["profiled"]), "evidence": evidence}


def _profiled(torch: Any, call: Callable[[], Any]) -> dict[str, int]:
    """How often the runtime waited inside ``call``; the profiler's own wait at its end is behind a marker."""
    from torch.profiler import ProfilerActivity, profile, record_function

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler, record_function("construct"):
        call()
    events = profiler.events()
    spans = [event.time_range for event in events if event.name == "construct"]
    inside = [
        event.name
        for event in events
        if event.name in _WAITING and any(s.start <= event.time_range.start <= s.end for s in spans)
    ]
    return {name: inside.count(name) for name in sorted(set(inside))}


def _environment(torch: Any) -> dict[str, str]:
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        driver = "unknown"
    return {
        "gpu": torch.cuda.get_device_name(),
        "driver": driver.partition("\n")[0],
        "cuda": str(torch.version.cuda),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    sys.exit(main())
