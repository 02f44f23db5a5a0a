"""After a probe everything is as it was, bit for bit: weights, buffers, optimizers, random generators, modes, and what the
user's own objects hold. The comparison here is its own and knows nothing of `recording/state.py`."""

from __future__ import annotations

import copy
import functools
import importlib.util
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mllint.probe.check import all_checks
from mllint.probe.recording.entry import entry_from
from mllint.probe.recording.here import probe_here
from mllint.probe.recording.run import Run

FIXTURES = Path(__file__).parent.parent / "fixtures"
FILES = sorted(FIXTURES.glob("*/model_*.py"))


def plain(value: Any) -> Any:
    """A value as something that compares bit for bit."""
    if isinstance(value, torch.Tensor):
        data = value.detach().to_dense() if value.layout != torch.strided else value.detach()
        data = data.resolve_conj().resolve_neg().contiguous()
        return (
            str(value.dtype),
            tuple(value.shape),
            value.requires_grad,
            data.view(torch.uint8).reshape(-1).numpy().tobytes()
            if data.numel() and data.dim()
            else repr(data.tolist()),
        )
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, value.tobytes())
    if isinstance(value, dict):
        return [(plain(key), plain(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple, deque)):
        return [plain(item) for item in value]
    if callable(value):
        return id(value)
    return (type(value).__name__, repr(value))


def address(tensor: torch.Tensor) -> int:
    return tensor.data_ptr() if tensor.layout == torch.strided else 0


def module_state(module: nn.Module) -> Any:
    own = {
        path: {name: value for name, value in vars(inner).items() if not name.startswith("_")}
        for path, inner in module.named_modules()
    }
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    return plain(
        [
            [
                (name, id(tensor), address(tensor), tensor, tensor.grad if tensor.is_leaf else None)
                for name, tensor in named
            ],
            own,
            [
                (path, type(inner).__name__, len(inner._forward_hooks), len(inner._forward_pre_hooks))
                for path, inner in module.named_modules()
            ],
        ]
    )


def state(told: dict[str, Any], more: Callable[[], Any] = lambda: None) -> dict[str, Any]:
    found = {"model": module_state(told["model"]), "more": plain(more())}
    optimizers = told.get("optimizer") or []
    for number, optimizer in enumerate(optimizers if isinstance(optimizers, (list, tuple)) else [optimizers]):
        values = {name: value for name, value in vars(optimizer).items() if not name.startswith("_")}
        found[f"optimizer {number}"] = plain([optimizer.state_dict(), sorted(map(str, values)), len(optimizer.state)])
    for key in ("scheduler", "scaler"):
        if told.get(key) is not None:
            found[key] = plain(told[key].state_dict())
    found["random"] = plain([random.getstate(), np.random.get_state(), torch.get_rng_state()])
    return found


def probed(told: dict[str, Any], more: Callable[[], Any] = lambda: None) -> None:
    """Probe with every default check and compare."""
    before = state(told, more)
    trace = probe_here(lambda: told, [check for check in all_checks() if check.default])
    after = state(told, more)
    assert trace.failure is None, trace.failure
    assert trace.unrestored == ()
    assert [key for key in before if before[key] != after[key]] == []


def imported(path: Path) -> ModuleType:
    name = f"restored_{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    yield
    sys.modules.pop("restored", None)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_fixture_models_are_left_as_they_were(path: Path) -> None:
    """The first and the last target of each file: the harness over the rules looks at `unrestored` of all of them."""
    module = imported(path)
    targets = [value for name, value in vars(module).items() if name.startswith("mllint_probe")]
    assert targets
    for target in dict.fromkeys((targets[0], targets[-1])):
        told = target()
        before = state(told)
        trace = probe_here(lambda told=told: told, [check for check in all_checks() if check.default])
        after = state(told)
        assert trace.unrestored == (), target.__name__
        assert [key for key in before if before[key] != after[key]] == [], target.__name__


# ---- models that make it hard


def images(count: int = 2) -> list[Any]:
    return [(torch.randn(8, 6), torch.randint(0, 3, (8,))) for _ in range(count)]


def classified(model: nn.Module, batch: Any) -> torch.Tensor:
    inputs, labels = batch
    return F.cross_entropy(model(inputs), labels)


class Counting(nn.Module):
    """Plain attributes that forward changes, made lazily, in lists and dicts."""

    seen_by_class = 0

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
        self.calls = 0
        self.history: list[float] = []
        self.table = {"calls": 0}
        self.recent: deque[int] = deque(maxlen=2)
        self.mask: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        Counting.seen_by_class += 1
        self.history.append(float(x.mean()))
        self.table["calls"] += 1
        self.recent.append(self.calls)
        if self.mask is None:
            self.mask = torch.ones(6)
            self.register_buffer("scale", torch.ones(1))
        self.mask.mul_(1.01)
        return self.body(x * self.mask)


class Sam(torch.optim.Optimizer):
    """Climbs before it descends; has an optimizer of its own inside."""

    def __init__(self, parameters: Any, **options: Any) -> None:
        super().__init__(parameters, {"rho": 0.05})
        self.base = torch.optim.SGD(self.param_groups, lr=0.1, momentum=0.9)
        self.rounds = 0

    @torch.no_grad()
    def first_step(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.state[parameter]["old"] = parameter.data.clone()
                    parameter.add_(parameter.grad, alpha=group["rho"])
        self.zero_grad()

    @torch.no_grad()
    def second_step(self) -> None:
        self.rounds += 1
        for group in self.param_groups:
            for parameter in group["params"]:
                if "old" in self.state[parameter]:
                    parameter.data = self.state[parameter]["old"]
        self.base.step()
        self.zero_grad()

    def step(self, closure: Any = None) -> None:
        raise AssertionError("two steps, not one")


def test_attributes_of_all_kinds() -> None:
    model = Counting()
    told = {"model": model, "batches": images(), "loss": classified, "optimizer": torch.optim.Adam(model.parameters())}
    probed(told, lambda: [Counting.seen_by_class, list(model.recent)])


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: torch.optim.AdamW(p, amsgrad=True),
        lambda p: torch.optim.Adagrad(p),
        lambda p: torch.optim.RMSprop(p, centered=True),
        lambda p: torch.optim.NAdam(p),
    ],
)
def test_optimizers_whose_state_comes_with_the_first_step(make: Any) -> None:
    model = nn.Linear(6, 3)
    optimizer = make(model.parameters())
    probed({"model": model, "batches": images(), "loss": classified, "optimizer": optimizer})
    loss = classified(model, images(1)[0])
    loss.backward()
    optimizer.step()  # now with state
    probed({"model": model, "batches": images(), "loss": classified, "optimizer": optimizer})


