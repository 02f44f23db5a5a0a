"""ML814: see the class for the page.

May not: call it a fault where the model says by its names that samples are to be mixed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.batch_leak import Culprit, LeakingCall
    from mllint.probe.trace import Trace

#: Relative to the change of the sample itself: correct models stay below 3e-8, faults were never under 5e-2.
_BOUND = 1e-5
#: In half precision a row of a product may be rounded otherwise when other rows are there: so many units in the last place.
_ULPS = 8
#: Words of class names that say that samples are meant to meet.
_MEANT = re.compile(
    r"minibatch|batch|ghost|graph|gcn|gat|gnn|gin|sage|edge|node|message|neighbou?rs?|knn|cluster|proto\w*|support|"
    r"inter|whiten\w*|decorrelat\w*|mixup|mixstyle|cutmix|quant\w*|observer|contrast\w*|queue|kernel|gaussian|process|npt"
)
#: Arguments and variables of a forward that say the same.
_NAMED = re.compile(
    r"minibatch|mini_batch|group_size|batch_(std|mean|var|stat)\w*|in_batch|cross_batch|edge_index|edges|adj\w*|neighbou?rs?|"
    r"support\w*|prototypes?|memory_bank|queue|lam|perm|rand_perm"
)
#: Routers drop tokens when an expert is full: that is the batch's doing, and has no gradient.
_ROUTES = re.compile(r"experts?|moe|routers?|routed|switch|gating")
#: Of two dimensions these take the first for time.
_SEQUENTIAL = re.compile(r"LSTM|GRU|RNN|MultiheadAttention|Transformer(En|De)coderLayer")


class LeakingBatch(Rule):
    """The output for a sample depends on the other samples of its batch.

    ## Why

    A reshape after a transpose, a softmax or a mean over dimension 0, an LSTM that was not told `batch_first=True`: the shapes
    fit, the loss falls, and each prediction is made of its neighbours too. Evaluation on other batches, or on single samples,
    then gives other answers, and nobody looks for the reason in a `view`.

    One sample of a real batch is replaced by another one (and moved by noise); the outputs for all others, in evaluation
    mode, must not change. The line is that of the first operation whose result for the others changes.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F


    class Tagger(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cells = torch.nn.LSTM(8, 16)  # takes (time, batch, features)
            self.head = torch.nn.Linear(16, 3)

        def forward(self, series):
            states, _ = self.cells(series)
            return self.head(states[:, -1])


    def mllint_probe():
        batches = [(torch.randn(4, 6, 8), torch.randint(0, 3, (4,))) for _ in range(3)]
        return {"model": Tagger(), "batches": batches, "loss": lambda model, b: F.cross_entropy(model(b[0]), b[1])}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F


    class Tagger(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cells = torch.nn.LSTM(8, 16, batch_first=True)
            self.head = torch.nn.Linear(16, 3)

        def forward(self, series):
            states, _ = self.cells(series)
            return self.head(states[:, -1])


    def mllint_probe():
        batches = [(torch.randn(4, 6, 8), torch.randint(0, 3, (4,))) for _ in range(3)]
        return {"model": Tagger(), "batches": batches, "loss": lambda model, b: F.cross_entropy(model(b[0]), b[1])}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Evaluation mode only: batch norms and other statistics that `eval()` switches off are no leak. Outputs with two dimensions of
    samples (similarities of a contrastive model) are not looked at for it, nor are losses. What says by the name of its class
    or its arguments that samples are to meet (minibatch statistics, graphs, supports, mixup) gives a note, as does a router
    whose leak has no gradient. Where dimension 1 is independent and no vector of the batch has one entry for each sample,
    time may come first: a note too; `sequence_dim` settles it. So is a batch that goes through a recurrent or attention
    layer of torch with two dimensions: it may be one sequence.
    """

    meta = Meta(code="ML814", name="leaking-batch", severity=Severity.ERROR, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.batch_leak import BatchLeak

        measured = trace.get(BatchLeak)
        for call in measured.calls if measured else ():
            bound = max(_BOUND, _ULPS * call.coarsest if call.coarsest > 1e-4 else 0.0, 100 * call.noise)
            if call.culprit is not None and call.changed > bound:
                yield _told(call, call.culprit, trace, ctx)


def _told(call: LeakingCall, culprit: Culprit, trace: Trace, ctx: Judging) -> Diagnostic:
    excuse = _excuse(call, culprit)
    where = f"`{culprit.path}` (`{culprit.kind}`)" if culprit.path else f"`{culprit.kind}`"
    figure = f"{call.changed:.2g} of its own change" if call.changed < 0.995 else "as much as its own"
    why = (
        f"replacing one of {call.samples} samples changed outputs for others by up to {figure} (correct models: below 3e-8): "
        "look for a reshape after a transpose, a softmax, mean or norm over dimension 0, a missing `batch_first=True`"
    )
    made = trace.module(culprit.path)
    return ctx.observe(
        culprit.site,
        f"{where} mixes the samples of a batch" + (f": {excuse}" if excuse else ""),
        f"`{culprit.kind}` mixes the samples of a batch" + (f": {excuse}" if excuse else ""),
        "A module mixes the samples of a batch",
        severity=Severity.INFO if excuse else None,
        why=why,
        related=[(made.made, "the module is made here")] if made and made.made and made.made != culprit.site else (),
    )


def _excuse(call: LeakingCall, culprit: Culprit) -> str:
    """Why it may be meant, "" where nothing says so."""
    if any(_MEANT.fullmatch(word) for kind in culprit.around for word in _words(kind)):
        return "its name says so"
    if any(_NAMED.fullmatch(name.lower()) for name in (*culprit.names, *call.inputs)):
        return "its forward says so"
    routes = any(_ROUTES.fullmatch(word) for name in (*culprit.around, *culprit.inside) for word in _words(name))
    if routes and not call.gradient > _BOUND:
        return "a router's capacity"
    if culprit.dims == 2 and _SEQUENTIAL.fullmatch(culprit.kind):
        return "or it is one sequence"
    if call.other_dim and not call.labelled:
        return "or time comes first (say `sequence_dim`)"
    return ""


def _words(name: str) -> list[str]:
    """``MinibatchStd2d`` and ``minibatch_std`` as minibatch, std."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
