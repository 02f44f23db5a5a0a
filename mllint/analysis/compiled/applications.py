"""Which calls, decorators and ``with`` blocks of a file compile, trace or capture code, and with which options.

May not: judge, or say what a compiled function does; a callee that no import explains counts as unknown.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mllint.analysis.names import dotted_name
from mllint.analysis.syntax import Syntax, expressions

Compiler = Literal["torch.compile", "tf.function", "jax.jit", "jit.script", "jit.trace", "export", "capture"]
Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

#: Dotted names with what they do. ``capture`` records CUDA work; ``export`` and ``jit.trace`` run the code once.
_COMPILERS: Mapping[str, Compiler] = {
    "torch.compile": "torch.compile",
    "tensorflow.function": "tf.function",
    "tensorflow.compat.v1.function": "tf.function",
    "tensorflow.compat.v2.function": "tf.function",
    "jax.jit": "jax.jit",
    "jax.pmap": "jax.jit",
    "equinox.filter_jit": "jax.jit",
    "equinox.filter_pmap": "jax.jit",
    "flax.nnx.jit": "jax.jit",
    "torch.jit.script": "jit.script",
    "torch.jit.trace": "jit.trace",
    "torch.jit.trace_module": "jit.trace",
    "torch.fx.symbolic_trace": "jit.trace",
    "torch.export.export": "export",
    "torch.export.export_for_training": "export",
    "torch.onnx.export": "export",
    "torch.cuda.graph": "capture",
    "torch.cuda.make_graphed_callables": "capture",
}

#: What holds the compiled thing where it is passed by keyword.
_TARGETS = ("model", "func", "fun", "obj", "mod", "f", "root")

#: The last parts of all compilers: a statement without one of them, or an alias of one, compiles nothing.
_WORDS = sorted({name.rpartition(".")[2] for name in _COMPILERS})

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_WITHS = (ast.With, ast.AsyncWith)
_HOLDERS = (
    *(ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return, ast.Assert, ast.Raise, ast.Delete),
    *(ast.If, ast.For, ast.AsyncFor, ast.While),
)


@dataclass(frozen=True, slots=True, eq=False)
class Application:
    """One place where something is compiled.

    ``node`` is the decorator, call or context manager; ``statement`` holds it (of a decorator: the definition).
    ``target`` is what is compiled as far as it is in sight: the decorated definition, the expression that was
    passed, or the ``with`` block of a capture. ``complete`` says that no option hides behind ``**``.
    """

    compiler: Compiler
    written: str
    node: ast.expr
    statement: ast.stmt
    target: ast.AST | None
    options: Mapping[str, ast.expr]
    complete: bool = True

    @property
    def decorates(self) -> bool:
        """Is it written as a decorator?"""
        return self.target is self.statement and isinstance(self.statement, _DEFINITIONS)

    def literal(self, option: str) -> object:
        """The value of an option that is given as a literal; None where it is absent or computed."""
        value = self.options.get(option)
        return value.value if isinstance(value, ast.Constant) else None

    def has(self, *options: str) -> bool:
        """Is one of these options given, or could one hide behind ``**``?"""
        return not self.complete or any(option in self.options for option in options)


def compiler_of(dotted: str) -> Compiler | None:
    """What the function with this dotted name compiles to, None if it is no compiler."""
    known = _COMPILERS.get(dotted)
    if known is None and dotted.endswith(".tensorflow.function"):  # re-exported by keras and others as a module
        return "tf.function"
    return known


def applications(
    syntax: Syntax, data: bytes, aliases: Mapping[str, str], name: Callable[[ast.expr], str]
) -> list[Application]:
    """Every place in a file that compiles, traces or captures, in the order of the file.

    ``data`` are the file's bytes, ``aliases`` its imported names, ``name`` resolves a chain of names. Looked for once a
    file: four rules ask.
    """
    known = syntax.memory.get("applications")
    if known is None:
        known = syntax.memory["applications"] = _all(syntax, data, aliases, name)
    return list(known)


def _all(syntax: Syntax, data: bytes, aliases: Mapping[str, str], name: Callable[[ast.expr], str]) -> list[Application]:
    words = [*_WORDS, *(alias for alias, dotted in aliases.items() if compiler_of(dotted) is not None)]
    pattern = re.compile(rb"\b(?:" + b"|".join(re.escape(word.encode()) for word in words) + rb")\b")
    rows = _rows(data, pattern)
    found: list[Application] = []
    if not rows:
        return found
    for statement in syntax.statements(*_DEFINITIONS):
        if _mentions(statement, rows):
            found += _decorators(statement, name)
    for statement in syntax.statements(*_HOLDERS, *_WITHS):
        if _mentions(statement, rows):
            found += _calls(statement, name)
    found.sort(key=lambda each: (each.node.lineno, each.node.col_offset))
    return found


def _rows(data: bytes, pattern: re.Pattern[bytes]) -> list[int]:
    """One-based rows on which the pattern matches (of a file with lone ``\\r`` for newlines: none that fits)."""
    rows: list[int] = []
    row, counted = 1, 0
    for match in pattern.finditer(data):
        row += data.count(b"\n", counted, match.start())
        counted = match.start()
        rows.append(row)
    return rows


def _mentions(statement: ast.stmt, rows: list[int]) -> bool:
    """Does one of these rows lie in the statement itself, not in the blocks below it?"""
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    if isinstance(statement, _DEFINITIONS):
        first = min([first, *(decorator.lineno for decorator in statement.decorator_list)])
    body = getattr(statement, "body", None)
    if body:
        last = max(first, body[0].lineno)
    position = bisect_left(rows, first)
    return position < len(rows) and rows[position] <= last


def _decorators(statement: Definition, name: Callable[[ast.expr], str]) -> Iterator[Application]:
    for decorator in statement.decorator_list:
        read = _compiler_call(decorator, name) if isinstance(decorator, ast.Call) else _bare(decorator, name)
        if read is not None:
            compiler, written, options, complete, _ = read
            yield Application(compiler, written, decorator, statement, statement, options, complete)


def _calls(statement: ast.stmt, name: Callable[[ast.expr], str]) -> Iterator[Application]:
    inner: set[ast.expr] = set()
    managers = {item.context_expr for item in statement.items} if isinstance(statement, _WITHS) else set()
    for node in expressions(statement):
        if not isinstance(node, ast.Call) or node in inner:
            continue
        read = _compiler_call(node, name)
        if read is None and isinstance(node.func, ast.Call):
            # ``torch.compile(mode="…")(function)`` and ``partial(jax.jit, …)(function)``
            factory = _compiler_call(node.func, name)
            if factory is not None and factory[4] is None:
                read = (*factory[:4], node.args[0] if node.args else None)
                inner.add(node.func)
        if read is not None:
            compiler, written, options, complete, target = read
            if node in managers:
                yield Application(compiler, written, node, statement, statement, options, complete)
            elif compiler != "capture" or target is not None:
                yield Application(compiler, written, node, statement, target, options, complete)


_Read = tuple[Compiler, str, dict[str, ast.expr], bool, ast.AST | None]


def _bare(node: ast.expr, name: Callable[[ast.expr], str]) -> _Read | None:
    """``@torch.compile`` without a call."""
    compiler = compiler_of(name(node))
    return None if compiler is None else (compiler, dotted_name(node), {}, True, None)


def _compiler_call(node: ast.Call, name: Callable[[ast.expr], str]) -> _Read | None:
    """What a call compiles, if its callee is a compiler or a partial of one."""
    callee, arguments = node.func, list(node.args)
    if name(callee) == "functools.partial" and arguments:
        callee, *arguments = arguments
        if compiler_of(name(callee)) is None:
            return None
    compiler = compiler_of(name(callee))
    if compiler is None:
        return None
    options = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None}
    complete = len(options) == len(node.keywords) and not any(isinstance(each, ast.Starred) for each in arguments)
    target = arguments[0] if arguments else next((options[key] for key in _TARGETS if key in options), None)
    return compiler, dotted_name(callee), options, complete, target


def of_compilers(found: Collection[Application], *compilers: Compiler) -> list[Application]:
    """Those that one of these compilers makes."""
    return [each for each in found if each.compiler in compilers]
