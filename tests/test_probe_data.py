"""The checks that look at data and at the loss: what they read out of batches and calls, and how it is judged."""

from __future__ import annotations

import math
from collections import UserDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from torch import nn

from mllint.checking.packs import builtin_rules
from mllint.diagnostic import Diagnostic, Severity
from mllint.probe.check import all_checks
from mllint.probe.judge import Judging
from mllint.probe.measured.bad_batch import BadBatch, OddBatch
from mllint.probe.measured.class_gradient import ClassGradient, ClassPart, LossGradient
from mllint.probe.measured.one_batch import Attempt, OneBatch
from mllint.probe.measured.shortcut import Shortcut, TrivialFeature
from mllint.probe.measured.split_overlap import Split, SplitOverlap
from mllint.probe.measured.truncation import Sequences, Truncation
from mllint.probe.recording.data.floors import Looked, contrasts, floor_of
from mllint.probe.recording.data.lengths import rows_of
from mllint.probe.recording.data.logistic import area_under_curve, cross_validated_auc
from mllint.probe.recording.data.lookups import excess, lookups
from mllint.probe.recording.data.losscalls import loss_calls
from mllint.probe.recording.data.samples import compared, digests, samples_of
from mllint.probe.recording.data.survey import surveyed
from mllint.probe.recording.data.undropped import undropped
from mllint.probe.recording.entry import entry_from
from mllint.probe.recording.here import probe_here
from mllint.probe.recording.leaves import kind_of, own, parts, tensors
from mllint.probe.recording.recorders import class_gradient, indices, one_batch, shortcut
from mllint.probe.recording.run import Run
from mllint.probe.recording.skip import Skip
from mllint.probe.trace import Trace

RULES = {rule.meta.code: rule for rule in builtin_rules()}


def judged(code: str, measurement: Any, **facts: Any) -> list[Diagnostic]:
    trace = Trace(target="t.py", facts={"expect": {}, **facts}, measurements={"it": measurement})
    return list(RULES[code].judge(trace, Judging(RULES[code], trace)))


def run_of(loss: Callable[..., Any], batches: Any, model: nn.Module | None = None, **told: Any) -> Run:
    return Run(entry_from({"model": model or nn.Linear(4, 3), "batches": batches, "loss": loss, **told}))


# ---- batches of any kind

Pair = namedtuple("Pair", ["image", "label"])


@dataclass
class Holder:
    ids: Any
    note: str = "n"


class Loose:
    def __init__(self, ids: Any) -> None:
        self.ids = ids


@pytest.mark.parametrize(
    ("batch", "paths"),
    [
        (torch.ones(2), [""]),
        ((torch.ones(2), {"a": [torch.ones(1), torch.ones(1)]}), ["0", "1.a.0", "1.a.1"]),
        (UserDict({"input_ids": torch.ones(2)}), ["input_ids"]),
        (Pair(torch.ones(2), 3), ["image", "label"]),
        (Holder(torch.ones(2)), ["ids", "note"]),
        (Loose(torch.ones(2)), ["ids"]),
        (["one text", "another"], [""]),
        (None, [""]),
    ],
)
def test_parts_of_a_batch_have_paths(batch: Any, paths: list[str]) -> None:
    assert list(parts(batch)) == paths


@pytest.mark.parametrize("wrapped", [lambda t: t, lambda t: UserDict({"a": t}), Holder, Loose, lambda t: [t, {"b": t}]])
def test_a_step_cannot_change_the_batch_of_another(wrapped: Callable[[Any], Any]) -> None:
    batch = wrapped(torch.zeros(3))
    for copied in tensors(own(batch)).values():
        copied.add_(1)
    assert all(bool((tensor == 0).all()) for tensor in tensors(batch).values())


def test_arrays_are_parts_like_tensors() -> None:
    numpy = pytest.importorskip("numpy")
    batch = {"x": numpy.zeros((2, 3), "float32"), "names": numpy.array(["a", "b"])}
    assert kind_of(batch["x"]) == "float32[2, 3]"
    assert list(tensors(batch)) == ["x"]
    copied = own(batch)
    copied["x"][0] = 1
    assert not batch["x"].any()


def test_what_can_be_read_once_is_read_once() -> None:
    run = run_of(lambda model, batch: model(batch).sum(), iter([torch.full((1, 4), float(n)) for n in range(5)]))
    first = run.batch(0)
    assert [float(batch[0, 0]) for batch in surveyed(run)] == [0, 1, 2, 3, 4]
    assert torch.equal(run.batch(0), first)
    assert torch.equal(run.batch(7), run.batch(7))


