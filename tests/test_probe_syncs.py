"""Syncs of a step: what the recorder tells of a rehearsal, how ML701, ML703 and ML711 judge it, and the time of a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mllint.checking.packs import builtin_rules
from mllint.checking.ruleset import RuleSet
from mllint.checking.select import select
from mllint.diagnostic import Severity
from mllint.probe import codec, device_time
from mllint.probe.judge import judge
from mllint.probe.measured.idle_device import Gap, IdleDevice
from mllint.probe.measured.syncs import DeviceMix, EarlyCopyRead, Sync, Syncs
from mllint.probe.site import Site
from mllint.probe.trace import Trace


def judged(measurement: Any, **options: Any) -> list[tuple[str, Severity, int, str]]:
    """Findings and notes of a stored measurement: code, level, row, message."""
    rules = builtin_rules()
    metas = [replace(rule.meta, severity=rule.meta.observed or rule.meta.severity) for rule in rules]
    trace = Trace(entry=Site("train.py", 1, "mllint_probe"), measurements={"it": measurement})
    chosen = replace(select(metas), options=(("ML701", tuple(options.items())),))
    verdict = judge(trace, RuleSet(rules, chosen), {})
    found = [*(one for report in verdict.reports for one in report.diagnostics), *verdict.notes]
    return sorted((one.code, one.severity, one.begin.row, one.message) for one in found)


def sync(row: int, *counts: int, **rest: Any) -> Sync:
    told = {"kind": "item", "called": "item", "operator": "_local_scalar_dense", "stack": (), "asker": "user"} | rest
    return Sync(site=Site("train.py", row, "step"), counts=counts, **told)


def rehearsed(*syncs: Sync, **rest: Any) -> Syncs:
    return Syncs("rehearse", 2, syncs=syncs, table="2.13", **rest)


# ---- ML701


def test_more_waits_than_allowed_are_findings_by_line() -> None:
    found = judged(rehearsed(sync(5, 1, 1), sync(5, 2, 2, called="__bool__"), sync(9, 1, 1)))
    assert [(code, level, row) for code, level, row, _ in found] == [
        ("ML701", Severity.WARNING, 5),
        ("ML701", Severity.WARNING, 9),
    ]
    assert found[0][3] == "A tensor as a condition makes the host wait for the GPU 3 times a step"


def test_what_the_user_allows_is_a_note() -> None:
    measured = rehearsed(sync(5, 1, 1), sync(9, 1, 1))
    assert {level for _, level, _, _ in judged(measured)} == {Severity.WARNING}
    assert {level for _, level, _, _ in judged(measured, **{"max-syncs": 2})} == {Severity.INFO}


@pytest.mark.parametrize(
    "harmless",
    [
        sync(9, 1, 0),  # built once
        sync(9, 0, 5),  # behind an interval
        sync(9, 3, 3, asker="framework"),
        sync(9, 3, 3, asker="library"),
        sync(9, 3, 3, asker="unknown"),
        sync(9, 2, 2, kind="staged", called="to"),
        sync(9, 2, 2, kind="idle", called="to"),
    ],
)
def test_what_does_not_count(harmless: Sync) -> None:
    assert {level for _, level, _, _ in judged(rehearsed(sync(5, 1, 1), harmless))} == {Severity.INFO}


def test_copies_of_a_batch_count_as_one() -> None:
    copies = [sync(row, 1, 1, kind="batch", called="to") for row in (3, 4, 5)]
    assert {level for _, level, _, _ in judged(rehearsed(*copies))} == {Severity.INFO}
    assert {level for _, level, _, _ in judged(rehearsed(*copies, sync(9, 1, 1)))} == {Severity.WARNING}


def test_a_backward_pass_is_told_at_its_forward() -> None:
    forward = Site("train.py", 5, "step")
    backward = sync(20, 1, 1, kind="nonzero", called="index_put", node="IndexBackward0", forward=forward)
    found = judged(rehearsed(sync(5, 1, 1, kind="nonzero", called="__getitem__"), backward))
    assert [row for _, _, row, _ in found] == [5] and "its backward included" in found[0][3]


# ---- ML703 and ML711


def test_early_reads() -> None:
    early = EarlyCopyRead("sum", Site("train.py", 7), Site("train.py", 6), "user", 2)
    found = judged(Syncs("rehearse", 2, early=(early, replace(early, asker="library"))))
    assert [(code, level) for code, level, _, _ in found] == [("ML703", Severity.ERROR), ("ML703", Severity.INFO)]


def mix(**rest: Any) -> DeviceMix:
    told = {"called": "mul", "operator": "mul", "site": Site("model.py", 4), "stack": (), "asker": "user", "count": 2}
    return DeviceMix(**{**told, "on_device": ("`weight`",), "on_host": ("float32 [3]",), **rest})


@pytest.mark.parametrize(
    ("told", "placed", "level"),
    [
        ({"host_kind": "made", "host_name": "zeros", "host_asker": "user", "in_module": True}, (), Severity.ERROR),
        ({"host_kind": "made", "host_name": "zeros", "host_asker": "user", "in_module": True}, ("model",), Severity.WARNING),
        ({"host_kind": "made", "host_name": "randn", "host_asker": "user"}, ("model",), Severity.INFO),
        ({"host_kind": "attribute", "host_name": "mask", "host_asker": "user"}, ("model",), Severity.WARNING),
        ({"host_kind": "batch"}, ("model",), Severity.ERROR),
        ({"called": "numpy", "operator": "numpy", "on_host": ()}, ("model", "batches"), Severity.INFO),
        ({"called": "numpy", "operator": "numpy", "on_host": ()}, (), Severity.ERROR),
        ({"host_kind": "made", "host_asker": "library", "asker": "library"}, (), Severity.INFO),
        ({}, (), None),
    ],
)  # fmt: skip
def test_mismatches_by_what_is_known(told: dict[str, Any], placed: tuple[str, ...], level: Severity | None) -> None:
    found = judged(Syncs("rehearse", 2, mixes=(mix(**told),), placed=placed))
    assert [each[1] for each in found] == ([] if level is None else [level])


def test_one_tensor_is_one_finding() -> None:
    made = {"host_kind": "attribute", "host_name": "mask", "host_asker": "user"}
    used = (mix(**made), mix(**made, site=Site("model.py", 9)))
    assert [row for _, _, row, _ in judged(Syncs("rehearse", 2, mixes=used))] == [4]
    kept = tuple(replace(each, host_site=Site("model.py", 2)) for each in used)
    assert [row for _, _, row, _ in judged(Syncs("rehearse", 2, mixes=kept))] == [2]  # where it is made


def test_a_measurement_survives_the_disk() -> None:
    measured = rehearsed(
        sync(5, 1, 1, forward=Site("a.py", 1), node="X", stall=0.5), mixes=(mix(),), early=(), notes=("so",)
    )
    trace = Trace(measurements={"syncs": measured})
    assert codec.from_json(codec.to_json(trace)).measurements == {"syncs": measured}


# ---- recording


def recorded(entry: Callable[[], dict[str, Any]]) -> Any:
    pytest.importorskip("torch")
    from mllint.probe.check import all_checks
    from mllint.probe.recording.entry import entry_from
    from mllint.probe.recording.rehearsal import virtual_device
    from mllint.probe.recording.run import Run
    from mllint.probe.recording.session import record

    with virtual_device():
        trace = record(Run(entry_from(entry())), [check for check in all_checks() if check.stem == "syncs"])
    assert trace.unrestored == ()
    return trace.measurements.get("syncs") or trace.checks[0].reason


def target(
    loss: Any = None, *, step: Any = None, moved: bool = False, batch: Any = None
) -> Callable[[], dict[str, Any]]:
    def entry() -> dict[str, Any]:
        import torch

        model = torch.nn.Linear(4, 4)
        given = {"model": model.to("cuda") if moved else model, "batches": batch or [torch.ones(2, 4)] * 3}
        return {**given, **({"step": step} if step else {"loss": loss or (lambda model, x: model(x).sum())})}

    return entry


def test_what_nobody_moves_is_placed_and_told() -> None:
    assert recorded(target()).placed == ("model", "batches")
    assert recorded(target(moved=True)).placed == ("batches",)
    measured = recorded(target(lambda model, x: model(x.to("cuda")).sum(), moved=True))
    assert measured.placed == () and [each.kind for each in measured.syncs] == ["batch"]
    measured = recorded(target(lambda model, x: model(x.to(model.weight.device)).sum()))
    assert measured.placed == ("model",)


def test_a_forgotten_part_of_the_batch_is_a_mismatch() -> None:
    import torch

    pairs = [(torch.ones(2, 4), torch.ones(2, 4))] * 3
    measured = recorded(
        target(lambda model, pair: (model(pair[0].to("cuda")) - pair[1]).sum(), moved=True, batch=pairs)
    )
    assert [each.host_kind for each in measured.mixes] == ["batch"]


def test_lengths_that_only_the_rehearsal_has_moved_do_not_count() -> None:
    import torch

    def loss(model: Any, batch: Any) -> Any:
        lengths = batch[1].tolist()
        return sum(model(batch[0])[number, :length].sum() for number, length in enumerate(lengths))

    rows = [(torch.ones(2, 4), torch.tensor([3, 2]))] * 3
    assert [(each.called, each.asker) for each in recorded(target(loss, batch=rows)).syncs] == [("tolist", "placed")]
    there = [(torch.ones(2, 4), torch.tensor([3, 2]))] * 3

    def moving(model: Any, batch: Any) -> Any:
        return loss(model, [each.to("cuda") for each in batch])

    assert ("tolist", "user") in [
        (each.called, each.asker) for each in recorded(target(moving, moved=True, batch=there)).syncs
    ]


def test_waits_behind_an_interval_show_as_such() -> None:
    def entry() -> dict[str, Any]:
        import torch

        model, steps = torch.nn.Linear(4, 4).to("cuda"), {"done": 0}

        def step(model: Any, x: Any) -> None:
            loss = model(x.to("cuda")).sum()
            loss.backward()
            if steps["done"] % 5 == 0:
                loss.item()
            steps["done"] += 1

        return {"model": model, "batches": [torch.ones(2, 4)] * 3, "step": step}

    assert {each.kind: each.counts for each in recorded(entry).syncs} == {"batch": (1, 1), "item": (1, 0)}


def test_a_target_of_the_cpu_is_skipped() -> None:
    reason = recorded(target(lambda model, x: (model(x.to("cpu")).to("cpu") * x.to("cpu")).sum()))
    assert "names the CPU itself" in reason


def test_a_step_that_fails_only_there_is_skipped_with_its_reason() -> None:
    def loss(model: Any, x: Any) -> Any:
        if x.is_cuda:
            raise RuntimeError("no kernel image")
        return model(x).sum()

    assert "no kernel image" in recorded(target(loss))


def test_a_failing_step_still_tells_its_mismatch() -> None:
    def loss(model: Any, x: Any) -> Any:
        import torch

        torch.stack([model(x.to("cuda"))[0], torch.ones(4)])
        raise RuntimeError("later")

    measured = recorded(target(loss, moved=True))
    assert [each.host_name for each in measured.mixes] == ["ones"] and "later" in measured.failed


def test_a_backward_that_waits_alone_is_counted_in_both_steps() -> None:
    pytest.importorskip("torch")
    from mllint.probe.recording.recorders.syncs import _syncs
    from mllint.probe.recording.rehearsal.events import Wait, Where

    at = Where(Site("train.py", 9), (), "user", in_backward=True)
    made = Where(Site("model.py", 3), (), "library")
    first = Wait("item", "item", "item", at, node="ProdBackward0")
    found = _syncs([[first, first], [replace(first, forward=made)] * 2])
    assert [(each.counts, each.asker, each.forward) for each in found] == [((2, 2), "framework", made.site)]


# ---- ML707: the time of a GPU, from a profile as plain data


def event(category: str, name: str, start: float, duration: float, **args: Any) -> dict[str, Any]:
    return {"ph": "X", "cat": category, "name": name, "ts": start, "dur": duration, "args": args}


STEP = event("user_annotation", device_time.STEP, 0, 1000)


def test_busy_time_is_a_union() -> None:
    spans = device_time.spans_of(
        [STEP, event("kernel", "a", 100, 200), event("kernel", "b", 250, 100), event("gpu_memcpy", "c", 600, 100)]
    )
    assert device_time.busy(spans, 0, 1000) == [(100, 350), (600, 700)]
    assert device_time.idle(spans, 0, 1000) == [(0, 100), (350, 600), (700, 1000)]
    assert device_time.busy(spans, 300, 650) == [(300, 350), (600, 650)]


@pytest.mark.parametrize(
    ("during", "cause"),
    [
        ([], "launch-bound"),
        ([event("cuda_runtime", "cudaStreamSynchronize", 40, 70)], "sync"),
        ([event("cuda_runtime", "cudaStreamSynchronize", 10, 20)], "launch-bound"),  # over before the GPU ran dry
        (
            [event("user_annotation", "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", 120, 700)],
            "data wait",
        ),
        ([event("cuda_runtime", "cudaMemcpyAsync", 150, 600)], "transfer"),
        ([event("cuda_runtime", "cudaMemcpyAsync", 150, 10)], "launch-bound"),
    ],
)
def test_gaps_have_a_cause(during: list[dict[str, Any]], cause: str) -> None:
    work = [event("kernel", "before", 0, 100), event("kernel", "after", 900, 100)]
    (gap,) = device_time.gaps_of(device_time.spans_of([STEP, *work, *during]))
    assert (gap.cause, gap.count) == (cause, 1) and gap.seconds == pytest.approx(800e-6)


def test_steps_reach_to_the_next_and_copies_are_told_a_step() -> None:
    events = [event("user_annotation", device_time.STEP, start, 50) for start in (0, 100)]
    events += [event("gpu_memcpy", "Memcpy HtoD (Pageable -> Device)", start, 10, bytes=4096) for start in (20, 120)]
    events += [event("kernel", "k", 150, 100), event("cpu_op", "aten::add", 0, 5), {"ph": "M", "name": "process_name"}]
    spans = device_time.spans_of(events)
    assert device_time.steps_in(spans) == [(0, 100), (100, 250)]
    (copies,) = device_time.copies_of(spans)
    assert (copies.direction, copies.count, copies.bytes) == ("HtoD", 1, 4096)
    assert device_time.gaps_of(device_time.spans_of([])) == ()


def test_a_busy_gpu_is_no_finding_and_an_idle_one_names_its_gap() -> None:
    measured = IdleDevice(
        "NVIDIA H200", 4, 0.05, 0.03, 400.0, (Gap("sync", 0.015, 3.0), Gap("launch-bound", 0.005, 90.0))
    )
    ((code, level, _, message),) = judged(measured)
    assert (code, level) == ("ML707", Severity.WARNING) and "60%" in message and "sync" in message
    assert judged(replace(measured, busy_seconds=0.045)) == []
    assert "on the CPU" in judged(replace(measured, host_elements=10, elements=10))[0][3]
