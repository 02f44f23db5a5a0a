"""ML108: see the class for the page.

May not: flag a stop-gap where no compilation that records CUDA graphs is in sight.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mllint.analysis.compiled.words import CUDA_GRAPHS
from mllint.analysis.names import dotted_name
from mllint.diagnostic import Diagnostic, Related, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.compiled.applications import Application
    from mllint.analysis.context import Context
    from mllint.analysis.index import FileIndex

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_CALLED = ("forward", "__call__", "call")

#: A file that asks for CUDA graphs by a mode, as a pattern for the project's files.
_ASKS = r"""['"](reduce-overhead|max-autotune)['"]|['"]triton\.cudagraphs['"]\s*:\s*True"""
_HAND_MADE = (b"cuda.graph(", b"CUDAGraph(", b"make_graphed_callables")


class CudagraphStopgap(Rule):
    """CUDA graphs of a compiled network are worked around, where the network runs several times a step.

    ## Why

    `torch.compile(mode="reduce-overhead")` records CUDA graphs, and a graph writes its results to the same addresses
    at each replay. A network that runs twice in a step overwrites what it gave the first time; torch then says that an
    output "has been overwritten by a subsequent run". In one project everybody was sure that the network ran
    once a step. It took a week of stop-gaps (marking graph steps, cloning outputs, switching capture off) before
    somebody counted: a legacy module that had been kept "just in case" called it several times. Each stop-gap cost memory or
    speed, and none was about the cause.

    Count the calls first. If the network has to run several times, say so once and plainly: compile without CUDA graphs,
    for example with `mode="max-autotune-no-cudagraphs"`, or join the inputs into one batch.

    ## Bad

    ```python
    import torch

    network = torch.compile(build(), mode="reduce-overhead")


    def contrast(batch):
        torch.compiler.cudagraph_mark_step_begin()
        left = network(batch.left).clone()
        torch.compiler.cudagraph_mark_step_begin()
        right = network(batch.right)
        return left - right
    ```

    ## Good

    ```python
    import torch

    network = torch.compile(build(), mode="reduce-overhead")


    def train(loader):
        for batch in loader:
            torch.compiler.cudagraph_mark_step_begin()
            left, right = network(torch.cat([batch.left, batch.right])).chunk(2)
            (left - right).pow(2).sum().backward()
    ```

    ## Fix safety

    There is no fix: the cause is where the network is called, not where the stop-gap stands.

    ## Known limits

    - A compilation with `mode="reduce-overhead"` or `"max-autotune"`, or with `triton.cudagraphs` on, must be in the same
      file, in one that imports it or in one that it imports; a mode that is computed is not seen.
    - A mark is flagged beside another one in the same turn, in `forward`, in a helper that is called several times,
      or where the compiled network is. A single mark in the main loop is what torch asks for.
    - A clone is flagged if a comment beside it says that it is for CUDA graphs. Files that capture graphs by
      hand have to copy, and are left alone.
    - `triton.cudagraphs = False` is flagged in the file of the compilation only.

    ## References

    - <https://docs.pytorch.org/docs/stable/generated/torch.compiler.cudagraph_mark_step_begin.html>
    - <https://docs.pytorch.org/docs/stable/torch.compiler_cudagraph_trees.html>
    """

    meta = Meta(
        code="ML108",
        name="cudagraph-stopgap",
        severity=Severity.WARNING,
        since="0.1.0",
        triggers=(
            ("cudagraph_mark_step_begin", "triton.cudagraphs", "clone"),
            CUDA_GRAPHS,
            ("torch",),
        ),
        project=True,
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        from mllint.analysis.compiled import cudagraphs
        from mllint.analysis.compiled.applications import applications

        if ctx.syntax is None or ctx.index is None:
            return
        marks, clones, switches = _marks(ctx), _clones(ctx), _switches(ctx)
        if not marks and not clones and not switches:
            return
        found = applications(ctx.syntax, ctx.source.data, ctx.index.aliases, ctx.name)
        own = [each for each in found if cudagraphs.makes_graphs(each)]
        repeated = cudagraphs.called_repeatedly(cudagraphs.graph_callees(found), ctx.syntax)
        working_around = [*_needless(marks, repeated, ctx), *clones]
        if not own and working_around and not _graphs_elsewhere(ctx):
            return
        related = _compiled_here(own, ctx)
        for node, message in working_around:
            yield ctx.report(node, message, related=related)
        if own and repeated:
            message = "CUDA graphs are off beside a compilation that asks for them: it runs several times a step"
            for switch in switches:
                yield ctx.report(switch, message, related=related)


def _marks(ctx: Context) -> list[tuple[ast.stmt, ast.Call]]:
    from mllint.analysis.compiled.cudagraphs import marks

    assert ctx.syntax is not None
    return marks(ctx.syntax) if b"cudagraph_mark_step_begin" in ctx.source.data else []


def _clones(ctx: Context) -> list[tuple[ast.expr, str]]:
    from mllint.analysis.compiled.cudagraphs import saving_clones

    assert ctx.syntax is not None
    data = ctx.source.data
    if b"clone(" not in data or any(word in data for word in _HAND_MADE):
        return []
    message = "this clone only saves an output from the next CUDA graph replay: count the calls in a step"
    return [(node, message) for node in saving_clones(ctx.syntax, ctx.source.text.splitlines())]


def _switches(ctx: Context) -> list[ast.expr | ast.stmt]:
    from mllint.analysis.compiled.cudagraphs import switches_off

    assert ctx.syntax is not None
    return list(switches_off(ctx.syntax, ctx.name)) if b"triton.cudagraphs" in ctx.source.data else []


def _needless(marks: list[tuple[ast.stmt, ast.Call]], repeated: bool, ctx: Context) -> Iterator[tuple[ast.expr, str]]:
    """Marks that are made more than once a step, or where the network is and not the loop."""
    from mllint.analysis.compiled import cudagraphs

    assert ctx.syntax is not None
    statements = [statement for statement, _ in marks]
    together = cudagraphs.several_in_one_turn(statements, ctx.syntax)
    helpers = cudagraphs.holding_functions(statements, ctx.syntax)
    often = repeated or cudagraphs.called_repeatedly(helpers, ctx.syntax)
    for statement, call in marks:
        holder = cudagraphs.turn(statement, ctx.syntax)
        if statement in together:
            yield call, "a CUDA graph step begins here beside another one: count the network's calls in a step"
        elif isinstance(holder, _FUNCTIONS) and holder.name in _CALLED:
            yield call, f"`{holder.name}` begins a CUDA graph step at each call: mark steps in the main loop, once"
        elif often and not cudagraphs.stands_in_main_loop(statement, ctx.syntax):
            yield call, "a CUDA graph step begins here at each call of a network that runs several times a step"


def _graphs_elsewhere(ctx: Context) -> bool:
    """Does a file that imports this one, or that this one imports, compile with CUDA graphs? Tests are left out."""
    from mllint.analysis.compiled.applications import applications
    from mllint.analysis.compiled.cudagraphs import makes_graphs

    project = ctx.project
    if project is None:
        return False
    importers = set(project.importers(ctx.absolute_path))
    for path in project.matching(_ASKS):
        if path not in importers and ctx.absolute_path not in project.importers(path):
            continue
        syntax, index, data = project.syntax(path), project.index(path), project.load_bytes(path)
        if syntax is None or index is None or data is None or project.is_test(path):
            continue
        found = applications(syntax, data, index.aliases, _resolver(index))
        if any(makes_graphs(each) for each in found):
            return True
    return False


def _resolver(index: FileIndex) -> Callable[[ast.expr], str]:
    """What `Context.name` is for another file."""
    return lambda node: index.dotted(dotted_name(node))


def _compiled_here(own: list[Application], ctx: Context) -> tuple[Related, ...]:
    return (ctx.related(own[0].node, "compiled with CUDA graphs here"),) if own else ()