def test_a_function_of_the_step_number_may_end() -> None:
    data = [torch.ones(1, 4)] * 4
    assert len(surveyed(run_of(lambda model, batch: model(batch).sum(), lambda number: data[number]))) == 4


# ---- ML805

TABLE = torch.randn(5, 3)


def at(index: int) -> torch.Tensor:
    return torch.tensor([index])


LOOKUPS: dict[str, tuple[Callable[[int], Any], Any, Callable[[int], tuple[tuple[Any, ...], dict[str, Any]]]]] = {
    "embedding": (lambda i: F.embedding(at(i), TABLE), F.embedding, lambda i: ((at(i), TABLE), {})),
    "keywords": (
        lambda i: F.embedding(input=at(i), weight=TABLE),
        F.embedding,
        lambda i: ((), {"input": at(i), "weight": TABLE}),
    ),
    "torch.embedding": (lambda i: torch.embedding(TABLE, at(i)), torch.embedding, lambda i: ((TABLE, at(i)), {})),
    "embedding_bag": (
        lambda i: F.embedding_bag(at(i)[None], TABLE),
        F.embedding_bag,
        lambda i: ((at(i)[None], TABLE), {}),
    ),
    "cross_entropy": (
        lambda i: F.cross_entropy(TABLE[:, :1].T, at(i)),
        F.cross_entropy,
        lambda i: ((TABLE[:, :1].T, at(i)), {}),
    ),
    "gather": (
        lambda i: TABLE.gather(0, at(i)[None]),
        torch.Tensor.gather,
        lambda i: ((TABLE,), {"dim": 0, "index": at(i)[None]}),
    ),
    "gather, last": (
        lambda i: TABLE.T.gather(-1, at(i)[None]),
        torch.gather,
        lambda i: ((TABLE.T, -1, at(i)[None]), {}),
    ),
    "index_select": (
        lambda i: TABLE.index_select(0, at(i)),
        torch.index_select,
        lambda i: ((TABLE, 0, at(i)), {}),
    ),
    "scatter": (
        lambda i: TABLE.scatter(0, at(i)[None], 1.0),
        torch.Tensor.scatter_,
        lambda i: ((TABLE, 0, at(i)[None], 1.0), {}),
    ),
    "scatter_add": (
        lambda i: TABLE.scatter_add(0, at(i)[None], TABLE),
        torch.Tensor.scatter_add,
        lambda i: ((TABLE, 0, at(i)[None], TABLE), {}),
    ),
    "index_add": (
        lambda i: TABLE.index_add(0, at(i), TABLE[:1]),
        torch.Tensor.index_add_,
        lambda i: ((TABLE, 0, at(i), TABLE[:1]), {}),
    ),
    "index_fill": (
        lambda i: TABLE.index_fill(0, at(i), 0.0),
        torch.Tensor.index_fill,
        lambda i: ((TABLE, 0, at(i), 0.0), {}),
    ),
    "one_hot": (lambda i: F.one_hot(at(i), 5), F.one_hot, lambda i: ((at(i), 5), {})),
    "take": (lambda i: TABLE[:, 0].take(at(i)), torch.take, lambda i: ((TABLE[:, 0], at(i)), {})),
    "subscript": (lambda i: TABLE[at(i)], torch.Tensor.__getitem__, lambda i: ((TABLE, at(i)), {})),
    "subscript, last": (
        lambda i: TABLE.T[None, ..., at(i)],
        torch.Tensor.__getitem__,
        lambda i: ((TABLE.T, (None, ..., at(i))), {}),
    ),
    "subscript after a mask": (
        lambda i: TABLE.T[None][torch.ones(1, 3, dtype=torch.bool), at(i).expand(3)],
        torch.Tensor.__getitem__,
        lambda i: ((TABLE.T[None], (torch.ones(1, 3, dtype=torch.bool), at(i).expand(3))), {}),
    ),
}


@pytest.mark.parametrize("index", [-6, -5, -1, 0, 4, 5])
@pytest.mark.parametrize("name", LOOKUPS)
def test_an_index_is_out_of_its_table_where_torch_says_so(name: str, index: int) -> None:
    call, function, arguments = LOOKUPS[name]
    found = [excess(lookup) for lookup in lookups(function, *arguments(index))]
    assert found, "not seen as a lookup"
    try:
        call(index)
    except (IndexError, RuntimeError):
        assert any(found)
    else:
        assert not any(found)


