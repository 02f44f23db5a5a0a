"""Models that are built in ways of their own: every check measures or says why not, none crashes, and nothing is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from mllint.authoring.runtime import findings_in, runtime_rules
from mllint.checking.packs import builtin_rules
from mllint.probe.check import all_checks
from mllint.probe.recording.here import probe_here


def layers() -> Any:
    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3))


def target(model: Any, optimizer: Any = None) -> dict[str, Any]:
    def loss(model: Any, batch: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])

    batches = [(torch.randn(4, 8), torch.randint(0, 3, (4,))) for _ in range(3)]
    return {
        "model": model,
        "batches": batches,
        "loss": loss,
        "optimizer": optimizer or torch.optim.SGD(model.parameters(), 0.1),
    }


def scripted() -> dict[str, Any]:
    return target(torch.jit.script(layers()))


def scripted_within() -> dict[str, Any]:
    return target(torch.nn.Sequential(torch.jit.script(layers()), torch.nn.Linear(3, 3)))


def compiled() -> dict[str, Any]:
    return target(torch.compile(layers(), backend="eager"))


def slotted() -> dict[str, Any]:
    class Fixed(torch.nn.Module):
        __slots__ = ("net",)

        def __init__(self) -> None:
            super().__init__()
            self.net = layers()

        def forward(self, x: Any) -> Any:
            return self.net(x)

    return target(Fixed())


def data_parallel() -> dict[str, Any]:
    device = "cuda" if torch.cuda.is_available() else "cpu"  # the rehearsal says that it is
    told = target(torch.nn.DataParallel(layers().to(device)))

    def loss(model: Any, batch: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(batch[0]), batch[1].to(device))

    return {**told, "loss": loss}


def never_copied() -> dict[str, Any]:
    class Private(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = layers()

        def __deepcopy__(self, memo: Any) -> Any:
            raise RuntimeError("one of a kind")

        def forward(self, x: Any) -> Any:
            return self.net(x)

    return target(Private())


def bfloat16() -> dict[str, Any]:
    model = layers().bfloat16()
    told = target(model)
    return {**told, "batches": [(images.bfloat16(), labels) for images, labels in told["batches"]]}


def lbfgs_like() -> dict[str, Any]:
    model = layers()
    return target(model, torch.optim.Adagrad(model.parameters(), 0.1))


@pytest.mark.parametrize(
    "build", [scripted, scripted_within, compiled, slotted, data_parallel, never_copied, bfloat16, lbfgs_like]
)
def test_no_check_crashes(build: Callable[[], dict[str, Any]]) -> None:
    trace = probe_here(build, [check for check in all_checks() if check.default])
    assert trace.failure is None and trace.steps == 3
    assert not trace.unrestored
    assert [run for run in trace.checks if run.outcome == "crashed"] == []
    assert findings_in(trace, runtime_rules(builtin_rules()), {}) == []
