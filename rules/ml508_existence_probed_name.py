"""ML508: see the class for the page.

May not: ask about names that Python, a notebook or a profiler may provide, or guess that two conditions agree.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.analysis.liveness.branches import Unbound, may_read_in_other_branch, read_in_other_branch
from mllint.analysis.liveness.probes import Probe, probes
from mllint.diagnostic import Diagnostic, Severity, fitting
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.context import Context


class ExistenceProbedName(Rule):
    """Code asks at run time whether one of its variables exists, or reads one that only the other branch binds.

    ## Why

    A variable that exists on some ways through a function and not on others is a hidden switch. In one project it was
    bound in one branch and tested for with `'x' in locals()` forty lines below; a renamed variable made the test false
    for good, silently, and the code behind it was skipped. Inside a loop the test is wrong from the second round on, because
    the variable is still there from the first.

    The plainest form of the same mistake needs no test: one branch of an `if` binds a name, and the other branch, which runs
    only when the first did not, reads it. That line raises UnboundLocalError whenever it is reached, often in place of
    the message that it was to show.

    ## Bad

    ```python
    def resume(path, model):
        if path.exists():
            state = torch.load(path)
        if "state" in locals():
            model.load_state_dict(state)


    def batch_size(conditioning):
        if isinstance(conditioning, dict):
            size = len(next(iter(conditioning.values())))
        else:
            raise TypeError(f"no dictionary of {size} conditions")
        return size
    ```

    ## Good

    ```python
    def resume(path, model):
        state = torch.load(path) if path.exists() else None
        if state is not None:
            model.load_state_dict(state)


    def batch_size(conditioning):
        if not isinstance(conditioning, dict):
            raise TypeError("conditioning is no dictionary")
        return len(next(iter(conditioning.values())))
    ```

    ## Fix safety

    No fix. Bind the name on every way, say to `None`, and ask for that.

    ## Known limits

    - `except NameError` counts where the `try` does nothing but read one name that the code binds elsewhere too. Names
      that only the handler binds (`try: profile`), builtins, names of Python 2 and of notebooks are never reported.
    - `globals()` is not looked at: a module that keeps its state over a reload asks it on purpose; so does a cell of a
      notebook with `locals()` and `dir()`. Neither are class bodies and functions that call `exec`.
    - A name bound in one branch and read below another condition is reported only where that is the other branch of
      the same `if`, outside loops: of two different conditions one may imply the other.

    ## References

    - <https://docs.python.org/3/library/functions.html#locals>
    - <https://docs.python.org/3/reference/executionmodel.html#naming-and-binding>
    """

    meta = Meta(
        code="ML508",
        name="existence-probed-name",
        severity=Severity.WARNING,
        since="0.1.0",
        triggers=(("locals", "vars", "dir", "NameError", "else", "elif"),),
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        syntax = ctx.syntax
        if syntax is None:
            return
        for probe in probes(syntax, ctx.source.data):
            if not (probe.at_top and ctx.source.kind == "notebook"):
                yield _probed(probe, ctx)
        choices = (each for each in syntax.statements(ast.If) if each.orelse)
        choosing = (syntax.scope(each) for each in choices if may_read_in_other_branch(each, ctx.source))
        for function in dict.fromkeys(choosing):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for unbound in read_in_other_branch(function, ctx.source):
                    yield _unbound(unbound, ctx)


def _probed(probe: Probe, ctx: Context) -> Diagnostic:
    anchor = probe.node if isinstance(probe.node, ast.expr) else probe.node.type or probe.node
    asks = f"whether `{probe.name}` exists is asked with `{probe.means}`"
    return ctx.report(anchor, fitting(f"{asks}; bind it on every way instead", asks, "a name's existence is probed"))


def _unbound(unbound: Unbound, ctx: Context) -> Diagnostic:
    name, line = unbound.read.id, ctx.source.place(ctx.span(unbound.bound)[0]).row
    where = f"is bound only in the other branch (line {line}); reading it here raises UnboundLocalError"
    message = fitting(
        f"`{name}` {where}", f"`{name}` is bound only in the other branch (line {line})", f"this name {where}"
    )
    return ctx.report(unbound.read, message, related=(ctx.related(unbound.bound, "bound here, in the other branch"),))
