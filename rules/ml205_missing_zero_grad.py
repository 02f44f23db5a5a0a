"""ML205: see the class for the page.

May not: count gradients as stale that a step accumulates on purpose before it uses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.stale_gradients import OptimizerGradients
    from mllint.probe.trace import Trace


class MissingZeroGrad(Rule):
    """An optimizer steps with gradients that it has already used, or with none at all.

    ## Why

    `backward()` adds to what is there. Without a `zero_grad()` between two steps every update carries the sum of all
    gradients since the start: the loss falls at first, as with a large momentum, then swings or grows, and what is
    blamed is the learning rate. The other way round, a `zero_grad()` between `backward()` and `step()` leaves nothing
    to step with, and with weight decay the parameters even move. Both are easy to write when a loop is split into
    helpers, or gets a second optimizer.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F

    model = torch.nn.Linear(8, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)


    def step(batch):
        loss = F.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()


    def mllint_probe():
        batches = [(torch.randn(6, 8), torch.randint(0, 4, (6,))) for _ in range(3)]
        return {"model": model, "batches": batches, "step": step, "optimizer": optimizer}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F

    model = torch.nn.Linear(8, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)


    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()


    def mllint_probe():
        batches = [(torch.randn(6, 8), torch.randint(0, 4, (6,))) for _ in range(3)]
        return {"model": model, "batches": batches, "step": step, "optimizer": optimizer}
    ```

    ## Fix safety

    There is no fix: where to clear depends on what the loop accumulates.

    ## Known limits

    Only the runtime half exists yet, and only for a target with a `step` of its own: around a `loss` it is the probe
    that clears. A gradient that is cleared and computed anew in another way than by `backward` (assigned to `.grad`)
    is not followed. A `zero_grad()` between the micro-batches of one accumulation is not told from one that is meant.
    """

    meta = Meta(code="ML205", name="missing-zero-grad", severity=Severity.ERROR, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.stale_gradients import StaleGradients

        measured = trace.get(StaleGradients)
        for optimizer in measured.optimizers if measured is not None else ():
            if optimizer.stale:
                yield _stale(ctx, optimizer)
            elif optimizer.lost >= max(2, optimizer.stepped - 1):  # the first may have come before anyone looked
                yield _lost(ctx, optimizer)


def _stale(ctx: Judging, optimizer: OptimizerGradients) -> Diagnostic:
    every = len(optimizer.stale) >= optimizer.parameters
    of = "every parameter" if every else f"{len(optimizer.stale)} of {optimizer.parameters} parameters"
    first = optimizer.stale[0]
    return ctx.observe(
        optimizer.added,
        f"Gradients that `{optimizer.kind}` has used are still there and added to: {of}, `{first}` first",
        f"Gradients that `{optimizer.kind}` has used are still there and added to: {of}",
        "Gradients that an optimizer has used are still there and added to",
        why=(
            f"`{first}` still had the gradient of the step before when this backward began, and the optimizer "
            "stepped with the "
            "sum: call `optimizer.zero_grad()` once for each `optimizer.step()`, before the first backward"
        ),
        related=[(optimizer.stepping, "stepped here")],
    )


def _lost(ctx: Judging, optimizer: OptimizerGradients) -> Diagnostic:
    return ctx.observe(
        optimizer.stepping,
        f"`{optimizer.kind}` steps without a gradient: what backward made has been cleared before",
        "The optimizer steps without a gradient: it has been cleared before",
        why=(
            f"in {optimizer.lost} of {optimizer.stepped} steps its parameters had gradients after backward and none at "
            "`step()`: call `zero_grad()` before backward, or after the step"
        ),
    )
