"""ML703: see the class for the page.

May not: call a copy early that anything has waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.trace import Trace


class EarlyReadOfAsyncCopy(Rule):
    """The host reads an asynchronous copy from the GPU before anything has waited for it.

    ## Why

    `tensor.to("cpu", non_blocking=True)` returns at once, with memory that the GPU fills later. Who reads it before a
    synchronisation gets what was there before: zeros, or the values of another step. One project's snapshots of its
    model were garbage for that reason. Nothing fails, and under a debugger or on a small model the copy is fast enough
    to be right.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F

    history = []


    def loss(model, batch):
        value = F.mse_loss(model(batch), batch)
        copy = model.weight.detach().to("cpu", non_blocking=True)
        history.append(copy.numpy().mean())
        return value


    def mllint_probe():
        model = torch.nn.Linear(8, 8)
        return {"model": model, "batches": [torch.randn(4, 8) for _ in range(3)], "loss": loss}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F

    history = []


    def loss(model, batch):
        value = F.mse_loss(model(batch), batch)
        copy = model.weight.detach().to("cpu", non_blocking=True)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        history.append(copy.numpy().mean())
        return value


    def mllint_probe():
        model = torch.nn.Linear(8, 8)
        return {"model": model, "batches": [torch.randn(4, 8) for _ in range(3)], "loss": loss}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Found in the rehearsal on a virtual device, not on a GPU, where it is a matter of luck. Any later wait of the step counts as one for
    the copy, whatever stream it was on. `.numpy()` of such a copy counts as a read unless a `synchronize` follows. The static
    half of this rule comes later.
    """

    meta = Meta(code="ML703", name="early-read-of-async-copy", severity=Severity.ERROR, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.syncs import Syncs

        measured = trace.get(Syncs)
        for read in measured.early if measured is not None else ():
            yield ctx.observe(
                read.site,
                f"`{read.called}` reads an asynchronous copy from the GPU before anything waited for it",
                f"An asynchronous copy from the GPU is read by `{read.called}` too early",
                severity=Severity.INFO if read.asker == "library" else None,
                why=(
                    "the GPU may not have written it yet, so the values are those of before: wait for an event recorded "
                    "behind the copy, call `torch.cuda.synchronize()`, or copy without `non_blocking`"
                ),
                related=[(read.copied, "the copy begins here")],
            )
