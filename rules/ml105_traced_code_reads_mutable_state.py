"""ML105: see the class for the page.

May not: flag what a trace is known to see at each call: arguments, constants, what torch.compile guards.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.analysis.compiled.words import EXPORTS, JIT, LIBRARIES, TENSORFLOW, TORCH_COMPILE
from mllint.diagnostic import Diagnostic, Related, Severity, fitting
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.compiled.applications import Compiler
    from mllint.analysis.compiled.trace_state import State
    from mllint.analysis.compiled.traced import Traced
    from mllint.analysis.context import Context
    from mllint.analysis.startup.mutability import Read
    from mllint.analysis.startup.sites import Site

_TRACERS: frozenset[Compiler] = frozenset({"tf.function", "jax.jit", "jit.trace", "export", "capture"})
_DYNAMO: frozenset[Compiler] = frozenset({"torch.compile"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class TracedCodeReadsMutableState(Rule):
    """Code that runs only while it is traced reads something that changes later.

    ## Why

    A trace runs the Python code once and keeps what came of it. Whatever that code read on the way (a setting, a variable
    of the environment, the clock, a random number) is a constant from then on; whatever it changed (a global, a list) it
    changed once. In a study of models of several sizes, a module was traced with the first configuration and went on with it
    when the configuration had long been another. Nothing fails: the numbers are those of the first model.

    Pass what changes as an argument, or read it before the traced call.

    ## Bad

    ```python
    import os
    import time

    import jax
    import numpy as np
    import tensorflow as tf


    @jax.jit
    def noisy(x):
        return x + np.random.normal(size=x.shape)


    @tf.function
    def stamped(x):
        return x * float(os.environ["SCALE"]), time.time()
    ```

    ## Good

    ```python
    import os

    import jax
    import tensorflow as tf


    @jax.jit
    def noisy(x, key):
        return x + jax.random.normal(key, x.shape)


    @tf.function
    def stamped(x, scale):
        return x * scale, tf.timestamp()


    stamped(x, tf.constant(float(os.environ["SCALE"])))
    ```

    ## Fix safety

    There is no fix: the value has to come in as an argument, through every caller.

    ## Known limits

    - Looked at are the traced functions of this file, what is defined in them, the functions and methods of the same
      file that they call, and `forward` where a class of the file is traced. Of functions in other files only what
      they return is followed.
    - In `torch.compile` only the environment counts: Dynamo guards or replays the rest. `os.getenv` and `in os.environ`
      are kept for good (seen with torch 2.13); `os.environ["X"]` and `os.environ.get` are guarded there, but not
      promised to be, so they are warnings.
    - Which module-level objects change is read from the project's assignments, as for ML103.
    - Code under a condition that asks whether this is a trace, what runs as a callback (`tf.py_function`,
      `jax.pure_callback`), and tests are left alone; so are names that count traces, and in an exported or
      `torch.jit.trace`d model what happens in training only.
    - A list that a CUDA graph capture appends to holds static results, and is left alone.

    ## References

    - <https://www.tensorflow.org/guide/function#limitations>
    - <https://docs.jax.dev/en/latest/notebooks/Common_Gotchas_in_JAX.html#pure-functions>
    - <https://docs.pytorch.org/docs/stable/generated/torch.jit.trace.html>
    """

    meta = Meta(
        code="ML105",
        name="traced-code-reads-mutable-state",
        severity=Severity.ERROR,
        since="0.1.0",
        triggers=(LIBRARIES, (*TENSORFLOW, *TORCH_COMPILE, *JIT, *EXPORTS)),
        project=True,
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        from mllint.analysis.compiled.applications import applications
        from mllint.analysis.compiled.trace_state import states
        from mllint.analysis.compiled.traced import traced_bodies
        from mllint.analysis.startup.sites import Site
        from mllint.analysis.words import is_test

        if ctx.syntax is None or ctx.index is None or is_test("/" + ctx.source.path):
            return
        found = applications(ctx.syntax, ctx.source.data, ctx.index.aliases, ctx.name)
        site = Site(ctx.absolute_path, ctx.index)
        seen: set[ast.AST] = set()
        strict = traced_bodies(found, _TRACERS, ctx.syntax, ctx.name)
        for traced in strict:
            for state in states(traced, ctx.syntax, site):
                if state.node not in seen:
                    seen.add(state.node)
                    yield _finding(state, traced, ctx)
        for traced in traced_bodies(found, _DYNAMO, ctx.syntax, ctx.name):
            for state in states(traced, ctx.syntax, site):
                if state.kind == "environment" and state.node not in seen:
                    seen.add(state.node)
                    yield _finding(state, traced, ctx, None if _is_kept(state.node, ctx) else Severity.WARNING)
        for traced in strict:
            yield from _settings(traced, site, seen, ctx)
            yield from _asked_elsewhere(traced, site, seen, ctx)


def _is_kept(node: ast.AST, ctx: Context) -> bool:
    """Does Dynamo surely keep this read for good? (torch 2.13: ``os.getenv``, ``in os.environ``)"""
    return isinstance(node, ast.Compare) or (isinstance(node, ast.Call) and ctx.name(node.func) == "os.getenv")


def _finding(state: State, traced: Traced, ctx: Context, severity: Severity | None = None) -> Diagnostic:

    what, name = f"`{state.shown}`", f"`{traced.name}`"
    ends = {
        "environment": "is read only while {} is traced: later changes are not seen",
        "clock": "gives the time of the trace at each call of {}",
        "random": "draws only while {} is traced: each call gets the same numbers",
        "global": "is assigned only while {} is traced, not at each call",
        "append": "runs only while {} is traced, and keeps a tracer, not a value",
    }
    end = ends[state.kind]
    message = fitting(f"{what} {end.format(name)}", f"{what} {end.format('this')}", f"this {end.format(name)}")
    return ctx.report(state.node, message, severity=severity, related=_traced_here(traced, ctx))


def _settings(traced: Traced, site: Site, seen: set[ast.AST], ctx: Context) -> Iterator[Diagnostic]:
    """Reads of module-level objects that functions of the project change."""
    from mllint.analysis.compiled.traced import traced_nodes
    from mllint.analysis.startup.told import related

    runs = set(traced_nodes(traced))
    for read in _reads(traced, site, ctx):
        if read.node is None or read.node in seen or read.node not in runs or read.written is None:
            continue
        seen.add(read.node)
        by = f": `{read.written.function}` changes it later"
        message = f"`{read.shown}` is read only while `{traced.name}` is traced"
        places = (*_traced_here(traced, ctx), *related([read], ctx))
        yield ctx.report(read.node, fitting(message + by, message + ", and changes later", message), related=places)


def _asked_elsewhere(traced: Traced, site: Site, seen: set[ast.AST], ctx: Context) -> Iterator[Diagnostic]:
    """Calls of functions in other files that return what the environment, or a changing object, says."""
    from mllint.analysis.compiled.trace_state import site_inside
    from mllint.analysis.compiled.traced import traced_nodes
    from mllint.analysis.startup.follow import value_reads
    from mllint.analysis.startup.told import related

    assert ctx.syntax is not None
    here = site_inside(traced, ctx.syntax, site)
    here = here.within(traced.body) if isinstance(traced.body, _FUNCTIONS) else here
    for node in traced_nodes(traced):
        if ctx.project is None or not isinstance(node, ast.Call) or node in seen or not here.dotted(node.func):
            continue
        reads = [read for read in value_reads(node, here, ctx.project) if read.via and read.path != ctx.absolute_path]
        if reads:
            seen.add(node)
            message = f"`{ast.unparse(node.func)}` reads `{reads[0].shown}`, but only while `{traced.name}` is traced"
            brief = f"this call reads `{reads[0].shown}` only while the code is traced"
            places = (*_traced_here(traced, ctx), *related(reads, ctx))
            yield ctx.report(node, fitting(message, brief), related=places)


def _reads(traced: Traced, site: Site, ctx: Context) -> Iterator[Read]:
    """All reads of changing objects in a body and in the functions that are defined in it."""
    from mllint.analysis.compiled.trace_state import site_inside
    from mllint.analysis.startup.mutability import function_reads, reads

    project = ctx.project
    assert ctx.syntax is not None
    if project is None:
        return
    outside = site_inside(traced, ctx.syntax, site)
    body = traced.body
    if isinstance(body, ast.Lambda):
        yield from reads([body.body], outside, project)
    elif isinstance(body, _FUNCTIONS):
        yield from function_reads(body, outside, project)
        inside = outside.within(body)
        for inner in ast.walk(body):
            if isinstance(inner, _FUNCTIONS) and inner is not body:
                yield from function_reads(inner, inside, project)
    else:
        around = ctx.syntax.function(body)
        if around is not None:
            yield from function_reads(around, site, project)


def _traced_here(traced: Traced, ctx: Context) -> tuple[Related, ...]:
    return (ctx.related(traced.application.node, f"`{traced.application.written}` is applied here"),)
