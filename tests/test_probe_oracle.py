"""The oracle: what two slopes mean, what is held still, what is captured and put back, and what the rule makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mllint.analysis.estimators import made_up_on_purpose
from mllint.checking.packs import builtin_rules
from mllint.diagnostic import Diagnostic, Severity
from mllint.probe import codec
from mllint.probe.judge import Judging
from mllint.probe.measured.global_direction import GlobalDirection
from mllint.probe.measured.layer_oracle import Checked, LayerOracle, TensorVerdict
from mllint.probe.site import Site
from mllint.probe.trace import Trace

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # nothing here runs without torch
from torch import nn
from torch.autograd import Function
from torch.utils import checkpoint

from mllint.probe.recording.entry import Entry
from mllint.probe.recording.oracle.slopes import Slope, Subject
from mllint.probe.recording.oracle.verdicts import checked, verdict_of
from mllint.probe.recording.recorders import global_direction, layer_oracle
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip


def slope(value: float, noise: float = 0.0) -> Slope:
    return Slope(value, noise, 1e-6, 1e-3)


@pytest.mark.parametrize(
    ("analytic", "raw", "held", "expected"),
    [
        (1.0, slope(1.0), None, "ok"),
        (1.0, slope(1.0005), None, "ok"),
        (0.0, slope(1e-12), None, "inert"),
        (None, slope(1.0), None, "cut"),
        (0.0, slope(1.0), slope(0.0), "cut"),
        (1.0, slope(-1.0), None, "wrong"),
        (1.0, slope(2.0), slope(2.0), "wrong"),
        (1.0, slope(0.3), slope(1.0), "straight-through"),
        (1.0, slope(0.0), None, "straight-through"),
        (1.0, slope(0.98, noise=0.002), None, "ok"),  # 20 times the noise covers it
        (1.0, slope(0.9, noise=0.002), None, "wrong"),
        (1.0, slope(0.5, noise=0.2), None, "uncertain"),
        (float("nan"), slope(1.0), None, "uncertain"),
        (1.0, slope(float("inf")), None, "uncertain"),
    ],
)
def test_what_two_slopes_mean(analytic: float | None, raw: Slope, held: Slope | None, expected: str) -> None:
    assert verdict_of(analytic, raw, held, nothing=1e-9) == expected


def verdicts(function: Callable[..., torch.Tensor], **leaves: torch.Tensor) -> dict[str, str]:
    """The verdict of each leaf of a plain function."""
    named = {name: value.double().requires_grad_() for name, value in leaves.items()}
    subject = Subject(named, lambda: [function(**named)], {name: (name,) for name in named}, torch.float64)
    found = checked(subject).verdicts
    return (
        dict.fromkeys(leaves, "ok") if found[0].tensor == "everything" else {one.tensor: one.verdict for one in found}
    )


def running_mean(x: torch.Tensor) -> torch.Tensor:
    mean = torch.zeros(3)
    with torch.no_grad():
        mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
    return x - mean


def normalised(x: torch.Tensor) -> torch.Tensor:
    return x / torch.tensor(x.norm().item())


NAMED_CUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "rounding": lambda x: x + (torch.round(x * 9) / 9 - x).detach(),
    "data": lambda x: x * x.data,
    "item": normalised,
    "no_grad in place": running_mean,
    "numpy": lambda x: x * torch.from_numpy(x.detach().numpy()),
    "mask": lambda x: x * (x > 0.1) + x.detach() * x,
}


@pytest.mark.parametrize("name", NAMED_CUTS)
def test_what_is_cut_by_name_counts_as_constant(name: str) -> None:
    torch.manual_seed(0)
    assert verdicts(NAMED_CUTS[name], x=torch.randn(5, 3)) == {"x": "straight-through"}


def test_a_cut_is_told_from_what_does_not_matter() -> None:
    torch.manual_seed(0)
    x, y, z = torch.randn(3, 4, 4)
    assert verdicts(lambda x, y, z: x * y.detach() + 0 * z.detach(), x=x, y=y, z=z) == {
        "x": "ok",
        "y": "cut",
        "z": "inert",
    }


@pytest.mark.parametrize("kinked", [F.relu, torch.abs, lambda x: x.clamp(0, 1), lambda x: x.max(-1).values])
def test_a_kink_is_no_fault(kinked: Callable[[torch.Tensor], torch.Tensor]) -> None:
    assert verdicts(lambda x: kinked(x) * torch.arange(1.0, 5.0)[:, None], x=torch.zeros(4, 4)) == {"x": "kink"}


@pytest.mark.parametrize("table", [F.embedding, F.embedding_bag])
def test_a_padding_row_has_no_gradient_by_design(table: Any) -> None:
    torch.manual_seed(0)
    ids = torch.tensor([[0, 1, 2], [0, 0, 3]])
    assert verdicts(lambda weight: table(ids, weight, padding_idx=0).sum(0), weight=torch.randn(4, 3)) == {
        "weight": "ok"
    }


def test_a_cast_inside_does_not_swallow_the_step() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 8)
    assert verdicts(lambda x: F.softmax(x.to(torch.bfloat16).float(), -1, dtype=torch.float32).half(), x=x) == {
        "x": "ok"
    }


def test_what_is_not_the_same_twice_is_not_judged() -> None:
    torch.manual_seed(0)
    drawn = torch.Generator()
    assert verdicts(lambda x: x * torch.randn(4, generator=drawn), x=torch.randn(3, 4)) == {"x": "uncertain"}


class Twice(Function):
    """Right in float32 only; its backward forgets the factor."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        assert x.dtype == torch.float32
        return 2 * x.sin()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


