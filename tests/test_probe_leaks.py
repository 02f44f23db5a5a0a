"""Inputs and outputs of a model of which only its loss is known, and what leaks between them (ML806, ML813 to ML815)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
import torch.nn.functional as F
from torch import nn

from mllint.checking.packs import builtin_rules
from mllint.checking.ruleset import RuleSet
from mllint.checking.select import select
from mllint.diagnostic import Severity
from mllint.probe.judge import judge
from mllint.probe.measured.batch_leak import BatchLeak, Culprit, LeakingCall
from mllint.probe.measured.future_leak import FutureLeak
from mllint.probe.measured.ignored_input import CallEffects, IgnoredInput, InputEffect
from mllint.probe.measured.padding import Padding
from mllint.probe.recording.entry import entry_from
from mllint.probe.recording.leaks.axes import Axis, effect
from mllint.probe.recording.leaks.nested import mapped, replaced, tensors_in
from mllint.probe.recording.leaks.outputs import main_call, model_calls
from mllint.probe.recording.leaks.replay import replaying
from mllint.probe.recording.recorders import batch_leak, future_leak, ignored_input, padding
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip
from mllint.probe.trace import Trace


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def run_of(model: nn.Module, batch: Any, loss: Any, **more: Any) -> Run:
    return Run(entry_from({"model": model, "batches": [batch], "loss": loss, **more}))


def squared(model: nn.Module, batch: Any) -> Any:
    return model(batch).pow(2).mean()


# ---- nested values


@dataclass
class Batch:
    x: Any
    name: str = "one"


class Bag:
    def __init__(self, x: Any) -> None:
        self.x = x


@pytest.mark.parametrize(
    "value",
    [
        {"a": {"b": torch.ones(2)}},
        [(torch.ones(2),)],
        Batch(torch.ones(2)),
        Bag(torch.ones(2)),
        torch.ones(2),
        __import__("collections").OrderedDict(a=torch.ones(2)),
        __import__("collections").UserDict(a=torch.ones(2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_tensors_are_found_and_replaced_in_a_copy(value: Any) -> None:
    doubled = mapped(value, lambda tensor: tensor * 2)
    assert type(doubled) is type(value)
    assert [float(tensor.sum()) for _, tensor in tensors_in(doubled)] == [4.0]
    assert [float(tensor.sum()) for _, tensor in tensors_in(value)] == [2.0]


def test_what_holds_no_change_is_the_same_object() -> None:
    value = {"a": [torch.ones(1)], "b": [torch.ones(1)]}
    assert replaced(value, {("a", 0): torch.zeros(1)})["b"] is value["b"]


# ---- calls


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(4, 3), nn.Linear(3, 8)

    def forward(self, x: Any) -> Any:
        return self.decoder(self.encoder(x))


class LossOnly(Two):
    def forward(self, x: Any) -> Any:
        return super().forward(x).pow(2).mean()


@pytest.mark.parametrize(
    ("loss", "kind", "paths"),
    [
        (squared, Two, [""]),
        (lambda model, x: model.forward(x).mean(), Two, [""]),
        (lambda model, x: model(x), LossOnly, ["decoder", "encoder"]),
        (lambda model, x: model.decoder(model.encoder(x)).mean(), Two, ["decoder", "encoder"]),
        (lambda model, x: (model(x) - model(x + 1)).mean(), Two, [""]),
        (lambda model, x: model(x).mean() - model(x[:2]).mean(), Two, ["", ""]),
    ],
    ids=["called", "bare forward", "loss only", "through parts", "twins", "two shapes"],
)
def test_outermost_calls(loss: Any, kind: type, paths: list[str]) -> None:
    model, x = kind(), torch.randn(5, 4)
    assert [call.path for call in model_calls(run_of(model, x, loss), x)] == paths
    assert "forward" not in vars(model)
    assert not model.encoder._forward_hooks


def test_no_part_stands_for_the_whole() -> None:
    model = nn.ModuleDict({"first": nn.Linear(4, 4), "second": nn.Linear(4, 4)})
    x = torch.randn(5, 4)
    with pytest.raises(Skip, match="through its parts"):
        main_call(run_of(model, x, lambda model, x: model["second"](model["first"](x)).mean()), x)


def test_no_call_is_a_skip() -> None:
    model, x = nn.Linear(4, 4), torch.randn(5, 4)
    with pytest.raises(Skip, match="no call"):
        model_calls(run_of(model, x, lambda model, x: model.weight.sum()), x)


class Counting(nn.Module):
    """Whatever a forward may leave behind."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))
        self.layer, self.norm, self.calls = nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False), 0

    def forward(self, x: Any) -> Any:
        self.seen += 1
        self.calls += 1
        self.last = x
        return self.norm(self.layer(x)) * self.calls


def test_a_replay_leaves_nothing_behind() -> None:
    model, x = Counting(), torch.randn(5, 4)
    run = run_of(model, x, squared)
    call = main_call(run, x)
    model.norm.eval()
    with replaying(run, call, evaluating=True) as replay:
        first, second = replay.base(), replay.base()
        assert not model.training
    assert all(torch.equal(first[place], second[place]) for place in first)
    assert (model.calls, float(model.seen), model.training, model.norm.training) == (1, 1.0, True, False)
    assert model.norm.running_mean is None


