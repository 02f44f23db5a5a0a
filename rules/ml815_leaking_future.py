"""ML815: see the class for the page.

May not: judge a model that nobody called causal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.trace import Trace

#: Relative to the change at the changed positions: correct models stay below 3e-8, faults were never under 5e-2.
_BOUND = 1e-5
#: In half precision a row of a product may be rounded otherwise when other rows are there: so many units in the last place.
_ULPS = 8
#: Routers drop tokens when an expert is full, later ones among them: that has no gradient.
_ROUTES = re.compile(r"experts?|moe|routers?|routed|switch|gating")


class LeakingFuture(Rule):
    """The output of a causal model at one position depends on later positions.

    ## Why

    A model that sees the token it has to predict learns to copy it: the loss falls far below what the data allow, and what
    it generates is worthless, since at generation there is nothing to copy. A mask with `tril(1)`, a mask that is passed but
    not used, a norm or a mean over time, a convolution padded on both sides: each lets a little of the future through, and the
    loss looks better for it.

    The last positions of a real batch are replaced; the outputs before them, in evaluation mode, must not change. The line is
    that of the first operation whose result before them changes.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F


    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(20, 16)
            self.mix = torch.nn.Conv1d(16, 16, 3, padding=1)  # sees the next position
            self.head = torch.nn.Linear(16, 20)

        def forward(self, ids):
            return self.head(self.mix(self.embed(ids).transpose(1, 2)).transpose(1, 2))


    def loss(model, ids):
        return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


    def mllint_probe():
        batches = [torch.randint(0, 20, (4, 9)) for _ in range(3)]
        return {"model": Net(), "batches": batches, "loss": loss, "causal": True}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F


    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(20, 16)
            self.mix = torch.nn.Conv1d(16, 16, 3)
            self.head = torch.nn.Linear(16, 20)

        def forward(self, ids):
            past = F.pad(self.embed(ids).transpose(1, 2), (2, 0))
            return self.head(self.mix(past).transpose(1, 2))


    def loss(model, ids):
        return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


    def mllint_probe():
        batches = [torch.randint(0, 20, (4, 9)) for _ in range(3)]
        return {"model": Net(), "batches": batches, "loss": loss, "causal": True}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Only for targets that declare `causal=True`, and for models whose class name ends in `ForCausalLM`. With several inputs along
    time (a source and a target) only the one that leaks least is judged: a source may be seen whole. Outputs shorter
    than the input are not matched with it. A target that is not shifted in the loss is not seen here: the model is causal
    then, and the loss is wrong.
    """

    meta = Meta(code="ML815", name="leaking-future", severity=Severity.ERROR, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.future_leak import FutureLeak

        measured = trace.get(FutureLeak)
        if measured is None or measured.culprit is None:
            return
        coarse = _ULPS * measured.coarsest if measured.coarsest > 1e-4 else 0.0
        if measured.changed <= max(_BOUND, coarse, 100 * measured.noise):
            return
        culprit = measured.culprit
        where = f"`{culprit.path}` (`{culprit.kind}`)" if culprit.path else f"`{culprit.kind}`"
        routed = _routes(culprit.around + culprit.inside) and not measured.gradient > _BOUND
        declared = "`causal` is declared" if measured.causal == "declared" else f"`{measured.causal}` says it is causal"
        made = trace.module(culprit.path)
        yield ctx.observe(
            culprit.site,
            f"{where} lets later positions change earlier outputs" + (": a router's capacity" if routed else ""),
            f"`{culprit.kind}` lets later positions change earlier outputs",
            "A module lets later positions change earlier outputs",
            severity=Severity.INFO if routed else None,
            why=(
                f"{declared}, and changing later positions of `{measured.input}` changed outputs before them by "
                f"{measured.changed:.2g} of the largest change (correct models: below 3e-8): look at the mask, and at means, "
                "norms and convolutions over time"
            ),
            related=[(made.made, "the module is made here")]
            if made and made.made and made.made != culprit.site
            else (),
        )


def _routes(names: tuple[str, ...]) -> bool:
    words = [word.lower() for name in names for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    return any(_ROUTES.fullmatch(word) for word in words)
