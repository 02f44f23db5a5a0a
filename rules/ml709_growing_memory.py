"""ML709: see the class for the page.

May not: judge memory that torch's allocator keeps, or that rose only once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.growing_memory import GrowingMemory, Held
    from mllint.probe.trace import Trace

#: A few numbers a step (a history of losses) are no leak: no more bytes than this.
_NUMBERS = 64


class GrowingMemoryRule(Rule):
    """Memory rises with every step on the same batch: something keeps tensors of the steps before.

    ## Why

    Jobs ran out of memory after hours, and the machine's memory was given back only with the process. What grew was small at
    each step: a list of losses that were still tensors, each with the graph of its whole step behind it; activations
    that a layer remembered; a model built anew and never let go. A profile of one step does not show it.

    ## Bad

    ```python
    import torch
    from torch import nn

    losses = []


    def loss(model, batch):
        found = model(batch).pow(2).mean()
        losses.append(found)
        return found


    def mllint_probe():
        model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
        return {"model": model, "batches": [torch.randn(4, 8)], "loss": loss}
    ```

    ## Good

    ```python
    import torch
    from torch import nn

    losses = []


    def loss(model, batch):
        found = model(batch).pow(2).mean()
        losses.append(found.detach())
        return found


    def mllint_probe():
        model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
        return {"model": model, "batches": [torch.randn(4, 8)], "loss": loss}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Eight steps on one batch; the bytes of living tensors, those that autograd saved among them, or the operations of the graph
    behind what you hold, must rise after each step from the third to the eighth. What is held for a while only and emptied later (every hundred steps, at the end of an epoch)
    rises all the same: metrics with a `reset`, deques of limited length and the histories of optimizers are left alone, and so are a few
    numbers a step; detached tensors outside the model that are smaller than the batch are shown in the report only. Memory
    that is not a tensor is not seen, nor is what torch's allocator keeps.
    """

    meta = Meta(code="ML709", name="growing-memory", severity=Severity.WARNING, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.growing_memory import GrowingMemory

        measured = trace.get(GrowingMemory)
        if measured is None:
            return
        for held in measured.held:
            if not held.bounded and (held.nodes or held.each > _NUMBERS):
                yield self._told(held, measured, ctx)

    def _told(self, held: Held, measured: GrowingMemory, ctx: Judging) -> Diagnostic:
        holder = f"`{held.holder}`" + (f" ({held.kind})" if held.kind else "")
        more = f"{held.nodes} operations" if held.nodes else _size(held.each)
        what = "the autograd graph" if held.nodes else "tensors"
        first, last = measured.first, measured.first + len(measured.live) - 1
        begin, end = _size(measured.live[0]), _size(measured.live[-1])
        rise = f"on one and the same batch, live tensors had {begin} after step {first} and {end} after {last}"
        advice = (
            "keep `.detach()` or `.item()` of it, not the tensor" if held.nodes else "keep what you need, or empty it"
        )
        small = not held.nodes and not held.in_model and (held.each < measured.batch or held.site is None)
        if not held.holder:
            return ctx.observe(
                held.site,
                f"{_size(held.each)} of tensors made here stay after each step on the same batch",
                severity=Severity.INFO if small else None,
                why=f"{rise}; who holds them could not be found: look for a list, a cache or a graph that lives on",
            )
        return ctx.observe(
            held.site,
            f"{holder} keeps {what} of every step: {more} more each time",
            f"{what[0].upper()}{what[1:]} of every step stay alive: {more} more each time",
            severity=Severity.INFO if small else None,
            why=f"{rise}: {advice}",
        )


def _size(count: int) -> str:
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
