"""ML103: see the class for the page.

May not: judge scripts, or configuration that nothing changes after the import.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity, fitting
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.context import Context
    from mllint.analysis.startup.frozen import Frozen
    from mllint.analysis.startup.mutability import Read
    from mllint.analysis.startup.sites import Site

#: Variables that a launcher, the shell or the machine sets once for a process.
_OF_PROCESS = re.compile(
    r"['\"](RANK|LOCAL_RANK|WORLD_SIZE|LOCAL_WORLD_SIZE|NODE_RANK|GROUP_RANK|MASTER_\w+|SLURM_\w+|OMPI_\w+|PMI_\w+|HOME|USER"
    r"|HOSTNAME|PATH|PWD|TMPDIR|CUDA_HOME|CI|CONDA_PREFIX|VIRTUAL_ENV|XDG_\w+|CUDA_VISIBLE_DEVICES)['\"]"
)


class ConfigFrozenAtImport(Rule):
    """A value taken from changeable configuration when a module is imported keeps what stood there then.

    ## Why

    In one project the layers asked `use_xla=should_use_xla()` while a module was being imported. The function that
    updated the configuration ran later, so every layer took the other path, without an error and without a word in
    the log. A module-level copy of a setting, and a default argument (evaluated when the `def` runs), do
    the same: who changes the setting afterwards changes the setting, and not the copy.

    A class attribute and `from settings import use_xla` copy in the same way: when a function rebinds the name
    in its module, the importer keeps the value from before.

    The configuration counts as changeable where it is the environment, or where a function of the project assigns into
    it. The finding shows the place of that assignment.

    ## Bad

    ```python
    # file: study/switches.py
    settings = {"use_xla": False}


    def enable_xla():
        settings["use_xla"] = True
    # file: study/layers.py
    from study.switches import settings

    use_xla = settings["use_xla"]


    def dense(x):
        return compiled(x) if use_xla else eager(x)
    # file: study/run.py
    from study.layers import dense
    ```

    ## Good

    ```python
    # file: study/switches.py
    settings = {"use_xla": False}


    def enable_xla():
        settings["use_xla"] = True
    # file: study/layers.py
    from study.switches import settings


    def dense(x):
        return compiled(x) if settings["use_xla"] else eager(x)
    # file: study/run.py
    from study.layers import dense
    ```

    ## Fix safety

    There is no fix. Read the setting where it is used; for a default argument, take `None` and read it in the body.

    ## Known limits

    - Only modules that another module of the project imports, tests not counted, and only names that functions or classes
      use. A name that a `from` import copies counts in a script too.
    - A class attribute that is read from the environment counts as a field with a default.
    - A name in upper case that was read from the environment is a switch that is meant to be set before the start; so
      is a variable that belongs to the process (`RANK`, `HOME` and their like). Both are told at info level.
    - Assignments at module level, in tests, and by a function that its own module calls at import do not make an object
      changeable; nor does the one function that fills it when it is first needed.
    - Whether an item of a dictionary changes is known only by its key.
    - What is handed to a function or class from outside the project is not followed; nor are cached functions.

    ## References

    - <https://docs.python.org/3/faq/programming.html#why-are-default-values-shared-between-objects>
    - <https://docs.python.org/3/library/os.html#os.environ>
    """

    meta = Meta(
        code="ML103",
        name="config-frozen-at-import",
        severity=Severity.WARNING,
        since="0.1.0",
        project=True,
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        if ctx.syntax is None or ctx.index is None or ctx.project is None:
            return
        from mllint.analysis.startup.follow import value_reads  # here: loading the rules stays cheap
        from mllint.analysis.startup.frozen import candidates
        from mllint.analysis.startup.module_level import in_library
        from mllint.analysis.startup.sites import Site

        site = Site(ctx.absolute_path, ctx.index)
        for frozen in candidates(ctx.syntax, site):
            if frozen.value is None:
                yield from _copy(frozen, site, ctx)
                continue
            reads = value_reads(frozen.value, site, ctx.project)  # first: most candidates end here, and cheaply
            if frozen.owner and all(each.is_environment for each in reads):
                continue  # fields of settings classes are read from the environment on purpose
            if reads and in_library(ctx) and _is_used(frozen, reads, ctx):
                yield _finding(frozen, reads, ctx)


_BINDS = re.compile(rb"\s*(?:=[^=]|:)")
_GOES_ON = re.compile(rb"\s*[(.\[]")
_LETTER = re.compile(rb"\w")


def _is_read_plainly(word: bytes, data: bytes) -> bool:
    """May a text read a name again, and never call it nor take something of it? (No pattern for each name: compiling
    them cost more than all the rest.)"""
    mentions, at = 0, data.find(word)
    while at >= 0:
        before, end = data[at - 1 : at], at + len(word)
        at = data.find(word, end)
        if _LETTER.match(data, end) or _LETTER.match(before) or before == b".":
            continue
        if before == b"@" or _GOES_ON.match(data, end):
            return False
        mentions += before not in (b"'", b'"') and not _BINDS.match(data, end)
    return mentions >= 2


def _copy(frozen: Frozen, site: Site, ctx: Context) -> Iterator[Diagnostic]:
    """A name that a ``from`` import copied, and that its module binds anew later."""
    from mllint.analysis.startup.frozen import is_value, rebound
    from mllint.analysis.startup.module_level import used_later
    from mllint.analysis.startup.mutability import Read
    from mllint.analysis.startup.told import related

    assert ctx.syntax is not None and ctx.project is not None
    # The bytes first: the import itself is one mention. Of 3,118 names in transformers this leaves 75.
    if not _is_read_plainly(frozen.name.encode(), ctx.source.data):
        return
    # Then the project, which has a table of what is written to: cheaper than a walk through all functions.
    written = rebound(frozen.name, site, ctx.project)
    if written is None or ctx.project.is_test(ctx.absolute_path):
        return
    if not is_value(frozen.name, ctx.syntax) or not used_later(frozen.name, ctx.syntax):
        return
    place = frozen.place
    start, end = (ctx.source.offset(place.lineno, at or 0) for at in (place.col_offset, place.end_col_offset))
    read = Read(frozen.name, ctx.absolute_path, place.lineno, written)
    yield ctx.report(
        (start, end),
        fitting(
            f"this import copies `{frozen.name}`; what `{written.function}` assigns later does not arrive here",
            f"this import copies `{frozen.name}`, which changes later",
            "this import copies a setting that changes later",
        ),
        related=related([read], ctx),
    )


def _is_used(frozen: Frozen, reads: tuple[Read, ...], ctx: Context) -> bool:
    """Do functions or classes use the value, and does nobody set it anew? Other files are searched only for what is
    told above info level."""
    from mllint.analysis.project import Found
    from mllint.analysis.startup.frozen import used_elsewhere
    from mllint.analysis.startup.module_level import used_later

    assert ctx.syntax is not None and ctx.project is not None
    if frozen.function or frozen.owner:
        return True
    name, path = frozen.name, ctx.absolute_path
    if not used_later(name, ctx.syntax) and (_level(frozen, reads) or not used_elsewhere(name, path, ctx.project)):
        return False
    return bool(_level(frozen, reads)) or not ctx.project.writes(Found(path, name))


def _finding(frozen: Frozen, reads: tuple[Read, ...], ctx: Context) -> Diagnostic:
    from mllint.analysis.startup.told import named, related

    full, brief = named(reads)
    what = f"the default of `{frozen.name}`" if frozen.function else f"`{frozen.name}`"
    ways = {each.via[0] for each in reads if each.via}
    through = [f"{what} keeps {full}, which `{way}` reads, as it was at import" for way in ways if len(ways) == 1]
    message = fitting(
        *through,
        f"{what} keeps {full} as it was when this module was imported",
        f"{what} keeps {brief} as it was at import",
        f"{what} keeps {brief} from the import",
        f"{what} keeps a setting as it was at import",
        "this keeps a setting as it was at import",
    )
    assert frozen.value is not None
    return ctx.report(frozen.value, message, severity=_level(frozen, reads), related=related(reads, ctx))


def _level(frozen: Frozen, reads: tuple[Read, ...]) -> Severity | None:
    """Info for a switch that is meant to be set before the start."""
    environment = all(each.is_environment for each in reads)
    if environment and not frozen.function and frozen.name.isupper():
        return Severity.INFO
    return Severity.INFO if all(each.is_environment and _OF_PROCESS.search(each.shown) for each in reads) else None
