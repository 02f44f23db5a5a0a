"""ML816: see the class for the page.

May not: call a batch bad on which the step works, unless the user has declared how batches look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.bad_batch import OddBatch
    from mllint.probe.trace import Trace

_REMEDY = {
    "non-finite": "find the sample, and drop or repair it where the data is read",
    "empty": "drop such batches, or guard the mean over nothing",
    "constant": "look at the files and the reader behind it: an empty or failed read looks like this",
    "changed": "give every batch the same parts; where it is the last and smaller one, `drop_last=True` leaves it out",
    "undeclared": "correct the reader, or what `expect['batch']` declares",
}


class BadBatch(Rule):
    """A batch breaks the step: NaN in it, nothing in it, or parts unlike those of the other batches.

    ## Why

    One sample with not-a-number in it makes the loss, then every gradient, then every weight not-a-number, and the run is
    lost at a step nobody can name. Raw data had such values in one project, and missing bands in some images; in
    another, ten million samples were empty because a failed read had been swallowed. The reader knows nothing of the model
    and the model says only that a shape is wrong.

    ## Bad

    ```python
    import torch


    def loss(model, batch):
        readings, targets = batch
        return (model(readings) - targets).square().mean()


    def mllint_probe():
        batches = [(torch.randn(4, 8), torch.randn(4, 1)) for _ in range(6)]
        batches[4][0][2, 5] = float("nan")  # a sensor was off
        return {"model": torch.nn.Linear(8, 1), "batches": batches, "loss": loss}
    ```

    ## Good

    ```python
    import torch


    def loss(model, batch):
        readings, targets = batch
        return (model(readings) - targets).square().mean()


    def complete(batch):
        readings, targets = batch
        there = readings.isfinite().all(1)
        return readings[there], targets[there]


    def mllint_probe():
        batches = [(torch.randn(4, 8), torch.randn(4, 1)) for _ in range(6)]
        batches[4][0][2, 5] = float("nan")  # a sensor was off
        return {"model": torch.nn.Linear(8, 1), "batches": [complete(batch) for batch in batches], "loss": loss}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Up to 256 batches are looked at, or as many as `--steps` asks for, as far as they fit into half a gigabyte and a few
    seconds. An odd batch counts only where the step raises on it, or its loss or a gradient is not finite, and the same
    batch with zeros instead of NaN, or another batch, has no such effect: NaN as a mark for missing targets is fine.
    A constant batch (its largest part one value throughout, as in few others) is a warning. What batches must
    look like can be declared: `expect={"batch": {"image": "float32[*, 3, 224, 224]", "label": "int64[*]"}}`, keys or
    indices joined by dots, `*` for any size; then any other batch is an error, whatever the step does.
    """

    meta = Meta(code="ML816", name="bad-batch", severity=Severity.ERROR, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.bad_batch import BadBatch as Measured

        measured = trace.get(Measured)
        odd = sorted((each for each in measured.odd if _counts(each)), key=_kind) if measured is not None else []
        for _, group in groupby(odd, key=_kind):
            alike = sorted(group, key=lambda each: each.batch)
            first = alike[0]
            raised = ((first.site, f"here {first.effect}"),) if first.site is not None else ()
            yield ctx.observe(None, *_messages(first), severity=_severity(first), why=_why(alike), related=raised)


def _counts(odd: OddBatch) -> bool:
    """Another shape that works is nobody's business."""
    return odd.outcome == "breaks" or odd.oddity in ("non-finite", "constant", "undeclared")


def _kind(odd: OddBatch) -> tuple[str, str, bool]:
    return odd.oddity, odd.part, odd.outcome == "breaks"


def _severity(odd: OddBatch) -> Severity:
    if odd.oddity == "constant":
        return Severity.WARNING
    return Severity.ERROR if odd.outcome == "breaks" or odd.oddity == "undeclared" else Severity.INFO


def _messages(odd: OddBatch) -> tuple[str, ...]:
    part = f"`{odd.part}`" if odd.part else "the batch"
    if odd.oddity == "constant":
        return (f"Batch {odd.batch}: {part} is {odd.told}, unlike the other batches",)
    if odd.oddity == "undeclared":
        return (
            f"Batch {odd.batch}: {part} is {odd.told}, declared is {odd.usual}",
            f"Batch {odd.batch}: {part} is not as declared",
        )
    what = {
        "non-finite": f"{part} has {odd.told}",
        "empty": f"{part} is empty, {odd.told}",
        "changed": f"{part} is {odd.told}, in others {odd.usual}",
    }[odd.oddity]
    short = {"non-finite": f"{part} is not finite", "empty": f"{part} is empty", "changed": f"{part} is {odd.told}"}[
        odd.oddity
    ]
    effect = odd.effect if odd.outcome == "breaks" else "the step works" if odd.outcome == "works" else ""
    brief = effect.partition(" raises ")[0] + " fails" if " raises " in effect else effect
    ends = [f"; {end}" for end in dict.fromkeys((effect, brief)) if end]
    return (
        *(f"Batch {odd.batch}: {text}{end}" for text in (what, short) for end in ends),
        f"Batch {odd.batch}: {what}",
        f"Batch {odd.batch} is unlike the others: {odd.oddity}",
    )


def _why(alike: Sequence[OddBatch]) -> str:
    first = alike[0]
    others = f", as in batches {', '.join(str(each.batch) for each in alike[1:6])}" if len(alike) > 1 else ""
    more = f" and {len(alike) - 6} more" if len(alike) > 6 else ""
    usual = f" (usual: {first.usual})" if first.usual else ""
    effect = f"; {first.effect}" if first.effect else ""
    verb = "has" if first.oddity == "non-finite" else "is"
    return f"`{first.part or 'batch'}` {verb} {first.told}{usual}{others}{more}{effect}: {_REMEDY[first.oddity]}"
