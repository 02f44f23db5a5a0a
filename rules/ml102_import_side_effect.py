"""ML102: see the class for the page.

May not: judge what a script does, or what stands below a condition.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mllint.analysis.startup.words import EFFECT_WORDS
from mllint.diagnostic import Diagnostic, Severity, fitting
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.context import Context
    from mllint.analysis.startup.sites import Site

_SIMPLE = (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign)


class ImportSideEffect(Rule):
    """Importing a module seeds random numbers, changes defaults, deletes files, loads data or trains.

    ## Why

    A module was imported by a study that built models of several sizes in one process. What stood at its top ran once, at
    the first import, whoever imported it and for whatever reason: the seed that the study had set was gone, a
    cleared session took the layers of the model before with it, and a default data type moved under code that had
    read it already. Nothing in the program that imports says so, and the order of two imports decides the result.

    Deleting files, loading a data set or fitting a model at import also costs every test, worker and tool
    that needs one small function of the module.

    ## Bad

    ```python
    # file: study/data.py
    import numpy as np
    import torch

    torch.manual_seed(0)
    table = np.load("features.npy")


    def batches(size):
        return np.array_split(table, size)
    # file: study/train.py
    from study.data import batches
    ```

    ## Good

    ```python
    # file: study/data.py
    import numpy as np
    import torch


    def batches(size):
        table = np.load("features.npy")
        return np.array_split(table, size)


    if __name__ == "__main__":
        torch.manual_seed(0)
        print(len(batches(8)))
    # file: study/train.py
    from study.data import batches
    ```

    ## Fix safety

    There is no fix: the call belongs into the program's `main`, or into the function that needs its result, and only a
    person knows which.

    ## Known limits

    - Only modules that another module of the project imports, tests not counted.
    - What stands below an `if` counts as decided on purpose; so does what an import inside a function sets off.
    - Data that lies beside the module (a path made from `__file__` or package resources) is part of the module.
    - `fit`, `compile` and `train` count on learners and trainers of known libraries and on models that the module itself
      made; `train()` of a torch module only sets a mode.
    - Of the project's own functions only those that are named after seeding are looked into.

    ## References

    - <https://docs.python.org/3/tutorial/modules.html#executing-modules-as-scripts>
    - <https://pytorch.org/docs/stable/notes/randomness.html>
    """

    meta = Meta(
        code="ML102",
        name="import-side-effect",
        severity=Severity.ERROR,
        since="0.1.0",
        triggers=(EFFECT_WORDS,),
        project=True,
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        if ctx.syntax is None or ctx.index is None or ctx.project is None:
            return
        from mllint.analysis.startup.module_level import bound, imported, in_library  # here: rules stay cheap to load
        from mllint.analysis.startup.sites import Site

        site = Site(ctx.absolute_path, ctx.index)
        ran = [each.statement for each in imported(ctx.syntax) if not each.guarded]
        values = dict(filter(None, map(bound, ran)))
        for statement in ran:
            for call in _calls(statement):
                what = _what(call, site, values, ctx)
                if what and in_library(ctx):
                    name = ast.unparse(call.func)
                    yield ctx.report(call, fitting(f"at import, `{name}` {what}", f"at import, this call {what}"))


def _calls(statement: ast.stmt) -> Iterator[ast.Call]:
    """The calls that one statement makes by itself."""
    from mllint.analysis.startup.sites import evaluated

    if isinstance(statement, _SIMPLE) and not isinstance(statement.value, (ast.Constant, ast.Name, type(None))):
        yield from (each for each in evaluated(statement.value) if isinstance(each, ast.Call))
    elif isinstance(statement, (ast.With, ast.AsyncWith)):
        for item in statement.items:
            yield from (each for each in evaluated(item.context_expr) if isinstance(each, ast.Call))


def _what(call: ast.Call, site: Site, values: Mapping[str, ast.expr], ctx: Context) -> str:
    """What a call does to the process or to files; the project is asked last."""
    from mllint.analysis.startup.effects import effect, learner, may_seed, seeding_helper
    from mllint.analysis.startup.module_level import in_library

    known = effect(call, site, values)
    if known:
        return known
    made = learner(call, site, values)
    if made is not None and isinstance(call.func, ast.Attribute):
        told = "compiles a model" if call.func.attr == "compile" else "trains a model"
        return told if made[1] or _is_model(made[0], site, ctx) else ""
    assert ctx.project is not None
    return seeding_helper(call, site, ctx.project) if may_seed(call, site) and in_library(ctx) else ""


def _is_model(maker: ast.Call, site: Site, ctx: Context) -> bool:
    from mllint.analysis.startup.models import built, may_build

    assert ctx.project is not None and ctx.syntax is not None
    return may_build(maker, "", site, ctx.syntax) and built(maker, site, ctx.project)
