"""ML107: see the class for the page.

May not: judge a handler that might tell somebody, or a narrow one.
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
    from mllint.analysis.compiled.fallbacks import Swallower
    from mllint.analysis.context import Context

_SWITCH = "suppress_errors"
_VARIABLE = "TORCHDYNAMO_SUPPRESS_ERRORS"
_ENVIRONMENT = ("os.environ", "os.environ.setdefault", "os.putenv")
_SAYS_SO = re.compile(r"suppress_errors|\beager", re.IGNORECASE)
_COMPILE_OPTIONS = frozenset({"mode", "dynamic", "fullgraph", "backend", "options"})
_SUPPRESSED = "`suppress_errors` is on: what fails to compile runs eagerly, and only a log line says so"


class SilentCompileFallback(Rule):
    """A failure to compile is swallowed, so the code runs eagerly and nobody learns of it.

    ## Why

    A program that falls back to the slow path without a word looks healthy. It gives the same numbers, only slower,
    and the cause is looked for everywhere else: in the data loader, in the driver, in the machine. In one project the
    wrong path was taken silently for a whole study, because nothing had ever said which path it was.

    `torch._dynamo.config.suppress_errors = True` does this for every function of the process. A `try` around
    `torch.compile` with a broad `except` does it for one, and mostly not even that: `torch.compile` and `tf.function`
    compile at the first call, so the handler around their creation hardly ever runs.

    ## Bad

    ```python
    import torch
    import torch._dynamo

    torch._dynamo.config.suppress_errors = True


    def accelerated(model):
        try:
            return torch.compile(model)
        except Exception:
            return model
    ```

    ## Good

    ```python
    import logging

    import torch

    log = logging.getLogger(__name__)


    def accelerated(model):
        try:
            return torch.compile(model)
        except Exception:
            log.exception("the model is not compiled, it runs eagerly")
            return model
    ```

    ## Fix safety

    There is no fix: whether a failure should end the run or be logged is a decision.

    ## Known limits

    - Only broad handlers (`except:`, `Exception`, `BaseException`) and `contextlib.suppress` of these are looked at.
    - A handler that raises, uses the exception, or calls anything whose name may mean a message counts as telling, and so
      does code right after the `try` that tests what the handler set.
    - A `try` that also imports something counts as a question whether that can be imported.
    - `suppress_errors = True` right beside a message that says so is left alone.
    - A handler that compiles in another way is no fallback to eager code, unless that is swallowed again.

    ## References

    - <https://docs.pytorch.org/docs/stable/generated/torch.compile.html>
    - <https://docs.pytorch.org/docs/stable/torch.compiler_troubleshooting.html>
    """

    meta = Meta(
        code="ML107",
        name="silent-compile-fallback",
        severity=Severity.WARNING,
        since="0.1.0",
        triggers=(
            (_SWITCH, _VARIABLE, *TORCH_COMPILE, *TENSORFLOW, *JIT),
            (_SWITCH, _VARIABLE, "except", "suppress"),
            (_VARIABLE, "dynamo", *LIBRARIES),
        ),
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        data = ctx.source.data
        if ctx.syntax is None:
            return
        if _SWITCH.encode() in data or _VARIABLE.encode() in data:
            yield from _switched_on(ctx)
        if b"except" in data or b"suppress" in data:
            yield from _swallowed(ctx)


def _switched_on(ctx: Context) -> Iterator[Diagnostic]:
    """Every place that makes dynamo go on after an error."""
    from mllint.analysis.syntax import expressions

    assert ctx.syntax is not None
    for statement in ctx.syntax.statements(ast.Assign):
        if any(_is_switch(target, ctx) for target in statement.targets) and _is_on(statement.value):
            if not _said_so(statement, ctx):
                yield ctx.report(statement, _SUPPRESSED)
        elif any(_is_variable(target, ctx) for target in statement.targets) and _is_set(statement.value):
            yield ctx.report(statement, _SUPPRESSED)
    kinds = (ast.Expr, ast.With, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for holder in ctx.syntax.statements(*kinds):
        for call in expressions(holder):
            if isinstance(call, ast.Call) and _switches(call, ctx):
                yield ctx.report(call, _SUPPRESSED)


def _is_switch(target: ast.expr, ctx: Context) -> bool:
    """``torch._dynamo.config.suppress_errors``, also on a local name for that object that says so."""
    if not isinstance(target, ast.Attribute) or target.attr != _SWITCH:
        return False
    return "dynamo" in ctx.name(target.value).lower()


def _is_variable(target: ast.expr, ctx: Context) -> bool:
    if not isinstance(target, ast.Subscript) or ctx.name(target.value) != "os.environ":
        return False
    return isinstance(target.slice, ast.Constant) and target.slice.value == _VARIABLE


def _switches(call: ast.Call, ctx: Context) -> bool:
    """``config.patch(suppress_errors=True)`` and its like, ``setattr(config, …)``, the environment's variable."""
    callee = ctx.name(call.func)
    words = [argument.value if isinstance(argument, ast.Constant) else None for argument in call.args]
    if callee == "setattr" and len(words) == 3 and words[1] == _SWITCH:
        return _is_on(call.args[2]) and "dynamo" in ctx.name(call.args[0]).lower()
    if callee in _ENVIRONMENT and len(words) == 2 and words[0] == _VARIABLE:
        return _is_set(call.args[1])
    if not callee.endswith(("config.patch", "config.load_config")) or "dynamo" not in callee.lower():
        return False
    if len(words) == 2 and words[0] == _SWITCH and _is_on(call.args[1]):
        return True
    if any(keyword.arg == _SWITCH and _is_on(keyword.value) for keyword in call.keywords):
        return True
    tables = [argument for argument in call.args if isinstance(argument, ast.Dict)]
    return any(
        isinstance(key, ast.Constant) and key.value == _SWITCH and _is_on(value)
        for table in tables
        for key, value in zip(table.keys, table.values, strict=True)
    )