class Sine(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return gradient * x.cos()


class Layer(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor] = torch.tanh) -> None:
        super().__init__()
        self.inner, self.function, self.calls = nn.Linear(4, 4), function, 0

    def forward(self, x: torch.Tensor, *rest: Any) -> torch.Tensor:
        self.calls += 1
        return x + self.function(self.inner(x))


class Net(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.first, self.layers, self.last = nn.Linear(4, 4), nn.ModuleList(layers), nn.Linear(4, 200)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for layer in self.layers:
            x = layer(x)
        return self.last(x)


def run_of(*layers: nn.Module) -> Run:
    torch.manual_seed(0)
    batches = [torch.randn(3, 4) for _ in range(3)]
    return Run(Entry(Net(*layers), batches, loss=lambda model, batch: model(batch).square().mean()))


def test_everything_is_put_back() -> None:
    run = run_of(Layer(Sine.apply), Layer())
    before, forward = run.snapshot(), vars(Sine)["forward"]
    layer_oracle.record(run)
    global_direction.record(run)
    before.restore()
    assert before.differences() == ()
    assert vars(Sine)["forward"] is forward
    assert checkpoint.CheckpointFunction.__module__ == "torch.utils.checkpoint"
    assert torch.get_default_dtype() == torch.float32
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in run.model.modules())


def test_a_function_is_seen_though_its_apply_was_bound_early() -> None:
    measured = layer_oracle.record(run_of(Layer(Sine.apply)))
    assert [(one.what, one.kind, one.path, one.tensors[0].verdict) for one in measured.checked] == [
        ("function", "Sine", "layers.0", "ok"),
        ("layer", "Layer", "layers.0", "ok"),
    ]


def test_where_float64_does_not_run_float32_speaks() -> None:
    measured = layer_oracle.record(run_of(Layer(Twice.apply)))
    function = measured.checked[0]
    assert function.kind == "Twice" and function.blamed
    assert function.tensors[0].dtype == "float32" and function.tensors[0].verdict == "wrong"
    assert not measured.checked[1].blamed, "the Function explains the layer"


