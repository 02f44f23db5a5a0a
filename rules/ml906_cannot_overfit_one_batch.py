"""ML906: see the class for the page.

May not: hold a loss against a floor that nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.one_batch import OneBatch
    from mllint.probe.trace import Trace

#: What may be left of the loss above its floor; and of a loss whose floor is not known, before it is a finding.
_LEFT, _LEFT_UNKNOWN = 0.10, 0.50


class CannotOverfitOneBatch(Rule):
    """The model cannot learn a single batch by heart.

    ## Why

    A model that cannot learn sixteen samples by heart will not learn a million: labels are shuffled against the inputs, a
    part of the graph is cut, the output cannot reach the targets, the loss does not measure what it should. The loss on the
    whole data falls a little all the same, to what the most frequent answer is worth, and looks like slow training.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F


    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = torch.nn.Linear(16, 64)
            self.head = torch.nn.Linear(64, 1)

        def forward(self, readings):
            return self.head(self.body(readings).relu()).sigmoid()  # between 0 and 1, the targets are not


    def loss(model, batch):
        readings, targets = batch
        return F.mse_loss(model(readings), targets)


    def mllint_probe():
        batch = (torch.randn(16, 16), 5 * torch.randn(16, 1))
        return {"model": Net(), "batches": [batch], "loss": loss}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F


    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = torch.nn.Linear(16, 64)
            self.head = torch.nn.Linear(64, 1)

        def forward(self, readings):
            return self.head(self.body(readings).relu())


    def loss(model, batch):
        readings, targets = batch
        return F.mse_loss(model(readings), targets)


    def mllint_probe():
        batch = (torch.randn(16, 16), 5 * torch.randn(16, 1))
        return {"model": Net(), "batches": [batch], "loss": loss}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Only on request (`--checks one-batch`): it trains for up to 200 steps with each of three learning rates, with an Adam of
    its own, from the weights as they are, dropout off, and stops at the first that gets below 10 % of the first loss. Soft
    labels and label smoothing leave a floor, which is subtracted where torch's own functions make up the loss. For another
    loss half of it must be left to make a finding, and what lies between is a note. A model with fewer trained elements
    than there are targets is a note too. Contrastive losses, several optimizers, and targets that are drawn anew in every step
    are skipped; so is a loss that is zero or negative at first.
    """

    meta = Meta(code="ML906", name="cannot-overfit-one-batch", severity=Severity.WARNING, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.one_batch import OneBatch

        measured = trace.get(OneBatch)
        if measured is None or not measured.attempts:
            return
        floor = measured.floor or 0.0
        best = min(measured.attempts, key=lambda each: each.lowest if each.lowest == each.lowest else float("inf"))
        left = (best.lowest - floor) / (best.first - floor) if best.first > floor else 0.0
        if left < _LEFT:
            return
        above = f" above its floor of {floor:.3g}" if floor else ""
        yield ctx.observe(
            None,
            f"One batch cannot be learned by heart: {left:.0%} of the loss{above} is left after {best.steps} steps",
            f"One batch cannot be learned by heart: {left:.0%} of the loss is left",
            severity=_severity(measured, left),
            why=(
                f"the loss falls from {best.first:.3g} to {best.lowest:.3g} at best (learning rates "
                f"{', '.join(f'{each.rate:g}' for each in measured.attempts)}): look at cut gradients, at whether inputs and labels "
                "belong together, and at whether the output can reach the targets"
            ),
        )


def _severity(measured: OneBatch, left: float) -> Severity:
    too_small = measured.values is not None and measured.trained < measured.values
    unknown = measured.floor is None and left < _LEFT_UNKNOWN
    return Severity.INFO if too_small or unknown else Severity.WARNING