def test_a_lookup_beyond_the_end_that_torch_wraps_is_out() -> None:
    (lookup,) = lookups(torch.take_along_dim, (TABLE, at(5)[None], 0), {})
    assert lookup.silent and excess(lookup)


@pytest.mark.parametrize(("ignored", "out"), [(-100, True), (7, False)])
def test_what_the_loss_ignores_is_no_class(ignored: int, out: bool) -> None:
    (lookup,) = lookups(F.cross_entropy, (torch.randn(2, 3), torch.tensor([1, 7])), {"ignore_index": ignored})
    assert bool(excess(lookup)) is out


def test_values_that_cannot_be_read_are_not_judged() -> None:
    (lookup,) = lookups(F.embedding, (torch.zeros(3, dtype=torch.long, device="meta"), TABLE), {})
    assert excess(lookup) is None


def test_a_step_that_dies_of_an_index_is_explained() -> None:
    model = nn.Embedding(4, 2)
    told = {"model": model, "batches": [torch.tensor([1, 4])], "loss": lambda model, ids: model(ids).sum()}
    trace = probe_here(lambda: told, [check for check in all_checks() if check.explains])
    assert trace.failure is not None and trace.steps == 0
    (out,) = trace.measurements["indices"].out
    assert (out.table, out.size, out.high) == ("weight", 4, 4)


def test_only_a_part_that_goes_into_the_table_as_it_is_is_looked_at_further() -> None:
    batches = [torch.tensor([1, 2])] * 4 + [torch.tensor([1, 9])]
    folded = run_of(lambda model, ids: model(ids % 4).sum(), batches, nn.Embedding(4, 2))
    assert indices.record(folded).out == ()
    plain = run_of(lambda model, ids: model(ids).sum(), batches, nn.Embedding(4, 2))
    (out,) = indices.record(plain).out
    assert (out.batch, out.high) == (4, 9)


# ---- loss calls, ML216, ML906


def test_the_gradient_of_a_call_is_its_own() -> None:
    logits = torch.randn(6, 12, requires_grad=True)
    target = torch.arange(6)
    with loss_calls(aliased=True) as calls:
        loss = F.cross_entropy(logits, target) + logits.square().sum()  # the penalty is no part of the call
    (gradient,) = torch.autograd.grad(loss, [calls[0].input])
    assert torch.allclose(gradient, (logits.softmax(1) - F.one_hot(target, 12)) / 6, atol=1e-6)


@pytest.mark.filterwarnings("ignore:size_average and reduce")
@pytest.mark.parametrize(
    ("told", "reduction"),
    [({}, "mean"), ({"reduction": "sum"}, "sum"), ({"size_average": False}, "sum"), ({"reduce": False}, "none")],
)
def test_the_reduction_is_that_of_the_call(told: dict[str, Any], reduction: str) -> None:
    with loss_calls() as calls:
        F.cross_entropy(torch.randn(2, 3), torch.tensor([0, 1]), **told)
    assert calls[0].reduction == reduction


def test_log_probabilities_share_out_the_gradient_as_logits_do() -> None:
    batch = (torch.randn(64, 4), torch.arange(64) % 12 % 11)
    model = nn.Linear(4, 11)
    by_logits = run_of(lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]), [batch], model)
    by_logs = run_of(lambda model, batch: F.nll_loss(model(batch[0]).log_softmax(1), batch[1]), [batch], model)
    (first,), (second,) = class_gradient.record(by_logits).calls, class_gradient.record(by_logs).calls
    assert first.targets == second.targets == 64  # a batch that is alone is counted once
    for one, other in zip(first.parts, second.parts, strict=True):
        assert one.number == other.number
        assert one.gradient == pytest.approx(other.gradient, abs=1e-5)


def part_of(share: float, seen: int = 20, effective: float = 2000) -> ClassGradient:
    call = LossGradient("cross_entropy", None, 50, seen, int(effective), effective, (ClassPart(3, share, share),))
    return ClassGradient(3, (call,))


