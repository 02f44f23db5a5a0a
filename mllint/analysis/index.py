"""What one Python file defines, imports and passes on: small, frozen, picklable, cacheable.

May not: hold syntax nodes, look at another file, or judge. Built from ``ast`` and the symbol table (both C
speed), never from the lossless tree.
"""

from __future__ import annotations

import ast
import symtable
import warnings
from collections.abc import Mapping
from dataclasses import field

from mllint.analysis.imports import aliases, imported
from mllint.analysis.names import dotted_name, parameter_names
from mllint.analysis.syntax import Syntax
from mllint.analysis.writes import Binding, Write, bindings, writes
from mllint.reading.source import Source
from mllint.record import dataclass


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
    Names imported inside functions are in ``aliases`` too, unless a module-level name is the same. ``imports``
    are all dotted names that import statements name, ``bindings`` what else is bound at module level, ``writes``
    the assignments into objects that are not local.
    """

    path: str
    aliases: Mapping[str, str] = field(default_factory=dict)
    definitions: tuple[Definition, ...] = ()
    imports: tuple[str, ...] = ()
    bindings: tuple[Binding, ...] = ()
    writes: tuple[Write, ...] = ()

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


def too_deep(source: Source) -> SyntaxFault | None:
    """The fault of a file that `parse` accepts and that is still nested too deeply for what comes after it.

    On Python 3.10 ``ast.parse`` takes what makes LibCST end the process (8,000 chained calls); the symbol table
    does not (2,000 are too many for it, and LibCST is still fine with 2,900).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            symtable._symtable.symtable(source.text, source.path, "exec")  # type: ignore[attr-defined]  # the public wrapper builds objects that nobody needs
        except (RecursionError, MemoryError) as error:
            return _too_deep(error)
        except (SyntaxError, ValueError):
            return None
    return None


def _too_deep(error: RecursionError | MemoryError) -> SyntaxFault:
    return SyntaxFault(f"nested too deeply for Python's parser ({type(error).__name__})", 1, 1)


def build_index(tree: ast.Module | Syntax, path: str) -> FileIndex:
    """Collect a file's facts from its tree."""
    syntax = tree if isinstance(tree, Syntax) else Syntax(tree)
    names = aliases(syntax)
    bound = bindings(syntax)
    classes = (node.name for node in syntax.statements(ast.ClassDef))  # their attributes are often configuration
    known = {*names, *(binding.name for binding in bound), *classes}
    return FileIndex(
        path,
        names,
        tuple(_definition(node, syntax) for node in syntax.statements(*_DEFINITIONS)),
        imported(syntax),
        bound,
        writes(syntax, known),
    )


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _definition(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, syntax: Syntax) -> Definition:
    outer = syntax.qualname(node)
    is_class = isinstance(node, ast.ClassDef)
    return Definition(
        f"{outer}.{node.name}" if outer else node.name,
        "class" if is_class else "function",
        node.lineno,
        node.end_lineno or node.lineno,
        () if isinstance(node, ast.ClassDef) else parameter_names(node.args),
        tuple(_callee_name(base) for base in node.bases) if isinstance(node, ast.ClassDef) else (),
        tuple(_callee_name(decorator) for decorator in node.decorator_list),
        syntax.block(node)[0][0].lineno,
    )


def _callee_name(node: ast.expr) -> str:
    return dotted_name(node.func if isinstance(node, ast.Call) else node)
