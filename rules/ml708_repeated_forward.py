"""ML708: see the class for the page.

May not: judge the number of calls; that takes a contract (ML520).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.trace import Trace


class RepeatedForwardRule(Rule):
    """A module runs again on the very same input and gives the very same output.

    ## Why

    Everybody said that a network ran once a step. It ran several times, since each head asked for its features anew. A week
    went into stop-gaps for what followed from it (captured graphs that overwrote each other's results), and every step paid
    for the same forward and its backward more than once.

    ## Bad

    ```python
    import torch
    from torch import nn


    class TwoHeads(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Linear(8, 16)
            self.left, self.right = nn.Linear(16, 1), nn.Linear(16, 1)

        def forward(self, x):
            return self.left(self.features(x)) + self.right(self.features(x))


    def loss(model, batch):
        return model(batch).pow(2).mean()


    def mllint_probe():
        return {"model": TwoHeads(), "batches": [torch.randn(4, 8)], "loss": loss}
    ```

    ## Good

    ```python
    import torch
    from torch import nn


    class TwoHeads(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Linear(8, 16)
            self.left, self.right = nn.Linear(16, 1), nn.Linear(16, 1)

        def forward(self, x):
            features = self.features(x)
            return self.left(features) + self.right(features)


    def loss(model, batch):
        return model(batch).pow(2).mean()


    def mllint_probe():
        return {"model": TwoHeads(), "batches": [torch.randn(4, 8)], "loss": loss}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    The same input is the same memory in the same version, up to the next backward; a copy of it is another input. Not
    counted: what runs without gradients, in evaluation mode, or inside backward (checkpointing); modules whose second output differs
    (dropout, noise, a state of their own); modules without weights that are multiplied (norms, embeddings,
    activations); parts of a shared layer that itself runs on different inputs; a run after the weights changed. Compiled models run
    uncompiled for this, and are skipped before torch 2.6. How often a module may run at all is a contract: ML520.
    """

    meta = Meta(code="ML708", name="repeated-forward", severity=Severity.WARNING, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.repeated_forward import RepeatedForward

        measured = trace.get(RepeatedForward)
        if measured is None:
            return
        for repeat in measured.repeats:
            times = "twice" if repeat.times == 2 else f"{repeat.times} times"
            name = f"`{repeat.path}` ({repeat.kind})" if repeat.path else f"The model ({repeat.kind})"
            yield ctx.observe(
                repeat.again or repeat.first,
                f"{name} runs {times} on the same input before a backward",
                f"A module ({repeat.kind}) runs {times} on the same input before a backward",
                f"A module runs {times} on the same input before a backward",
                why=(
                    f"the outputs are equal bit for bit, and forward and backward of {repeat.elements:,} parameters are paid "
                    f"{times}: keep the first result and use it again"
                ),
                related=[(repeat.first, "the first run on this input")] if repeat.first != repeat.again else [],
            )
