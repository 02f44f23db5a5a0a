"""ML905: see the class for the page.

May not: judge a model that nobody called fresh.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.trace import Trace

#: A first loss within these multiples of ln(classes) is what an untrained classifier may have.
_LOWEST, _HIGHEST = 0.5, 2.0


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

    Only for targets that declare `classes` and `fresh=True`: of a trained model, or of a loss that is no cross-entropy, the
    first loss says nothing. The bounds are half and twice ln(classes), as the mean over three batches.
    """

    meta = Meta(code="ML905", name="off-initial-loss", severity=Severity.WARNING, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.first_loss import FirstLoss

        measured = trace.get(FirstLoss)
        if measured is None:
            return
        mean = sum(measured.losses) / len(measured.losses)
        ratio = mean / measured.chance
        if _LOWEST <= ratio <= _HIGHEST:  # not-a-number lies outside too
            return
        yield ctx.observe(
            None,
            f"The first loss is {mean:.3g}, {ratio:.2g} times ln({measured.classes}) = {measured.chance:.3g}",
            why=(
                "a classifier that knows nothing pays ln(classes) a sample: look at the scale of the last layer, at how the "
                "loss is averaged, and at whether the labels fit the classes"
            ),
        )
