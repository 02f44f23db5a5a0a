"""The recorders of modes, aliases, repeated forwards, growing memory and recompilations, beyond what the fixtures hold; and
what their rules make of traces."""

from __future__ import annotations

import gc
import logging
from typing import Any

import pytest
import torch
from torch import nn

from mllint.checking.packs import builtin_rules
from mllint.checking.ruleset import RuleSet
from mllint.checking.select import select
from mllint.diagnostic import Severity
from mllint.probe.judge import Verdict, judge
from mllint.probe.measured.growing_memory import GrowingMemory, Held
from mllint.probe.measured.modes import ModeChange, Modes
from mllint.probe.measured.recompiles import GraphBreak, Recompile, Recompiles
from mllint.probe.recording.compiling import listening
from mllint.probe.recording.entry import entry_from
from mllint.probe.recording.recorders import aliases, growing_memory, modes, recompiles, repeated_forward
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip
from mllint.probe.site import Site
from mllint.probe.trace import Trace


def run_of(model: nn.Module, **more: Any) -> Run:
    told = {"model": model, "batches": [torch.randn(4, 8) for _ in range(3)], **more}
    if "step" not in more:
        told.setdefault("loss", lambda model, batch: model(batch).pow(2).mean())
    return Run(entry_from(told))


def judged(**measurements: Any) -> Verdict:
    rules = builtin_rules()
    trace = Trace(target="train.py", entry=Site("train.py", 1), measurements=measurements)
    return judge(trace, RuleSet(rules, select([rule.meta for rule in rules])), {})


def codes(verdict: Verdict) -> list[tuple[str, int, Severity]]:
    return sorted((one.code, one.begin.row, one.severity) for report in verdict.reports for one in report.diagnostics)


# ---- modes


def test_a_validation_that_fails_is_a_reason_to_skip() -> None:
    def validate(model: nn.Module) -> None:
        raise ValueError("no data")

    with pytest.raises(Skip, match="`validate` raised ValueError: no data"):
        modes.record(run_of(nn.Linear(8, 1), validate=validate))


def test_modes_leave_no_patch() -> None:
    train, evaluate = nn.Module.train, nn.Module.eval
    model = nn.Linear(8, 1)
    modes.record(run_of(model))
    assert (nn.Module.train, nn.Module.eval) == (train, evaluate)
    assert not model._forward_pre_hooks


def test_a_trained_discriminator_counts_and_a_judge_does_not() -> None:
    model, critic, evaluator = nn.Linear(8, 8), nn.Linear(8, 1), nn.Linear(8, 1)
    both = [torch.optim.SGD(each.parameters(), lr=0.1) for each in (model, critic)]

    def step(model: nn.Module, batch: torch.Tensor) -> None:
        for optimizer in both:
            optimizer.zero_grad()
        (critic(model(batch)).mean() + evaluator(batch).mean()).backward()
        for optimizer in both:
            optimizer.step()

    def validate() -> None:
        critic.eval()
        evaluator.eval()

    found = modes.record(run_of(model, step=step, optimizer=both, validate=validate))
    assert [(change.holder, change.training, change.across) for change in found.changes] == [
        ("Linear", False, "validate")
    ]


def test_a_mode_assigned_by_hand_is_seen_without_its_line() -> None:
    def validate(model: nn.Module) -> None:
        for module in model.modules():
            module.training = False

    found = modes.record(run_of(nn.Sequential(nn.Linear(8, 1), nn.Dropout(0.5)), validate=validate))
    (change,) = found.changes
    assert (change.path, change.site, change.inner, change.sensitive) == ("", None, 2, True)
    assert found.validate is not None


def change(**more: Any) -> ModeChange:
    told: dict[str, Any] = {
        "path": "",
        "kind": "Net",
        "holder": "",
        "number": 3,
        "training": False,
        "across": "validate",
        "inner": 2,
    }
    return ModeChange(**{**told, "site": Site("train.py", 7), "sensitive": True, **more})


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (change(), [("ML601", 7, Severity.ERROR)]),
        (change(sensitive=False), [("ML601", 7, Severity.WARNING)]),
        (change(training=True), []),  # it was in evaluation mode at first
        (change(training=True, path="norm"), [("ML601", 7, Severity.WARNING)]),
        (change(site=None), [("ML601", 5, Severity.ERROR)]),
    ],
)
def test_what_counts_as_a_mode_not_restored(changed: ModeChange, expected: list[Any]) -> None:
    assert codes(judged(modes=Modes((), (changed,), Site("train.py", 5), None))) == expected


# ---- aliases


def test_a_snapshot_of_a_step_without_progress_is_an_alias_all_the_same() -> None:
    model = nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    (kept,) = aliases.record(run_of(model, optimizer=optimizer, snapshot=lambda model: model.state_dict())).kept
    assert (kept.tensors, kept.total, kept.changed) == (2, 2, 0)


def test_nothing_to_watch_is_a_reason_to_skip() -> None:
    with pytest.raises(Skip, match="gives no `snapshot`"):
        aliases.record(run_of(nn.Linear(8, 1)))


