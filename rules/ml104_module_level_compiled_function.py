"""ML104: see the class for the page.

May not: claim that a trace goes stale, or flag what no other module imports.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.analysis.compiled.words import TENSORFLOW, TORCH_COMPILE
from mllint.diagnostic import Diagnostic, Fix, Safety, Severity, fitting
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.compiled.applications import Application
    from mllint.analysis.compiled.hazards import Hazard
    from mllint.analysis.compiled.literals import Function
    from mllint.analysis.context import Context

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

#: The same compilation without CUDA graphs.
_WITHOUT_GRAPHS = {"reduce-overhead": "default", "max-autotune": "max-autotune-no-cudagraphs"}


class ModuleLevelCompiledFunction(Rule):
    """A function is compiled at import in a way that does not suit all the models that will share it.

    ## Why

    A study built models of several sizes in one process. One module was traced for XLA when it was imported, and
    that one function, with its one cache, served all of them: it kept what the first model had left, and the study
    broke in the middle. A compiled function at module level lives as long as the process and belongs to everybody who
    imports the module, so its options have to suit all of them:

    - a `tf.function` with `jit_compile=True` and no signature compiles again for each new shape, and one that gets
      Python numbers, texts or truth values is traced again for each of them; all traces are kept;
    - CUDA graphs (`mode="reduce-overhead"`, `"max-autotune"`) record memory addresses, so that each model, and
      each call in a step, needs graphs and memory of its own;
    - with `dynamic=False` each shape compiles anew until the limit (8 by default); after it the function runs eagerly, or
      fails under `fullgraph=True`;
    - a `try` around the compilation promises a fallback that does not come: compilation happens at the first call.

    Compile where the model is built, or choose options that hold for every caller.

    ## Bad

    ```python
    # file: pkg/kernels.py
    import torch


    @torch.compile(mode="reduce-overhead", dynamic=False)
    def rotate(x, angle):
        return x * angle.cos()
    # file: pkg/model.py
    from pkg.kernels import rotate
    ```

    ## Good

    ```python
    # file: pkg/kernels.py
    import torch


    @torch.compile(dynamic=True)
    def rotate(x, angle):
        return x * angle.cos()
    # file: pkg/model.py
    from pkg.kernels import rotate
    ```

    ## Fix safety

    Unsafe. The fix changes options and leaves the results as they are, up to rounding, but not the speed: it turns CUDA
    graphs off (`"default"`, `"max-autotune-no-cudagraphs"`), leaves the choice of dynamic shapes to torch
    (`dynamic=None`), and adds `reduce_retracing=True`, after which a new shape needs no new trace, although XLA still
    compiles for it. The last is not offered where the function reads `.shape`, which a relaxed trace may not know.
    Nothing is offered for Python values, since TensorFlow never merges those (pass a tensor, or make one function
    for each value), nor for a `try`.

    ## Known limits

    - Only modules that another, non-test module of the project imports.
    - Which Python values a function gets is read from the calls in the project that pass literals, or loop variables over
      `range` or literals. True and False alone are two traces, and no finding.
    - A `try` that also imports something, or calls something that may be the compiled function, is left alone.
    - Without such a hazard, a function that is compiled without options is an info finding.
    - `jax.jit`, methods of a `tf.function` without XLA, and `torch.jit.script` of a class are never flagged.

    ## References

    - <https://www.tensorflow.org/guide/function#controlling_retracing>
    - <https://docs.pytorch.org/docs/stable/generated/torch.compile.html>
    - <https://docs.pytorch.org/docs/stable/torch.compiler_cudagraph_trees.html>
    """

    meta = Meta(
        code="ML104",
        name="module-level-compiled-function",
        severity=Severity.WARNING,
        since="0.1.0",
        triggers=(("torch", "tensorflow"), (*TORCH_COMPILE, *TENSORFLOW, "jit")),
        fix=Safety.UNSAFE,
        project=True,
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        from mllint.analysis.compiled.applications import applications, of_compilers
        from mllint.analysis.startup.module_level import imported, in_library

        if ctx.syntax is None or ctx.index is None:
            return
        found = applications(ctx.syntax, ctx.source.data, ctx.index.aliases, ctx.name)
        found = of_compilers(found, "torch.compile", "tf.function", "jit.script")
        if not found:
            return
        owners = {each.statement: each.owner for each in imported(ctx.syntax)}
        early = [each for each in found if each.statement in owners and not _is_of_a_type(each, ctx)]
        if not early or not in_library(ctx):
            return
        for each in early:
            diagnostic = _judged(each, bool(owners[each.statement]), ctx)
            if diagnostic is not None:
                yield diagnostic


def _judged(each: Application, in_class: bool, ctx: Context) -> Diagnostic | None:
    """The finding for one compilation at import, if there is one."""
    from mllint.analysis.compiled.hazards import hazards, is_decided

    assert ctx.syntax is not None
    found = hazards(each, ctx.syntax, ctx.name)
    name = _bound_name(each)
    if found:
        message = fitting(_message(found[0], name, each), _message(found[0], "", each))
        return ctx.report(each.node, message, fix=_fix(found, each, ctx))
    if in_class or (each.compiler == "tf.function" and is_decided(each)):
        return None
    parameter, values = _python_values(each, ctx) or ("", 0)
    if parameter:
        return ctx.report(
            each.node,
            fitting(
                f"`{name}` is traced anew for each Python value of `{parameter}`, and the calls in sight pass several",
                f"traced anew for each Python value of `{parameter}`: the calls in sight pass {values} or more",
            ),
        )
    if each.options or not each.complete:
        return None  # somebody has thought about how it compiles
    message = f"`{name}` is compiled at import: all who import this module share its one cache"
    return ctx.report(each.node, fitting(message, "compiled at import: all share one cache"), severity=Severity.INFO)


def _message(hazard: Hazard, name: str, each: Application) -> str:
    what = f"`{name}`" if name else "this"
    if hazard.kind == "graphs":
        return f"{what} is compiled at import with CUDA graphs (`{each.literal('mode')}`), which hold memory addresses"
    if hazard.kind == "static":
        end = "fails" if each.literal("fullgraph") is True else "runs eagerly"
        return f"{what} is compiled at import with `dynamic=False`: past 8 shapes it {end}"
    if hazard.kind == "xla":
        return f"{what} is made at import with XLA and no `input_signature`: it compiles again for each shape"
    return f"{what} compiles at its first call, not here, so the `except` around it hardly ever runs"


def _bound_name(each: Application) -> str:
    statement = each.statement
    if each.decorates and isinstance(statement, _FUNCTIONS):
        return statement.name
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return each.written


def _is_of_a_type(each: Application, ctx: Context) -> bool:
    """``torch.jit.script`` of a class makes a type known, and caches nothing."""
    assert ctx.index is not None
    if isinstance(each.target, ast.ClassDef):
        return True
    if each.compiler != "jit.script" or isinstance(each.target, _FUNCTIONS):
        return False
    written = ast.unparse(each.target) if isinstance(each.target, ast.expr) else ""
    return not any(known.qualname == written and known.kind == "function" for known in ctx.index.definitions)


def _defined(each: Application, ctx: Context) -> Function | None:
    """The function that is compiled, if this module defines it at its top, once."""
    assert ctx.syntax is not None
    if isinstance(each.target, _FUNCTIONS):
        return each.target
    name = each.target.id if isinstance(each.target, ast.Name) else ""
    found = [node for node in ctx.syntax.module.body if isinstance(node, _FUNCTIONS) and node.name == name]
    return found[0] if len(found) == 1 else None


def _python_values(each: Application, ctx: Context) -> tuple[str, int] | None:
    """The parameter of a `tf.function` that gets most different literals in the project, and how many."""
    from mllint.analysis.compiled.literals import calls_of, differing, passed
    from mllint.analysis.names import dotted_name
    from mllint.analysis.project import Found

    project, function, name = ctx.project, _defined(each, ctx), _bound_name(each)
    if each.compiler != "tf.function" or project is None or function is None:
        return None
    own = Found(ctx.absolute_path, name)
    calls = []
    for path in (ctx.absolute_path, *project.importers(ctx.absolute_path)):
        syntax, index = project.syntax(path), project.index(path)
        if syntax is None or index is None or project.is_test(path):
            continue
        for statement, call in calls_of(syntax):
            dotted = dotted_name(call.func)
            if name not in (dotted.rpartition(".")[2], index.dotted(dotted).rpartition(".")[2]):
                continue
            if project.resolve(index.dotted(dotted), path) == own:
                calls.append(passed(function, statement, call, syntax))
    return differing(function, calls)


def _fix(found: list[Hazard], each: Application, ctx: Context) -> Fix | None:
    """Options that hold for every caller; None where one of the hazards is not a matter of options."""
    from mllint.analysis.compiled.hazards import reads_static_shapes

    edits = []
    for hazard in found:
        if hazard.kind == "try" or (hazard.kind == "xla" and reads_static_shapes(each)):
            return None
        assert isinstance(hazard.value, ast.expr)
        if hazard.kind == "xla":
            end = ctx.span(hazard.value)[1]
            edits.append(ctx.replace((end, end), ", reduce_retracing=True"))
        elif hazard.kind == "static":
            edits.append(ctx.replace(hazard.value, "None"))
        else:
            quote = ctx.code(hazard.value)[0]
            mode = _WITHOUT_GRAPHS[str(each.literal("mode"))]
            edits.append(ctx.replace(hazard.value, f"{quote}{mode}{quote}"))
    titles = {
        "graphs": "Compile without CUDA graphs",
        "static": "Let torch choose dynamic shapes",
        "xla": "Add `reduce_retracing=True`",
    }
    return ctx.fix(titles[found[0].kind], *edits)
