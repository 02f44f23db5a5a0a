"""ML803: see the class for the page.

May not: call data that repeats itself in one split a leak between two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.split_overlap import Split
    from mllint.probe.measured.split_overlap import SplitOverlap as Measured
    from mllint.probe.trace import Trace

#: A share of validation samples that are in training too; less is what large collections have by nature.
_SHARE = 0.01
#: The share must also be this many times the share of repeated samples within one split.
_REPEATS = 5.0
#: A declared share of the validation split may be off by this much of all samples.
_OFF = 0.02


class SplitOverlap(Rule):
    """The same samples are in the training and in the validation split, or a split is not as large as declared.

    ## Why

    A validation loss on samples of the training set measures memory. In one project bricks stood in two splits at once, and
    in another the proportions were not the 70/15/15 that the configuration said; every number reported from there was
    wrong, and none looked wrong.

    ## Bad

    ```python
    import torch


    def loss(model, batch):
        readings, targets = batch
        return (model(readings) - targets).square().mean()


    def mllint_probe():
        readings, targets = torch.randn(64, 16), torch.randn(64, 1)
        train, val = slice(0, 56), slice(48, 64)  # eight samples in both
        return {
            "model": torch.nn.Linear(16, 1),
            "batches": [(readings[train], targets[train])],
            "val_batches": [(readings[val], targets[val])],
            "loss": loss,
        }
    ```

    ## Good

    ```python
    import torch


    def loss(model, batch):
        readings, targets = batch
        return (model(readings) - targets).square().mean()


    def mllint_probe():
        readings, targets = torch.randn(64, 16), torch.randn(64, 1)
        train, val = slice(0, 48), slice(48, 64)
        return {
            "model": torch.nn.Linear(16, 1),
            "batches": [(readings[train], targets[train])],
            "val_batches": [(readings[val], targets[val])],
            "loss": loss,
        }
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Only with `val_batches`. Samples are compared bit by bit over every part of the batch that holds more than one number a
    sample, padding left out: an augmented, rescaled or cut sample is another one, and so are overlapping windows of one
    recording. Samples of fewer than eight values are not compared. A finding needs one percent of the validation samples,
    and five times the share of repetitions within a split. As many batches are read as `--steps` says, at least up to
    256. What groups may not be shared, and how large the validation split is, can be declared:
    `expect={"group": "patient", "val_share": 0.15}`, the key or index of the group in the batch, and validation samples
    as a share of those of both splits.
    """

    meta = Meta(code="ML803", name="split-overlap", severity=Severity.ERROR, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.split_overlap import SplitOverlap as Measured

        measured = trace.get(Measured)
        if measured is None:
            return
        if _leaks(measured):
            share = measured.hits / measured.validation.samples
            yield ctx.observe(
                None,
                f"{measured.hits} of {measured.validation.samples} validation samples ({share:.0%}) are training samples too",
                why=_why(measured),
            )
        groups = measured.groups
        if groups is not None and groups.count:
            yield ctx.observe(
                None,
                f"{groups.count} of {groups.validation} groups (`{groups.part}`) of the validation split are in training too",
                why=f"among them {', '.join(groups.shared)}: split by group, then by sample",
            )
        yield from _proportions(measured, trace, ctx)


def _leaks(measured: Measured) -> bool:
    if not measured.hits:
        return False
    repeated = max(_repeated(measured.training), _repeated(measured.validation))
    share = measured.hits / measured.validation.samples
    return share >= _SHARE and (share > _REPEATS * repeated or (share == 1.0 and repeated < 0.5))


def _repeated(split: Split) -> float:
    """The share of samples that another of the same split is equal to."""
    return 1 - split.distinct / split.samples if split.samples else 0.0


def _why(measured: Measured) -> str:
    first = measured.examples[0]
    parts = ", ".join(f"`{part or 'batch'}`" for part in measured.parts)
    return (
        f"row {first[3]} of validation batch {first[2]} is row {first[1]} of training batch {first[0]}, compared over {parts}; "
        f"{measured.training.samples} training samples were read: a validation loss on these measures memory; split before "
        "anything else, by what must not be shared"
    )


def _proportions(measured: Measured, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
    declared = trace.facts.get("expect", {}).get("val_share")
    training, validation = measured.training.whole, measured.validation.whole
    if not isinstance(declared, (int, float)) or not training or validation is None:
        return
    share = validation / (training + validation)
    if abs(share - declared) > max(_OFF, 1 / (training + validation)):
        yield ctx.observe(
            None,
            f"The validation split is {share:.0%} of all samples, {declared:.0%} is declared",
            why=f"{training} training and {validation} validation samples: correct the split, or `expect['val_share']`",
        )