def test_the_users_arguments_are_not_changed() -> None:
    class InPlace(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.mul_(2) * nn.Parameter(torch.ones(()))

    model, x = InPlace(), torch.ones(3, 2)
    run = run_of(model, x, squared)
    with replaying(run, main_call(run, run.batch(0)), evaluating=True) as replay:
        assert [float(each.max()) for each in (*replay.base().values(), *replay.base().values())] == [2.0, 2.0]


# ---- axes


def test_similarities_leak_only_between_the_others() -> None:
    axis = Axis(4, 1, torch.arange(4) != 1)
    x = torch.randn(4, 3)
    y = x.clone()
    y[1] = 9
    assert effect(x @ x.T, y @ y.T, (5, 5), axis).leak == 0
    mixed = effect((x @ x.T).softmax(1), (y @ y.T).softmax(1), (5, 5), axis)
    assert mixed.leak is not None
    assert mixed.leak > 1e-3


@pytest.mark.parametrize("order", ["samples first", "parts first"])
def test_folded_samples_are_read_both_ways(order: str) -> None:
    axis = Axis(4, 1, torch.arange(4) != 1)
    base = torch.zeros(4, 3, 2) if order == "samples first" else torch.zeros(3, 4, 2)
    other = base.clone()
    other.select(0 if order == "samples first" else 1, 1).fill_(1)
    assert effect(base.reshape(12, 2) + 1, other.reshape(12, 2) + 1, (15, 2), axis).leak == 0


def test_infinities_are_no_change() -> None:
    axis = Axis(2, 1, torch.tensor([True, False]))
    base = torch.tensor([[1.0, -torch.inf], [1.0, -torch.inf]])
    other = torch.tensor([[1.0, -torch.inf], [2.0, -torch.inf]])
    assert effect(base, other, (3, 2), axis).leak == 0


# ---- recorders


class Scattered(nn.Module):
    """How many rows an expert takes depends on the batch, and so does how much it draws at random."""

    def __init__(self) -> None:
        super().__init__()
        self.router, self.experts = nn.Linear(8, 2), nn.ModuleList(nn.Linear(8, 8) for _ in range(2))

    def forward(self, x: Any) -> Any:
        chosen, out = self.router(x).argmax(-1), torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows = (chosen == number).nonzero()[:, 0]
            out = out.index_add(0, rows, F.dropout(expert(x[rows]), 0.5, self.training))
        return out


def test_routed_rows_do_not_leak() -> None:
    seen = batch_leak.record(run_of(Scattered(), torch.randn(8, 8), squared)).calls[0]
    assert seen.changed < 1e-6


def test_a_fixed_batch_size_is_looked_at_all_the_same() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            return self.layer(x.view(6, 4)).softmax(0)

    seen = batch_leak.record(run_of(Fixed(), torch.randn(6, 4), squared)).calls[0]
    assert seen.changed > 1e-3
    assert seen.culprit is not None


def test_randomness_that_no_seed_rules_is_noise() -> None:
    class Drifting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.generator = nn.Linear(4, 4), torch.Generator().manual_seed(0)

        def forward(self, x: Any) -> Any:
            return self.layer(x) + torch.randn(x.shape, generator=self.generator)

    seen = batch_leak.record(run_of(Drifting(), torch.randn(6, 4), squared)).calls[0]
    assert seen.noise > 1e-2


def test_no_output_for_each_sample_is_a_skip() -> None:
    class Pool(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x: Any) -> Any:
            return self.layer(x).mean(0)

    with pytest.raises(Skip, match="for each sample"):
        batch_leak.record(run_of(Pool(), torch.randn(6, 4), squared))


def test_only_a_causal_model_is_asked_about_its_future() -> None:
    with pytest.raises(Skip, match="causal"):
        future_leak.record(run_of(nn.Linear(4, 4), torch.randn(2, 5, 4), squared))


def test_an_integer_input_has_its_gradient_at_the_embedding() -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(9, 4)

        def forward(self, ids: Any) -> Any:
            x = self.embed(ids)
            return x + x.mean(1, keepdim=True)

    seen = future_leak.record(run_of(Mean(), torch.randint(0, 9, (3, 6)), squared, causal=True))
    assert seen.gradient > 1e-2
    assert seen.changed > 1e-2


def test_a_missing_conditioning_is_a_skip() -> None:
    with pytest.raises(Skip, match="has no `goal`"):
        ignored_input.record(
            run_of(nn.Linear(4, 4), {"x": torch.randn(5, 4)}, lambda m, b: m(b["x"]).mean(), conditioning="goal")
        )


def test_conditioning_that_is_changed_on_its_way_is_followed() -> None:
    class Ignores(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Any, coded: Any) -> Any:
            return self.layer(x)

    def loss(model: nn.Module, batch: Any) -> Any:
        return model(batch[0], F.one_hot(batch[1], 3).float()).mean()

    batch = (torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2]))
    effects = ignored_input.record(run_of(Ignores(), batch, loss, conditioning=1)).calls[0].effects
    assert [(one.name, one.named, one.change > 0) for one in effects] == [
        ("1", True, False),
        ("everything else", False, True),
    ]


