"""ML503: see the class for the page.

May not: report what a framework, a subclass, a table of names or a user outside the project may call.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.analysis.liveness.leftovers import Leftover, unused_anywhere, unused_here
from mllint.diagnostic import Diagnostic, Fix, Safety, Severity, fitting
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.context import Context
    from mllint.analysis.syntax import Syntax


class LeftoverImplementation(Rule):
    """A private function, or one called `_old` or `_legacy`, that nothing in the project uses.

    ## Why

    An implementation that was replaced and kept "just in case" goes on being read, searched and repaired. In one project an
    old allocator stayed beside the new one; whoever looked for the cause of a slow step found the network that it
    called, and a week went into stop-gaps for a function that nobody used. The opposite happens too: `_init_weights` is
    written, and the line that would apply it is missing. Either way the code does not do what its reader
    believes.

    ## Bad

    ```python
    # file: pyproject.toml
    # file: embedding.py
    def resize(grid, size):
        return interpolate(grid, size, antialias=True)


    def resize_old(grid, size):
        return interpolate(grid, size)


    def _flatten(grid):
        return grid.reshape(-1)
    # file: model.py
    from embedding import resize
    ```

    ## Good

    ```python
    # file: pyproject.toml
    # file: embedding.py
    def resize(grid, size):
        return _flatten(interpolate(grid, size, antialias=True))


    def _flatten(grid):
        return grid.reshape(-1)
    # file: model.py
    from embedding import resize
    ```

    ## Fix safety

    Shown, never applied: whether the function or its missing use is the mistake, only a person can tell.

    ## Known limits

    - Every mention counts as a use: in strings, docstrings, `__all__`, configurations, notebooks and documents of the
      project, in other files and for other objects. Only comments of its own file do not count, nor does the function
      itself.
    - A public name counts only where it ends in `_old`, `_legacy`, `_fallback` or `_deprecated`, a neighbour has the name
      without that ending, and no module hands it on by `import *`.
    - A function that says so (deprecated, for backward compatibility, kept for …) is kept on purpose.
    - Methods count where all base classes are in the project or known not to call them; a mixin, a class
      called `Base…`, a metaclass, an unknown decorator or an unknown base is silence. So is a name that the project may put together
      (`getattr(self, f"_load_{kind}")`), and a method without content.
    - Names of hooks (`_repr_html_`, `_mp_fn`), tests, stubs and folders of copied code (`third_party`) are left out. Use from C++,
      Cython or another project is not seen.
    - Without a configuration root only functions inside functions are checked.

    ## References

    - <https://github.com/jendrikseipp/vulture>
    - <https://docs.astral.sh/ruff/rules/unused-private-type-var/>, for types only
    """

    meta = Meta(
        code="ML503",
        name="leftover-implementation",
        severity=Severity.WARNING,
        since="0.1.0",
        confidence="medium",
        fix=Safety.DISPLAY,
        project=True,
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        if ctx.syntax is None or ctx.index is None or ctx.source.kind == "notebook":
            return
        for found in unused_here(ctx.index, ctx.syntax, ctx.source):
            inner = isinstance(found.scope, ast.FunctionDef | ast.AsyncFunctionDef)
            if inner or (ctx.project is not None and unused_anywhere(found, ctx.index, ctx.project)):
                yield _finding(found, ctx.syntax, ctx)


def _finding(found: Leftover, syntax: Syntax, ctx: Context) -> Diagnostic:
    name = found.node.name
    owner = f"{found.scope.name}." if isinstance(found.scope, ast.ClassDef) else ""
    if isinstance(found.scope, ast.FunctionDef | ast.AsyncFunctionDef):
        endings = ("is never used in the function around it",)
    elif found.is_public:
        endings = ("is left over: nothing in the project uses it",)
    elif owner and f"{name}__" in _DUNDERS:
        endings = (f"is never called: Python calls `{name}__`",)
    else:
        endings = ("is never used: nothing in the project mentions it",)
    texts = [f"`{shown}` {ending}" for ending in endings for shown in (owner + name, name)]
    message = fitting(*texts, f"this function {endings[-1]}")
    start = ctx.source.offset(found.node.lineno, found.node.col_offset)
    at = ctx.source.data.index(name.encode(), start)
    return ctx.report((at, at + len(name.encode())), message, fix=_removal(found, syntax, ctx))


#: Methods that Python calls, which a forgotten ``__`` at the end makes a method that nobody calls.
_DUNDERS = frozenset(
    f"__{name}__"
    for name in (
        *("init", "new", "del", "call", "len", "iter", "next", "getitem", "setitem", "contains", "enter", "exit"),
        *("getstate", "setstate", "reduce", "getattr", "setattr", "repr", "str", "eq", "hash", "deepcopy", "copy"),
        *("post_init", "init_subclass", "getattribute", "delitem", "missing", "bool", "add", "mul", "matmul"),
    )
)


def _removal(found: Leftover, syntax: Syntax, ctx: Context) -> Fix | None:
    """Show the file without the function; not where its block would be empty then, or its name is misspelt."""
    if f"{found.node.name}__" in _DUNDERS:
        return None
    if len(syntax.block(found.node)[0]) == 1:
        return None
    return ctx.fix(f"Remove `{found.node.name}`, or use it", ctx.delete_lines(*found.rows))
