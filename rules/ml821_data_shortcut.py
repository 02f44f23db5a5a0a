"""ML821: see the class for the page.

May not: make a finding of what nobody has set a bound for; colour does tell ships from frogs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.trace import Trace

#: Below this, a note says nothing.
_NOTED = 0.65


class DataShortcut(Rule):
    """A trivial feature of the data tells the class: the model can be right without seeing the subject.

    ## Why

    A detector looked excellent until somebody fed a small crop of each image to a plain statistic: that alone reached an
    area under the curve above 0.65. The model had learned how the images were made, not what they showed, and it had to be
    retired. Positive samples from one scanner, shorter texts for one label, a border from one camera: each is enough.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F


    def loss(model, batch):
        images, labels = batch
        return F.cross_entropy(model(images), labels)


    def mllint_probe():
        labels = torch.arange(480) % 2
        images = torch.rand(480, 1, 8, 8)
        images[:, :, 0] += labels[:, None, None] * 0.3  # one class comes from a camera that is bright at the top
        batches = list(zip(images.split(32), labels.split(32)))
        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
        return {"model": model, "batches": batches, "loss": loss, "expect": {"shortcut_auc": 0.65}}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F


    def loss(model, batch):
        images, labels = batch
        return F.cross_entropy(model(images), labels)


    def mllint_probe():
        labels = torch.arange(480) % 2
        images = torch.rand(480, 1, 8, 8)
        batches = list(zip(images.split(32), labels.split(32)))
        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
        return {"model": model, "batches": batches, "loss": loss, "expect": {"shortcut_auc": 0.65}}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    A note, shown in the report only, unless `expect={"shortcut_auc": 0.65}` sets a bound: whether a feature is a shortcut or
    part of the subject only its user knows. At least 200 samples of each of two classes must be among the batches that
    are read (256, or as many as `--steps` says), and the labels must be the target of one of torch's loss functions or
    named so. Looked at are the central crop, the borders and the channel statistics of images, mean and spread of long
    signals, the length of texts and padded tokens; the score is that of a cross-validated logistic regression.
    """

    meta = Meta(code="ML821", name="data-shortcut", severity=Severity.INFO, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.shortcut import Shortcut

        measured = trace.get(Shortcut)
        if measured is None:
            return
        bound = trace.facts.get("expect", {}).get("shortcut_auc")
        bounded = isinstance(bound, (int, float))
        for feature in measured.features:
            if feature.auc <= (bound if bounded else _NOTED):
                continue
            part = f" of `{feature.part}`" if feature.part else ""
            limit = f", {bound:g} is allowed" if bounded else ""
            yield ctx.observe(
                None,
                f"Class {feature.label} is told by the {feature.name}{part}: area under the curve {feature.auc:.2f}{limit}",
                f"Class {feature.label} is told by the {feature.name}: area under the curve {feature.auc:.2f}",
                severity=Severity.WARNING if bounded else Severity.INFO,
                why=(
                    f"cross-validated over {measured.samples} samples, {feature.samples} of the class; chance is 0.50 with a "
                    f"standard error of {feature.error:.2f}: find out what makes this differ between the classes, and balance "
                    "or remove it"
                ),
            )
