"""What the probe costs, in plain training steps: every check on GPT-2 with 14 and with 124 million parameters.

``python benchmarks/probe_cost.py [--size 14M|124M] [--record]`` prints each check's cost beside its bar; ``--record`` writes them to
probe_cost.json. A plain step is forward, backward and AdamW on one batch, the median of several; a check's cost is its
seconds over those of a plain step, so that the machine drops out.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

HERE = Path(__file__).parent
VOCABULARY = 50257
#: Layers, width, heads; sequences a batch and tokens a sequence.
SIZES = {"14M": (10, 192, 6, 4, 128), "124M": (12, 768, 12, 2, 128)}
#: What a check, or several together, may cost, in plain steps.
BARS = {
    "rehearsal": (("syncs",), 3.0),
    "gradient reach": (("gradient-flow",), 5.0),
    "oracle": (("layer-oracle", "global-direction"), 20.0),
}


class Block(nn.Module):
    """A pre-norm transformer block of GPT-2."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention_in, self.attention_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        parts = self.attention_in(self.norm_1(x)).chunk(3, dim=-1)
        query, key, value = (part.view(batch, length, self.heads, -1).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.attention_out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp(self.norm_2(x))


class GPT2(nn.Module):
    """GPT-2: learned positions, tied embedding, no dropout."""

    def __init__(self, layers: int, width: int, heads: int, length: int = 1024) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCABULARY, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, VOCABULARY, bias=False)
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.head.weight = self.tokens.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def loss(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """Next-token cross-entropy."""
    return F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())


def target(size: str) -> dict[str, Any]:
    """What a user's ``mllint_probe`` would return."""
    layers, width, heads, sequences, length = SIZES[size]
    model = GPT2(layers, width, heads)
    batches = [torch.randint(0, VOCABULARY, (sequences, length + 1)) for _ in range(3)]
    return {
        "model": model,
        "batches": batches,
        "loss": loss,
        "optimizer": torch.optim.AdamW(model.parameters(), 1e-4),
        "causal": True,
    }


def plain_step(size: str, repeats: int = 5) -> float:
    """Seconds of one plain training step, outside the probe."""
    told = target(size)
    model, optimizer, seconds = told["model"], told["optimizer"], []
    for number in range(repeats + 1):
        started = time.perf_counter()
        optimizer.zero_grad()
        loss(model, told["batches"][number % 3]).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    return median(seconds[1:])


def costs(size: str) -> dict[str, Any]:
    """Cost of each check that measured, in plain steps, and the reasons of those that did not."""
    from mllint.probe.check import all_checks
    from mllint.probe.recording.here import probe_here

    step = plain_step(size)
    trace = probe_here(lambda: target(size), [check for check in all_checks() if check.default])
    measured = {run.check: round(run.seconds / step, 2) for run in trace.checks if run.outcome == "measured"}
    others = {run.check: f"{run.outcome}: {run.reason}" for run in trace.checks if run.outcome != "measured"}
    elements = sum(prod(parameter.shape) for parameter in trace.parameters)
    return {"parameters": elements, "plain_step_seconds": round(step, 4), "cost": measured, "not_measured": others}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--record", action="store_true")
    told = parser.parse_args()
    results = {}
    missed = False
    for size in told.size or SIZES:
        torch.manual_seed(0)
        found = results[size] = costs(size)
        print(
            f"{size}: {found['parameters'] / 1e6:.1f} M parameters, plain step {found['plain_step_seconds'] * 1e3:.0f} ms"
        )
        for check, steps in found["cost"].items():
            print(f"  {check:24s} {steps:7.2f} steps")
        for check, reason in found["not_measured"].items():
            print(f"  {check:24s} {reason}")
        for name, (checks, bar) in BARS.items():
            total = sum(found["cost"].get(check, float("nan")) for check in checks)
            missed |= not total <= bar
            print(f"  {name}: {total:.2f} of at most {bar:g} steps{'' if total <= bar else '  <-- over'}")
        print(f"  everything: {sum(found['cost'].values()):.1f} steps")
    if told.record:
        machine = {"torch": str(torch.__version__), "threads": torch.get_num_threads(), "device": "cpu"}
        text = json.dumps({"machine": machine, "sizes": results}, indent=1)
        (HERE / "probe_cost.json").write_text(text + "\n", encoding="utf-8")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
