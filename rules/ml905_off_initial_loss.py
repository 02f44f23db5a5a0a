"""ML905: see the class for the page.

May not: judge a model that nobody called fresh.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.first_loss import FirstCall, FirstLoss
    from mllint.probe.trace import Trace

#: A first loss within these multiples of ln(classes) is what an untrained classifier may have.
_LOWEST, _HIGHEST = 0.5, 2.0
#: A factor that is this near to a number of targets is no accident.
_CLOSE = 0.02


class OffInitialLoss(Rule):
    """The first loss of a fresh classifier is far from what a guess by chance costs.

    ## Why

    A classifier that knows nothing pays ln(classes) a sample. A first loss far above that means logits on a wrong scale or
    labels that do not fit the classes; far below it, the answer is in the input, or the loss is averaged over more
    than it should be. The loss falls from there all the same, and nobody looks at where it began.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F


    def loss(model, batch):
        images, labels = batch
        return F.cross_entropy(model(images), labels) / len(labels)  # cross_entropy has averaged already


    def mllint_probe():
        model = torch.nn.Linear(16, 10)
        batches = [(torch.randn(8, 16), torch.randint(0, 10, (8,))) for _ in range(3)]
        return {"model": model, "batches": batches, "loss": loss, "classes": 10, "fresh": True}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F


    def loss(model, batch):
        images, labels = batch
        return F.cross_entropy(model(images), labels)


    def mllint_probe():
        model = torch.nn.Linear(16, 10)
        batches = [(torch.randn(8, 16), torch.randint(0, 10, (8,))) for _ in range(3)]
        return {"model": model, "batches": batches, "loss": loss, "classes": 10, "fresh": True}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Only for targets that declare `classes` and `fresh=True`: of a trained model the first loss says nothing. Judged is the
    mean over three batches of what each `cross_entropy`, `nll_loss` or binary cross-entropy costs a target, whatever its
    reduction, its scale and the terms beside it: between half of ln(classes) (ln 2 for binary ones; less where the
    targets themselves are less spread, as a last bias may know their frequencies) and twice of it. Of one that is fine,
    dividing it again by the number of targets is a finding; a sum over targets and other factors are notes. A loss in
    which none of torch's loss functions has a part is compared as it is.
    """

    meta = Meta(code="ML905", name="off-initial-loss", severity=Severity.WARNING, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.first_loss import FirstLoss

        measured = trace.get(FirstLoss)
        if measured is None or not measured.losses:
            return
        mean = sum(measured.losses) / len(measured.losses)
        off = [call for call in measured.calls if _off(call, measured)]
        for call in off:
            yield ctx.observe(call.site, *_messages_of_call(call, measured), why=_WHY)
        if off:
            return
        if not math.isfinite(mean):
            yield ctx.observe(None, f"The first loss is {mean}", why=_WHY)
        elif measured.calls:
            yield from _scale(mean, measured, ctx)
        elif not measured.others and not _LOWEST <= mean / measured.chance <= _HIGHEST:
            yield ctx.observe(
                None,
                f"The first loss is {mean:.3g}, {mean / measured.chance:.2g} times ln({measured.classes}) = {measured.chance:.3g}",
                why=_WHY,
            )


_WHY = (
    "a classifier that knows nothing pays ln(classes) a target: look at the scale of the inputs and of the last layer, at "
    "how the loss is averaged, and at whether the labels fit the classes"
)


def _chance(call: FirstCall, measured: FirstLoss) -> float:
    """What a guess pays: among the declared classes, where there is but one call, else among those of its logits."""
    only = len(measured.calls) == 1 and not call.operation.startswith("binary")
    return min(call.chance, measured.chance) if only else call.chance


def _off(call: FirstCall, measured: FirstLoss) -> bool:
    lowest = _LOWEST * min(_chance(call, measured), call.spread)
    return not lowest <= call.mean <= _HIGHEST * _chance(call, measured)  # not-a-number lies outside too


def _messages_of_call(call: FirstCall, measured: FirstLoss) -> tuple[str, ...]:
    chance = _chance(call, measured)
    classes = round(math.exp(chance))
    return (
        f"The first `{call.operation}` is {call.mean:.3g} a target, {call.mean / chance:.2g} times ln({classes}) = {chance:.3g}",
    )


def _scale(mean: float, measured: FirstLoss, ctx: Judging) -> Iterator[Diagnostic]:
    """The cross-entropy is as it should be: is the loss made of it?"""
    call = measured.calls[0]
    if len(measured.calls) > 1 or call.times != 1 or not call.mean or not mean:
        return
    factor = mean / call.mean
    cost = f"{call.mean:.3g} a target"
    for count, what in ((call.targets, "targets"), (call.rows, "rows")):
        if count >= 2 and abs(factor * count - 1) < _CLOSE:
            yield ctx.observe(
                call.site,
                f"The first loss is {mean:.3g}: the mean `{call.operation}`, {cost}, divided again by {count:g} {what}",
                f"The first loss is {mean:.3g}: `{call.operation}` is averaged twice, {cost}",
                why=f"`{call.operation}` averages already, so that gradients shrink with the size of the batch: drop the division",
            )
            return
        if count >= 2 and abs(factor / count - 1) < _CLOSE:
            yield ctx.observe(
                call.site,
                f"The first loss is {mean:.3g}, a sum over {count:g} {what} of {cost}",
                severity=Severity.INFO,
                why="a sum grows with the size of the batch, and so do its gradients: the learning rate belongs to this size",
            )
            return
    if not _LOWEST <= factor <= _HIGHEST:
        yield ctx.observe(
            call.site,
            f"The first loss is {mean:.3g}, {factor:.2g} times its `{call.operation}` of {cost}",
            severity=Severity.INFO,
            why="other terms, weights or a scale are part of it; the cross-entropy itself is what chance costs",
        )
