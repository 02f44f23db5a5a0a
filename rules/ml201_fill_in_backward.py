"""ML201: see the class for the page.

May not: follow gradients itself; `gradient_fills` does, this file words the finding and the fix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.analysis.gradients.sources import SOURCE_PHRASES, does_not_enter
from mllint.diagnostic import Diagnostic, Fix, Place, Related, Safety, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.context import Context
    from mllint.analysis.gradients.flow import GradientFill, Spot, Step
    from mllint.analysis.project import Project

#: Ways to overwrite elements, in Python and in kernel sources.
_FORMS = (
    *("masked_fill", "where", "full", "fill", "index_put", "scatter", "select", ".set(", "place", "copyto", "other"),
    *("] =", "]=", "store(", "mask", "MASK", "causal", "tril", "triu", "1 -", "1-", "1.0 -", "1.0-"),
    *("__global__", "__kernel", "kernel void", ".entry", "ElementwiseKernel"),
)

#: What every large negative number is written with, or a constant for one.
_NUMBERS = (
    *("inf", "Inf", "INF", "finfo", "MAX", "MIN", "lowest", "000", "999", "655", "**", "0f", "0x"),
    *(f"{digit}{letter}" for digit in ".0123456789" for letter in "eE"),
    *("NEG", "FILL", "VALUE", "MASK", "LARGE"),
)


class FillInBackward(Rule):
    """A large negative mask value is written into a gradient.

    ## Why

    A mask before a softmax writes -1e9 or -inf into the scores, so that the softmax turns them into zeros. In
    a backward pass nothing turns them into anything: a gradient at a masked place has to be 0, and a fill of -1e9 is
    taken for a real gradient and summed into every parameter below. In one project a causal-mask kernel with its
    -1e9 written into it was used again in the backward pass, on the gradients. All gradients became a million
    times too large; the model got 0 of 158 answers right, and 15 once the fill was 0. Nothing crashed: gradient
    clipping hid the size and kept only the wrong direction.

    The way of the gradient is followed from where autograd hands it over (`backward` and `vjp` of an autograd
    `Function`, hooks, `register_autograd`, `custom_vjp`, `custom_gradient`) through assignments, helpers in this and
    other files, Triton kernels, and kernels compiled from CUDA, OpenCL or PTX strings.

    ## Bad

    ```python
    import torch


    class CausalMask(torch.autograd.Function):
        @staticmethod
        def forward(ctx, scores, mask):
            ctx.save_for_backward(mask)
            return scores.masked_fill(mask, float("-inf"))

        @staticmethod
        def backward(ctx, grad_output):
            (mask,) = ctx.saved_tensors
            return grad_output.masked_fill(mask, float("-inf")), None  # ML201
    ```

    ## Good

    ```python
    import torch


    class CausalMask(torch.autograd.Function):
        @staticmethod
        def forward(ctx, scores, mask):
            ctx.save_for_backward(mask)
            return scores.masked_fill(mask, float("-inf"))

        @staticmethod
        def backward(ctx, grad_output):
            (mask,) = ctx.saved_tensors
            return grad_output.masked_fill(mask, 0.0), None
    ```

    ## Fix safety

    Unsafe: it replaces the fill by 0, which is the gradient of a masked element, and changes every result of
    the training. It is offered where the number stands at the fill (or at the call that passes it) and only gradients
    are filled there. A helper or kernel that also masks scores needs its fill as an argument instead, so
    nothing is offered for it.

    ## Known limits

    - Scores, logits and masks that a backward computes again from saved tensors may be filled with anything.
    - What a function of another library makes of a gradient counts as a gradient only if it is called like one.
    - A fill that only chooses (before `argmax`, `topk`, a maximum or a softmax) is not reported.
    - A kernel's source has to be a string in the project; `.cu` files are not connected with the calls of their functions.
    - Numbers above -1000, large positive ones, and values only known at run time are not judged.

    ## References

    - <https://docs.pytorch.org/docs/stable/notes/extending.html>
    - <https://docs.pytorch.org/docs/stable/generated/torch.Tensor.masked_fill.html>
    """

    meta = Meta(
        code="ML201",
        name="fill-in-backward",
        severity=Severity.ERROR,
        since="0.1.0",
        triggers=(SOURCE_PHRASES,),
        project_triggers=(_FORMS, _NUMBERS),
        fix=Safety.UNSAFE,
        project=True,
        confirmed_by=("ML202", "ML204", "ML217"),
    )

    def reached(self, project: Project) -> frozenset[str]:
        from mllint.analysis.gradients.routes import files_with_gradients

        return files_with_gradients(project)

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        if ctx.index is None or ctx.syntax is None:
            return
        from mllint.analysis.gradients.flow import FLOWS, UNREAD
        from mllint.analysis.gradients.routes import gradient_fills

        own = UNREAD
        if not does_not_enter(ctx.source.data, ctx.index):
            from mllint.analysis.gradients.flows import flows  # 20 ms to import, which most runs save

            own = flows(ctx.syntax.module, ctx.index.aliases, ctx.source.data)
        ctx.syntax.for_project[FLOWS] = own  # the project asks for them: 0.4 s for transformers
        for fill in gradient_fills(ctx.index, own, ctx.absolute_path, ctx.project):
            yield _finding(fill, ctx)


#: What a fill is called, where its form is no function's name.
_WORDS = {
    "indexed store": "indexed store",
    "mask added": "mask added here",
    "mask subtracted": "mask subtracted here",
    "conditional": "conditional expression",
    "load": "`other` of `tl.load`",
    "store": "`tl.store`",
}


def _finding(fill: GradientFill, ctx: Context) -> Diagnostic:
    what = f"kernel fill `{fill.literal}`" if fill.literal else _WORDS.get(fill.form, f"`{fill.form}`")
    message = f"{what} writes a large negative value into a gradient"
    receiver = fill.route[0].name if fill.route else ""
    told = f"{message} that `{receiver}` receives"
    if receiver and "<" not in receiver and "$" not in receiver and len(told) <= 100:
        message = told
    related = tuple(_related(step, ctx) for step in fill.route)
    return ctx.report(_anchor(fill, ctx), message, fix=_zero(fill, ctx), related=related)


def _span(spot: Spot, ctx: Context) -> tuple[int, int]:
    return ctx.source.offset(spot.row, spot.column), ctx.source.offset(spot.end_row, spot.end_column)


def _anchor(fill: GradientFill, ctx: Context) -> tuple[int, int]:
    """The fill; in a kernel source the literal inside the string, where the string holds it as written."""
    start, end = _span(fill.spot, ctx)
    if not fill.literal:
        return start, end
    literal = fill.literal.encode()
    at = start - 1
    for _ in range(fill.nth + 1):
        at = ctx.source.data.find(literal, at + 1, end)
        if at < 0:
            return start, end
    return at, at + len(literal)


def _zero(fill: GradientFill, ctx: Context) -> Fix | None:
    if fill.value is None or not _only_for_gradients(fill, ctx):
        return None
    return ctx.fix("Fill the gradient with 0", ctx.replace(_span(fill.value, ctx), "0.0"))


def _only_for_gradients(fill: GradientFill, ctx: Context) -> bool:
    """Is the number used for gradients alone: at a call, in a backward itself, or in a helper called only there?"""
    if len(fill.route) < 2 or fill.value == fill.spot:
        return True
    return all(_called_once(step, ctx) for step in fill.route[1:])


def _called_once(step: Step, ctx: Context) -> bool:
    """Is the function of this step only called where the gradient is handed to it?"""
    name = step.name.rpartition(".")[2]
    mentions = re.findall(rb"\b" + re.escape(name.encode()) + rb"\b", ctx.source.data)
    if step.path != ctx.absolute_path or len(mentions) != 2:  # its definition and the call on the route
        return False
    return ctx.project is None or all(path == ctx.absolute_path for path in ctx.project.containing(((name,),)))


def _related(step: Step, ctx: Context) -> Related:
    """A step of the gradient's way; paths as the file at hand is shown."""
    shown, whole = ctx.source.path, ctx.absolute_path
    path = step.path
    if path == whole:
        path = shown
    elif whole.endswith("/" + shown) and path.startswith(whole[: -len(shown)]):
        path = path[len(whole) - len(shown) :]
    name = step.name.partition("$")[2] or step.name
    told = "a lambda" if "<" in name else f"`{name}`" if "," not in name else "a kernel"
    place = ctx.source.place(ctx.source.offset(step.row, 0)) if step.path == whole else Place(step.row, 1)
    return Related(path, place, f"the gradient goes into {told} here")
