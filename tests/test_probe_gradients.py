"""Gradients on their way: what arrives, what stops it and at which line, what optimizers hold and use."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from mllint.authoring.runtime import runtime_rules
from mllint.checking.packs import builtin_rules
from mllint.diagnostic import Diagnostic, Severity
from mllint.probe.check import all_checks
from mllint.probe.judge import judge
from mllint.probe.measured.gradient_flow import Cause, GradientFlow, ParameterFlow
from mllint.probe.measured.magnitude import Magnitude, NotFinite, Size
from mllint.probe.measured.optimizer_coverage import Coverage, Hidden, OptimizerCoverage, OptimizerFacts
from mllint.probe.measured.stale_gradients import OptimizerGradients, StaleGradients
from mllint.probe.recording.entry import entry_from
from mllint.probe.recording.gradients.arrivals import shared_arrivals
from mllint.probe.recording.gradients.cuts import CutWatch, noting_functions
from mllint.probe.recording.gradients.dependence import Dependence
from mllint.probe.recording.gradients.gates import open_gates
from mllint.probe.recording.gradients.graph import leaves_below, roots_of
from mllint.probe.recording.gradients.hidden import hidden_places
from mllint.probe.recording.gradients.ledger import Ledger
from mllint.probe.recording.gradients.sizes import largest, root_mean_square
from mllint.probe.recording.gradients.stops import find_stops
from mllint.probe.recording.gradients.twins import twin_of
from mllint.probe.recording.here import probe_here
from mllint.probe.recording.recorders import gradient_flow, magnitude, optimizer_coverage, stale_gradients
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip
from mllint.probe.trace import Trace

STEMS = {"gradient_flow", "magnitude", "optimizer_coverage", "stale_gradients"}
RULES = runtime_rules(builtin_rules())


def row_of(text: str) -> int:
    """The only row of this file that ends with a marker."""
    with open(__file__, encoding="utf-8") as lines:
        (row,) = [number for number, line in enumerate(lines, 1) if line.rstrip().endswith(f"# row: {text}")]
    return row


def target(model: nn.Module, **more: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    batches = [(torch.randn(6, 4), torch.randint(0, 3, (6,))) for _ in range(3)]

    def loss(model: nn.Module, batch: Any) -> Any:
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    return {"model": model, "batches": batches, **({} if "step" in more else {"loss": loss}), **more}


def run_of(model: nn.Module, **more: Any) -> Run:
    return Run(entry_from(target(model, **more)))


def judged(**measurements: Any) -> list[Diagnostic]:
    """All findings and notes of a hand-made trace."""
    verdict = judge(Trace(target="model.py", measurements=measurements), RULES, {})
    return [*(one for report in verdict.reports for one in report.diagnostics), *verdict.notes]


class Chain(nn.Module):
    """Two layers with something in between."""

    def __init__(self, between: Callable[[Any], Any] = lambda x: x) -> None:
        super().__init__()
        self.first, self.last, self.between = nn.Linear(4, 4), nn.Linear(4, 3), between

    def forward(self, x: Any) -> Any:
        return self.last(self.between(self.first(x).tanh()))


# ---- sizes


def test_a_size_neither_overflows_nor_vanishes() -> None:
    assert root_mean_square(torch.full((4,), 1e30)) == pytest.approx(1e30)
    assert root_mean_square(torch.full((4,), 1e-30)) == pytest.approx(1e-30)
    assert math.isnan(largest(torch.tensor([1.0, float("nan")])))
    assert largest(torch.empty(0)) == 0 == root_mean_square(torch.empty(0))


def test_a_sparse_gradient_counts_the_rows_it_leaves_out() -> None:
    sparse = torch.sparse_coo_tensor([[1, 1]], [[2.0], [2.0]], (4, 1))
    assert largest(sparse) == 4
    assert root_mean_square(sparse) == pytest.approx(2.0)


# ---- what arrives, and what cuts it


def test_a_sound_model_has_no_causes_and_an_order() -> None:
    flow = gradient_flow.record(run_of(Chain()))
    assert flow.graph and not flow.causes and all(one.flows for one in flow.parameters)
    order = {one.name: one.order for one in flow.parameters}
    assert order["first.weight"] < order["last.weight"]  # type: ignore[operator]


def test_arrivals_are_measured_once_and_leave_everything_as_it_was() -> None:
    run = run_of(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)))
    before = run.snapshot()
    assert shared_arrivals(run) is shared_arrivals(run)
    assert before.differences() == ()


def detached(x: Any) -> Any:
    return x.detach()  # row: detached


def decorated(x: Any) -> Any:
    @torch.no_grad()  # row: decorated
    def inner(x: Any) -> Any:
        return x * 2

    return inner(x)


def with_no_grad(x: Any) -> Any:
    with torch.no_grad():  # row: with
        return x * 2


def rebuilt(x: Any) -> Any:
    return torch.tensor([list(row) for row in x])  # row: rebuilt


def compared(x: Any) -> Any:
    return (x > 0).float()  # row: compared


def inner_index(x: Any) -> Any:
    return torch.nn.functional.one_hot(x.argmax(-1), 4).float()  # row: index


@pytest.mark.parametrize(
    ("between", "operation", "row", "restored"),
    [
        (detached, "detach", "detached", True),
        (decorated, "no_grad", "decorated", True),
        (with_no_grad, "no_grad", "with", True),
        (rebuilt, "tensor", "rebuilt", None),
        (compared, "gt", "compared", None),
        (inner_index, "argmax", "index", None),
    ],
)
def test_a_cut_is_found_at_its_line_and_confirmed(
    between: Callable[[Any], Any], operation: str, row: str, restored: bool | None
) -> None:
    flow = gradient_flow.record(run_of(Chain(between)))
    (cause,) = flow.causes
    assert (cause.how, cause.operation, cause.parameters) == ("cut", operation, ("first.weight", "first.bias"))
    assert cause.site is not None and cause.site.row == row_of(row)
    assert cause.change is not None and cause.change > 1e-4
    assert restored is None or cause.restored is restored


def logged(x: Any) -> Any:
    x.detach().abs().mean().item()  # only looked at
    return x.data * 2  # row: data


def test_what_is_only_logged_is_not_blamed() -> None:
    (cause,) = gradient_flow.record(run_of(Chain(logged))).causes
    assert cause.operation == "data" and cause.site is not None and cause.site.row == row_of("data")


def test_two_cuts_in_a_row_are_two_causes() -> None:
    model = nn.Sequential(Chain(lambda x: x), nn.Linear(3, 3), nn.Linear(3, 3))
    forward = model.forward

    def cutting(x: Any) -> Any:
        return model[2](model[1](model[0](x).detach()).data)

    model.forward = cutting  # type: ignore[method-assign]
    causes = gradient_flow.record(run_of(model)).causes
    assert forward and [cause.operation for cause in causes] == ["detach", "data"]
    assert [len(cause.parameters) for cause in causes] == [4, 2]


def test_a_cut_buffer_does_not_keep_the_graph_that_was_let_through() -> None:
    class Remembering(Chain):
        def __init__(self) -> None:
            super().__init__(self.kept)
            self.register_buffer("last_seen", torch.zeros(6, 4))

        def kept(self, x: Any) -> Any:
            self.last_seen[:] = x.detach()
            return self.last_seen.clone()

    run = run_of(Remembering())
    before = run.snapshot()
    gradient_flow.record(run)
    assert before.differences() == ()
    assert not run.model.last_seen.requires_grad


def test_a_model_without_trainable_parameters_is_skipped() -> None:
    with pytest.raises(Skip, match="no parameter"):
        gradient_flow.record(run_of(Chain().requires_grad_(False)))


# ---- nodes that end a gradient


class Zeros(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.sin()

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:  # row: backward of zeros
        return torch.zeros_like(gradient)


class Nothing(Zeros):
    @staticmethod
    def backward(ctx: Any, gradient: Any) -> None:  # row: backward of nothing
        return None


@pytest.mark.parametrize(("function", "row"), [(Zeros, "backward of zeros"), (Nothing, "backward of nothing")])
def test_a_backward_that_gives_nothing_is_found_at_its_definition(function: Any, row: str) -> None:
    (cause,) = gradient_flow.record(run_of(Chain(function.apply))).causes
    assert (cause.how, cause.operation, cause.builtin) == ("stop", function.__name__, False)
    assert cause.site is not None and cause.site.row == row_of(row)
    assert cause.applied is not None and cause.arriving > 0


def hooked(x: Any) -> Any:
    x.register_hook(lambda gradient: gradient * 0)  # row: hook
    return x


def test_a_hook_of_zeros_is_found_where_it_is_registered() -> None:
    (cause,) = gradient_flow.record(run_of(Chain(hooked))).causes
    assert cause.how == "hook" and cause.site is not None and cause.site.row == row_of("hook")
    assert cause.parameters == ("first.weight", "first.bias")


def test_gradients_that_cancel_are_no_hook() -> None:
    run = run_of(nn.Linear(4, 1), loss=lambda model, batch: (model(batch[0]) - model(-batch[0])).mean())
    (cause,) = gradient_flow.record(run).causes
    assert (cause.how, cause.parameters, cause.builtin) == ("stop", ("bias",), True)


def test_stops_name_the_node_above_what_is_zero() -> None:
    weight = torch.randn(3, requires_grad=True)
    (stop,) = find_stops((weight.round() * torch.arange(1.0, 4.0)).sum(), [weight])[id(weight)]
    assert (stop.operation, stop.hooked, stop.inside) == ("Round", False, False)
    assert stop.arriving == 3


def test_a_margin_next_to_the_loss_is_not_a_dead_layer() -> None:
    class Margin(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x: Any) -> Any:
            return torch.relu(self.layer(x).norm() - 1e3)

    run = run_of(Margin(), loss=lambda model, batch: model(batch[0]))
    (cause,) = gradient_flow.record(run).causes
    assert cause.how == "stop" and cause.builtin


# ---- gates, routes, hands


def test_gates_are_opened_only_where_everything_is_zero() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    nn.init.zeros_(model[0].weight)
    nn.init.constant_(model[1].weight, 1e-4)
    kept = model[1].weight.clone()
    assert open_gates(model)
    assert (model[0].weight != 0).any() and torch.equal(model[1].weight, kept)
    assert open_gates(model, 1e-3) and (model[1].weight.abs() > 1e-3).any()


def test_a_parameter_moved_by_hand_is_told_apart() -> None:
    class Averaging(Chain):
        def __init__(self) -> None:
            super().__init__(self.mixed)
            self.code = nn.Parameter(torch.randn(4))

        def mixed(self, x: Any) -> Any:
            self.code.data.mul_(0.9).add_(0.1 * x.detach().mean(0))
            return x + self.code.detach()

    (cause,) = gradient_flow.record(run_of(Averaging())).causes
    assert (cause.how, cause.parameters) == ("driven", ("code",))


def test_the_padding_row_of_a_table_is_not_moved() -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(3, 3, padding_idx=0)

        def forward(self, x: Any) -> Any:
            return self.table(torch.zeros(len(x), dtype=torch.long))

    run = run_of(Table())
    change, _ = Dependence(run, run.snapshot().restore, dict(run.model.named_parameters())).change(["table.weight"])
    assert change == 0


@pytest.mark.parametrize(
    ("names", "twin"),
    [
        (["teacher.weight", "teacher.bias"], "student"),
        (["blocks.0.weight", "blocks.0.bias"], ""),
        (["teacher.weight"], ""),
    ],
)
def test_a_follower_is_known_by_its_twin(names: list[str], twin: str) -> None:
    model = nn.ModuleDict(
        {
            "student": nn.Linear(4, 3),
            "teacher": nn.Linear(4, 3),
            "blocks": nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)]),
        }
    )
    assert twin_of(model, names, names) == twin


def test_a_watch_ignores_what_autograd_runs_without_gradients() -> None:
    x = torch.randn(3, requires_grad=True)
    watch = CutWatch({id(x): "x"}, lambda: None)
    with watch, noting_functions(watch, {"x": x}):
        y = Zeros.apply(x * 2)
    assert not watch.cuts and watch.used == {"x"}
    assert leaves_below(roots_of(y), {id(x): "x"}) == {"x"}


def test_nothing_stays_patched() -> None:
    apply, backward = vars(torch.autograd.Function)["apply"], torch.autograd.backward
    model = Chain(detached)
    for recorder in (gradient_flow, magnitude):
        recorder.record(run_of(model))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step(batch: Any) -> None:
        optimizer.zero_grad()
        model(batch[0]).sum().backward()
        optimizer.step()

    stale_gradients.record(run_of(model, step=step))
    assert vars(torch.autograd.Function)["apply"] is apply and torch.autograd.backward is backward
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


# ---- optimizers


def ledger_of(parameter: Any) -> Ledger:
    return Ledger(torch.optim.SGD([parameter], 0.1))


def backwards(ledger: Ledger, parameter: Any, value: float) -> None:
    ledger.before_backward(None)
    parameter.grad = torch.full_like(parameter, value) + (0 if parameter.grad is None else parameter.grad)
    ledger.after_backward()


@pytest.mark.parametrize(("cleared", "stale"), [(False, 1), (True, 0)])
def test_a_ledger_knows_what_was_cleared(cleared: bool, stale: int) -> None:
    parameter = nn.Parameter(torch.ones(2))
    ledger = ledger_of(parameter)
    for _ in range(2):
        backwards(ledger, parameter, 1.0)
        ledger.step()
        if cleared:
            parameter.grad = None
    assert len(ledger.stale) == stale and ledger.lost == 0


def test_a_ledger_counts_what_was_lost() -> None:
    parameter = nn.Parameter(torch.ones(2))
    ledger = ledger_of(parameter)
    for _ in range(2):
        backwards(ledger, parameter, 1.0)
        parameter.grad = None
        ledger.step()
    assert ledger.lost == 2 and not ledger.stale


def test_around_a_loss_stale_gradients_are_not_looked_for() -> None:
    with pytest.raises(Skip, match="step"):
        stale_gradients.record(run_of(Chain()))


def test_hidden_places_are_found_once_and_registered_ones_never() -> None:
    class Hiding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.known = nn.Linear(2, 2)
            self.mixed = [self.known, nn.Linear(2, 2)]
            self.again = {"a": self.mixed[1]}
            self.frozen = (nn.Linear(2, 2).requires_grad_(False),)
            self.bare = torch.ones(2, requires_grad=True)

    found = {place.attribute: place for place in hidden_places(Hiding())}
    assert set(found) == {"mixed", "bare"}
    assert len(found["mixed"].tensors) == 2 and len(found["mixed"].things) == 1


def test_coverage_ends_as_soon_as_everything_has_moved() -> None:
    model = Chain()
    run = run_of(model, optimizer=torch.optim.SGD(model.parameters(), 0.1))
    measured = optimizer_coverage.record(run)
    assert measured.steps == 1 and all(one.moved and one.held for one in measured.parameters)
    assert measured.parameters[0].rate == pytest.approx(0.1)


# ---- size of gradients


def test_the_first_operation_that_is_not_finite_is_named() -> None:
    def loss(model: nn.Module, batch: Any) -> Any:
        out = model(batch[0])
        zero = out - out.detach()
        return zero.square().sum().sqrt()  # row: root

    broken = magnitude.record(run_of(nn.Linear(4, 3), loss=loss)).broken
    assert broken is not None and (broken.operation, broken.direction) == ("sqrt", "backward")
    assert broken.site is not None and broken.site.row == row_of("root")


def test_a_mask_of_infinities_is_no_fault() -> None:
    def loss(model: nn.Module, batch: Any) -> Any:
        out = model(batch[0])
        return -out.masked_fill(out < out.amax(-1, keepdim=True), float("-inf")).softmax(-1).amax() + out.mean()

    assert magnitude.record(run_of(nn.Linear(4, 3), loss=loss)).broken is None


def test_rounding_noise_shrinks_in_double_precision() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    noise = next(size for size in magnitude.record(run_of(model)).sizes if size.name == "0.bias")
    assert noise.double is not None and noise.double < 1e-3 * noise.rms


# ---- judging


def flow_of(cause: Cause, optimized: bool | None = True) -> GradientFlow:
    flows = tuple(ParameterFlow(name, 0, False, 0.0, 0.0, 1.0, optimized) for name in ("a", "b"))
    return GradientFlow(3, (1.0,), True, flows, (cause,))


CUT = {"operation": "detach", "change": 0.1, "activations": True, "restored": True}


@pytest.mark.parametrize(
    ("cause", "optimized", "severity"),
    [
        (Cause("cut", ("a",), **CUT), True, Severity.ERROR),
        (Cause("cut", ("a",), **CUT), None, Severity.ERROR),
        (Cause("cut", ("a",), **CUT), False, Severity.INFO),
        (Cause("cut", ("a",), **{**CUT, "change": 0.0}), True, Severity.INFO),
        (Cause("cut", ("a",), **{**CUT, "change": 1e-3, "noise": 1e-3}), True, Severity.INFO),
        (Cause("cut", ("a",), **{**CUT, "change": None}), True, Severity.INFO),
        (Cause("cut", ("a",), **CUT, twin="student"), True, Severity.INFO),
        (Cause("cut", ("a",), operation="no_grad", change=0.1), True, Severity.WARNING),
        (Cause("cut", ("a",), operation="no_grad", change=0.1), None, Severity.INFO),
        (Cause("stop", ("a",), operation="softmax", change=0.1, builtin=True), True, Severity.INFO),
        (Cause("stop", ("a",), operation="round", change=0.1, builtin=True, stepwise=True), True, Severity.ERROR),
        (Cause("unused", ("a",), module="m"), True, Severity.WARNING),
        (Cause("unrouted", ("a",), module="m"), True, Severity.INFO),
        (Cause("gate", ("a",)), True, Severity.INFO),
        (Cause("driven", ("a",)), True, Severity.INFO),
        (Cause("unknown", ("a",), change=0.1), True, Severity.ERROR),
    ],
)
def test_how_much_a_cause_matters(cause: Cause, optimized: bool | None, severity: Severity) -> None:
    (one,) = judged(gradient_flow=flow_of(cause, optimized))
    assert (one.code, one.severity) == ("ML204", severity)


def test_a_cut_is_one_finding_however_much_it_silences() -> None:
    names = tuple(f"layer.{number}.weight" for number in range(40))
    flows = tuple(ParameterFlow(name, 0, False, 0.0, 0.0, 1.0, True) for name in (*names, "head"))
    (one,) = judged(gradient_flow=GradientFlow(3, (1.0,), True, flows, (Cause("cut", names, **CUT),)))
    assert "40 parameters" in one.message and "`layer.0.weight`" in one.message


def sizes(*values: float, double: float | None = None, gated: bool = False) -> Magnitude:
    return Magnitude(tuple(Size(f"p{n}", value, double, 8, n, gated) for n, value in enumerate(values)))


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (sizes(1.0, 1.0, 1.0, 1.0), []),
        (sizes(1e-9, 1.0, 1.0, 1.0, double=1e-9), ["vanishes"]),
        (sizes(1e-9, 1.0, 1.0, 1.0, double=1e-15), ["does not depend"]),
        (sizes(1e-9, 1.0, 1.0, 1.0), []),
        (sizes(1e-9, 1.0, 1.0, 1.0, double=1e-9, gated=True), []),
        (sizes(1e18, 1e12, 1e6, 1.0, 1.0), ["explodes"]),
        (sizes(1e-7, 1e-7, 1e-7, 1.0, 1.0), []),
    ],
)
def test_sizes_are_judged_beside_the_rest(measured: Magnitude, said: list[str]) -> None:
    found = judged(magnitude=measured)
    assert [word for one in found for word in said if word in one.message] == said and len(found) == len(said)


def test_an_infinity_under_a_scaler_is_expected() -> None:
    broken = NotFinite("mul", "backward", "inf", None, "", ("a",), 1.0, scaled=True)
    (one,) = judged(magnitude=Magnitude((), broken))
    assert one.severity is Severity.INFO


def covered(name: str = "a", **changes: Any) -> Coverage:
    told = {"elements": 64, "dimensions": 2, "dtype": "float32", "trainable": True, "held": True, "gradient": 1.0}
    told |= {"moved": True, "change": 1e-3, "weight": 1.0, "largest": 2.0, "rate": 0.1}
    return Coverage(name=name, **{**told, **changes})


def coverage(*parameters: Coverage, hidden: tuple[Hidden, ...] = (), scaled: bool = False) -> OptimizerCoverage:
    return OptimizerCoverage(3, scaled, parameters, (OptimizerFacts("SGD", 2, 0, 0, 0, 3),), hidden)


@pytest.mark.parametrize(
    ("measured", "count"),
    [
        (coverage(covered()), 0),
        (coverage(covered(held=False, moved=False)), 1),
        (coverage(covered(held=False)), 0),
        (coverage(covered(held=False, moved=False, gradient=0.0)), 0),
        (coverage(covered(moved=False)), 1),
        (coverage(covered(moved=False), scaled=True), 0),
        (coverage(covered(moved=False, rate=0.0)), 0),
        (coverage(covered(moved=False, rate=1e-5, dtype="bfloat16")), 0),
        (coverage(covered("b"), covered(moved=False, elements=1)), 0),
        (coverage(covered(change=5.0)), 1),
    ],
)
def test_what_is_held_and_moves_is_trained(measured: OptimizerCoverage, count: int) -> None:
    assert len(judged(optimizer_coverage=measured)) == count


@pytest.mark.parametrize(
    ("changes", "count"), [({}, 1), ({"gradients": 0}, 0), ({"held": 2}, 0), ({"evaluating": True}, 0)]
)
def test_hidden_modules_matter_if_they_get_gradients(changes: dict[str, Any], count: int) -> None:
    told = {"owner": "", "attribute": "blocks", "container": "list", "count": 1, "parameters": 2, "gradients": 2}
    hidden = Hidden(**{**told, "held": 0, "evaluating": False, "site": None, **changes})
    assert len(judged(optimizer_coverage=coverage(covered(), hidden=(hidden,)))) == count


@pytest.mark.parametrize(
    ("stale", "lost", "stepped", "count"),
    [((), 0, 3, 0), (("a",), 0, 3, 1), ((), 3, 3, 1), ((), 2, 3, 1), ((), 1, 3, 0)],
)
def test_gradients_used_twice_or_lost(stale: tuple[str, ...], lost: int, stepped: int, count: int) -> None:
    facts = OptimizerGradients("SGD", 4, stepped, stale, None, lost, None)
    assert len(judged(stale_gradients=StaleGradients(3, (facts,)))) == count


# ---- targets that are hard to run again


@pytest.fixture
def checks() -> Iterator[list[Any]]:
    yield [check for check in all_checks() if check.stem in STEMS]


def test_a_step_whose_graph_cannot_be_gone_through_twice_is_read_as_it_steps(checks: list[Any]) -> None:
    model = Chain()
    optimizer, scaler = torch.optim.SGD(model.parameters(), 0.1), torch.amp.GradScaler("cpu")

    def step(batch: Any) -> None:
        optimizer.zero_grad()
        scaler.scale(nn.functional.cross_entropy(model(batch[0]), batch[1])).backward()
        scaler.step(optimizer)
        scaler.update()

    trace = probe_here(lambda: target(model, step=step, optimizer=optimizer, scaler=scaler), checks)
    flow = trace.get(GradientFlow)
    assert flow is not None and all(one.flows for one in flow.parameters)
    assert [run.outcome for run in trace.checks] == ["measured"] * len(checks)


def test_an_optimizer_that_steps_now_and_then_trains_its_parameters(checks: list[Any]) -> None:
    model = Chain()
    firsts = torch.optim.SGD(model.first.parameters(), 0.1)
    lasts = torch.optim.SGD(model.last.parameters(), 0.1)
    calls = 0

    def step(batch: Any) -> None:
        nonlocal calls
        calls += 1
        for optimizer in (firsts, lasts):
            optimizer.zero_grad()
        inner = model.first(batch[0]).tanh()
        seldom = calls % 4 == 0
        nn.functional.cross_entropy(model.last(inner if seldom else inner.detach()), batch[1]).backward()
        lasts.step()
        if seldom:
            firsts.step()

    trace = probe_here(lambda: target(model, step=step, optimizer=[firsts, lasts]), checks)
    assert not [one for report in judge(trace, RULES, {}).reports for one in report.diagnostics]
    assert trace.unrestored == ()


def test_this_file_is_the_users_code() -> None:
    from mllint.probe.recording.frames import nearness

    assert nearness(sys.modules[__name__].__file__ or "") == 2