def _is_on(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value in (True, 1)


def _is_set(value: ast.expr) -> bool:
    """Any text but the empty one turns it on, "0" too: torch takes ``bool`` of the text."""
    return isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value != ""


def _said_so(statement: ast.stmt, ctx: Context) -> bool:
    """Does a statement right before or after print or log that errors are suppressed?"""
    from mllint.analysis.compiled.fallbacks import may_tell

    assert ctx.syntax is not None
    block, position = ctx.syntax.block(statement)
    near = [each.value for each in block[max(position - 1, 0) : position + 2] if isinstance(each, ast.Expr)]
    return any(isinstance(each, ast.Call) and may_tell(each) and _SAYS_SO.search(ast.unparse(each)) for each in near)


def _swallowed(ctx: Context) -> Iterator[Diagnostic]:
    """Broad handlers that take a failed compilation, or a failed call of what was compiled, without a word."""
    from mllint.analysis.compiled.applications import applications
    from mllint.analysis.compiled.fallbacks import compiled_names, keeps_result, outlives, swallower

    assert ctx.syntax is not None and ctx.index is not None
    found = applications(ctx.syntax, ctx.source.data, ctx.index.aliases, ctx.name)
    seen: set[Swallower] = set()
    for each in found:
        if each.compiler in ("export", "capture") or not (each.decorates or keeps_result(each)):
            continue
        by = swallower(each.statement, ctx.syntax, ctx.name)
        if by is None or by in seen or _compiles_again(by, found):
            continue
        if outlives(each, by, ctx.syntax):
            seen.add(by)
            yield ctx.report(
                _head(by, ctx), f"a failed `{each.written}` is swallowed here: the code then runs eagerly unseen"
            )
    for statement, written in _used(compiled_names(found), ctx):
        by = swallower(statement, ctx.syntax, ctx.name)
        if isinstance(by, ast.ExceptHandler) and by not in seen and _computes(by):
            seen.add(by)
            name = written if len(written) <= 40 else "it"
            yield ctx.report(
                _head(by, ctx), f"a failure of compiled `{name}` is swallowed here, and eager code takes over"
            )


def _used(names: frozenset[str], ctx: Context) -> Iterator[tuple[ast.stmt, str]]:
    """Statements inside a ``try`` that call something compiled."""
    from mllint.analysis.syntax import expressions

    assert ctx.syntax is not None
    if not names:
        return
    for attempt in ctx.syntax.statements(ast.Try):
        for statement in attempt.body:
            if isinstance(statement, (ast.Assign, ast.Return, ast.Expr)):
                for node in expressions(statement):
                    if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
                        yield statement, ast.unparse(node.func)


def _computes(handler: ast.ExceptHandler) -> bool:
    from mllint.analysis.compiled.fallbacks import eager_instead

    return eager_instead(handler)


def _compiles_again(by: Swallower, found: list[Application]) -> bool:
    """Does the handler try another compiler?"""
    first, last = by.lineno, by.end_lineno or by.lineno
    return isinstance(by, ast.ExceptHandler) and any(first <= each.node.lineno <= last for each in found)


def _head(by: Swallower, ctx: Context) -> tuple[int, int]:
    """The first line of a handler or ``with``: the rest may be long."""
    start, end = ctx.span(by)
    line_end = ctx.source.data.find(b":", start, end)
    return start, line_end if line_end > 0 else end
