"""ML204: see the class for the page.

May not: call a gradient cut on purpose a fault (a teacher, a frozen part, a straight-through estimator).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.gradient_flow import Cause, GradientFlow
    from mllint.probe.trace import Trace

#: The loss depends on parameters whose movement changes it by more than this share, and by more than its own noise.
_DEPENDS, _OVER_NOISE = 1e-5, 10.0

#: A layer with such a name is there to stop gradients, or to look on without disturbing.
_STOPS = re.compile(r"stop|detach|freeze|frozen|probe|target|teacher|aux", re.IGNORECASE)

#: What to do about an operation that cuts.
_ADVICE = {
    "detach": "leave out the `.detach()`",
    "detach_": "leave out the `.detach_()`",
    "data": "use the tensor itself, not its `.data`",
    "no_grad": "run this with gradients on",
    "numpy": "compute it with torch operations",
    "__array__": "compute it with torch operations",
    "item": "keep the tensor; take its `.item()` only to print it",
    "tolist": "keep the tensor",
    "__float__": "keep the tensor; take its float only to print it",
    "tensor": "use the tensor itself: `torch.tensor` copies values and leaves the graph behind",
    "checkpoint": "pass `use_reentrant=False`: the other kind needs an input that requires a gradient",
}
_INDEX = "an index or a comparison has no gradient: use weights (softmax, sigmoid) or a straight-through estimator"
_ADVICE |= dict.fromkeys(
    ["argmax", "argmin", "topk", "sort", "argsort", "max", "min", "gt", "ge", "lt", "le", "eq"], _INDEX
)
_ADVICE |= dict.fromkeys(
    ["one_hot", "long", "int", "bool", "__gt__", "__ge__", "__lt__", "__le__", "multinomial"], _INDEX
)


class CutGradient(Rule):
    """No gradient arrives at a parameter although the loss depends on it.

    ## Why

    A norm and a softmax of a home-made framework each took their input out of the graph. The loss fell all the same,
    since the last layer learned alone on random features; twelve ways of training were tried before anyone printed a
    gradient. In a residual network it hides even better: every parameter gets some gradient around the layer that
    cuts.

    The probe runs three batches. Where nothing arrives it moves the parameters and looks at the loss: a parameter
    that the loss does not depend on is no fault (a dead path, a gate that is zero at the start). For the others it
    finds the operation that cuts, and tries it: with the gradient let through there, it must come back. Beside that,
    one layer of every class is held against finite differences, on its input too.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Linear(8, 16)
            self.head = nn.Linear(16, 4)

        def forward(self, x):
            features = torch.relu(self.encoder(x)).detach()  # the encoder never learns
            return self.head(features)


    def mllint_probe():
        model = Net()
        batches = [(torch.randn(6, 8), torch.randint(0, 4, (6,))) for _ in range(3)]
        loss = lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])
        return {"model": model, "batches": batches, "loss": loss, "optimizer": torch.optim.SGD(model.parameters(), 0.1)}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Linear(8, 16)
            self.head = nn.Linear(16, 4)

        def forward(self, x):
            return self.head(torch.relu(self.encoder(x)))


    def mllint_probe():
        model = Net()
        batches = [(torch.randn(6, 8), torch.randint(0, 4, (6,))) for _ in range(3)]
        loss = lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])
        return {"model": model, "batches": batches, "loss": loss, "optimizer": torch.optim.SGD(model.parameters(), 0.1)}
    ```

    ## Fix safety

    There is no fix: where the cut is meant, the parameters should be frozen with `requires_grad_(False)` instead.

    ## Known limits

    Only the runtime half exists yet. Parameters that no optimizer of the target holds are taken as frozen on purpose,
    and so is a module that is like another one which learns and is named as its follower or begins with its values (a
    teacher). A layer that cuts its own input with a plain `detach` or `no_grad`, while gradients go around it, is a
    warning, and none if its name says that it stops gradients. Without an optimizer, a module that runs wholly under
    `no_grad` is taken as frozen too. What is not called in eight batches is reported as unused, unless a sibling in
    the same `ModuleList` or `ModuleDict` is called."""

    meta = Meta(code="ML204", name="cut-gradient", severity=Severity.ERROR, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.gradient_flow import GradientFlow

        flow = trace.get(GradientFlow)
        if flow is not None:
            for cause in flow.causes:
                yield from _of_cause(ctx, flow, cause)
        yield from _of_layers(ctx, trace, flow)


def _of_cause(ctx: Judging, flow: GradientFlow, cause: Cause) -> Iterator[Diagnostic]:
    level = _level(flow, cause)
    first, count = cause.parameters[0], len(cause.parameters)
    all_of = "every parameter" if count == len(flow.parameters) else _counted(count)
    text, why = _told(cause, count == len(flow.parameters))
    made = (ctx.trace.parameter(first) or ctx.trace.parameters[0]).made if ctx.trace.parameters else None
    related = [(cause.applied, "applied here")] if cause.applied else [(made, f"`{first}` is made here")]
    messages = (f"{text} {all_of}: {_named(cause.parameters, 3)}", f"{text} {all_of}: {_named(cause.parameters, 1)}")
    if cause.how == "unused":
        messages = (
            f"`{cause.module}` is never called: {text} {all_of}",
            f"{text} {all_of}: {_named(cause.parameters, 1)}",
        )
    yield ctx.observe(
        cause.site or made,
        *messages,
        f"{text} {all_of}",
        severity=level,
        why=why,
        related=[(site, said) for site, said in related if site not in (None, cause.site)],
    )


def _level(flow: GradientFlow, cause: Cause) -> Severity:
    """How much a cause matters; info for what is no fault, or is meant."""
    optimized = [each.optimized for each in flow.parameters if each.name in cause.parameters]
    if optimized and all(held is False for held in optimized):
        return Severity.INFO  # nobody means to train them
    if cause.how in ("unused", "saturated"):
        return Severity.WARNING
    depends = cause.change is not None and cause.change > max(_DEPENDS, _OVER_NOISE * cause.noise)
    if (
        cause.how in ("gate", "unrouted", "idle", "driven")
        or not depends
        or cause.twin
        or (cause.builtin and not cause.stepwise)
    ):
        return Severity.INFO
    if cause.operation == "no_grad" and not cause.activations:
        return Severity.WARNING if True in optimized else Severity.INFO
    return Severity.ERROR


def _told(cause: Cause, everything: bool) -> tuple[str, str]:
    """The beginning of the message, and the reason with what to do."""
    moves = "" if cause.change is None else f"moving them changes the loss by {cause.change:.1e} of itself"
    if cause.how == "gate":
        return "Zero at the start holds back", "the gradient arrives once the parameters that are all zero are not"
    if cause.how == "unused":
        return "no gradient for", "no forward used it in eight batches: remove the module, or call it"
    if cause.how in ("unrouted", "idle"):
        return "Not used in these batches:", "a module beside them was called, or theirs was, without them"
    if cause.how == "driven":
        return "Moved without a gradient:", "the forward or the step changes them by hand, so they are taken as trained"
    if cause.how == "saturated":
        return (
            f"Every unit of this `{cause.operation}` is flat, so nothing reaches",
            "the activation gets a gradient and passes zeros in every batch: look at the scale of what goes into it "
            "(its bias, "
            "its weights, a missing norm)",
        )
    if cause.how == "hook":
        return (
            "A hook turns the gradient into zeros for",
            f"a gradient arrives before the hook, and {moves}: correct the hook",
        )
    if cause.how == "stop" and not cause.builtin:
        return (
            f"The backward of `{cause.operation}` gives zeros to",
            f"it gets a gradient of up to {cause.arriving:.1e}, yet {moves}: return the derivative of its forward",
        )
    if cause.how == "stop":
        advice = "use a straight-through estimator, or a smooth function" if cause.stepwise else "no fault of the code"
        return (
            f"`{cause.operation}` passes a zero gradient on to",
            f"its derivative is zero here; {moves or 'exact'}: {advice}",
        )
    back = "; with the gradient let through here it comes back" if cause.restored else ""
    if cause.twin:
        back = f"; taken as a follower of `{cause.twin}`"
    advice = _ADVICE.get(cause.operation, "keep to operations that have a gradient")
    if cause.operation in ("detach", "data") and cause.restored is None:
        advice = "what follows leaves torch, so compute it with torch operations instead"
    if cause.how == "unknown":
        advice = "look for values that leave torch between them and the loss"
    named = f"`{cause.operation}` cuts off" if cause.how == "cut" else "No gradient arrives at"
    frozen = "" if everything else ", or freeze them with `requires_grad_(False)`"
    return named, f"no gradient arrives, yet {moves}{back}: {advice}{frozen}"


def _of_layers(ctx: Judging, trace: Trace, flow: GradientFlow | None) -> Iterator[Diagnostic]:
    """Layers whose input or parameters are cut although other ways around them carry a gradient."""
    from mllint.probe.measured.layer_oracle import LayerOracle

    oracle = trace.get(LayerOracle)
    told = [cause for cause in flow.causes if _level(flow, cause) is not Severity.INFO] if flow is not None else []
    sites = {cause.site for cause in told}
    kinds = {cause.operation for cause in told}  # a custom Function
    kinds |= {module.kind for module in trace.modules if module.path in {cause.module for cause in told}}
    for layer in oracle.checked if oracle is not None else ():
        cut = layer.with_verdict("cut")
        site = layer.cut or layer.site
        if not layer.blamed or not cut or site in sites or layer.kind in kinds:
            continue
        tensors = ", ".join(f"`{tensor.tensor}`" for tensor in cut[:3])
        name = f"`{layer.kind}`" + (f" (`{layer.path}`)" if layer.path and layer.what == "layer" else "")
        by = f"`{layer.cut_by}`" if layer.cut_by else "its forward"
        on_purpose = bool(layer.deliberate) or layer.identity or _STOPS.search(layer.kind) is not None
        written = layer.cut_by in ("detach", "detach_", "no_grad")
        alike = f", in {layer.count} layers of that class" if layer.count > 1 else ""
        yield ctx.observe(
            site or layer.made,
            f"No gradient goes back through {name} to {tensors}",
            f"No gradient goes back through `{layer.kind}` to {tensors}",
            f"No gradient goes back through `{layer.kind}`",
            severity=Severity.INFO if on_purpose else Severity.WARNING if written else Severity.ERROR,
            why=(
                f"its output changes with {cut[0].tensor} at a rate of {cut[0].numeric:.2g}, the gradient is "
                f"{cut[0].analytic or 0:.1g}{alike}; cut by {by}: "
                f"{_ADVICE.get(layer.cut_by, 'keep to operations that have a gradient')}"
            ),
            related=[(layer.site if layer.cut else layer.made, "its forward" if layer.cut else "made here")],
        )


def _counted(count: int) -> str:
    return "1 parameter" if count == 1 else f"{count} parameters"


def _named(names: tuple[str, ...], most: int) -> str:
    return ", ".join(f"`{name}`" for name in names[:most]) + (", …" if len(names) > most else "")
