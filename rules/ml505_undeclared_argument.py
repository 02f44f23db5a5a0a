"""ML505: see the class for the page.

May not: say anything about a parser or a namespace that leaves the code it can read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Safety, Severity, fitting
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.arguments.namespaces import Namespace
    from mllint.analysis.arguments.views import Files
    from mllint.analysis.context import Context

#: What launchers and distributed helpers of libraries set on a namespace they are given.
_SET_BY_HELPERS = frozenset(
    [
        "dist_backend",
        "dist_url",
        "distributed",
        "gpu",
        "gpu_id",
        "gpus",
        "device",
        "global_rank",
        "local_rank",
        "local_world_size",
        "n_gpu",
        "node_rank",
        "rank",
        "world_size",
        "deepspeed_config",
        "is_distributed",
        "is_master",
        "num_gpus",
        "log_name",
        "distributed_rank",
        "distributed_world_size",
    ]
)

#: Code that writes names into a namespace which stand nowhere in the source.
_WRITES_ANY = (
    r"(?i)setattr\(\s*[\w.]*(?:args|opts?|options|cfg|conf|configs?|params|namespace|flags|settings)\s*,\s*[^\"'\s]"
    r"|vars\([^)]*\)\s*(?:\.(?:update|setdefault)\b|\[[^\]]*\]\s*=[^=])"
    r"|\b(?!self\.__)\w+\.__dict__\s*(?:\.(?:update|setdefault)\b|\[[^\]]*\]\s*=[^=]|=[^=])"
)


class UndeclaredArgument(Rule):
    """A name is read from the parsed command line that its parser never declares.

    ## Why

    `args` is an open bag of names: a name that no `add_argument` declares fails with an `AttributeError`, and only when
    the line is reached. A long job on a cluster reached it after its data was loaded: `args.src_flux_scale` had been
    used in a new part of the loss and never declared. The same happens when an option is renamed, and one of the
    places that read it is on a path that runs once an epoch.

    ## Bad

    ```python
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--flux-scale", type=float, default=1.0)
    args = parser.parse_args()
    loss_scale = args.src_flux_scale
    ```

    ## Good

    ```python
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--flux-scale", type=float, default=1.0)
    args = parser.parse_args()
    loss_scale = args.flux_scale
    ```

    ## Fix safety

    The declared name that looks most like it is shown, never put in: the option may just as well be missing.

    ## Known limits

    - Everything that happens to the parser must be in sight: options with computed names, custom actions, parsers kept
      in attributes, parsers given to code outside the project, and parsers built from dataclasses are left alone.
    - The namespace is followed into functions of the same file, into other files only as far as to see who may add
      names; a name that any file of the project sets, or spells out in a string, counts as declared.
    - Options of all sub-commands count for each of them.
    - Reads below a handler of `AttributeError` or of everything are left alone.

    ## References

    - <https://docs.python.org/3/library/argparse.html#the-namespace-object>
    - <https://docs.python.org/3/library/argparse.html#dest>
    """

    meta = Meta(
        code="ML505",
        name="undeclared-argument",
        severity=Severity.ERROR,
        since="0.1.0",
        triggers=(("parse_arg", "parse_known", "parse_intermixed", "get_arg", "parse_opt", "get_opt", "arg_parse"),),
        fix=Safety.DISPLAY,
        project=True,
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        if ctx.syntax is None or ctx.index is None:
            return
        from mllint.analysis.arguments.declared import Declared
        from mllint.analysis.arguments.namespaces import Namespace, may_give, namespaces
        from mllint.analysis.arguments.uses import Uses
        from mllint.analysis.arguments.views import Files, Unseen, View

        if not any(may_give(statement) for statement in ctx.syntax.statements(ast.Assign)):
            return
        own = View(ctx.absolute_path, ctx.syntax, ctx.index, Uses(ctx.syntax))
        files = Files(own, ctx.project)
        reported: set[ast.Attribute] = set()
        for scope, name in namespaces(files):
            namespace = Namespace(files, Declared(files))
            try:
                namespace.variable(scope, name)
                undeclared = list(_undeclared(namespace, ctx))
                if undeclared:
                    undeclared = list(_certain(namespace, undeclared, files, ctx))
            except Unseen:
                continue
            for read in undeclared:
                if read not in reported:
                    reported.add(read)
                    yield _finding(read, namespace, ctx)


def _undeclared(namespace: Namespace, ctx: Context) -> Iterator[ast.Attribute]:
    """Reads of names that nothing in sight declares or sets."""
    known = namespace.declared.names | namespace.given
    for read, statement, _ in namespace.reads:
        if read.attr in known or _is_guarded(statement, ctx):
            continue
        if not _occurs(_mentions(read.attr), ctx.source.data):
            yield read


def _certain(
    namespace: Namespace, undeclared: list[ast.Attribute], files: Files, ctx: Context
) -> Iterator[ast.Attribute]:
    """Those of the reads that hold when the rest of the project is asked."""
    if ctx.project is None and (namespace.leaves or namespace.strangers or namespace.declared.pending):
        return
    namespace.declared.settle()
    for call in namespace.strangers:
        if not _is_of_project(call, ctx):
            return
    away = namespace.leaves or bool(namespace.strangers)
    if away and ctx.project is not None and any(ctx.project.matching(_WRITES_ANY)):
        return
    passed = {read for read, _, was_passed in namespace.reads if was_passed}
    shared = ctx.project is not None and bool(ctx.project.importers(ctx.absolute_path))
    for read in undeclared:
        if read.attr in namespace.declared.names or (shared and read in passed):
            continue
        if away and read.attr in _SET_BY_HELPERS:
            continue
        if not away or ctx.project is None or not any(ctx.project.matching(_mentions(read.attr))):
            yield read


def _mentions(name: str) -> str:
    """A pattern for code that may give a name to a namespace: it assigns the attribute or spells out the name."""
    return rf"\.{name}\s*(?:,[^=\n]*)?(?:[-+*/|]?=[^=]|:[^\n]*=[^=])|[\"']{name}[\"']"


def _occurs(pattern: str, data: bytes) -> bool:
    return re.search(pattern.encode(), data) is not None


def _is_guarded(statement: ast.AST, ctx: Context) -> bool:
    """Does a handler around a read take care of a missing attribute?"""
    assert ctx.syntax is not None
    inner = statement
    for above in ctx.syntax.ancestors(statement):
        if isinstance(above, ast.Try) and inner in above.body:
            for handler in above.handlers:
                caught = ast.unparse(handler.type) if handler.type else "Exception"
                if re.search(r"\b(AttributeError|Exception|BaseException)\b", caught):
                    return True
        inner = above
    return False


def _is_of_project(call: ast.Call, ctx: Context) -> bool:
    """Is what a call calls defined in the project?"""
    assert ctx.project is not None
    dotted = ctx.name(call.func)
    return bool(dotted) and ctx.project.resolve(dotted, ctx.absolute_path) is not None


def _finding(read: ast.Attribute, namespace: Namespace, ctx: Context) -> Diagnostic:
    import difflib  # 1 ms that most runs save

    written = ctx.code(read)
    near = difflib.get_close_matches(read.attr, sorted(namespace.declared.names), n=1, cutoff=0.7)
    fix = None
    if near:
        end = ctx.span(read)[1]
        edit = ctx.replace((end - len(read.attr.encode()), end), near[0])
        fix = ctx.fix(f"Read `{near[0]}`, or declare `{read.attr}`", edit)
    ending = f"; did you mean `{near[0]}`?" if near else ""
    texts = [f"`{written}` is read, but its parser declares no `{read.attr}`{ending}"]
    if near:
        texts.append(f"`{written}` is declared by no option; did you mean `{near[0]}`?")
    texts.append(f"`{written}` is read, but its parser declares no such option")
    texts.append("the parser of this namespace declares no such option")
    return ctx.report(read, fitting(*texts), fix=fix)
