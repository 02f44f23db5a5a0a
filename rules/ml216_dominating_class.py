"""ML216: see the class for the page.

May not: judge a handful of targets, or fewer than ten classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.class_gradient import LossGradient
    from mllint.probe.trace import Trace

#: A class dominates above this share of the gradient, and above this multiple of an equal share.
_SHARE, _MULTIPLE = 0.20, 3.0
#: With fewer classes a large share means nothing.
_FEWEST_CLASSES = 10
#: The share must lie above the bound by so many standard errors.
_ERRORS = 3.0


class DominatingClass(Rule):
    """One class of the targets takes a large part of the gradient at the logits.

    ## Why

    What a classifier learns first is what its loss is made of. In one language of plans, a structural token was 27 % of all
    targets: it ruled the gradient, the model learned to write it everywhere, and the tokens that mattered stayed at
    0.7 %. The loss fell nicely all the while. A padding token among the targets does the same.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F

    PAD = 0


    def loss(model, ids):
        logits = model(ids[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())  # padding counts as a target


    def mllint_probe():
        model = torch.nn.Sequential(torch.nn.Embedding(32, 16), torch.nn.Linear(16, 32))
        ids = torch.randint(1, 32, (16, 40))
        ids[:, 20:] = PAD
        return {"model": model, "batches": [ids], "loss": loss, "pad": PAD}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F

    PAD = 0


    def loss(model, ids):
        logits = model(ids[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=PAD)


    def mllint_probe():
        model = torch.nn.Sequential(torch.nn.Embedding(32, 16), torch.nn.Linear(16, 32))
        ids = torch.randint(1, 32, (16, 40))
        ids[:, 20:] = PAD
        return {"model": model, "batches": [ids], "loss": loss, "pad": PAD}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Seen are losses made of `cross_entropy` or `nll_loss` with class labels, whatever is multiplied or masked after them;
    not those written by hand or fused. The share is the sum of gradient norms over the targets of a class; it must lie above
    20 %, and above three times an equal share of the classes that occur, by three standard errors, so that small
    batches lead to no finding. With fewer than ten classes among the targets nothing is judged. Classes that are
    rare in nature (background in a segmentation) are reported too where the loss does not weigh them.
    """

    meta = Meta(code="ML216", name="dominating-class", severity=Severity.WARNING, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.class_gradient import ClassGradient

        measured = trace.get(ClassGradient)
        for call in measured.calls if measured is not None else ():
            if _dominated(call):
                yield ctx.observe(call.site, *_messages(call, trace), why=_why(call, trace))


def _dominated(call: LossGradient) -> bool:
    if call.seen < _FEWEST_CLASSES or not call.parts or not call.effective:
        return False
    share = min(call.parts[0].gradient, 1.0)
    certain = share - _ERRORS * sqrt(share * (1 - share) / call.effective)
    return certain > max(_SHARE, _MULTIPLE / call.seen)


def _messages(call: LossGradient, trace: Trace) -> tuple[str, ...]:
    top = call.parts[0]
    padding = ", the padding," if trace.facts.get("pad") == top.number else ""
    share = f"Class {top.number}{padding} takes {top.gradient:.0%} of the gradient at the logits"
    return f"{share} and is {top.frequency:.0%} of the targets", share


def _why(call: LossGradient, trace: Trace) -> str:
    others = ", ".join(f"class {part.number} {part.gradient:.0%}" for part in call.parts[1:])
    seen = f"{call.targets} targets of {call.seen} classes, next {others}"
    if trace.facts.get("pad") == call.parts[0].number:
        return f"{seen}: pass `ignore_index` so that padding is no target"
    return f"{seen}: weigh the classes, leave out targets that are always the same, or look at the rare ones' accuracy apart"
