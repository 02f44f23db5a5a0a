"""What one Python file defines, imports and passes on: small, frozen, picklable, cacheable.

May not: hold syntax nodes, look at another file, or judge. Built from ``ast`` and the symbol table (both C
speed), never from the lossless tree.
"""

from __future__ import annotations

import ast
import symtable
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mllint.analysis.names import dotted_name, parameter_names
from mllint.reading.source import Source

if TYPE_CHECKING:
    from mllint.analysis.gradients.flow import Flow


@dataclass(frozen=True, slots=True)
class Outline:
    """What the symbol table alone tells: ``repeated`` are names defined more than once in one scope."""

    repeated: frozenset[str]


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or class: where it stands and what it looks like from outside.

    ``qualname`` as Python gives it, without ``<locals>`` (``Outer.method``, ``function.inner``). ``bases``
    and ``decorators`` are dotted names as far as they are names (of a call, the callee), unresolved parts "".
    ``block`` is the line of the first statement in the block that it stands in, so the same for its neighbours.
    """

    qualname: str
    kind: str
    line: int
    end_line: int
    parameters: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    decorators: tuple[str, ...] = ()
    block: int = 0


@dataclass(frozen=True, slots=True)
class FileIndex:
    """One file's facts. ``aliases`` maps each imported or re-bound module-level name to its dotted name.

    A relative import keeps its dots: ``from ..ops import fill as f`` gives ``{"f": "..ops.fill"}``.
    Names imported inside functions are in ``aliases`` too, unless a module-level name is the same.
    """

    path: str
    aliases: Mapping[str, str] = field(default_factory=dict)
    definitions: tuple[Definition, ...] = ()
    flows: tuple[Flow, ...] = ()

    def dotted(self, name: str) -> str:
        """A dotted name as written in this file, with its first part resolved through the imports."""
        head, dot, rest = name.partition(".")
        return self.aliases.get(head, head) + dot + rest


@dataclass(frozen=True, slots=True)
class SyntaxFault:
    """Why Python refuses a file: its message, and a one-based row and column (characters)."""

    message: str
    row: int
    column: int


def parse(source: Source) -> ast.Module | SyntaxFault:
    """The file's ``ast``, or what ``ast.parse`` has against it. Never raises, never warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes are the checked code's business
        try:
            return ast.parse(source.text, filename=source.path)
        except SyntaxError as error:
            return SyntaxFault(error.msg or "invalid syntax", error.lineno or 1, max(error.offset or 1, 1))
        except (RecursionError, MemoryError) as error:
            return _too_deep(error)
        except ValueError as error:  # null bytes, before Python 3.12
            row = source.data.count(b"\n", 0, max(source.data.find(b"\0"), 0)) + 1
            return SyntaxFault(str(error), row, 1)


