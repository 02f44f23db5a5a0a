"""ML217: see the class for the page.

May not: call rounding noise a vanishing gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.magnitude import NotFinite, Size
    from mllint.probe.measured.optimizer_coverage import OptimizerCoverage
    from mllint.probe.site import Site
    from mllint.probe.trace import Trace

#: Beside the rest of the model a gradient below the first vanishes, one above the second explodes.
_VANISHING, _EXPLODING = 1e-6, 1e5
#: A tiny gradient that shrinks by more than this in float64 was rounding noise.
_NOISE = 1e-3
#: The median is trusted as the measure of the rest while it is within this factor of the layers next to the loss.
_TRUSTED = 1e3
#: A step that moves the weights by more than this share of their size.
_LEAP = 1.0


class ExplodingOrVanishing(Rule):
    """Gradients are not finite, or differ by many powers of ten between the layers.

    ## Why

    Ten sigmoids on small weights leave the first layer a gradient a billion times smaller than the last one's: it
    does not learn, and nothing says so. A recurrent weight a little too large does the opposite. A not-a-number
    spreads from one operation (a logarithm of zero, a root whose derivative is infinite at zero, a softmax over a row
    that is masked everywhere) to every weight in a single step; by the time the loss prints it, its origin is gone.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F


    def loss(model, batch):
        images, labels = batch
        probabilities = F.softmax(200 * model(images), dim=-1)
        return -torch.log(probabilities[range(len(labels)), labels]).mean()  # the logarithm of 0


    def mllint_probe():
        torch.manual_seed(0)
        model = torch.nn.Linear(16, 10)
        batches = [(torch.randn(8, 16), torch.randint(0, 10, (8,))) for _ in range(3)]
        return {"model": model, "batches": batches, "loss": loss}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F


    def loss(model, batch):
        images, labels = batch
        return F.cross_entropy(200 * model(images), labels)


    def mllint_probe():
        torch.manual_seed(0)
        model = torch.nn.Linear(16, 10)
        batches = [(torch.randn(8, 16), torch.randint(0, 10, (8,))) for _ in range(3)]
        return {"model": model, "batches": batches, "loss": loss}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    A root mean square vanishes beside the median over the model, or beside the layers next to the loss where the
    median is itself far off, and explodes beside the latter. What is small because of a gate that starts next to zero
    is left out. What is tiny is computed again in float64; where that cannot be done, nothing is said. Single numbers
    (a temperature) are never called exploding, since their gradient is a sum over everything. An infinity under a
    GradScaler is expected. Batches that are not finite themselves are left to the check of the data."""

    meta = Meta(code="ML217", name="exploding-or-vanishing", severity=Severity.WARNING, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.magnitude import Magnitude
        from mllint.probe.measured.optimizer_coverage import OptimizerCoverage

        measured = trace.get(Magnitude)
        if measured is not None and measured.broken is not None:
            yield _not_finite(ctx, measured.broken)
        elif measured is not None and measured.sizes:
            yield from _apart(ctx, measured.sizes)
        coverage = trace.get(OptimizerCoverage)
        if coverage is not None:
            yield from _leaps(ctx, coverage)


def _not_finite(ctx: Judging, broken: NotFinite) -> Diagnostic:
    what = "not-a-number" if broken.value == "nan" else "infinity"
    where = f" in `{broken.module}`" if broken.module else ""
    of = "the gradient of" if broken.direction == "backward" else "the result of"
    count = len(broken.parameters)
    spread = f"; it reaches the gradients of {count} parameters, `{broken.parameters[0]}` first" if count else ""
    return ctx.observe(
        broken.site,
        f"The first {what} is {of} `{broken.operation}`{where}",
        f"The first {what} is {of} `{broken.operation}`",
        severity=Severity.INFO if broken.scaled and broken.value == "inf" else Severity.ERROR,
        why=(
            f"what goes into it is finite, what comes out in the {broken.direction} is not; the loss is "
            f"{broken.loss:.3g}{spread}: "
            "keep its input away from the edge of its domain (an epsilon, a clamp, `logsumexp`, a mask before it "
            "instead of after)"
        ),
    )


def _apart(ctx: Judging, sizes: tuple[Size, ...]) -> Iterator[Diagnostic]:
    usual, near = _usual(sizes), _next_to_the_loss(sizes)
    tiny = [size for size in sizes if size.rms < _VANISHING * usual]
    kept = [size for size in tiny if size.double is not None and size.double > _NOISE * size.rms]
    fading = [size for size in kept if not size.gated]
    noise = [size for size in tiny if size.double is not None and size not in kept]
    huge = [size for size in sizes if size.rms > _EXPLODING * near and size.elements > 1]
    if fading:
        yield _far_off(ctx, fading, min(fading, key=lambda size: size.rms), usual, "vanishes")
    if huge:
        yield _far_off(ctx, huge, max(huge, key=lambda size: size.rms), near, "explodes")
    if noise:
        yield ctx.observe(
            _made(ctx, noise[0].name),
            f"The loss does not depend on {_counted(len(noise))}, `{noise[0].name}` first",
            f"The loss does not depend on {_counted(len(noise))}",
            severity=Severity.INFO,
            why="its gradient is rounding noise and all but disappears in float64 (a bias before a norm, that of keys)",
        )


def _usual(sizes: tuple[Size, ...]) -> float:
    """The size of an ordinary gradient in this model."""
    from statistics import median  # 4 ms that every `mllint check` would pay

    middle, near = median(size.rms for size in sizes), _next_to_the_loss(sizes)
    return middle if near / _TRUSTED < middle < near * _TRUSTED else near


def _next_to_the_loss(sizes: tuple[Size, ...]) -> float:
    """The greatest gradient of the last few parameters of the forward: nothing can have exploded or vanished there."""
    placed = sorted((size for size in sizes if size.order is not None), key=lambda size: -(size.order or 0))
    return max(size.rms for size in placed[: max(2, len(placed) // 20)] or sizes)


def _far_off(ctx: Judging, sizes: list[Size], worst: Size, usual: float, verb: str) -> Diagnostic:
    nearest = max(sizes, key=lambda size: -1 if size.order is None else size.order)
    which = f"The gradient of `{nearest.name}`" if len(sizes) == 1 else f"From `{nearest.name}` on the gradient"
    reach = "down to" if verb == "vanishes" else "up to"
    advice = (
        "look at saturating activations, the scale of the weights, and missing norms or skip connections"
        if verb == "vanishes"
        else "look at the scale of weights and inputs, at a missing norm, and at custom backwards"
    )
    return ctx.observe(
        _made(ctx, nearest.name),
        f"{which} {verb}: {_counted(len(sizes))}, {reach} {worst.rms:.0e} beside {usual:.0e}",
        f"{which} {verb}: {worst.rms:.0e} beside {usual:.0e}",
        f"A gradient {verb}: {worst.rms:.0e} beside {usual:.0e}",
        why=(
            f"root mean squares; that of `{worst.name}` is {worst.rms / usual:.1e} times an ordinary one of this "
            "model, and from "
            f"the loss backwards `{nearest.name}` is the first: {advice}"
        ),
    )


def _leaps(ctx: Judging, coverage: OptimizerCoverage) -> Iterator[Diagnostic]:
    """Weights that a single step replaces rather than changes."""
    from statistics import median  # 4 ms that every `mllint check` would pay

    moved = [one for one in coverage.parameters if one.moved and one.held and one.dimensions >= 2 and one.weight > 0]
    ratios = sorted((one.change / one.weight, one.name) for one in moved)
    if not ratios or any(optimizer.kind == "LBFGS" for optimizer in coverage.optimizers):
        return
    middle = median(ratio for ratio, _ in ratios)
    if middle > _LEAP:
        rate = max(one.rate for one in moved)
        yield ctx.observe(
            None,
            f"One step changes the weights by {middle:.2g} times their own size, `{ratios[-1][1]}` most",
            f"One step changes the weights by {middle:.2g} times their own size",
            why=(
                f"median of {len(ratios)} weight matrices at a learning rate of {rate:.1e}; about 1e-3 is usual: "
                "lower the "
                "learning rate, or warm it up"
            ),
        )


def _counted(count: int) -> str:
    return "1 parameter" if count == 1 else f"{count} parameters"


def _made(ctx: Judging, name: str) -> Site | None:
    parameter = ctx.trace.parameter(name)
    return parameter.made if parameter is not None else None
