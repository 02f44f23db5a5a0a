"""ML501: see the class for the page.

May not: compare definitions of different blocks, or guess what an unknown decorator does.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from mllint.analysis.names import written_name
from mllint.analysis.scopes.decorators import decorator_name, only_wraps
from mllint.diagnostic import Diagnostic, Fix, Safety, Severity, fitting
from mllint.lazy import cst
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    import libcst

    from mllint.analysis.context import Context
    from mllint.analysis.index import FileIndex

    Definition: TypeAlias = libcst.FunctionDef | libcst.ClassDef

#: A person has seen this redefinition and says that it is meant (ruff and flake8, mypy, pylint, pyright).
_MEANT = re.compile(r"#.*(\bF811\b|\bno-redef\b|\bfunction-redefined\b|\bE0102\b|\breportRedeclaration\b)")


class DuplicateDefinition(Rule):
    """A function, class, method or test is defined twice in one block, so the first definition is dead.

    ## Why

    Python keeps the last definition of a name and says nothing about the one before. In one project five functions
    stood twice in a module. The second copies were placeholders, left over from a merge; they won, and the
    program wrote wrong images without a single error. Four of the five names began with an underscore,
    which many linters take for "unused on purpose". The same happens to tests: the first of two tests with one name
    never runs, and nobody misses it in the summary.

    Code between the two definitions does not save the first one when that code runs later: a function body looks its
    names up when it is called, and by then the name means the second definition.

    ## Bad

    ```python
    def normalize(image, mean, std):
        return (image - mean) / std


    def load(path, mean, std):
        return normalize(read(path), mean, std)  # gets the placeholder below


    def normalize(image, mean, std):
        return image
    ```

    ## Good

    ```python
    def normalize(image, mean, std):
        return (image - mean) / std


    def load(path, mean, std):
        return normalize(read(path), mean, std)
    ```

    ## Fix safety

    Shown, never applied. Removing the first definition changes nothing, but often the first one is the one that was
    meant, and only a person can tell. Nothing is offered where the definition holds a comment.

    ## Known limits

    - Definitions are compared within one block: those in an `if`, a `try` or another cell of a notebook are not.
    - A decorator that is not known to hand its function back without keeping it counts as a registry, so the
      pair stays unreported; so do `x.setter` and overloads.
    - A first definition without content (`...`, `pass`, `raise NotImplementedError`) counts as a forward declaration,
      unless the second has none either.
    - Anything that executes in between and mentions the name, or mentions a function that does, counts as a use.
    - `# noqa: F811`, `# type: ignore[no-redef]` and their like on the second definition are respected.

    ## References

    - <https://docs.python.org/3/reference/executionmodel.html#naming-and-binding>
    - <https://docs.astral.sh/ruff/rules/redefined-while-unused/>, which leaves out names that later code mentions
    """

    meta = Meta(code="ML501", name="duplicate-definition", severity=Severity.ERROR, since="0.1.0", fix=Safety.DISPLAY)

    def narrow(self, index: FileIndex) -> bool:
        # Most repeated names are properties and overloads: of transformers' 2,860 files 80 repeat a name in a scope,
        # and 3 are left to parse losslessly.
        lines = defaultdict(list)
        for definition in index.definitions:
            lines[definition.qualname, definition.block].append(definition)
        return any(
            all(_forgets(index.dotted(name), first.qualname) for name in (*first.decorators, *second.decorators))
            for same in lines.values()
            for first, second in pairwise(sorted(same, key=lambda definition: definition.line))
        )

    def visit_Module(self, node: libcst.Module, ctx: Context) -> Iterator[Diagnostic]:
        return _repeated(node.body, ctx)

    def visit_IndentedBlock(self, node: libcst.IndentedBlock, ctx: Context) -> Iterator[Diagnostic]:
        return _repeated(node.body, ctx)


def _repeated(body: Sequence[libcst.BaseStatement], ctx: Context) -> Iterator[Diagnostic]:
    """Findings for the names that one block defines twice."""
    from mllint.analysis.scopes.between import mentioned_later, used_between  # 4 ms, which most runs save

    latest: dict[str, int] = {}
    for position, statement in enumerate(body):
        if not isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
            continue
        name = statement.name.value
        before = latest.get(name)
        latest[name] = position
        if before is None or not name.strip("_"):
            continue
        first = body[before]
        assert isinstance(first, (cst.FunctionDef, cst.ClassDef))
        if _registers(first, ctx) or _registers(statement, ctx):
            continue
        if _is_stub(first, _is_empty) and not _is_stub(statement, _is_empty):
            continue
        if _is_meant(statement, ctx) or _other_cell(first, statement, ctx):
            continue
        if not used_between(name, body, before, position, ctx):
            late = mentioned_later(name, body[before + 1 : position], ctx)
            yield _finding(first, statement, late, name in _defined(body[position + 1 :]), ctx)


def _defined(body: Sequence[libcst.BaseStatement]) -> set[str]:
    return {statement.name.value for statement in body if isinstance(statement, (cst.FunctionDef, cst.ClassDef))}


def _registers(node: Definition, ctx: Context) -> bool:
    """May a decorator, or a class argument such as ``name="x"``, keep the definition under another name?"""
    if any(not _forgets(decorator_name(decorator, ctx.name), node.name.value) for decorator in node.decorators):
        return True
    return isinstance(node, cst.ClassDef) and bool(node.keywords)


def _forgets(decorator: str, name: str) -> bool:
    """Does a decorator keep nothing of what it decorates? ``@a.setter`` on ``b`` does not: it gives ``b`` a's getter."""
    owner, _, last = decorator.rpartition(".")
    if last in ("setter", "deleter"):
        return "." not in owner and owner != name.rpartition(".")[2]
    return only_wraps(decorator)