def outline(source: Source) -> Outline | SyntaxFault | None:
    """The scopes of a file; None where Python's symbol table refuses it (`parse` then says why, or nothing).

    What is nested too deeply even for the symbol table is a fault: on Python 3.10 ``ast.parse`` may accept it,
    and LibCST would end the process (8,000 chained calls; 2,000 are too many here, 2,900 still fine there).

    Costs about 70 % of ``ast.parse`` and builds no objects per node, so it is also the syntax check of the
    files that no rule wants to read (transformers, 53 MB: 3.3 s against 4.5 s on one core).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            top = symtable._symtable.symtable(source.text, source.path, "exec")  # type: ignore[attr-defined]  # the public wrapper costs as much again
        except (SyntaxError, ValueError):
            return None
        except (RecursionError, MemoryError) as error:
            return _too_deep(error)
    repeated: set[str] = set()
    pending = [top]
    while pending:
        scope = pending.pop()
        seen: set[str] = set()
        for child in scope.children:
            name = child.name
            if name in seen:
                repeated.add(name)
            seen.add(name)
            if child.children:
                pending.append(child)
    return Outline(frozenset(repeated - _ANONYMOUS))


def _too_deep(error: RecursionError | MemoryError) -> SyntaxFault:
    return SyntaxFault(f"nested too deeply for Python's parser ({type(error).__name__})", 1, 1)


#: Scopes that the symbol table names although the code does not.
_ANONYMOUS = frozenset({"lambda", "genexpr", "listcomp", "setcomp", "dictcomp", "__annotate__", "__annotations__"})


def build_index(tree: ast.Module, path: str, data: bytes, *, with_flows: bool = True) -> FileIndex:
    """Collect a file's facts from its tree; ``data`` are the normalised bytes that it was parsed from.

    Without ``with_flows`` it says nothing about gradients, which is for rules that ask no other file.
    """
    aliases = _aliases(tree)
    definitions: list[Definition] = []
    _define(tree.body, "", definitions)
    if not with_flows:
        return FileIndex(path, aliases, tuple(definitions))
    from mllint.analysis.gradients.flows import flows  # 20 ms to import, which most runs on one file save

    return FileIndex(path, aliases, tuple(definitions), flows(tree, aliases, data))


def _aliases(tree: ast.Module) -> dict[str, str]:
    """Imported names and plain re-bindings (``opt = torch.optim.Adam``) with what they stand for."""
    inner: dict[str, str] = {}
    outer: dict[str, str] = {}
    pending: list[tuple[ast.stmt, bool]] = [(statement, True) for statement in reversed(tree.body)]
    while pending:
        statement, at_top = pending.pop()
        names = outer if at_top else inner
        if isinstance(statement, ast.Import):
            for item in statement.names:
                names[item.asname or item.name.partition(".")[0]] = (
                    item.name if item.asname else item.name.partition(".")[0]
                )
        elif isinstance(statement, ast.ImportFrom):
            base = "." * statement.level + (statement.module or "")
            for item in statement.names:
                joint = "" if base.endswith(".") or not base else "."
                names[item.asname or item.name] = base + joint + item.name
        elif isinstance(statement, ast.Assign) and at_top and len(statement.targets) == 1:
            target, dotted = statement.targets[0], dotted_name(statement.value)
            if isinstance(target, ast.Name) and dotted and dotted != target.id:
                head, dot, rest = dotted.partition(".")
                if head in outer:  # only what can be resolved: a plain copy of a local value is no alias
                    outer[target.id] = outer[head] + dot + rest
        if not isinstance(statement, (*_COMPOUND, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        nested = at_top and isinstance(statement, _COMPOUND)
        for block in ("body", "orelse", "finalbody"):
            pending.extend((child, nested) for child in reversed(getattr(statement, block, ())))
        for handler in getattr(statement, "handlers", ()) or getattr(statement, "cases", ()):
            pending.extend((child, nested) for child in reversed(handler.body))
    return inner | outer


def _define(body: list[ast.stmt], prefix: str, found: list[Definition]) -> None:
    """Add every definition under ``body``, those inside functions and conditional blocks included."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.append(_definition(statement, prefix, body[0].lineno))
            _define(statement.body, f"{prefix}{statement.name}.", found)
        elif isinstance(statement, _COMPOUND):
            for block in ("body", "orelse", "finalbody"):
                _define(getattr(statement, block, []), prefix, found)
            for handler in getattr(statement, "handlers", []) or getattr(statement, "cases", []):
                _define(handler.body, prefix, found)


#: ``try`` with ``except*``: Python 3.10 has none.
_TRY_STAR: type[ast.stmt] = getattr(ast, "TryStar", ast.Try)

#: Statements that hold blocks and are no definitions.
_COMPOUND = (ast.If, ast.Try, ast.With, ast.AsyncWith, ast.For, ast.AsyncFor, ast.While, ast.Match, _TRY_STAR)


def _definition(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, prefix: str, block: int) -> Definition:
    is_class = isinstance(node, ast.ClassDef)
    return Definition(
        prefix + node.name,
        "class" if is_class else "function",
        node.lineno,
        node.end_lineno or node.lineno,
        () if isinstance(node, ast.ClassDef) else parameter_names(node.args),
        tuple(_callee_name(base) for base in node.bases) if isinstance(node, ast.ClassDef) else (),
        tuple(_callee_name(decorator) for decorator in node.decorator_list),
        block,
    )


def _callee_name(node: ast.expr) -> str:
    return dotted_name(node.func if isinstance(node, ast.Call) else node)
