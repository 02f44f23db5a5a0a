"""ML110: see the class for the page.

May not: judge what was compiled for a shape that is new.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.recompiles import Recompile
    from mllint.probe.site import Site
    from mllint.probe.trace import Trace


class RecompileStorm(Rule):
    """A compiled function is compiled again at shapes it has seen, or its graph breaks in your code on every step.

    ## Why

    torch.compile watches the Python values that a graph depends on. A counter on the module, a learning rate that a schedule
    changes, an argument that counts steps: each new value compiles anew, up to a limit after which the function quietly
    runs uncompiled. The run is then slower than without torch.compile, and nothing says so. A study that built models of several
    sizes in one process taught to look at steps after the first. A break, a `print` or an `.item()` in `forward`, cuts the
    graph in two at each step.

    ## Bad

    ```python
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 1)
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return self.linear(x) * (1 + 1 / self.calls)


    def loss(model, batch):
        return model(batch).pow(2).mean()


    def mllint_probe():
        return {"model": torch.compile(Net(), backend="eager"), "batches": [torch.randn(4, 8)], "loss": loss}
    ```

    ## Good

    ```python
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 1)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return self.linear(x) * (1 + 1 / self.calls)


    def loss(model, batch):
        return model(batch).pow(2).mean()


    def mllint_probe():
        return {"model": torch.compile(Net(), backend="eager"), "batches": [torch.randn(4, 8)], "loss": loss}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Three steps on three batches, then the same three again: what is compiled in the second round is a finding. Graphs run as
    they were traced, without their compiler, so that what the compiler itself adds is not seen. Breaks count where the line is your
    own; those of libraries, those asked for (`graph_break()`, `disable`) and those that `backward` makes are
    shown in the report only. torch 2.4 tells no reasons: there a break is never more than a note, and a recompilation names
    the function, not the line that its guard comes from.
    """

    meta = Meta(code="ML110", name="recompile-storm", severity=Severity.WARNING, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.recompiles import Recompiles

        measured = trace.get(Recompiles)
        if measured is None:
            return
        storms: dict[tuple[Site | None, str], list[Recompile]] = {}
        for each in measured.recompiles:
            storms.setdefault((each.site, each.function), []).append(each)
        for (site, function), again in storms.items():
            steps = len({each.step for each in again})
            yield ctx.observe(
                site,
                f"`{function}` is compiled again in {steps} of {measured.steps} steps at shapes it has seen",
                f"A function is compiled again in {steps} of {measured.steps} steps at shapes it has seen",
                why=(
                    f"the guard `{again[-1].guard}` no longer held: make the value a tensor or a constant, or keep it out of "
                    "what is compiled; after eight compilations torch gives up and runs uncompiled"
                ),
            )
        for broken in measured.breaks:
            yield ctx.observe(
                broken.site,
                "The compiled graph breaks here on every step",
                severity=None if broken.own and broken.reason and not broken.wanted else Severity.INFO,
                why=f"{broken.reason or 'torch.compile cannot trace this line'}: move it out of what is compiled",
            )
