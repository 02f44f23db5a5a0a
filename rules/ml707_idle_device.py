"""ML707: see the class for the page.

May not: judge without a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Option, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.idle_device import Copies, Gap, IdleDevice
    from mllint.probe.trace import Trace

#: Below this length a step says more about Python than about the GPU.
_SHORTEST_STEP = 2e-3

_ADVICE = {
    "data wait": "more loader workers, `pin_memory`, prefetching, or cheaper transforms",
    "sync": "take the waits out of the step (ML701 names their lines)",
    "transfer": "pin the host's memory and copy with `non_blocking=True`, or keep the data on the GPU",
    "launch-bound": "the kernels are too small for the host to keep up: larger batches, `torch.compile`, fused optimizers",
}


class IdleGpu(Rule):
    """The GPU stands idle for much of a training step.

    ## Why

    Training goes on, the loss falls, and nobody looks at the GPU. One project ran its backward multiplications on the CPU with
    the forward on the GPU: 5 to 7 % busy, found after hours; another spent 75 minutes on the CPU beside an idle GPU. The probe
    measures whole steps and says what the GPU waited for: data, a wait of the host, a copy, or launches.

    ## Bad

    ```python
    import torch
    from torch import nn


    def mllint_probe():
        model = nn.Sequential(*(nn.Linear(512, 512) for _ in range(8)))  # stays on the CPU
        batches = [torch.randn(256, 512) for _ in range(3)]
        return {"model": model, "batches": batches, "loss": lambda model, batch: model(batch).square().mean()}
    ```

    ## Good

    ```python
    import torch
    from torch import nn


    def mllint_probe():
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = nn.Sequential(*(nn.Linear(4096, 4096) for _ in range(8))).to(device)
        batches = [torch.randn(8192, 4096, device=device) for _ in range(3)]
        return {"model": model, "batches": batches, "loss": lambda model, batch: model(batch).square().mean()}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    It needs a GPU and torch's profiler. Batches of `batches` are read before the steps that are measured: the wait for data
    is seen where a `step` of your own reads from its loader. Steps shorter than 2 ms are not judged, and a shrunk model is
    launch-bound by nature. What the GPU waited for is an estimate from what the host did in the gap.
    """

    meta = Meta(
        code="ML707",
        name="idle-device",
        severity=Severity.WARNING,
        since="0.1.0",
        options=(Option("busy-share", 0.8, "The share of a step for which the GPU should be busy."),),
    )

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.idle_device import IdleDevice

        measured = trace.get(IdleDevice)
        if measured is None:
            return
        if measured.host_elements and measured.host_elements * 2 > measured.elements:
            yield ctx.observe(
                None,
                f"The model is on the CPU beside an idle {measured.device}",
                "The model is on the CPU beside an idle GPU",
                why=(
                    f"{measured.host_elements:,} of {measured.elements:,} parameter elements lie on the CPU: move the model "
                    "and its batches to the GPU"
                ),
            )
            return
        share = measured.busy_seconds / measured.step_seconds if measured.step_seconds else 1.0
        if share >= float(str(ctx.option("busy-share"))) or measured.step_seconds < _SHORTEST_STEP or not measured.gaps:
            return
        most = measured.gaps[0]
        yield ctx.observe(
            None,
            f"The GPU is busy for {share:.0%} of a step of {measured.step_seconds * 1000:.1f} ms: {most.cause}",
            why=_why(measured, most),
        )


def _why(measured: IdleDevice, most: Gap) -> str:
    gaps = ", ".join(f"{gap.cause} {gap.seconds * 1000:.1f} ms" for gap in measured.gaps)
    copies = ", ".join(_copies(each) for each in measured.copies)
    moved = f"; copies a step: {copies}" if copies else ""
    return f"idle a step: {gaps}{moved}; {_ADVICE.get(most.cause, 'look at the profile')}"


def _copies(each: Copies) -> str:
    size = f"{each.bytes / 2**20:.1f} MiB" if each.bytes >= 2**20 else f"{each.bytes / 2**10:.0f} KiB"
    return f"{each.count:.0f} {each.direction} of {size}"