@pytest.mark.parametrize(
    ("measured", "found"),
    [
        (part_of(0.27), True),
        (part_of(0.18), False),
        (part_of(0.27, effective=40), False),  # chance
        (part_of(0.52, seen=2), False),
        (part_of(0.28, seen=10), False),  # less than three times an equal share
    ],
)
def test_a_class_dominates_beyond_chance_and_equal_shares(measured: ClassGradient, found: bool) -> None:
    assert bool(judged("ML216", measured)) is found


def test_padding_among_the_targets_is_named() -> None:
    (found,) = judged("ML216", part_of(0.6), pad=3)
    assert "the padding" in found.message and "ignore_index" in found.why


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_the_floor_is_the_loss_of_perfect_predictions(smoothing: float) -> None:
    target = torch.tensor([0, 2, 1])
    wanted = F.one_hot(target, 3) * (1 - smoothing) + smoothing / 3

    def looked(logits: torch.Tensor) -> Looked:
        with loss_calls() as calls:
            loss = 3 * F.cross_entropy(logits, target, label_smoothing=smoothing)
        return Looked(float(loss), tuple(calls))

    perfect = 3 * F.cross_entropy(wanted.clamp_min(1e-30).log(), target, label_smoothing=smoothing)
    assert floor_of(looked(torch.randn(3, 3)), looked(torch.randn(3, 3))) == pytest.approx(float(perfect), abs=1e-5)


def test_a_loss_with_other_terms_has_no_known_floor() -> None:
    def looked(logits: torch.Tensor) -> Looked:
        with loss_calls() as calls:
            loss = F.mse_loss(logits, torch.zeros(3)) + 1.0
        return Looked(float(loss), tuple(calls))

    assert floor_of(looked(torch.ones(3)), looked(torch.ones(3) * 2)) is None


def test_samples_as_classes_are_a_contrast() -> None:
    with loss_calls() as calls:
        F.cross_entropy(torch.randn(4, 4), torch.arange(4))
        F.cross_entropy(torch.randn(4, 4), torch.tensor([1, 0, 2, 3]))
    assert [contrasts(call) for call in calls] == [True, False]


class Dropping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.drop, self.rate = nn.Dropout(0.5), 0.5
        self.attention = nn.MultiheadAttention(4, 1, dropout=0.5)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        mixed = self.attention(values, values, values)[0]
        return F.dropout(self.drop(mixed), self.rate, training=True)


def test_nothing_is_dropped_and_rates_come_back() -> None:
    model, values = Dropping().train(), torch.randn(50, 4)
    with undropped(model):
        assert torch.equal(model(values), model(values))
        assert model.training
    assert (model.drop.p, model.attention.dropout) == (0.5, 0.5)
    assert not torch.equal(model(values), model(values))


def test_learning_by_heart_leaves_nothing_behind() -> None:
    told = {
        "model": nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 3)),
        "batches": [(torch.randn(6, 4), torch.arange(6) % 3)],
        "loss": lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]),
    }
    trace = probe_here(lambda: told, [check for check in all_checks() if check.stem == "one_batch"])
    assert trace.unrestored == ()
    assert judged("ML906", trace.measurements["one_batch"]) == []


@pytest.mark.parametrize("loss", [lambda model, x: -(model(x).sum() ** 2), lambda model, x: torch.tensor(1.0)])
def test_a_loss_that_need_not_fall_is_skipped(loss: Callable[..., Any]) -> None:
    with pytest.raises(Skip):
        one_batch.record(run_of(loss, [torch.randn(2, 4)]))


@pytest.mark.parametrize(
    ("lowest", "floor", "trained", "level"),
    [
        (0.05, 0.0, 100, None),
        (0.5, 0.45, 100, None),  # what is left is the floor
        (0.5, 0.0, 100, Severity.WARNING),
        (0.4, None, 100, Severity.INFO),
        (0.9, None, 100, Severity.WARNING),
        (0.5, 0.0, 3, Severity.INFO),  # fewer numbers to train than targets
    ],
)
def test_what_may_be_left_of_a_loss(lowest: float, floor: float | None, trained: int, level: Severity | None) -> None:
    found = judged("ML906", OneBatch((Attempt(1e-3, 1.0, lowest, 200),), trained, floor, 16))
    assert [one.severity for one in found] == ([] if level is None else [level])


# ---- ML803, ML804


