"""ML507: see the class for the page.

May not: take an installed package of the same name for the module itself.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.analysis.liveness.self_imports import first_binding, is_surely_itself, may_come_unseen, self_imports
from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.context import Context
    from mllint.analysis.syntax import Syntax


class SelfImport(Rule):
    """A module imports a name from itself.

    ## Why

    While a module is being imported, a name that it imports from itself is either there already, so that the import is
    useless, or not there yet, so that it raises ImportError. In one project a function had been moved, and its old module
    then imported it from itself. The `except` around the import took the error for a missing package and went on
    with an empty default; a data set of 10.6 million empty samples was written before anybody looked.

    ## Bad

    ```python
    # file: pipeline/__init__.py
    # file: pipeline/samples.py
    try:
        from pipeline.samples import read_sample
    except ImportError:
        read_sample = None


    def samples(paths):
        return [read_sample(path) if read_sample else {} for path in paths]
    ```

    ## Good

    ```python
    # file: pipeline/__init__.py
    # file: pipeline/reading.py
    def read_sample(path):
        return path.read_bytes()
    # file: pipeline/samples.py
    from pipeline.reading import read_sample


    def samples(paths):
        return [read_sample(path) for path in paths]
    ```

    ## Fix safety

    No fix: where the name should come from, only a person can tell.

    ## Known limits

    - An error where the import can never work: the module does not bind the name, or only in a later line of its top
      level. A warning where the name is bound above. Level info inside a function, where the import works and gives what
      the name means anyway.
    - Absolute imports count where the module's outermost package lies in the project's root, in `src`, or beside a
      `setup.py`, and the project has a configuration root; relative ones always, unless a package of the same name
      lies beside the module.
    - A script that lies in no package and imports from a module of its own name may mean an installed package. It counts
      where another script of its folder imports one of its definitions by that name.
    - Never reported: packages (`__init__.py` imports its own modules so), stubs, `if __name__ == "__main__"` and
      `if TYPE_CHECKING`, `import package.module`.
    - A module that makes names at run time (`globals()`, `__getattr__`, star imports) may have any name.

    ## References

    - <https://docs.python.org/3/reference/import.html#the-module-cache>
    - <https://pylint.readthedocs.io/en/stable/user_guide/messages/warning/import-self.html>
    """

    meta = Meta(
        code="ML507",
        name="self-import",
        severity=Severity.ERROR,
        since="0.1.0",
        triggers=(("from",), ("import",)),
        project=True,
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        if ctx.syntax is None or ctx.index is None:
            return
        for statement in self_imports(ctx.syntax, ctx.index.path):
            if ctx.project is None:
                sure = statement.level > 0
            else:
                sure = is_surely_itself(statement, ctx.index.path, ctx.project)
            if sure:
                yield from _judged(statement, ctx.syntax, ctx)


def _judged(statement: ast.ImportFrom, syntax: Syntax, ctx: Context) -> Iterator[Diagnostic]:
    at_top = isinstance(syntax.scope(statement), ast.Module)
    for item in statement.names:
        line = first_binding(item.name, syntax, statement)
        anchor = ctx.source.offset(item.lineno, item.col_offset), _end(item, ctx)
        name = f"`{item.name}`" if len(item.name) <= 40 else "a name"
        if not line or (at_top and line > statement.lineno):
            if not may_come_unseen(item.name, syntax, ctx.source.data):
                late = f"binds only in line {line}" if line else "does not define"
                message = f"this module imports {name} from itself, which it {late}: ImportError"
                yield ctx.report(anchor, message)
        elif at_top:
            message = f"this module imports {name} from itself, though it has it from line {line}"
            yield ctx.report(anchor, message, severity=Severity.WARNING)
        else:
            message = f"this import of {name} from the module itself gives what line {line} defines"
            yield ctx.report(anchor, message, severity=Severity.INFO)


def _end(item: ast.alias, ctx: Context) -> int:
    return ctx.source.offset(item.end_lineno or item.lineno, item.end_col_offset or item.col_offset)
