"""ML215: see the class for the page.

May not: name a parameter that moves, or one that gets no gradient: the one is trained, the other is ML204's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.optimizer_coverage import Coverage, Hidden, OptimizerCoverage
    from mllint.probe.trace import Trace

#: The smallest relative step that a type can show.
_RESOLUTION = {"float64": 2.3e-16, "float32": 1.2e-7, "float16": 9.8e-4, "bfloat16": 7.9e-3, "complex64": 1.2e-7}
#: An update is expected to show if it is this many times the resolution of the greatest value.
_MARGIN = 8.0
#: A constraint may hold a few values at their bounds; it does not hold this many.
_FEW = 16


class FrozenThenOptimized(Rule):
    """The optimizer and the model do not agree about what is trained.

    ## Why

    An optimizer keeps the very tensors that it was given. A head that is replaced afterwards, an adapter or a norm
    that is swapped in, a block left out of a parameter group: backward computes a gradient for it in every step, and
    nobody uses it. Modules in a plain Python list are not in `parameters()` at all, so they are not trained, not
    moved to the GPU and not saved. The loss falls in all these cases, since the rest of the model learns around it.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F

    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model[2] = torch.nn.Linear(16, 6)  # the optimizer still holds the old one


    def mllint_probe():
        batches = [(torch.randn(6, 8), torch.randint(0, 6, (6,))) for _ in range(3)]
        loss = lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])
        return {"model": model, "batches": batches, "loss": loss, "optimizer": optimizer}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F

    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    model[2] = torch.nn.Linear(16, 6)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)


    def mllint_probe():
        batches = [(torch.randn(6, 8), torch.randint(0, 6, (6,))) for _ in range(3)]
        loss = lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])
        return {"model": model, "batches": batches, "loss": loss, "optimizer": optimizer}
    ```

    ## Fix safety

    There is no fix: freezing and optimizing are both plausible.

    ## Known limits

    Only the runtime half exists yet. A parameter that moves counts as trained, whoever moved it. One that does not
    move is named only if the learning rate, its gradient and the resolution of its type let one expect a movement,
    and never while a GradScaler may have skipped the step. Optimizers that did not step in six calls of a `step` are
    known only if the target gives them, or its functions hold them."""

    meta = Meta(code="ML215", name="frozen-then-optimized", severity=Severity.WARNING, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.optimizer_coverage import OptimizerCoverage

        measured = trace.get(OptimizerCoverage)
        if measured is None:
            return
        stepped = any(optimizer.steps for optimizer in measured.optimizers)
        if stepped:
            yield from _uncovered(ctx, measured)
            yield from _unmoved(ctx, measured)
        yield from _frozen(ctx, measured)
        for hidden in measured.hidden:
            if hidden.gradients and hidden.held < hidden.parameters and not hidden.evaluating:
                yield _hidden(ctx, hidden)


def _uncovered(ctx: Judging, measured: OptimizerCoverage) -> Iterator[Diagnostic]:
    left = [each for each in measured.parameters if each.trainable and each.gradient and not (each.held or each.moved)]
    gone = sum(one.foreign - one.foreign_with_gradient for one in measured.optimizers)
    lost = f"; it holds {gone} that are no longer in the model, so build it after the model is complete" if gone else ""
    for path, names in _by_module({each.name for each in left}, [each.name for each in measured.parameters]):
        module = ctx.trace.module(path)
        parameter = ctx.trace.parameter(names[0])
        made = module.made if module is not None and path else None
        what = f"`{path or names[0]}`" if path else "Every parameter of the model"
        yield ctx.observe(
            made or (parameter.made if parameter else None),
            f"{what} gets a gradient, but is in no optimizer: {_counted(len(names))}, `{names[0]}` first",
            f"{what} gets a gradient, but is in no optimizer: {_counted(len(names))}",
            f"{_counted(len(names))} with a gradient in no optimizer, `{names[0]}` first",
            why=(
                f"`{names[0]}` had a gradient and did not move in {measured.steps} steps{lost}: give the parameters "
                "to the "
                "optimizer, or freeze them with `requires_grad_(False)`, which also saves their backward"
            ),
        )


def _by_module(chosen: set[str], every: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """The outermost modules of which all parameters are chosen, with these; a single one by its own name."""
    every = list(every)
    left = [name for name in every if name in chosen]
    while left:
        parts = left[0].split(".")
        for length in range(len(parts) + 1):
            path = ".".join(parts[:length])
            inside = [name for name in every if not path or name == path or name.startswith(f"{path}.")]
            if all(name in chosen for name in inside):
                break
        yield path, inside
        left = [name for name in left if name not in inside]


def _unmoved(ctx: Judging, measured: OptimizerCoverage) -> Iterator[Diagnostic]:
    trained = [each for each in measured.parameters if each.held and each.gradient and each.rate]
    still = [each for each in trained if not each.moved and _should_move(each)]
    if measured.scaled or not still or (len(still) < len(trained) and all(each.elements < _FEW for each in still)):
        return
    still = [each for each in still if each.elements >= _FEW] or still
    first = still[0]
    parameter = ctx.trace.parameter(first.name)
    yield ctx.observe(
        parameter.made if parameter else None,
        f"{_counted(len(still))} held by the optimizer with a gradient did not move, `{first.name}` first",
        f"{_counted(len(still))} with a gradient did not move in a step",
        why=(
            f"`{first.name}` had a gradient of up to {first.gradient:.1e} at a learning rate of {first.rate:.1e}, "
            "and is bit for "
            f"bit what it was after {measured.steps} steps: look for what puts it back (a `copy_`, a clamp, "
            "`load_state_dict`), "
            "or for an optimizer that changes a copy"
        ),
    )


def _should_move(seen: Coverage) -> bool:
    """Would an update of at least learning rate times gradient (or times one, for those that normalise) show?"""
    update = seen.rate * min(1.0, seen.gradient)
    return update > _MARGIN * _RESOLUTION.get(seen.dtype, 1.0) * seen.largest


def _frozen(ctx: Judging, measured: OptimizerCoverage) -> Iterator[Diagnostic]:
    for optimizer in measured.optimizers:
        if optimizer.parameters and optimizer.frozen == optimizer.parameters:
            yield ctx.observe(
                None,
                f"`{optimizer.kind}` holds only frozen parameters, {optimizer.parameters} of them",
                why="none of them requires a gradient, so it changes nothing: unfreeze them, or give it those to train",
            )
        elif optimizer.foreign and not optimizer.foreign_with_gradient:
            yield ctx.observe(
                None,
                f"`{optimizer.kind}` holds {_counted(optimizer.foreign)} outside of the model, without a gradient",
                severity=Severity.INFO,
                why="they may be left from a module that has been replaced since the optimizer was built",
            )


def _hidden(ctx: Judging, hidden: Hidden) -> Diagnostic:
    name = f"{hidden.owner}.{hidden.attribute}" if hidden.owner else hidden.attribute
    if hidden.container in ("Tensor", "Parameter"):
        message = f"`{name}` is a plain tensor, no parameter of the model, though it gets a gradient"
    else:
        message = f"`{name}` is a plain `{hidden.container}`: the model does not know its {_counted(hidden.parameters)}"
    return ctx.observe(
        hidden.site or (ctx.trace.modules[0].forward if ctx.trace.modules else None),
        message,
        f"A plain `{hidden.container}` hides {_counted(hidden.parameters)} from the model: `{hidden.attribute}`",
        f"`{hidden.attribute}` hides {_counted(hidden.parameters)} from the model",
        why=(
            "`parameters()`, `to()` and `state_dict()` do not see what is kept in plain Python: it is not trained, "
            "not moved and "
            "not saved; use `nn.ModuleList`, `nn.ModuleDict`, `nn.Parameter` or `nn.ParameterList`"
        ),
    )


def _counted(count: int) -> str:
    return "1 parameter" if count == 1 else f"{count} parameters"