def test_a_sample_is_itself_in_any_batch() -> None:
    ids = torch.tensor([[5, 6, 7, 8, 9, 4, 3, 2, 1, 0, 0], [9, 1, 2, 3, 4, 5, 6, 7, 8, 8, 4]])
    wide, narrow = samples_of({"ids": ids}), samples_of({"ids": ids[:1, :10]})
    assert wide is not None and narrow is not None
    for pad in (0, None):
        assert digests(wide, compared(wide), pad)[0] == digests(narrow, compared(narrow), pad)[0]
    assert digests(wide, compared(wide), 0)[0] != digests(wide, compared(wide), 0)[1]


@pytest.mark.parametrize("values", [torch.zeros(2, 64), torch.rand(2, 4), torch.randint(0, 2, (2, 30))])
def test_a_sample_that_says_too_little_is_not_compared(values: torch.Tensor) -> None:
    samples = samples_of(values)
    assert samples is not None and digests(samples, compared(samples)) == [None, None]


@pytest.mark.parametrize("batch", [(torch.ones(3, 4), torch.ones(2, 9)), None, torch.tensor(3.0)])
def test_a_batch_without_samples_has_none(batch: Any) -> None:
    assert samples_of(batch) is None


@pytest.mark.parametrize(
    ("training", "validation", "hits", "found"),
    [
        (Split(500, 500), Split(100, 100), 8, True),
        (Split(5000, 5000), Split(1000, 1000), 5, False),  # large collections have that
        (Split(500, 400), Split(100, 90), 60, False),  # as many repetitions within a split
        (Split(500, 400), Split(100, 90), 100, True),
        (Split(500, 500), Split(100, 100), 0, False),
    ],
)
def test_overlap_is_beyond_what_repeats_itself(training: Split, validation: Split, hits: int, found: bool) -> None:
    measured = SplitOverlap(training, validation, ("0",), hits, hits, ((0, 1, 2, 3),))
    assert bool(judged("ML803", measured)) is found


@pytest.mark.parametrize(("declared", "found"), [(0.2, False), (0.19, False), (0.3, True)])
def test_a_declared_share_is_held(declared: float, found: bool) -> None:
    measured = SplitOverlap(Split(8, 8, 800), Split(8, 8, 200), ("0",))
    assert bool(judged("ML803", measured, expect={"val_share": declared})) is found


def padded(*rows: list[int]) -> torch.Tensor:
    return torch.tensor([row + [0] * (12 - len(row)) for row in rows])


def test_padding_is_told_in_the_order_of_what_is_surest() -> None:
    ids = padded(*[list(range(1, length)) for length in range(3, 13)])
    mask = (torch.arange(12)[None] < 2).expand(10, 12)
    for batch, pad, embedded, known, first in (
        ({"ids": ids, "ids_mask": mask.long()}, 5, frozenset({0}), "mask", 2),
        ({"ids": ids}, 0, frozenset[int](), "declared", 2),
        ({"ids": ids}, None, frozenset({0}), "embedding", 2),
        ({"ids": ids}, None, frozenset[int](), "ends", 2),
    ):
        told = rows_of([batch], "ids", pad, embedded)
        assert told is not None and told[0] == known and len(told[1][0].tokens) == first
    inside = ids.clone()
    inside[:, 1] = 0  # a zero within: it is no padding
    assert rows_of([{"ids": inside}], "ids", None, frozenset()) is None


SPREAD = tuple((length, 2) for length in range(10, 32))


@pytest.mark.parametrize(
    ("sequences", "found"),
    [
        (Sequences("ids", "declared", (*SPREAD, (32, 20))), True),
        (Sequences("ids", "declared", (*SPREAD, (32, 3))), False),
        (Sequences("ids", "declared", ((32, 200),)), False),  # packed
        (Sequences("ids", "declared", ((30, 40), (31, 45), (32, 60))), False),
        (Sequences("ids", "declared", (*SPREAD, (32, 20)), continued=True), False),
        (Sequences("ids", "mask", tuple((n, 8) for n in range(2, 12)), short_ends=1.0, full_ends=0.0), True),
        (Sequences("ids", "mask", tuple((n, 8) for n in range(2, 12)), short_ends=1.0, full_ends=1.0), False),
        (Sequences("ids", "declared", ((8, 3),), said=20), True),
    ],
)
def test_a_cut_is_told_from_samples_of_that_length(sequences: Sequences, found: bool) -> None:
    assert bool(judged("ML804", Truncation(1, (sequences,)))) is found


# ---- ML816, ML821, ML905


