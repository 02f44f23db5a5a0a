"""``mllint probe`` beside the other checkers of PyTorch models, on the same models.

    python benchmarks/probe_peers.py [NAME…]     # prints the table
    python benchmarks/probe_peers.py --record    # also writes benchmarks/probe_peers.json

Needs torch, and the peers installed beside it (pip install torchtest2 pytest-torch torch-audit neural-net-checklist); a
missing one is said. The models are the targets in fixtures/*/model_bad*.py and model_good*.py of the gradient family, and
those of fixtures/later_models, which were written after the thresholds were set (see its README). Each tool gets each model
anew, in a process of its own and with a time limit, and all that it asks for: model, loss, optimizer, batches.

What counts, for every tool alike: a faulty model is *found* when the tool says that something is wrong, whatever it says;
a benign one is *falsely flagged* when it does. Saying is what makes the tool's own verdict a failure: for mllint an error
or a warning, for torchtest2 a FAIL, for pytest-torch a failed assertion, for torch-audit a finding at its default fail
level (error), for neural-net-checklist a failed assertion. Two peers have checks that train until the loss has fallen by
so much; a second row leaves those out. Seconds are medians over the models that a tool applies to, imports left out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import re
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peer_checks import PEERS, NotApplicable

from mllint.authoring import runtime
from mllint.checking.packs import builtin_rules

ROOT = Path(__file__).resolve().parent.parent
RECORD = Path(__file__).with_suffix(".json")
GRADIENTS = ("ML202", "ML204", "ML205", "ML215", "ML217")
LATER = "later_models"
#: Seconds that one tool gets for one model; all of these models train in milliseconds a step.
LIMIT = 30.0
_MARK = re.compile(r"# (ML\d{3})\b")
#: What a tool may die of on a model: that is its result, and the next model is tried.
DEATHS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
#: The checks of the peers that train on one batch; small batches and few steps make them fail on sound models too.
LEARNING = ("loss decreases:", "overfits one batch:", "overfit_batch:")
Tool = Callable[[Callable[[], Any], Path, str], list[str]]


@dataclass(frozen=True)
class Model:
    """One target: ``code`` is what a person would say of a faulty one (of a benign one: "")."""

    path: str
    name: str
    code: str
    column: str

    def __str__(self) -> str:
        return f"{self.path}:{self.name}"


@dataclass(frozen=True)
class Verdict:
    """What a tool says of a model. ``outcome``: "says" (something is wrong), "silent", "does not apply", "unfinished"
    (the time limit), "failed" (the tool itself)."""

    outcome: str
    reasons: list[str]
    seconds: float


def models() -> list[Model]:
    """Every model, with the column of the table that it belongs to."""
    found = []
    for path in sorted((ROOT / "fixtures").glob("*/model_*.py")):
        code, faulty = path.parent.name[:5].upper(), path.name.startswith("model_bad")
        if code not in GRADIENTS and path.parent.name != LATER:
            continue
        names = runtime.targets_in(path)
        codes = _MARK.findall(path.read_text("utf-8")) if path.parent.name == LATER and faulty else [code] * len(names)
        for name, marked in zip(names, codes, strict=True):
            told = marked if faulty else ""
            found.append(Model(str(path.relative_to(ROOT)), name, told, _column(path, told)))
    return found


def _column(path: Path, code: str) -> str:
    if path.parent.name != LATER:
        return "known"
    return "unseen" if not code or code in GRADIENTS else "unseen, other families"


def mllint(load: Callable[[], Any], path: Path, name: str) -> list[str]:
    """Every default check, in this process; the syncs in rehearsal."""
    del load
    trace = runtime.trace_of(path, name, runtime.SLOW)
    found = runtime.findings_in(trace, runtime.runtime_rules(builtin_rules()), {})
    return [f"{one.code} {one.begin.row} {one.message}" for one in found]


class Worker:
    """A tool in a process of its own, which is begun anew after a death or a time-out."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self.process: multiprocessing.process.BaseProcess | None = None
        self.pipe: Any = None

    def judge(self, model: Model) -> Verdict:
        """What the tool says of a model. Seconds count from a warm process: imports are not the tool's work."""
        if self.process is None:
            self._begin()
        self.pipe.send(model)
        try:
            if self.pipe.poll(LIMIT):
                return Verdict(*self.pipe.recv())
            outcome, reasons = "unfinished", []
        except EOFError:
            outcome, reasons = "failed", ["the process died"]
        self.end()
        return Verdict(outcome, reasons, LIMIT)

    def _begin(self) -> None:
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(self.tool, theirs))
        self.process.start()
        theirs.close()
        self.pipe.send(Model(str(Path(__file__).relative_to(ROOT)), "mllint_probe_warm_up", "", ""))
        self.pipe.recv()

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()
        self.process = None


def _serve(tool: Tool, pipe: Any) -> None:
    warnings.simplefilter("ignore")
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        while True:
            model: Model = pipe.recv()
            started = time.perf_counter()
            outcome, reasons = _said(tool, model)
            pipe.send((outcome, [reason[:200] for reason in reasons], round(time.perf_counter() - started, 3)))


