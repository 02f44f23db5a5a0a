"""ML813: see the class for the page.

May not: judge masks, labels, or an input that is the same for every sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.ignored_input import CallEffects, InputEffect
    from mllint.probe.trace import Trace

#: An input whose effect is below this share of the largest is ignored.
_SHARE = 1e-3
#: An output whose samples differ by less than this share of its power is the same for every input.
_SPREAD = 1e-12
#: A change below this is rounding.
_ROUNDING = 1e-6


class UnusedInput(Rule):
    """The output does not depend on an input of the model.

    ## Why

    A decoder that ignores what it is conditioned on still has a falling loss: it learns the average. One such model had exactly
    the loss of bigram counts, and gave the same answer for every prompt; the loss curve said nothing. The cause is one line: a
    variable that is computed and not passed on, a mask of zeros, a softmax over a dimension of size one.

    Each input is permuted across the batch and replaced, under the same seed; the output must notice. Parameters that are zero
    to begin with (zero convolutions, LoRA, layer scale) are made small and random first, so that a gate which training
    has yet to open is no finding.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F


    class Decoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(20, 16)
            self.condition = torch.nn.Linear(4, 16)
            self.head = torch.nn.Linear(16, 20)

        def forward(self, ids, goal):
            hidden = self.embed(ids)
            shifted = hidden + self.condition(goal)[:, None]
            return self.head(hidden)  # not `shifted`


    def loss(model, batch):
        return F.cross_entropy(model(batch["ids"], batch["goal"]).flatten(0, 1), batch["ids"].flatten())


    def mllint_probe():
        batches = [{"ids": torch.randint(0, 20, (4, 9)), "goal": torch.randn(4, 4)} for _ in range(3)]
        return {"model": Decoder(), "batches": batches, "loss": loss, "conditioning": "goal"}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F


    class Decoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(20, 16)
            self.condition = torch.nn.Linear(4, 16)
            self.head = torch.nn.Linear(16, 20)

        def forward(self, ids, goal):
            return self.head(self.embed(ids) + self.condition(goal)[:, None])


    def loss(model, batch):
        return F.cross_entropy(model(batch["ids"], batch["goal"]).flatten(0, 1), batch["ids"].flatten())


    def mllint_probe():
        batches = [{"ids": torch.randint(0, 20, (4, 9)), "goal": torch.randn(4, 4)} for _ in range(3)]
        return {"model": Decoder(), "batches": batches, "loss": loss, "conditioning": "goal"}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Without `conditioning` every tensor that is an argument of its own is tested, but masks, labels, lengths and indices; with it
    only the named one. Batches of one sample, and inputs that are the same for every sample, say nothing. A gate that is a
    plain number instead of a parameter, and zero for now, looks like an ignored input. An effect that training has made
    small, yet above a thousandth of the largest, is not seen.
    """

    meta = Meta(code="ML813", name="ignored-input", severity=Severity.WARNING, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.ignored_input import IgnoredInput

        measured = trace.get(IgnoredInput)
        for call in measured.calls if measured else ():
            largest = max((one.change for one in call.effects), default=0.0)
            if largest <= max(_ROUNDING, call.noise):
                yield _nothing_matters(call, largest, trace, ctx)
                continue
            if call.spread < _SPREAD:
                yield _nothing_matters(call, call.spread, trace, ctx)
                continue
            named = any(one.named for one in call.effects)
            for one in call.effects:
                if one.change < _SHARE * largest and (one.named or not named):
                    yield _ignored(call, one, largest, ctx)


def _nothing_matters(call: CallEffects, figure: float, trace: Trace, ctx: Judging) -> Diagnostic:
    where = f"`{call.path}` (`{call.kind}`)" if call.path else f"`{call.kind}`"
    lost = next((one for one in call.effects if one.site is not None), None)
    facts = trace.module(call.path)
    return ctx.observe(
        lost.site if lost else facts.forward if facts else None,
        f"{where} gives the same output for every sample",
        f"`{call.kind}` gives the same output for every sample",
        "The model gives the same output for every sample",
        why=(
            f"permuting the inputs across {call.samples} samples changed no output (by {figure:.1g}): look at where they are "
            "lost on their way, for example in a softmax over one entry or a product with zeros"
        ),
    )


def _ignored(call: CallEffects, one: InputEffect, largest: float, ctx: Judging) -> Diagnostic:
    where = f"`{one.ends}` (`{one.kind}`)" if one.ends else f"`{one.kind or call.kind}`"
    return ctx.observe(
        one.site,
        f"`{one.name}` does not change the output: it is lost in {where}",
        f"`{one.name}` does not change the output of `{call.kind}`",
        "An input does not change the output",
        why=(
            f"permuted and replaced, it changes the output by {one.change:.1g}, the most effective input by {largest:.2g}: look "
            "for a value that is computed and not passed on, or a gate that is a plain zero"
        ),
    )
