"""ML601: see the class for the page.

May not: judge parts that are in evaluation mode on purpose, from the start.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.modes import ModeChange, Modes
    from mllint.probe.trace import Trace


class EvalNotRestored(Rule):
    """The model trains on in evaluation mode after a validation.

    ## Why

    A validation put the model into evaluation mode and returned; so did an estimate of sharpness in the middle of
    training. Nobody called `train()` again. From then on dropout was off and the statistics of the norm layers stood still,
    while the loss went on falling: the run ended with a model that had been regularised for its first epoch only.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F
    from torch import nn


    def loss(model, batch):
        images, labels = batch
        return F.cross_entropy(model(images), labels)


    def validate(model):
        model.eval()
        with torch.no_grad():
            return model(torch.randn(4, 16)).argmax(-1)


    def mllint_probe():
        model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 4))
        batches = [(torch.randn(8, 16), torch.randint(0, 4, (8,))) for _ in range(2)]
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        return {"model": model, "batches": batches, "loss": loss, "optimizer": optimizer, "validate": validate}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F
    from torch import nn


    def loss(model, batch):
        images, labels = batch
        return F.cross_entropy(model(images), labels)


    def validate(model):
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad():
                return model(torch.randn(4, 16)).argmax(-1)
        finally:
            model.train(was_training)


    def mllint_probe():
        model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 4))
        batches = [(torch.randn(8, 16), torch.randint(0, 4, (8,))) for _ in range(2)]
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        return {"model": model, "batches": batches, "loss": loss, "optimizer": optimizer, "validate": validate}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Observed only: the half that reads the code comes with a later version. A target with `loss` is taken at its word that
    `validate` runs between two steps: where your own loop calls `model.train()` after it, give the loop's body as `step`. A
    step that computed its loss in training mode is never flagged, whatever the mode when the optimizer steps. Parts that
    are in another mode from the start, or that a step itself switches, are on purpose: frozen norm layers, teachers. Where nothing
    in the model depends on the mode, so far as can be seen, it is a warning. A mode set through
    `module.training = …` is seen, the line is not.
    """

    meta = Meta(
        code="ML601",
        name="eval-not-restored",
        severity=Severity.WARNING,
        observed=Severity.ERROR,
        since="0.1.0",
    )

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.modes import Modes

        measured = trace.get(Modes)
        if measured is None:
            return
        for change in measured.changes:
            if change.training and not change.path:  # in evaluation mode at first, then put right
                continue
            yield self._told(change, measured, ctx)

    def _told(self, change: ModeChange, measured: Modes, ctx: Judging) -> Diagnostic:
        name = (
            f"`{change.path}` ({change.kind})"
            if change.path
            else f"`{change.holder}`"
            if change.holder
            else "the model"
        )
        cause = "`validate`" if change.across == "validate" else "the step before"
        site = change.site or (measured.validate if change.across == "validate" else measured.step)
        if change.training:
            return ctx.observe(
                site,
                f"{name} was in evaluation mode and trains in training mode after {cause}",
                f"A part of the model was in evaluation mode and leaves it after {cause}",
                severity=Severity.WARNING,
                why=(
                    f"what was frozen on purpose thaws: from step {change.number} on it is in training mode; "
                    "put back the mode of each part, not `train()` for all, or override `train` in the model"
                ),
            )
        effect = (
            "dropout is off and norm layers keep their statistics"
            if change.sensitive
            else "nothing here depends on it yet"
        )
        first = name[0].upper() + name[1:]
        return ctx.observe(
            site,
            f"{first} trains on in evaluation mode: {cause} left it there",
            f"The model, or a part of it, trains on in evaluation mode: {cause} left it there",
            severity=None if change.sensitive else Severity.WARNING,
            why=(
                f"from step {change.number} on {effect}: call `train()` again before returning, or keep the mode "
                "and put it back in a `finally`"
            ),
            related=[(measured.validate if change.across == "validate" else measured.step, f"{cause} begins here")],
        )