def test_padding_needs_its_id() -> None:
    with pytest.raises(Skip, match="`pad`"):
        padding.record(run_of(nn.Linear(4, 4), torch.randn(5, 4), squared))


# ---- judging, without a model


def findings(code: str, measurement: Any) -> list[Severity]:
    rules = [rule for rule in builtin_rules() if rule.meta.code == code]
    verdict = judge(Trace(measurements={"it": measurement}), RuleSet(rules, select([rules[0].meta])), {})
    return [one.severity for report in verdict.reports for one in report.diagnostics] + [
        one.severity for one in verdict.notes
    ]


MIXES = LeakingCall("", "Net", 4, 0.5, 0.5, 0.0, 1.2e-7, ("x",), culprit=Culprit("", "Net", None, ("Net",)))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (MIXES, [Severity.ERROR]),
        (replace(MIXES, changed=5e-6), []),
        (replace(MIXES, noise=0.01), []),
        (replace(MIXES, coarsest=7.8e-3, changed=0.05), []),
        (replace(MIXES, other_dim=True), [Severity.INFO]),
        (replace(MIXES, other_dim=True, labelled=True), [Severity.ERROR]),
        (replace(MIXES, inputs=("x", "edge_index")), [Severity.INFO]),
        (replace(MIXES, culprit=Culprit("", "MinibatchStd", None, ("Net", "MinibatchStd"))), [Severity.INFO]),
        (replace(MIXES, culprit=Culprit("", "MoE", None, ("MoE",), ("experts",))), [Severity.ERROR]),
        (replace(MIXES, gradient=0.0, culprit=Culprit("", "MoE", None, ("MoE",), ("experts",))), [Severity.INFO]),
        (
            replace(MIXES, gradient=float("nan"), culprit=Culprit("", "Net", None, ("Net",), ("router",))),
            [Severity.INFO],
        ),
        (replace(MIXES, culprit=Culprit("", "LSTM", None, ("Net", "LSTM"), dims=2)), [Severity.INFO]),
        (replace(MIXES, culprit=Culprit("", "LSTM", None, ("Net", "LSTM"), dims=3)), [Severity.ERROR]),
        (replace(MIXES, culprit=Culprit("", "MixerBlock", None, ("MixerBlock",))), [Severity.ERROR]),
    ],
)
def test_leaking_batch(call: LeakingCall, expected: list[Severity]) -> None:
    assert findings("ML814", BatchLeak((call,))) == expected


SEES = FutureLeak("", "Net", "ids", "declared", 8, 0.4, 0.4, 0.0, 1.2e-7, Culprit("", "Net", None, ("Net",)))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (SEES, [Severity.ERROR]),
        (replace(SEES, changed=1e-6), []),
        (replace(SEES, culprit=None), []),
        (replace(SEES, gradient=0.0, culprit=Culprit("", "TopKRouter", None, ("TopKRouter",))), [Severity.INFO]),
    ],
)
def test_leaking_future(seen: FutureLeak, expected: list[Severity]) -> None:
    assert findings("ML815", seen) == expected


def effects_of(*effects: InputEffect, spread: float = 0.3) -> IgnoredInput:
    return IgnoredInput((CallEffects("", "Net", 4, 0.0, spread, effects),))


@pytest.mark.parametrize(
    ("measured", "count"),
    [
        (effects_of(InputEffect("x", 1.0), InputEffect("c", 0.002)), 0),
        (effects_of(InputEffect("x", 1.0), InputEffect("c", 0.0005)), 1),
        (effects_of(InputEffect("x", 1.0, named=True), InputEffect("c", 0.0)), 0),
        (effects_of(InputEffect("x", 1.0), InputEffect("c", 0.0, named=True)), 1),
        (effects_of(InputEffect("x", 0.0), InputEffect("c", 0.0)), 1),
        (effects_of(InputEffect("x", 0.1), spread=1e-14), 1),
        (effects_of(InputEffect("x", 0.1), spread=1e-9), 0),
        (effects_of(InputEffect("x", 0.1), spread=float("nan")), 0),
    ],
)
def test_ignored_input(measured: IgnoredInput, count: int) -> None:
    assert len(findings("ML813", measured)) == count


PADDED = Padding("", "Net", "ids", "left", 6, 9, 0.5, 0.5, False, False, 1.2e-7)


@pytest.mark.parametrize(
    ("seen", "count"),
    [
        (PADDED, 1),
        (replace(PADDED, trimmed=1e-7), 0),
        (replace(PADDED, moved=1e-7), 0),
        (replace(PADDED, trimmed=float("nan")), 0),
        (replace(PADDED, pooled=True, moved=0.05), 0),
        (replace(PADDED, coarsest=7.8e-3, moved=0.05), 0),
    ],
)
def test_padding_side(seen: Padding, count: int) -> None:
    assert len(findings("ML806", seen)) == count