class Cutting(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.detach() * 2


class Around(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cutting, self.inner = Cutting(), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.cutting(self.inner(x))


def test_the_innermost_layer_is_blamed() -> None:
    measured = layer_oracle.record(run_of(Around(), Around()))
    (blamed,) = [one for one in measured.checked if one.blamed]
    assert (blamed.kind, blamed.count, blamed.tensors[0].verdict, blamed.cut_by) == ("Cutting", 2, "cut", "detach")
    assert blamed.cut is not None and blamed.cut.function == "forward"
    assert {one.reason for one in measured.skipped} == {"it holds `Cutting`, which failed"}


def test_a_sampler_without_a_derivative_for_one_seed_is_not_judged() -> None:
    def drawn(x: torch.Tensor) -> torch.Tensor:
        return torch.distributions.Dirichlet(F.softplus(x) + 0.1).rsample()

    run = run_of(Layer(drawn))
    (layer,) = layer_oracle.record(run).checked
    assert not layer.blamed and layer.with_verdict("straight-through")
    assert global_direction.record(run).explained == ("_sample_dirichlet",)


def test_layers_of_torch_and_the_whole_model_are_left_out() -> None:
    with pytest.raises(Skip, match="not torch's own"):
        layer_oracle.record(run_of(nn.Linear(4, 4)))


def test_a_model_without_trainable_parameters_is_skipped() -> None:
    run = run_of(Layer())
    run.model.requires_grad_(False)
    with pytest.raises(Skip, match="no trainable parameter"):
        global_direction.record(run)


def test_a_layer_that_does_not_run_alone_is_skipped_with_the_reason() -> None:
    class Once(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            used.append(1)
            if len(used) > 1:
                raise ValueError("a second time")
            return x * 2

    used: list[int] = []

    measured = layer_oracle.record(run_of(Once()))
    assert [one.reason for one in measured.skipped] == ["it does not run alone: ValueError: a second time"]


@pytest.mark.parametrize(
    ("name", "text", "identity", "expected"),
    [
        ("GradReverse", "", False, "its name says reverse"),
        ("STEFunction", "", False, "its name says ste"),
        ("ScaleGrad", "", True, "its name says grad"),
        ("Square", "# the straight-through estimator", False, "its text says straight-through"),
        ("FusedNorm", "", False, ""),
        ("SignedSqrt", "", False, ""),
        ("AllReduce", "", True, "its name says reduce"),
        ("AllReduce", "", False, ""),
    ],
)
def test_words_of_an_estimator(name: str, text: str, identity: bool, expected: str) -> None:
    assert made_up_on_purpose(name, text, identity) == expected


WRONG = TensorVerdict("input[0]", "wrong", 1.0, 2.0, None, 0.5, 0.0, 1e-6, "float64")
FUNCTION = Checked("function", "net.act", "Square", 3, True, (WRONG,), Site("model.py", 7), Site("model.py", 20))
GLOBAL = GlobalDirection(replace(WRONG, tensor="all parameters"), 12)


def judged(oracle: LayerOracle | None, whole: GlobalDirection | None = None) -> list[Diagnostic]:
    rule = next(rule for rule in builtin_rules() if rule.meta.code == "ML202")
    found = {"layer_oracle": oracle, "global_direction": whole}
    trace = Trace(
        target="model.py", entry=Site("model.py", 1), measurements={k: v for k, v in found.items() if v is not None}
    )
    trace = codec.from_json(codec.to_json(trace))
    return list(rule.judge(trace, Judging(rule, trace)))


@pytest.mark.parametrize(
    ("entry", "severity"),
    [
        (FUNCTION, Severity.ERROR),
        (replace(FUNCTION, tensors=(replace(WRONG, relative_error=0.2),)), Severity.WARNING),
        (replace(FUNCTION, deliberate="its name says reverse"), Severity.INFO),
        (replace(FUNCTION, identity=True), Severity.WARNING),
        (replace(FUNCTION, identity=True, tensors=(replace(WRONG, analytic=2e6),)), Severity.ERROR),
    ],
)
def test_how_bad_a_wrong_gradient_is(entry: Checked, severity: Severity) -> None:
    (found,) = judged(LayerOracle((entry,)))
    assert (found.severity, found.begin.row) == (severity, 7)


def test_a_message_names_a_round_multiple_and_the_place_of_use() -> None:
    (found,) = judged(LayerOracle((FUNCTION,)))
    assert found.message == "`Square.backward` gives 0.5 times the derivative for `input[0]`"
    assert [(one.place.row, one.message) for one in found.related] == [(20, "applied here")]


def test_layers_that_are_not_blamed_and_cuts_are_silent() -> None:
    cut = replace(FUNCTION, tensors=(replace(WRONG, verdict="cut"),))
    assert judged(LayerOracle((replace(FUNCTION, blamed=False), cut))) == []


def test_the_objective_speaks_where_no_layer_does() -> None:
    assert [one.severity for one in judged(None, GLOBAL)] == [Severity.ERROR]
    assert [one.begin.row for one in judged(LayerOracle((FUNCTION,)), GLOBAL)] == [7]
    assert [one.severity for one in judged(None, replace(GLOBAL, explained=("Fire",)))] == [Severity.INFO]