def test_schedulers_that_wrap_the_step_of_an_instance() -> None:
    model = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.5, total_steps=1000)
    told = {"model": model, "batches": images(), "loss": classified, "optimizer": optimizer, "scheduler": scheduler}
    probed(told, lambda: [vars(optimizer).get("step"), vars(scheduler)])


def test_a_scaler() -> None:
    model = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", growth_interval=1)
    told = {"model": model, "batches": images(), "loss": classified, "optimizer": optimizer, "scaler": scaler}
    probed(told, lambda: vars(scaler)["_scale"])


@pytest.mark.parametrize(
    "wrap",
    [
        torch.nn.utils.parametrizations.weight_norm,
        torch.nn.utils.parametrizations.spectral_norm,
        torch.nn.utils.parametrizations.orthogonal,
        torch.nn.utils.spectral_norm,
    ],
)
def test_reparametrised_weights(wrap: Any) -> None:
    model = nn.Sequential(wrap(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 3))
    told = {"model": model, "batches": images(), "loss": classified, "optimizer": torch.optim.Adam(model.parameters())}
    probed(told)


def test_an_optimizer_with_two_steps() -> None:
    model = nn.Linear(6, 3)
    optimizer = Sam(model.parameters())

    def step(model: nn.Module, batch: Any) -> None:
        classified(model, batch).backward()
        optimizer.first_step()
        classified(model, batch).backward()
        optimizer.second_step()

    told = {"model": model, "batches": images(), "step": step, "optimizer": optimizer}
    probed(told, lambda: [optimizer.rounds, optimizer.base.state_dict()])