@pytest.mark.parametrize(
    ("odd", "level"),
    [
        (OddBatch("non-finite", 1, "x", "3 NaN", outcome="breaks", effect="the loss is nan"), Severity.ERROR),
        (OddBatch("non-finite", 1, "x", "3 NaN", outcome="works"), Severity.INFO),
        (OddBatch("changed", 1, "x", "float64[2]", "float32[2]", "breaks", "the step raises X"), Severity.ERROR),
        (OddBatch("changed", 1, "x", "float64[2]", "float32[2]", "works"), None),
        (OddBatch("undeclared", 1, "x", "float64[2]", "float32[2]"), Severity.ERROR),
        (OddBatch("constant", 1, "x", "0 throughout"), Severity.WARNING),
    ],
)
def test_an_odd_batch_counts_where_the_step_breaks(odd: OddBatch, level: Severity | None) -> None:
    found = judged("ML816", BadBatch(5, (odd, replace(odd, batch=3))))
    assert [one.severity for one in found] == ([] if level is None else [level])
    assert all("batches 3" in one.why for one in found)


def test_a_schema_that_cannot_be_read_is_said() -> None:
    told = {
        "model": nn.Linear(4, 1),
        "batches": [torch.ones(1, 4)],
        "loss": lambda model, batch: model(batch).sum(),
        "expect": {"batch": {"": "four floats"}},
    }
    trace = probe_here(lambda: told, [check for check in all_checks() if check.stem == "bad_batch"])
    (check,) = trace.checks
    assert check.outcome == "skipped" and "float32[*, 3, 32, 32]" in check.reason


def test_chance_is_one_half_on_samples_that_were_left_out() -> None:
    generator = torch.Generator().manual_seed(0)
    noise, labels = torch.randn(400, 60, generator=generator), torch.arange(400) % 2 == 0
    assert abs(cross_validated_auc(noise, labels) - 0.5) < 0.1
    assert cross_validated_auc(noise[:, :1] + labels[:, None] * 10, labels) == 1.0


def test_ties_count_half() -> None:
    positive = torch.tensor([True, True, False, False])
    assert area_under_curve(torch.zeros(4), positive) == 0.5
    assert area_under_curve(torch.tensor([2.0, 1.0, 1.0, 0.0]), positive) == 0.875


def test_few_samples_of_noise_are_not_judged() -> None:
    batch = (torch.randn(64, 1, 10, 10), torch.arange(64) % 2)
    with pytest.raises(Skip, match="200 samples"):
        shortcut.record(run_of(lambda model, batch: model(batch[0].flatten(1)).sum(), [batch], nn.Linear(100, 1)))


@pytest.mark.parametrize(("expect", "level"), [({}, Severity.INFO), ({"shortcut_auc": 0.7}, Severity.WARNING)])
def test_a_shortcut_is_a_note_until_a_bound_is_set(expect: dict[str, float], level: Severity) -> None:
    measured = Shortcut(400, 2, "1", (TrivialFeature("borders", "0", 1, 0.8, 0.03, 200),))
    (found,) = judged("ML821", measured, expect=expect)
    assert found.severity is level


def first_loss_of(loss: Callable[..., Any]) -> list[Diagnostic]:
    told = {
        "model": nn.Linear(4, 20),
        "batches": [(torch.randn(16, 4), torch.arange(16)) for _ in range(3)],
        "loss": loss,
        "classes": 20,
        "fresh": True,
    }
    trace = probe_here(lambda: told, [check for check in all_checks() if check.stem == "first_loss"])
    return judged("ML905", trace.measurements["first_loss"])


@pytest.mark.parametrize(
    ("loss", "level"),
    [
        (lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]), None),
        (lambda model, batch: F.cross_entropy(model(batch[0]), batch[1], reduction="sum"), Severity.INFO),
        (lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]) / 16, Severity.WARNING),
        (lambda model, batch: 30 * F.cross_entropy(model(batch[0]), batch[1]), Severity.INFO),
        (lambda model, batch: F.cross_entropy(90 * model(batch[0]), batch[1]), Severity.WARNING),
        (lambda model, batch: F.cross_entropy(model(batch[0]) * math.nan, batch[1]), Severity.WARNING),
        (lambda model, batch: model(batch[0]).square().sum() + 100, Severity.WARNING),
    ],
)
def test_the_first_loss_is_held_against_chance(loss: Callable[..., Any], level: Severity | None) -> None:
    assert [one.severity for one in first_loss_of(loss)] == ([] if level is None else [level])
