"""ML806: see the class for the page.

May not: judge padding that the batches do not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.trace import Trace

#: Relative to the outputs: correct models stay at 1.5e-7, faults were never under 0.1.
_BOUND = 1e-3
#: Where one output stands for the whole sequence, windows over its ends reach into the padding: a text CNN changes a little.
_POOLED = 0.1
#: In half precision other shapes are rounded otherwise: so many units in the last place.
_ULPS = 8


class PaddingSide(Rule):
    """Padding changes what the model computes for what is padded.

    ## Why

    Batches were padded on the left for training; at inference the text began at position 0, where the model had hardly ever seen
    a word, and the output was garbage. It happens silently whenever padding moves the content to other positions, or is
    attended to because no mask is passed: the same text gives another result in another batch.

    Samples that the batches pad are run as they are, without their padding, and with it on the other side, masks and everything
    else that runs along it moved with it. A model that takes padding right gives the same outputs for the content.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F


    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(20, 16)
            self.position = torch.nn.Embedding(8, 16)
            self.head = torch.nn.Linear(16, 20)

        def forward(self, ids):
            return self.head(self.embed(ids) + self.position(torch.arange(ids.shape[1], device=ids.device)))


    def batch():
        ids = torch.randint(1, 20, (4, 8))
        ids[1:, :3] = 0  # on the left: the text of most samples begins at position 3
        return ids


    def loss(model, ids):
        return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten(), ignore_index=0)


    def mllint_probe():
        return {"model": Net(), "batches": [batch() for _ in range(3)], "loss": loss, "pad": 0}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F


    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(20, 16)
            self.position = torch.nn.Embedding(8, 16)
            self.head = torch.nn.Linear(16, 20)

        def forward(self, ids):
            position = ((ids != 0).cumsum(1) - 1).clamp(min=0)  # the text begins at position 0 on either side
            return self.head(self.embed(ids) + self.position(position))


    def batch():
        ids = torch.randint(1, 20, (4, 8))
        ids[1:, :3] = 0
        return ids


    def loss(model, ids):
        return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten(), ignore_index=0)


    def mllint_probe():
        return {"model": Net(), "batches": [batch() for _ in range(3)], "loss": loss, "pad": 0}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    The target declares `pad`, and its batches contain it at the ends of two-dimensional ids. Both comparisons must differ: a causal
    model padded on the right gives the same outputs without the padding, and an average over everything is the same on
    both sides. Models of a fixed length are silent, since padding is part of their format. How text is padded at inference is
    not known here.
    """

    meta = Meta(code="ML806", name="padding-side", severity=Severity.WARNING, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.padding import Padding

        seen = trace.get(Padding)
        if seen is None:
            return
        bound = max(_POOLED if seen.pooled else _BOUND, _ULPS * seen.coarsest if seen.coarsest > 1e-4 else 0.0)
        if not (seen.moved > bound and seen.trimmed > bound):  # not-a-number: could not be compared
            return
        where = f"`{seen.path}` (`{seen.kind}`)" if seen.path else f"`{seen.kind}`"
        side = "both sides" if seen.side == "both" else f"the {seen.side}"
        mask = "though a mask is passed" if seen.masked else "and no mask is passed"
        yield ctx.observe(
            seen.site,
            f"Padding on {side} of `{seen.input}` changes the output for the content, in {where}",
            f"Padding on {side} of `{seen.input}` changes the output for the content",
            "Padding changes the output for the content",
            why=(
                f"{seen.content} of {seen.length} positions are content: without the padding their output changes by "
                f"{seen.trimmed:.2g}, with it on the other side by {seen.moved:.2g} ({mask}; correct models: 1.5e-7): mask the "
                "padding in attention and pooling, and count positions from the first token of the content"
            ),
        )
