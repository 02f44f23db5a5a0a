"""ML520: see the class for the page.

May not: judge a call that no contract speaks of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.repeated_forward import CallCount
    from mllint.probe.trace import Trace


class BrokenContract(Rule):
    """A module runs more or less often in a step than the contract says.

    ## Why

    "It runs once a step": everybody said so of a network, and it ran several times, because a fallback from an older design
    still called it. A week went into stop-gaps for the wrong cause. What a team takes for granted about its step can be
    written down as a contract and counted.

    ## Bad

    ```python
    import torch
    from torch import nn


    class Scene(nn.Module):
        def __init__(self):
            super().__init__()
            self.lensnet = nn.Linear(8, 8)
            self.render = nn.Linear(8, 1)

        def forward(self, x):
            return self.render(self.lensnet(x)) + self.render(self.lensnet(x.flip(1)))


    def loss(model, batch):
        return model(batch).pow(2).mean()


    def mllint_probe():
        expect = {"calls_per_step": {"lensnet": 1}}
        return {"model": Scene(), "batches": [torch.randn(4, 8)], "loss": loss, "expect": expect}
    ```

    ## Good

    ```python
    import torch
    from torch import nn


    class Scene(nn.Module):
        def __init__(self):
            super().__init__()
            self.lensnet = nn.Linear(8, 8)
            self.render = nn.Linear(8, 1)

        def forward(self, x):
            seen = self.lensnet(x)
            return self.render(seen) + self.render(seen.pow(2))


    def loss(model, batch):
        return model(batch).pow(2).mean()


    def mllint_probe():
        expect = {"calls_per_step": {"lensnet": 1}}
        return {"model": Scene(), "batches": [torch.randn(4, 8)], "loss": loss, "expect": expect}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Only the contract of a probe target so far: `expect={"calls_per_step": {path of a module: calls}}`, counted over two whole
    steps, runs without gradients included, recomputation in backward not. A step that accumulates over four
    micro-batches calls a module four times. Contracts in the configuration (`[[tool.mllint.contracts]]`), and the half that follows
    calls through the code, come with a later version. Modules of compiled models are counted uncompiled, from torch 2.6 on.
    """

    meta = Meta(code="ML520", name="broken-contract", severity=Severity.ERROR, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.repeated_forward import RepeatedForward

        measured = trace.get(RepeatedForward)
        for count in () if measured is None else measured.calls:
            if not count.counts:
                yield self._unknown(count, ctx)
            elif any(calls != count.expected for calls in count.counts):
                yield self._broken(count, ctx)

    def _unknown(self, count: CallCount, ctx: Judging) -> Diagnostic:
        near = " or ".join(f"`{path}`" for path in count.near)
        return ctx.observe(
            None,
            f"`expect` counts the calls of `{count.path}`, which is no module of the model",
            "`expect` counts the calls of something that is no module of the model",
            why=f"the contract cannot be checked: name a path of `named_modules()`{', perhaps ' + near if near else ''}",
        )

    def _broken(self, count: CallCount, ctx: Judging) -> Diagnostic:
        most = max(count.counts, key=lambda calls: abs(calls - count.expected))
        ran, said = _times(most), _times(count.expected)
        # Called too often: the line that calls least is the one that nobody thinks of.
        callers = count.callers
        return ctx.observe(
            callers[-1].site if callers and most > count.expected else None,
            f"`{count.path}` runs {ran} in a step, and the contract says {said}",
            f"A module runs {ran} in a step, and the contract says {said}",
            why=(
                f"counted over {len(count.counts)} steps: {', '.join(map(str, count.counts))}; recomputation in backward is "
                "not counted; find who calls it besides, or correct `expect`"
            ),
            related=[
                (caller.site, f"calls it {_times(caller.times)} in {len(count.counts)} steps") for caller in callers
            ],
        )


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")