def _is_stub(node: Definition, empty: Callable[[libcst.CSTNode], bool]) -> bool:
    """Has the definition no content of its own, as a forward declaration?"""
    if isinstance(node, cst.ClassDef) and any(written_name(base.value) != "object" for base in node.bases):
        return False
    parts = [
        part
        for statement in node.body.body
        for part in (statement.body if isinstance(statement, cst.SimpleStatementLine) else (statement,))
    ]
    return all(empty(part) for part in parts)


def _is_empty(statement: libcst.CSTNode) -> bool:
    """``pass``, ``...``, a docstring or ``raise NotImplementedError``."""
    if isinstance(statement, cst.Pass):
        return True
    if isinstance(statement, cst.Expr):
        return isinstance(statement.value, (cst.Ellipsis, cst.SimpleString, cst.ConcatenatedString))
    if isinstance(statement, cst.Raise) and statement.exc is not None:
        raised = statement.exc.func if isinstance(statement.exc, cst.Call) else statement.exc
        return written_name(raised) == "NotImplementedError"
    return False


def _does_nothing(statement: libcst.CSTNode) -> bool:
    """As empty, or ``return None``: no forward declaration, but a placeholder all the same."""
    if isinstance(statement, cst.Return):
        return statement.value is None or written_name(statement.value) == "None"
    return _is_empty(statement)


def _first_row(node: Definition, ctx: Context) -> int:
    """The row of the first decorator, or of the definition itself."""
    return ctx.source.row(ctx.span(node.decorators[0] if node.decorators else node)[0])


def _is_meant(node: Definition, ctx: Context) -> bool:
    rows = range(_first_row(node, ctx), ctx.source.row(ctx.span(node.body)[0]) + 1)
    return any(_MEANT.search(ctx.source.line(row)) for row in rows)


def _other_cell(first: Definition, second: Definition, ctx: Context) -> bool:
    """In a notebook: may the cells run in another order, or one of them not at all?"""
    place = ctx.source.place
    return place(ctx.span(first)[0]).cell != place(ctx.span(second)[0]).cell


def _finding(first: Definition, second: Definition, late: bool, again: bool, ctx: Context) -> Diagnostic:
    """``late``: code in between mentions the name and runs later. ``again``: a third definition follows."""
    line = ctx.source.place(ctx.span(first.name)[0]).row
    owner = ctx.ancestors[-1] if ctx.ancestors else None
    name = second.name.value
    qualified = f"{owner.name.value}.{name}" if isinstance(owner, cst.ClassDef) else name
    brief = f"is defined again; line {line} is dead"
    taken = _taken_accessors(second, ctx)
    if taken:
        rest = brief = f"takes over the accessors of `{taken}`; its own from line {line} are lost"
    elif _same(first, second, ctx):
        rest = f"is defined again, the same as in line {line}"
    elif _is_stub(second, _does_nothing) and not _is_stub(first, _does_nothing):
        rest = f"is defined again, as a placeholder; it replaces the definition in line {line}"
    elif late:
        brief = f"is defined again; uses in between get it, not line {line}"
        rest = f"is defined again; code in between runs later and gets {'the last' if again else 'this'} one, not line {line}"
    elif name.startswith("test"):
        rest = f"is defined again; the test in line {line} never runs"
    else:
        rest = f"is defined again; the definition in line {line} can never be used"
    return ctx.report(
        second.name,
        _fitting((qualified, name), (rest, brief)),
        fix=None if taken else _removal(first, ctx),
        related=(ctx.related(first.name, "first defined here"),),
    )


def _taken_accessors(node: Definition, ctx: Context) -> str:
    """The other property whose accessors a definition is bound to (``@a.setter`` on ``b``), "" for none."""
    owners = (decorator_name(decorator, ctx.name).rpartition(".") for decorator in node.decorators)
    return next((owner for owner, _, last in owners if last in ("setter", "deleter")), "")


def _same(first: Definition, second: Definition, ctx: Context) -> bool:
    """Do the two do the same, word for word apart from comments and layout?"""
    texts = (_text(node, ctx) for node in (first, second))
    # An ``if`` in front of an indented definition, since to dedent it would change the strings in it.
    one, other = (ast.dump(ast.parse(("if 1:\n" if text[:1] in " \t" else "") + text)) for text in texts)
    return one == other


def _text(node: Definition, ctx: Context) -> str:
    """The definition as written from the start of its first line, decorators included."""
    start = ctx.source.line_starts[_first_row(node, ctx) - 1]
    return ctx.code((start, ctx.span(node)[1]))


def _fitting(names: Sequence[str], endings: Sequence[str]) -> str:
    """The message that says most within 100 characters."""
    return fitting(*(f"`{name}` {ending}" for ending in endings for name in names), f"this name {endings[-1]}")


def _removal(first: Definition, ctx: Context) -> Fix:
    """Show the file without the first definition."""
    rows = _first_row(first, ctx), ctx.source.row(ctx.span(first)[1])
    return ctx.fix(f"Remove the earlier `{first.name.value}`, or merge the two", ctx.delete_lines(*rows))