def _said(tool: Tool, model: Model) -> tuple[str, list[str]]:
    path = ROOT / model.path
    try:
        reasons = tool(_loader(path, model.name), path, model.name)
    except NotApplicable as error:
        return "does not apply", [str(error)]
    except DEATHS as error:
        return "failed", [f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"]
    return ("says", reasons) if reasons else ("silent", [])


def mllint_probe_warm_up() -> dict[str, Any]:
    """The model that a tool sees first."""
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    batches = [(torch.randn(6, 6), torch.randint(3, (6,))) for _ in range(4)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    return {
        "model": model,
        "batches": batches,
        "loss": lambda model, batch: torch.nn.functional.cross_entropy(model(batch[0]), batch[1]),
        "optimizer": optimizer,
    }


def _loader(path: Path, name: str) -> Callable[[], Any]:
    """Builds the target anew, from a file that is run anew."""

    def load() -> Any:
        torch.manual_seed(0)
        spec = importlib.util.spec_from_file_location(f"compared_{path.parent.name}_{path.stem}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module.__name__] = module
        spec.loader.exec_module(module)
        return getattr(module, name)()

    return load


def without_learning(rows: dict[Model, Verdict]) -> dict[Model, Verdict]:
    """The same, had the user left out the checks that train until the loss falls by so much."""
    kept = {}
    for model, seen in rows.items():
        reasons = [why for why in seen.reasons if not why.startswith(LEARNING)]
        silent = seen.outcome == "says" and not reasons
        kept[model] = replace(seen, outcome="silent" if silent else seen.outcome, reasons=reasons)
    return kept


def table(verdicts: dict[str, dict[Model, Verdict]]) -> Iterable[str]:
    """One line a tool and column: found, falsely flagged, and what it could not judge."""
    head = f"{'':<28}{'models':<24}{'found':>9}{'falsely flagged':>17}{'not applicable':>16}{'unfinished':>12}"
    yield head + f"{'failed':>8}{'seconds':>9}"
    for tool, rows in verdicts.items():
        for column in dict.fromkeys(model.column for model in rows):
            row = figures({model: seen for model, seen in rows.items() if model.column == column})
            yield (
                f"{tool:<28}{column:<24}{row['found']:>4}/{row['faulty']:<4}{row['flagged']:>12}/{row['benign']:<4}"
                f"{row['does not apply']:>16}{row['unfinished']:>12}{row['failed']:>8}{row['seconds']:>9.2f}"
            )


def figures(rows: dict[Model, Verdict]) -> dict[str, Any]:
    """The counts of one column; seconds are the median over the models that the tool applies to."""
    faulty = [model for model in rows if model.code]
    benign = [model for model in rows if not model.code]
    count = [seen.outcome for seen in rows.values()]
    used = [seen.seconds for seen in rows.values() if seen.outcome != "does not apply"]
    return {
        "faulty": len(faulty),
        "found": sum(rows[model].outcome == "says" for model in faulty),
        "right code": sum(any(why.startswith(model.code) for why in rows[model].reasons) for model in faulty),
        "benign": len(benign),
        "flagged": sum(rows[model].outcome == "says" for model in benign),
        **{name: count.count(name) for name in ("does not apply", "unfinished", "failed")},
        "seconds": round(statistics.median(used or [0.0]), 2),
    }


def main() -> None:
    """Run every tool on every model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only models whose path or name contains one of these")
    parser.add_argument("--tool", action="append", help="only this tool")
    parser.add_argument("--record", action="store_true", help="write the figures to benchmarks/probe_peers.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    chosen = [one for one in models() if not options.names or any(part in str(one) for part in options.names)]
    tools, versions = {"mllint": mllint}, {"mllint": importlib.metadata.version("mllint-train")}
    for name, tool in PEERS.items():
        try:
            versions[name] = importlib.metadata.version(name)
            tools[name] = tool
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed: not compared"
            print(f"{name} is not installed, and not compared", file=sys.stderr)
    verdicts: dict[str, dict[Model, Verdict]] = {}
    for name, tool in tools.items():
        if options.tool and name not in options.tool:
            continue
        worker, verdicts[name] = Worker(tool), {}
        for model in chosen:
            verdicts[name][model] = seen = worker.judge(model)
            if options.names:
                print(name, model, seen.outcome, seen.seconds, *seen.reasons, sep="\n    ")
        worker.end()
        if any(why.startswith(LEARNING) for seen in verdicts[name].values() for why in seen.reasons):
            verdicts[f"{name}, no training"] = without_learning(verdicts[name])
    print("\n".join(table(verdicts)))
    if options.record:
        RECORD.write_text(json.dumps(_plain(verdicts, versions), indent=2) + "\n", "utf-8")


def _plain(verdicts: dict[str, dict[Model, Verdict]], versions: dict[str, str]) -> dict[str, Any]:
    columns = {
        tool: {
            column: figures({model: seen for model, seen in rows.items() if model.column == column})
            for column in dict.fromkeys(model.column for model in rows)
        }
        for tool, rows in verdicts.items()
    }
    each = {tool: {str(model): asdict(seen) for model, seen in rows.items()} for tool, rows in verdicts.items()}
    facts = {"python": sys.version.split()[0], "torch": torch.__version__, "limit": LIMIT, "versions": versions}
    return {**facts, "figures": columns, "verdicts": each}


if __name__ == "__main__":
    main()