class Trainer:
    """What a user's training object holds: another network, its optimizer, counters, an average, a schedule."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.critic = nn.Sequential(nn.Linear(6, 1), nn.BatchNorm1d(1))
        self.optimizer = torch.optim.Adam(model.parameters())
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters())
        self.average = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
        self.rounds, self.losses = 0, []
        self.array = np.zeros(3)

    def step(self, batch: Any) -> None:
        self.rounds += 1
        self.array += 1
        inputs, labels = batch
        self.critic_optimizer.zero_grad()
        self.critic(inputs).mean().backward()
        self.critic_optimizer.step()
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(inputs), labels)
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())
        for name, tensor in self.model.named_parameters():
            self.average[name].lerp_(tensor.detach(), 0.1)


def test_what_a_trainer_holds() -> None:
    trainer = Trainer(nn.Linear(6, 3))
    told = {"model": trainer.model, "batches": images(), "step": trainer.step}
    probed(
        told,
        lambda: [
            module_state(trainer.critic),
            trainer.optimizer.state_dict(),
            trainer.critic_optimizer.state_dict(),
            trainer.average,
            trainer.rounds,
            trainer.losses,
            trainer.array,
        ],
    )


ROUNDS = 0


def test_closures_globals_and_generators() -> None:
    model = nn.Linear(6, 3)
    teacher = copy.deepcopy(model).eval()
    generators = (torch.Generator().manual_seed(1), np.random.default_rng(1), random.Random(1))
    smoothed = 0.0

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        global ROUNDS
        nonlocal smoothed
        ROUNDS += 1
        inputs, labels = batch
        inputs = inputs + 0.1 * torch.randn(inputs.shape, generator=generators[0])
        inputs = inputs * float(generators[1].uniform(0.9, 1.1)) * generators[2].uniform(0.9, 1.1) * random.random()
        with torch.no_grad():
            aim = teacher(inputs)
            for slow, fast in zip(teacher.parameters(), model.parameters(), strict=True):
                slow.lerp_(fast, 0.5)
        found = F.cross_entropy(model(inputs), labels) + F.mse_loss(model(inputs), aim)
        smoothed = 0.9 * smoothed + 0.1 * float(found.detach())
        return found

    told = {
        "model": model,
        "batches": images(),
        "loss": functools.partial(loss),
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
    }
    probed(
        told,
        lambda: [
            module_state(teacher),
            generators[0].get_state(),
            generators[1].bit_generator.state,
            generators[2].getstate(),
            smoothed,
            ROUNDS,
        ],
    )


def test_modes_and_frozen_parts() -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3))
    model[0].requires_grad_(False)
    model[1].eval()

    def validate(model: nn.Module) -> None:
        model.eval()
        model[0].requires_grad_(True)
        model(torch.randn(4, 6))

    told = {"model": model, "batches": images(), "loss": classified, "validate": validate}
    probed(told)


def test_gradients_that_were_there() -> None:
    model = nn.Linear(6, 3)
    classified(model, images(1)[0]).backward()
    probed({"model": model, "batches": images(), "loss": classified})


def test_negative_zeros_and_nans_count() -> None:
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-0.0, float("nan")]]))
    run = Run(
        entry_from({"model": model, "batches": [torch.zeros(1, 2)], "loss": lambda model, batch: model(batch).sum()})
    )
    before = run.snapshot()
    assert before.differences() == ()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0, float("nan")]]))
    assert before.differences() == ("model.weight",)
    before.restore()
    assert before.differences() == ()


def test_a_model_that_is_lazy_sees_one_batch_first() -> None:
    model = nn.Sequential(nn.LazyLinear(3), nn.BatchNorm1d(3))
    run = Run(entry_from({"model": model, "batches": images(), "loss": classified}))
    run.materialise()
    assert model[0].weight.shape == (3, 6)
    assert model[1].running_mean.tolist() == [0, 0, 0]


def test_a_parameter_that_was_replaced_comes_back() -> None:
    model = nn.Linear(2, 1)
    weight, values = model.weight, model.weight.detach().clone()
    run = Run(
        entry_from({"model": model, "batches": [torch.zeros(1, 2)], "loss": lambda model, batch: model(batch).sum()})
    )
    with run.preserved():
        model.weight = nn.Parameter(torch.zeros(1, 2))
        weight.data = torch.ones(3, 3)
    assert model.weight is weight
    assert torch.equal(weight, values)
