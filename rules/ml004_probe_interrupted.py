"""ML004: see the class for the page.

May not: report a run that never completed a step; the command says that itself, and exits with 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.trace import Failure, Trace


class ProbeInterrupted(Rule):
    """The probe was cut short after its first training step, so some checks are missing.

    ## Why

    A step that works once and fails the second time is how training jobs are lost in the night: the first batch fits, a
    later one is shorter, longer or empty, and what was computed since the last checkpoint is gone. A process that dies without a
    traceback or never comes back says even less. The probe keeps what it has measured by then and judges it; this finding says that
    the rest is missing, and which line was at work.

    ## Bad

    ```python
    import torch


    def mllint_probe():
        model = torch.nn.Linear(4, 1)
        seen = []

        def loss(model, batch):
            seen.append(batch)
            if len(seen) % 2 == 0:
                raise RuntimeError("the second batch is not like the first")
            return model(batch).square().mean()

        return {"model": model, "batches": [torch.randn(8, 4), torch.randn(8, 4)], "loss": loss}
    ```

    ## Good

    ```python
    import torch


    def mllint_probe():
        model = torch.nn.Linear(4, 1)

        def loss(model, batch):
            return model(batch).square().mean()

        return {"model": model, "batches": [torch.randn(8, 4), torch.randn(8, 4)], "loss": loss}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    - A run without one completed step is no finding but exit code 2, with the traceback cut to the user's frames. If a check knows why
      the step failed (an index outside its table, say), that is reported instead.
    - Which line was at work when a process was killed from outside is not known.
    - A time-out says only that the limit was too short for this machine, unless the line named here never ends: raise `--timeout`.
    """

    meta = Meta(code="ML004", name="probe-interrupted", severity=Severity.WARNING, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        failure = trace.failure
        if failure is None or trace.steps < 1:
            return
        at = failure.frames[-1] if failure.frames else None
        callers = [(frame, "called from here") for frame in reversed(failure.frames[:-1])][:3]
        yield ctx.observe(at, *_messages(failure, trace.steps), why=_why(failure), related=callers)


def _messages(failure: Failure, steps: int) -> tuple[str, ...]:
    done = f"{steps} step{'' if steps == 1 else 's'}"
    during = f" in the check `{failure.during}`" if failure.during else ""
    if failure.kind == "raised":
        kind = failure.message.partition(":")[0]
        return (
            f"Training stopped after {done}{during}: {failure.message}",
            f"Training stopped after {done}{during}: `{kind}`",
            f"Training stopped after {done}: `{kind}`",
            f"Training stopped after {done}",
        )
    if failure.kind == "timed out":
        return (f"The probe ran out of time after {done}{during}", f"The probe ran out of time after {done}")
    return (
        f"The process died after {done}{during}: {failure.message}",
        f"The process died after {done}{during}",
        f"The process died after {done}",
    )


def _why(failure: Failure) -> str:
    rest = "checks that did not run are listed as skipped"
    if failure.kind == "raised":
        return f"a training run would end here as well, with `{failure.message}`; {rest}"
    if failure.kind == "timed out":
        return f"this line was at work when the time was up: raise `--timeout` if it is only slow; {rest}"
    return f"{failure.message}; {rest}"
