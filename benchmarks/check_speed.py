"""Whole-process speed of ``mllint check`` beside its peers, in one run on one machine.

    python benchmarks/check_speed.py            # prints the table, medians of five
    python benchmarks/check_speed.py --record   # also writes benchmarks/check_speed.json

Fetches the pinned packages that the ecosystem test uses, and TorchFix into an environment of its own (it pins an
old LibCST). Runs of different commands alternate, so that a drifting machine hits all of them; ratios are what
counts, seconds are this machine's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "ecosystem"))

from fetch import STORE, fetch, packages  # noqa: E402

RUNS = 5
#: As installed tools run: with the bytecode of their modules kept between runs.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
TORCHFIX = "torchfix==0.7.0"
#: A real training script of 308 lines, in accelerate 1.15.0.
TRAINING_FILE = "accelerate/test_utils/scripts/external_deps/test_performance.py"


@dataclass(frozen=True)
class Case:
    """One command and what to do before each of its runs."""

    name: str
    command: Sequence[str]
    folder: Path
    before: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Figures:
    """Medians of wall seconds and of the peak memory of the largest process (MiB)."""

    seconds: float
    fastest: float
    slowest: float
    memory: float


def run_once(case: Case) -> tuple[float, float]:
    """Wall seconds and peak memory in MiB of one run. A tool that could not do its job stops the benchmark."""
    case.before()
    started = time.perf_counter()
    process = subprocess.Popen(
        case.command, cwd=case.folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):  # 1 is "findings" for all of them
        raise RuntimeError(f"{case.name}: exit code {process.returncode}\n{errors.decode()}")
    return seconds, usage.ru_maxrss / 1024


def measure(cases: Sequence[Case]) -> dict[str, Figures]:
    """Run the cases in turn, five times each after a warm-up."""
    rows: dict[str, list[tuple[float, float]]] = {case.name: [] for case in cases}
    for number in range(RUNS + 1):
        for case in cases:
            row = run_once(case)
            if number:
                rows[case.name].append(row)
    return {
        name: Figures(
            statistics.median(seconds for seconds, _ in runs),
            min(seconds for seconds, _ in runs),
            max(seconds for seconds, _ in runs),
            statistics.median(memory for _, memory in runs),
        )
        for name, runs in rows.items()
    }


def torchfix() -> str:
    """TorchFix in its own environment."""
    home = STORE / "torchfix"
    if not home.is_dir():
        venv.create(home, with_pip=True)
        subprocess.run([home / "bin" / "pip", "install", "-q", TORCHFIX], check=True)
    return str(home / "bin" / "torchfix")


def cases() -> list[Case]:
    """What is measured."""
    unpacked = {package.label: package for package in packages()}
    transformers = fetch(unpacked["transformers-5.23.0"])
    accelerate = fetch(unpacked["accelerate-1.15.0"])
    mllint = str(Path(sys.executable).parent / "mllint")
    ruff = str(Path(sys.executable).parent / "ruff")
    trivial = STORE / "trivial"
    trivial.mkdir(exist_ok=True)
    (trivial / "hello.py").write_text('print("hello")\n')
    for folder in (transformers, accelerate, trivial):
        (folder / "mllint.toml").write_text("")  # a project of its own, so that questions about it are asked too
    check = [mllint, "check", "--exit-zero", "-q"]
    lint = [ruff, "check", "--isolated", "--exit-zero", "-q"]

    def forget(folder: Path, name: str) -> Callable[[], None]:
        return lambda: shutil.rmtree(folder / name, ignore_errors=True)

    def nothing() -> None:
        pass

    return [
        Case("mllint cold, transformers", [*check, "."], transformers, forget(transformers, ".mllint_cache")),
        Case("mllint second run, transformers", [*check, "."], transformers, nothing),
        Case("ruff cold, transformers", [*lint, "."], transformers, forget(transformers, ".ruff_cache")),
        Case("ruff second run, transformers", [*lint, "."], transformers, nothing),
        Case("mllint cold, accelerate", [*check, "."], accelerate, forget(accelerate, ".mllint_cache")),
        Case("TorchFix, accelerate", [torchfix(), "--select", "ALL", "."], accelerate, nothing),
        Case("mllint --version", [mllint, "--version"], trivial, nothing),
        Case("mllint, one non-candidate file", [*check, "--no-cache", "hello.py"], trivial, nothing),
        Case("mllint, one 308-line training file", [*check, "--no-cache", TRAINING_FILE], accelerate, nothing),
    ]


def ratios(figures: dict[str, Figures]) -> dict[str, float]:
    """The comparisons that the README quotes."""

    def seconds(name: str) -> float:
        return figures[name].seconds

    return {
        "mllint cold / ruff cold, transformers": seconds("mllint cold, transformers")
        / seconds("ruff cold, transformers"),
        "mllint second run / ruff second run, transformers": seconds("mllint second run, transformers")
        / seconds("ruff second run, transformers"),
        "TorchFix / mllint cold, accelerate": seconds("TorchFix, accelerate") / seconds("mllint cold, accelerate"),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write the figures to benchmarks/check_speed.json")
    options = parser.parse_args()
    figures = measure(cases())
    print(f"Python {platform.python_version()}, {len(os.sched_getaffinity(0))} cores, medians of {RUNS} runs")
    print(f"{'':<42}{'seconds':>9}{'min':>8}{'max':>8}{'MiB':>8}")
    for name, row in figures.items():
        print(f"{name:<42}{row.seconds:>9.3f}{row.fastest:>8.3f}{row.slowest:>8.3f}{row.memory:>8.0f}")
    for name, ratio in ratios(figures).items():
        print(f"{name:<52}{ratio:>7.1f}")
    if options.record:
        plain = {name: vars(row) for name, row in figures.items()}
        record = {"python": platform.python_version(), "runs": RUNS, "figures": plain, "ratios": ratios(figures)}
        (ROOT / "benchmarks" / "check_speed.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
