"""What ML201 is about, in numbers: the flagged backward is wrong by orders of magnitude, the fixed one is right.

The only test that runs torch: it shows that the rule's fix is the right gradient and not only silent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mllint.authoring.testing import rule_cases
from mllint.checking.engine import check
from mllint.checking.fix import fix_source
from mllint.diagnostic import Safety
from mllint.reading.source import read_source

torch = pytest.importorskip("torch", reason="the test extra installs it")

ROOT = Path(__file__).parent.parent
CASE = next(case for case in rule_cases(ROOT / "rules", ROOT / "fixtures") if case.code == "ML201")

CODE = """
import torch

FILL = -1e9


def causal(scores):
    mask = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(mask, -1e9)


class CausalSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, scores):
        probabilities = torch.softmax(causal(scores), dim=-1)
        ctx.save_for_backward(probabilities)
        return probabilities

    @staticmethod
    def backward(ctx, grad):
        (probabilities,) = ctx.saved_tensors
        inner = probabilities * (grad - (grad * probabilities).sum(-1, keepdim=True))
        mask = torch.ones(grad.shape[-2:], dtype=torch.bool).triu(1)
        return inner.masked_fill(mask, -1e9)
"""


def operation(code: str) -> Any:
    names: dict[str, Any] = {}
    exec(compile(code, "op.py", "exec"), names)
    return names["CausalSoftmax"].apply


def fixed() -> str:
    source = read_source("op.py", "python", CODE.encode())
    outcome = fix_source(source, lambda text: check(text, CASE.alone), frozenset({Safety.SAFE, Safety.UNSAFE}))
    assert [code for code, _, _ in outcome.applied] == ["ML201"], outcome.left.diagnostics
    return outcome.data.decode()


def test_only_the_fill_on_the_gradient_is_flagged() -> None:
    report = check(read_source("op.py", "python", CODE.encode()), CASE.alone)
    assert [source_line(found.begin.row) for found in report.diagnostics] == ["return inner.masked_fill(mask, -1e9)"]


def source_line(row: int) -> str:
    return CODE.splitlines()[row - 1].strip()


def test_the_flagged_gradient_is_wrong_by_orders_of_magnitude() -> None:
    torch.manual_seed(0)
    scores = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    wrong, right = (torch.autograd.grad(operation(code)(scores).square().sum(), scores)[0] for code in (CODE, fixed()))
    assert wrong.abs().max() > 1e6 * right.abs().max()
    assert not torch.autograd.gradcheck(operation(CODE), (scores,), raise_exception=False)


def test_the_fix_gives_the_right_gradient() -> None:
    torch.manual_seed(0)
    scores = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(operation(fixed()), (scores,))
