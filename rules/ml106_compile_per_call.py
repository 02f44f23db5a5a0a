"""ML106: see the class for the page.

May not: flag what may be kept for the next call, or a loop that may go through configurations.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.analysis.compiled.words import JIT, LIBRARIES, TENSORFLOW, TORCH_COMPILE
from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.compiled.applications import Application
    from mllint.analysis.compiled.steps import Function
    from mllint.analysis.context import Context

#: Files that compile the same thing over and over on purpose.
_MEASURES = re.compile(r"(^|[/_.-])(tests?|bench\w*|profil\w*|sweeps?|conftest)([/_.-]|$)", re.IGNORECASE)
_MEASURING = re.compile(r"bench|profile|sweep|compare|^test_", re.IGNORECASE)

#: What gives a new function each time, which ``jax.jit`` then has never seen before.
_NEW_EACH_TIME = frozenset({"jax.grad", "jax.value_and_grad", "jax.vmap", "jax.checkpoint", "jax.remat"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class CompilePerCall(Rule):
    """Something is compiled or traced again in every step, instead of once.

    ## Why

    A compiler keeps what it made with the function object that it made it for. A new `tf.function`, a `jax.jit` of a
    new lambda or a new `torch.jit.trace` starts from nothing: each step traces again, and often compiles again, which
    takes seconds where the step takes milliseconds. `torch.compile` finds the code that it compiled before, but builds its
    wrapper and checks its guards anew, and a function defined in the loop may miss the cache through what it closes
    over. The run is right and slow, and the memory of the old traces may stay. Nothing warns, except
    TensorFlow, after the fifth time.

    ## Bad

    ```python
    import torch


    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, logits, target):
            @torch.compile
            def reduce(a, b):
                return (a * b).sum(dim=-1)

            return reduce(logits, target)
    ```

    ```python
    import tensorflow as tf


    def train(model, optimizer, loader):
        for batch in loader:
            step = tf.function(lambda x: model(x, training=True))
            optimizer.apply_gradients(step(batch))
    ```

    ## Good

    ```python
    import torch


    @torch.compile
    def reduce(a, b):
        return (a * b).sum(dim=-1)


    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, logits, target):
            return reduce(logits, target)
    ```

    ## Fix safety

    There is no fix: where the compiled function should live depends on what it closes over.

    ## Known limits

    - A step is a turn of a loop over batches, steps or epochs (by its names, or because it calls `backward`, `zero_grad` or
      an optimizer), a call of `forward` or of a step method of Lightning and Trainer classes, or of a function of the same
      file that such a loop calls.
    - What is stored in an attribute, a table or a global name counts as kept; so does what is only returned.
    - Conditions that may hold only once (comparisons, `not`, calls, names like `first`) count as doing so.
    - In TensorFlow, `call` and `train_step` of a class are left alone: they run while an outer function is traced.
    - `jax.jit` of a function that exists already finds it in its cache, so only new functions are flagged.
    - Exports, CUDA graph captures, and traces that are saved and not called, are left alone; so are tests and benchmarks.

    ## References

    - <https://www.tensorflow.org/guide/function#controlling_retracing>
    - <https://docs.jax.dev/en/latest/jit-compilation.html#jit-and-caching>
    - <https://docs.pytorch.org/docs/stable/generated/torch.jit.trace.html>
    """

    meta = Meta(
        code="ML106",
        name="compile-per-call",
        severity=Severity.WARNING,
        since="0.1.0",
        triggers=(
            LIBRARIES,
            (*TENSORFLOW, *TORCH_COMPILE, *JIT),
            ("for ", "while ", "forward", "_step", "compute_loss", "def step"),
        ),
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        from mllint.analysis.compiled.applications import applications

        if ctx.syntax is None or ctx.index is None or _MEASURES.search(ctx.source.path):
            return
        found = applications(ctx.syntax, ctx.source.data, ctx.index.aliases, ctx.name)
        for each in found:
            if each.compiler in ("export", "capture") or not _starts_anew(each, ctx):
                continue
            why = _reason(each, ctx)
            if why and not _inside_compiled(each, found, ctx) and not _is_kept(each, ctx):
                yield ctx.report(each.node, f"`{each.written}` is applied {why}")


def _reason(each: Application, ctx: Context) -> str:
    """Where it is applied again and again, in words; "" if it is not."""
    from mllint.analysis.compiled import steps

    assert ctx.syntax is not None
    loop = steps.step_loop(each.statement, ctx.syntax)
    if loop is not None:
        return f"in the loop of line {loop.lineno}, again in each turn"
    function = steps.per_step_function(each.statement, ctx.syntax)
    if function is None or _MEASURING.search(function.name) or _has_cache(function, ctx):
        return ""
    of_torch = each.compiler in ("torch.compile", "jit.script", "jit.trace")
    if of_torch and steps.is_called_by_a_framework(function, ctx.syntax):
        return f"in `{function.name}`, again at each call"
    loop = steps.calling_loop(function, ctx.syntax)
    return f"in `{function.name}`, which the loop of line {loop.lineno} calls in each turn" if loop else ""


def _starts_anew(each: Application, ctx: Context) -> bool:
    """Does compiling twice cost twice? ``jax.jit`` remembers the function objects that it has seen."""
    if each.compiler != "jax.jit" or each.decorates:
        return True
    target = each.target
    if isinstance(target, ast.Call):
        return ctx.name(target.func) in _NEW_EACH_TIME
    if isinstance(target, ast.Name):
        return _defined_beside(target.id, each, ctx)
    return isinstance(target, ast.Lambda)


def _defined_beside(name: str, each: Application, ctx: Context) -> bool:
    """Is this name a function defined in the same block, so a new one each time?"""
    assert ctx.syntax is not None
    block, position = ctx.syntax.block(each.statement)
    local = not isinstance(ctx.syntax.scope(each.statement), ast.Module) or block is not ctx.syntax.module.body
    return local and any(isinstance(before, _FUNCTIONS) and before.name == name for before in block[:position])


def _inside_compiled(each: Application, found: list[Application], ctx: Context) -> bool:
    """Does it stand in a function that is compiled itself, so that it runs only while that one is traced?"""
    assert ctx.syntax is not None
    around = {above for above in ctx.syntax.ancestors(each.statement) if isinstance(above, _FUNCTIONS)}
    passed = {ast.unparse(other.target).rpartition(".")[2] for other in found if isinstance(other.target, ast.expr)}
    return any(other.statement in around for other in found if other.decorates) or any(
        above.name in passed for above in around if isinstance(above, _FUNCTIONS)
    )


def _has_cache(function: Function, ctx: Context) -> bool:
    """Is the function decorated to remember its results?"""
    return any(
        "cache" in ast.unparse(decorator).lower() or "memo" in ast.unparse(decorator).lower()
        for decorator in function.decorator_list
    )


def _is_kept(each: Application, ctx: Context) -> bool:
    """May the compiled thing serve again at the next call, or is it not called here at all?"""

    assert ctx.syntax is not None
    scope = ctx.syntax.function(each.statement) or ctx.syntax.module
    name = _bound_name(each)
    if name is None:
        return not _called_at_once(each)
    outer = {other for node in ast.walk(scope) if isinstance(node, (ast.Global, ast.Nonlocal)) for other in node.names}
    if name in outer:
        return True
    calls = [node for node in ast.walk(scope) if isinstance(node, ast.Call)]
    if any(isinstance(call.func, ast.Name) and call.func.id == name for call in calls):
        return False
    if each.compiler in ("jit.trace", "jit.script"):
        return True
    passed = (argument for call in calls if call is not each.node for argument in call.args)
    return not any(isinstance(argument, ast.Name) and argument.id == name for argument in passed)


def _bound_name(each: Application) -> str | None:
    """The local name that the compiled thing gets, None for anything else."""
    statement = each.statement
    if each.decorates and isinstance(statement, _FUNCTIONS):
        return statement.name
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    value, target = statement.value, statement.targets[0]
    branches = (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,)
    return target.id if isinstance(target, ast.Name) and each.node in branches else None


def _called_at_once(each: Application) -> bool:
    """``torch.compile(f)(x)``: made, called, and gone."""
    return any(isinstance(node, ast.Call) and node.func is each.node for node in ast.walk(each.statement))
