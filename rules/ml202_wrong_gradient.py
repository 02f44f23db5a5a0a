"""ML202: see the class for the page.

May not: call a gradient wrong that is made up on purpose, or one that finite differences are too noisy to judge.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.context import Context
    from mllint.probe.judge import Judging
    from mllint.probe.measured.global_direction import GlobalDirection
    from mllint.probe.measured.layer_oracle import Checked, TensorVerdict
    from mllint.probe.trace import Trace

#: From this relative error on a gradient is an error, below it a warning: half or double the derivative is 0.5.
_ERROR = 0.49

#: A gradient that is this near to a round multiple of the derivative is called so.
_ROUND = 1e-3


#: Nobody multiplies a gradient by this much on purpose, without a word about it.
_MEANT = 100.0


class WrongGradient(Rule):
    """A gradient is not the derivative of what the forward computes.

    ## Why

    A hand-written backward was off by a factor of a million. Thirty experiments were run on it, none of twenty-one tasks
    was ever solved, and weeks went into data and learning rates, because a wrong gradient raises nothing and often even
    lowers the loss. Another model took over a kernel of the forward for its backward, with a constant in it that belonged
    to a mask: every parameter had a gradient, all of them far too large.

    Comparing parameters with each other does not show a factor that they have in common; comparing the gradient with a
    finite difference of the output does. A right layer agrees to six digits in float64.

    The static half (level info) names a custom `torch.autograd.Function` that no file of the project passes to
    `gradcheck`: nothing would tell if its backward were wrong.

    ## Bad

    ```python
    # file: model.py
    import torch


    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, gradient):
            (x,) = ctx.saved_tensors
            return gradient * x  # the factor 2 is missing


    class Energy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(8, 8)

        def forward(self, x):
            return Square.apply(self.inner(x)).mean()


    def mllint_probe():
        return {"model": Energy(), "batches": [torch.randn(4, 8)], "loss": lambda model, batch: model(batch)}
    ```

    ## Good

    ```python
    # file: model.py
    import torch


    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, gradient):
            (x,) = ctx.saved_tensors
            return gradient * 2 * x


    class Energy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(8, 8)

        def forward(self, x):
            return Square.apply(self.inner(x)).mean()


    def mllint_probe():
        return {"model": Energy(), "batches": [torch.randn(4, 8)], "loss": lambda model, batch: model(batch)}


    # file: test_model.py
    def test_square():
        import torch
        from model import Square

        x = torch.randn(3, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(Square.apply, (x,))
    ```

    ## Fix safety

    There is no fix. Derive the backward again, or delete it and let autograd do it; then add a test with `gradcheck`.

    ## Known limits

    - Compared are: every custom Function on what it was given in a step, up to three layers of each class that is not
      torch's own, and the loss along one direction over all parameters. A container with more than half of the parameters
      is covered by the last only.
    - Parts that a layer cuts by name (`detach`, `no_grad`, `argmax`) are held at their value, as autograd takes them, so
      straight-through estimators, targets and moving averages are judged by the gradient that they mean.
    - A Function whose forward is a step function, or whose name or text speaks of a surrogate, a reversal, a
      clamp or a straight-through gradient, gives a note. One that returns its input as it is can only be meant to change gradients: a
      warning where nothing says so.
    - Samplers without a derivative for one seed (gamma, Dirichlet), hooks on activations and torch's fake quantisation are
      never judged. Where float64 does not run, float32 sees errors from 5 % on.
    - Static half: silent without a configuration root, for a forward that returns its input as it is, and as soon as a
      file that calls `gradcheck` names the Function, or something that uses it.

    ## References

    - <https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html>
    """

    meta = Meta(
        code="ML202",
        name="wrong-gradient",
        severity=Severity.INFO,
        since="0.1.0",
        triggers=(("Function",), ("backward", "vjp"), ("autograd",)),
        project=True,
        observed=Severity.ERROR,
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        if ctx.syntax is None or ctx.index is None or ctx.project is None or ctx.source.kind == "notebook":
            return
        from mllint.analysis.estimators import made_up_on_purpose
        from mllint.analysis.gradchecks import functions_with_backward, hands_its_input_on, is_checked

        for node in functions_with_backward(ctx.syntax, ctx.index):
            if made_up_on_purpose(node.name, ctx.code(node)) or hands_its_input_on(node):
                continue
            if not (ctx.project.is_test(path := ctx.absolute_path) or is_checked(node.name, path, ctx.project)):
                start = ctx.span(node)[0]
                at = ctx.source.data.index(node.name.encode(), start)
                yield ctx.report(
                    (at, at + len(node.name.encode())),
                    f"no test passes `{node.name}` to `gradcheck`: a wrong backward would go unseen"
                    if len(node.name) < 40
                    else "no test passes this Function to `gradcheck`: a wrong backward would go unseen",
                )

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.global_direction import GlobalDirection
        from mllint.probe.measured.layer_oracle import LayerOracle

        oracle = trace.get(LayerOracle)
        failed = False
        for entry in oracle.checked if oracle else ():
            wrong = entry.with_verdict("wrong")
            failed = failed or entry.blamed
            if entry.blamed and wrong:
                yield _wrong(entry, max(wrong, key=lambda tensor: tensor.relative_error), ctx)
            elif made_up := entry.with_verdict("straight-through"):
                yield ctx.observe(
                    entry.cut or entry.site,
                    f"`{entry.kind}`: the gradient of `{made_up[0].tensor}` is made up on purpose, not the derivative",
                    f"the gradient of `{entry.kind}` is made up on purpose, not the derivative",
                    "this gradient is made up on purpose, not the derivative",
                    severity=Severity.INFO,
                    why="the layer cuts a part by name or has a surrogate for a step function; nothing to do if that is meant",
                )
        whole = trace.get(GlobalDirection)
        if whole is not None and not failed and whole.slope.verdict == "wrong":
            yield _everywhere(whole, ctx)


def _wrong(entry: Checked, tensor: TensorVerdict, ctx: Judging) -> Diagnostic:
    severity = Severity.ERROR if tensor.relative_error >= _ERROR else Severity.WARNING
    name = f"{entry.kind}.backward" if entry.what == "function" else entry.kind
    if entry.deliberate:
        severity = Severity.INFO
    elif entry.identity and abs(tensor.analytic or 0.0) < _MEANT * abs(tensor.numeric):
        severity = Severity.WARNING
    remedy = (
        f"{entry.deliberate}, so it may be meant"
        if entry.deliberate
        else "its forward returns its input as it is: if a changed gradient is meant, say so in the name"
        if entry.identity
        else "derive the backward again or leave it to autograd, and pass it to `torch.autograd.gradcheck` in a test"
        if entry.what == "function"
        else "look for values changed in place after they were saved, and for an operation with a backward of its own"
    )
    return ctx.observe(
        entry.site,
        f"`{name}` gives {_how(tensor)} for `{tensor.tensor}`",
        f"`{name}` gives {_how(tensor)}",
        f"backward gives {_how(tensor)}",
        severity=severity,
        why=f"{_figures(tensor)} (`{entry.path or 'outside of modules'}`, {tensor.dtype}): {remedy}",
        related=[(entry.made, "applied here" if entry.what == "function" else "made here")],
    )


def _everywhere(whole: GlobalDirection, ctx: Judging) -> Diagnostic:
    tensor = whole.slope
    severity = Severity.ERROR if tensor.relative_error >= _ERROR else Severity.WARNING
    doubtful = ", ".join(f"`{name}`" for name in whole.explained)
    return ctx.observe(
        None,
        f"the gradient of all parameters together is {_how(tensor)}",
        severity=Severity.INFO if doubtful else severity,
        why=(
            f"{_figures(tensor)} (along one direction over {whole.parameters} parameters, {tensor.dtype}): "
            + (
                f"{doubtful} may account for it"
                if doubtful
                else "no single layer shows it, so look at the loss and the outermost forward"
            )
        ),
    )


def _how(tensor: TensorVerdict) -> str:
    """What the gradient is instead of the derivative: a round multiple of it, or so many per cent beside it."""
    analytic, numeric = tensor.analytic or 0.0, _nearest(tensor)
    ratio = analytic / numeric if numeric else float("inf")
    if abs(ratio + 1) < _ROUND:
        return "the derivative with the wrong sign"
    for multiple in (2.0, 3.0, 4.0, 10.0, 100.0, 1000.0, 1e6, 0.5, 0.25, 0.1, 0.01, 0.001, 1e-6):
        if abs(ratio / multiple - 1) < _ROUND:
            return f"{multiple:g} times the derivative"
    if abs(ratio) >= 100:
        return f"{ratio:.0e} times the derivative"
    return f"a gradient that is off by {tensor.relative_error:.2g} (relative)"


def _nearest(tensor: TensorVerdict) -> float:
    """The numeric slope that the analytic one is compared with: that with cuts held still, where it is nearer."""
    analytic = tensor.analytic or 0.0
    return min(
        (tensor.numeric, tensor.numeric if tensor.held is None else tensor.held), key=lambda n: abs(n - analytic)
    )


def _figures(tensor: TensorVerdict) -> str:
    return (
        f"backward gives {tensor.analytic or 0.0:.4g}, finite differences {_nearest(tensor):.4g}, "
        f"relative error {tensor.relative_error:.2g}"
    )
