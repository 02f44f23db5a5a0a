"""ML101: see the class for the page.

May not: judge scripts, or count what holds no weights.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity, fitting
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.context import Context
    from mllint.analysis.startup.sites import Site


class ModuleLevelModel(Rule):
    """A model is built when a module is imported, with the configuration of that moment, and lives as long as the process.

    ## Why

    A study built models of several sizes in one process. One module built its model at the top, so the first import
    decided the size and every switch that the layers asked for, among them `use_xla=should_use_xla()`: the function
    that updated the configuration had not run yet, and the wrong path was taken without a word. The second size
    crashed in the middle of the study. Worse, the function that saved the model wrote the module's own object
    and not the one that had been trained: the files held untrained weights.

    Whatever builds a model reads the configuration while it runs. At import that is whatever stood there first,
    and nobody can build another one without a new process. Where the build reads configuration
    that the project changes later, the finding names each such read.

    ## Bad

    ```python
    # file: study/layers.py
    import keras
    from study import switches


    def build_model():
        return keras.Sequential([keras.layers.Dense(switches.width)])


    model = build_model()
    # file: study/switches.py
    width = 64


    def set_width(value):
        global width
        width = value
    # file: study/run.py
    from study import layers, switches


    def run():
        switches.set_width(128)
        layers.model.fit()
    ```

    ## Good

    ```python
    # file: study/layers.py
    import keras
    from study import switches


    def build_model():
        return keras.Sequential([keras.layers.Dense(switches.width)])
    # file: study/switches.py
    width = 64


    def set_width(value):
        global width
        width = value
    # file: study/run.py
    from study import layers, switches


    def run():
        switches.set_width(128)
        layers.build_model().fit()
    ```

    ## Fix safety

    There is no fix: who needs the model has to be given it, and only a person knows who that is. Move the build into a
    function, call it where the model is trained, and hand the result to whatever saves it. A module-level
    `__getattr__` that builds on first use keeps the old name alive for a while.

    ## Known limits

    - Only modules that another module of the project imports, tests not counted; a script may build what it likes.
    - A model is a Keras model, a class of a library's models (`from_pretrained` and its like), or a torch module that sets
      something with weights on itself. Activations, losses, tokenizers, processors and configurations are none.
    - Classes and functions of packages outside the project count only where their names are known.
    - Reads of configuration are followed through five calls of the project's own functions.

    ## References

    - <https://docs.python.org/3/reference/import.html#the-module-cache>
    - <https://keras.io/guides/serialization_and_saving/>
    """

    meta = Meta(
        code="ML101",
        name="module-level-model",
        severity=Severity.ERROR,
        since="0.1.0",
        project=True,
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        if ctx.syntax is None or ctx.index is None or ctx.project is None:
            return
        from mllint.analysis.startup.models import built, may_build  # here: loading the rules stays cheap
        from mllint.analysis.startup.module_level import in_library
        from mllint.analysis.startup.sites import Site

        site = Site(ctx.absolute_path, ctx.index)
        for target, call in _kept(ctx, site):
            if may_build(call, target, site, ctx.syntax) and built(call, site, ctx.project) and in_library(ctx):
                yield _finding(target, call, site, ctx)


def _kept(ctx: Context, site: Site) -> Iterator[tuple[str, ast.Call]]:
    """The calls of an import whose result stays: in a name, in a class, as a parameter's default."""
    from mllint.analysis.names import dotted_name
    from mllint.analysis.startup.models import kept_calls
    from mllint.analysis.startup.module_level import defaults, imported

    assert ctx.syntax is not None
    for each in imported(ctx.syntax):
        statement = each.statement
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for parameter, default in defaults(statement):
                yield from ((parameter.arg, call) for call in kept_calls(default, site))
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            first = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            name = dotted_name(first)
            yield from ((name, call) for call in kept_calls(statement.value, site))
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            add = statement.value.func
            if isinstance(add, ast.Attribute) and add.attr == "append":
                for value in statement.value.args:
                    yield from ((dotted_name(add.value), call) for call in kept_calls(value, site))


def _finding(target: str, call: ast.Call, site: Site, ctx: Context) -> Diagnostic:
    from mllint.analysis.startup.follow import reads_on_the_way
    from mllint.analysis.startup.told import named, related

    assert ctx.project is not None
    reads = reads_on_the_way(call, site, ctx.project)
    name = target or ast.unparse(call.func)
    plain = f"`{name}` is built when this module is imported, with the settings of that moment"
    full, brief = named(reads)
    then = "as they were then" if len(reads) > 1 else "as it was then"
    told = [f"`{name}` is built at import, with {what} {then}" for what in (full, brief) if what]
    message = fitting(*told, plain, "a model is built when this module is imported, with the settings of that moment")
    return ctx.report(call, message, related=related(reads, ctx))
