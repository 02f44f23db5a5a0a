"""ML602: see the class for the page.

May not: judge weights that were saved to a file or that never change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.trace import Trace


class AliasedStateDict(Rule):
    """The weights kept as the best ones are the live ones, and change with the next step.

    ## Why

    `state_dict()` returns the model's own tensors, not copies; so does `.copy()` of it, which copies the dictionary only, and
    `.cpu()` of a tensor that is on the CPU. A trainer kept such a dictionary as its best checkpoint and loaded it at the
    end: what it loaded were the last weights, under the name and the score of the best.

    ## Bad

    ```python
    import torch
    from torch import nn


    def loss(model, batch):
        return model(batch).pow(2).mean()


    def snapshot(model):
        return model.state_dict()


    def mllint_probe():
        model = nn.Linear(8, 4)
        batches = [torch.randn(4, 8) for _ in range(2)]
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return {"model": model, "batches": batches, "loss": loss, "optimizer": optimizer, "snapshot": snapshot}
    ```

    ## Good

    ```python
    import copy

    import torch
    from torch import nn


    def loss(model, batch):
        return model(batch).pow(2).mean()


    def snapshot(model):
        return copy.deepcopy(model.state_dict())


    def mllint_probe():
        model = nn.Linear(8, 4)
        batches = [torch.randn(4, 8) for _ in range(2)]
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return {"model": model, "batches": batches, "loss": loss, "optimizer": optimizer, "snapshot": snapshot}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Observed only: the half that reads the code comes with a later version. Seen is what `snapshot` returns, and state dicts
    taken in `validate` or `step` that something reachable from your functions still holds after the next step; a
    state dict that went into `torch.save` meanwhile is left alone. Weights that are frozen and did not change are left alone. On a
    GPU `.cpu()` copies, so that a probe on the CPU may find what a run on a GPU would not do.
    """

    meta = Meta(code="ML602", name="aliased-state-dict", severity=Severity.ERROR, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.aliases import Aliases

        measured = trace.get(Aliases)
        if measured is None:
            return
        for kept in measured.kept:
            what = "What `snapshot` returns" if kept.returned else f"The state dict kept in `{kept.keeper}`"
            done = f"{kept.changed} have changed" if kept.changed else "the optimizer writes into them"
            yield ctx.observe(
                kept.site,
                f"{what} shares memory with the model: {kept.tensors} of {kept.total} tensors are live",
                f"A kept state dict shares memory with the model: {kept.tensors} of {kept.total} tensors are live",
                why=(
                    f"after one more step {done} (`{kept.example}`): the best weights become the last; keep "
                    "`copy.deepcopy(model.state_dict())`, or `clone()` each tensor"
                ),
            )