def test_a_snapshot_that_writes_a_file_returns_nothing() -> None:
    assert aliases.record(run_of(nn.Linear(8, 1), snapshot=lambda model: "best.pt")).kept == ()


def test_aliases_leave_no_patch() -> None:
    state_dict, save = nn.Module.state_dict, torch.save
    aliases.record(run_of(nn.Linear(8, 1), snapshot=lambda model: model.state_dict()))
    assert (nn.Module.state_dict, torch.save) == (state_dict, save)


# ---- repeated forwards


class Twice(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.part = nn.Linear(8, 8)
        self.options = options

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.part(x)
        if self.options.get("moved"):
            with torch.no_grad():
                self.part.weight.add_(1e-3)
        if self.options.get("changed"):
            x = x.mul_(1.5)
        if self.options.get("detached"):
            x = x.detach()
        with torch.set_grad_enabled(not self.options.get("no_grad")):
            again = self.part(x)
        return first + again.detach() if self.options.get("no_grad") else first + again


@pytest.mark.parametrize(
    ("options", "repeats"),
    [({}, 1), ({"moved": True}, 0), ({"changed": True}, 0), ({"no_grad": True}, 0)],
)
def test_only_the_same_run_is_a_repetition(options: dict[str, bool], repeats: int) -> None:
    model = Twice(**options)
    run = run_of(model, loss=lambda model, batch: model(batch * 1.0).detach().mean() + model.part.bias.sum())
    assert len(repeated_forward.record(run).repeats) == repeats


def test_evaluation_mode_is_left_alone() -> None:
    assert repeated_forward.record(run_of(Twice().eval())).repeats == ()


def test_a_backward_ends_a_micro_batch() -> None:
    model = nn.Linear(8, 1)

    def step(model: nn.Module, batch: torch.Tensor) -> None:
        model(batch).mean().backward()
        model(batch).pow(2).mean().backward()

    assert repeated_forward.record(run_of(model, step=step)).repeats == ()


def test_hooks_are_gone_and_weights_as_before() -> None:
    model = Twice()
    run = run_of(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    before = run.snapshot()
    with run.preserved():
        repeated_forward.record(run)
    assert before.differences() == ()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_contract_that_is_no_number_is_a_reason_to_skip() -> None:
    with pytest.raises(Skip, match="calls_per_step"):
        repeated_forward.record(run_of(Twice(), expect={"calls_per_step": {"part": "once"}}))


def test_calls_are_counted_in_each_step_by_line() -> None:
    (count,) = repeated_forward.record(run_of(Twice(), expect={"calls_per_step": {"part": 1}})).calls
    assert (count.counts, [caller.times for caller in count.callers]) == ((2, 2), [2, 2])


# ---- growing memory


def test_functional_transforms_are_measured_without_saved_tensors() -> None:
    kept = []

    def loss(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
        slope = torch.func.grad(lambda x: x.pow(2).sum())(batch)
        kept.append(torch.cat([slope, slope]))
        return model(slope).pow(2).mean()

    found = growing_memory.record(run_of(nn.Linear(8, 1), loss=loss))
    assert (not found.saved, [(held.holder, held.each) for held in found.held]) == (True, [("kept", 256)])


def test_saved_tensors_of_a_graph_that_lives_on_are_counted() -> None:
    kept = []

    def loss(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
        kept.append(torch.sigmoid(model(batch * 2)).sum())  # nobody calls backward on this one
        return model(batch).pow(2).mean()

    found = growing_memory.record(run_of(nn.Linear(8, 64), loss=loss))
    (held,) = found.held
    assert held.holder == "kept"
    assert held.nodes > 0
    assert held.each > 4 * 64 * 4  # the sigmoid's output, beside the sum


def test_the_collector_looks_at_everything_afterwards() -> None:
    growing_memory.record(run_of(nn.Linear(8, 1)))
    assert gc.get_freeze_count() == 0


def held(**more: Any) -> Held:
    told: dict[str, Any] = {
        "holder": "kept",
        "kind": "list",
        "in_model": False,
        "bounded": False,
        "each": 4096,
        "number": 1,
        "nodes": 0,
    }
    return Held(**{**told, "site": Site("train.py", 9), **more})


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (held(), [("ML709", 9, Severity.WARNING)]),
        (held(each=64), []),
        (held(each=0, nodes=7), [("ML709", 9, Severity.WARNING)]),
        (held(bounded=True), []),
        (held(each=256), []),  # outputs kept for a metric: smaller than the batch, a note
        (held(each=256, in_model=True), [("ML709", 9, Severity.WARNING)]),
        (held(holder=""), [("ML709", 9, Severity.WARNING)]),
        (held(holder="", site=None), []),
    ],
)
def test_what_counts_as_growing(one: Held, expected: list[Any]) -> None:
    assert codes(judged(growing_memory=GrowingMemory(3, (1, 2, 3, 4, 5, 6), 1024, True, (one,)))) == expected


# ---- recompilations


def test_nothing_compiled_is_a_reason_to_skip() -> None:
    with pytest.raises(Skip, match="nothing is compiled"):
        recompiles.record(run_of(nn.Linear(8, 1)))


def test_dynamo_is_as_before_afterwards() -> None:
    from torch._dynamo.output_graph import OutputGraph
    from torch._dynamo.utils import counters

    model = torch.compile(nn.Linear(8, 1), backend="eager")
    run = run_of(model)
    run.step(0)
    names = ("torch._dynamo", "torch._dynamo.guards.__recompiles", "torch._dynamo.symbolic_convert.__graph_breaks")

    def state() -> Any:
        loggers = [logging.getLogger(name) for name in names]
        enabled = torch._logging._internal.log_state.artifact_names
        levels = [(each.level, each.propagate, list(each.handlers)) for each in loggers]
        return (
            OutputGraph.call_user_compiler,
            set(enabled),
            levels,
            {key: dict(value) for key, value in counters.items()},
        )

    before = state()
    assert recompiles.record(run).recompiles == ()
    assert state() == before
    run.step(0)  # compiled again, by its own backend


def test_a_backend_that_is_not_there_is_not_called() -> None:
    calls = []

    def backend(graph: Any, inputs: Any) -> Any:
        calls.append(graph)
        return graph.forward

    run = run_of(torch.compile(nn.Linear(8, 1), backend=backend))
    run.step(0)
    assert len(calls) == 1
    recompiles.record(run)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("text", "guard", "row"),
    [
        (
            "Recompiling function forward in {file}:7\n    triggered by the following guard failure(s):\n"
            "    - L['self'].n == 0                                               ",
            "L['self'].n == 0",
            7,
        ),
        (
            "Recompiling function forward in {file}:7\n    triggered by the following guard failure(s):\n"
            "    - 0/1: self.n == 1          # self.n += 1  # .../{name}:8 in forward (HINT: …)\n"
            "    - 0/0: self.n == 0          # self.n += 1  # .../{name}:8 in forward",
            "self.n == 1",
            8,
        ),
        (
            "Recompiling function torch_dynamo_resume_in_forward_at_11 in {file}:11\n"
            "    triggered by the following guard failure(s):\n    - 2/0: flag == 0     # return y * flag  # x\n"
            '    - User stack trace:\n    -   File "{file}", line 12, in torch_dynamo_resume_in_forward_at_11\n',
            "flag == 0",
            12,
        ),
    ],
    ids=["torch 2.4", "torch 2.7", "torch 2.13"],
)
def test_reading_what_torch_says_of_a_recompilation(text: str, guard: str, row: int) -> None:
    found = recompiles._recompile(text.replace("{file}", __file__).replace("{name}", "test_probe_state_checks.py"), 4)
    assert (found.function, found.guard) == ("forward", guard)
    assert found.site is not None
    assert (found.site.path.rpartition("/")[2], found.site.row) == ("test_probe_state_checks.py", row)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f'Graph break: from user code at:\n  File "{__file__}", line 10, in forward\n    if y.sum() > 0:\n', ""),
        (
            f"Graph break in user code at {__file__}:10\nReason: Unsupported: Tensor.item\nUser code traceback:\n"
            f'  File "{__file__}", line 10, in forward\n    if y.sum().item() > 0:\n',
            "Unsupported: Tensor.item",
        ),
        (
            f"Graph break in user code at {__file__}:10\nGraph Break Reason: Encountered graph break when attempting to "
            "trace CALL: a function call, e.g. f(x, y):\n\nUnsupported Tensor.item() call\n  Hint: none\n\n"
            f'User code traceback:\n  File "{__file__}", line 10, in forward\n    if y.sum().item() > 0:\n',
            "Unsupported Tensor.item() call",
        ),
    ],
    ids=["torch 2.4", "torch 2.6", "torch 2.13"],
)
def test_reading_what_torch_says_of_a_break(text: str, reason: str) -> None:
    found = recompiles._break(text)
    assert (found.reason, found.own, found.wanted) == (reason, True, False)
    assert found.site is not None
    assert found.site.row == 10


def test_listening_hears_what_is_compiled_again() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return x * self.calls

    model = torch.compile(Counting(), backend="eager")
    with listening() as listener:
        for step in range(4):
            listener.step = step
            model(torch.ones(2))
    assert {step for artifact, step, _ in listener.heard if artifact == "recompiles"} >= {2, 3}


def test_a_storm_is_one_finding_a_line() -> None:
    again = tuple(Recompile("forward", step, f"n == {step}", Site("train.py", 3)) for step in (4, 5, 6))
    asked = GraphBreak("graph_break()", Site("train.py", 5), True, True)
    library = GraphBreak("item", Site("train.py", 6), False, False)
    own = GraphBreak("item", Site("train.py", 4), True, False)
    verdict = judged(recompiles=Recompiles(3, 3, again, (asked, library, own)))
    assert codes(verdict) == [("ML110", 3, Severity.WARNING), ("ML110", 4, Severity.WARNING)]
    assert [note.begin.row for note in verdict.notes] == [5, 6]
