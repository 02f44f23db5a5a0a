"""Kernel sources: whole .cu/.cuh/.cl/.ptx files, and strings that Python code hands to a compiler.

May not: judge a kernel. Finds them, names their language and who compiles them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mllint.analysis.kernels.compilers import Compiler, compiler
from mllint.analysis.kernels.sources import later_pieces, sources, uses
from mllint.analysis.strings.bindings import Bindings, bindings
from mllint.lazy import cst
from mllint.reading.clike import Region, regions
from mllint.reading.located import HOLE, Located, join, locate
from mllint.reading.source import Source

if TYPE_CHECKING:
    from mllint.analysis.context import Context

#: Class names of the nodes that `python_kernels` has to be asked about.
KERNEL_NODES = ("Call", "SimpleString", "FormattedString")


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel source. ``language`` is ``ptx``, ``cuda`` or ``opencl``.

    ``loader`` is the dotted name of what compiles it (``cupy.RawKernel``), ``file`` for a file of its own,
    ``asm`` for an inline-assembly string, ``content`` for a string that is a PTX module by what it says.
    ``source`` may stand in another file of the project (``Path(...).read_text()``): then ``source.path`` names
    it and ``start``/``end`` are the call that loads it.
    """

    language: str
    loader: str
    source: Located
    start: int
    end: int


def code_and_comments(kernel: Kernel) -> tuple[Region, ...]:
    """The kernel's text as consecutive regions: code, comments, literals."""
    return regions(kernel.source.text)


def file_kernel(source: Source) -> Kernel:
    """A .ptx, .cu, .cuh or .cl file as one kernel."""
    path = source.path.lower()
    language = "ptx" if path.endswith(".ptx") else "opencl" if path.endswith((".cl", ".clh")) else "cuda"
    return Kernel(language, "file", locate(source.data), 0, len(source.data))


def python_kernels(node: cst.CSTNode, ctx: Context) -> tuple[Kernel, ...]:
    """The kernels that a call compiles, or that a string is by what it says. Asked about `KERNEL_NODES`.

    A text that several calls compile is given once, with the first of them.
    """
    if isinstance(node, cst.Call):
        known = compiler(node, ctx)
        return tuple(_compiled(node, known, ctx)) if known is not None else ()
    if isinstance(node, cst.SimpleString):
        return tuple(_modules(node, ctx)) if ".version" in node.value else ()
    if isinstance(node, cst.FormattedString):
        texts = [part.value for part in node.parts if isinstance(part, cst.FormattedStringText)]
        return tuple(_modules(node, ctx)) if any(".version" in text for text in texts) else ()
    return ()


def _compiled(call: cst.Call, known: Compiler, ctx: Context) -> Iterator[Kernel]:
    """The kernels among a call's arguments."""
    for argument in known.arguments(call):
        for text in sources(argument, ctx):
            language = "ptx" if is_module(text.text) else known.language
            kernel = _kernel(language, known.loader, text, call, ctx)
            if kernel is not None:
                yield kernel


def _kernel(language: str, loader: str, text: Located, node: cst.CSTNode, ctx: Context) -> Kernel | None:
    """A kernel, unless another node of this file was first to bring the same text."""
    if not text.text.strip(HOLE + " \t\n"):
        return None
    assert ctx.shared is not None
    claims = ctx.shared.memory.setdefault("kernels", {})
    assert isinstance(claims, dict)
    key = (text.path, min(text.starts), max(text.ends), len(text.text))
    if claims.setdefault(key, node) is not node:  # the same node may ask again, for another rule
        return None
    start, end = ctx.span(node) if text.path else key[1:3]
    return Kernel(language, loader, text, start, end)


# A PTX module begins with ``.version``, after nothing but comments; ``.target`` follows.
_MODULE = re.compile(rf"(?:\s|{HOLE}|//[^\n]*\n|/\*[\s\S]*?\*/)*\.version[ \t]+(?:\d|{HOLE})")
_TARGET = re.compile(rf"^[ \t]*\.target[ \t]+(?:sm_|{HOLE})", re.MULTILINE)


def is_module(text: str) -> bool:
    """Is the text a PTX module? Prose and documentation that only show one begin differently."""
    return ".version" in text and bool(_MODULE.match(text)) and bool(_TARGET.search(text))


def _modules(node: cst.BaseExpression, ctx: Context) -> Iterator[Kernel]:
    """The PTX modules that a string with a ``.version`` line begins, and the pieces they are written in."""
    table = bindings(ctx)
    if table is None:
        return
    whole, text = _widest(node, table, ctx)
    if text is None or text.path or not _MODULE.match(text.text) or isinstance(table.parents.get(whole), cst.Expr):
        return
    found: list[tuple[cst.CSTNode, Located]] = [(whole, text)]
    found += later_pieces(whole, table, ctx)
    if not any(_TARGET.search(piece.text) for _, piece in found):
        found = []
    for name in uses(whole, table):
        place, longer = _widest(name, table, ctx)
        if place is not name and longer is not None and is_module(longer.text):
            found.append((place, longer))
    for place, piece in found:
        kernel = _kernel("ptx", "content", piece, place, ctx)
        if kernel is not None:
            yield kernel


#: Nodes through which a literal grows into a longer text, and those that only stand in between.
_GROWING = ("ConcatenatedString", "BinaryOperation", "FormattedString", "Call")
_BETWEEN = ("Attribute", "Arg", "Element", "FormattedStringExpression", "List", "Tuple")


def _widest(node: cst.CSTNode, table: Bindings, ctx: Context) -> tuple[cst.CSTNode, Located | None]:
    """The largest expression around a literal that denotes a text, and that text."""
    best: cst.CSTNode = node
    text = ctx.string(node)
    for above in table.above(node):
        kind = type(above).__name__
        if isinstance(above, (cst.List, cst.Tuple)):
            parts = [ctx.string(item.value) for item in above.elements]
            known = [part for part in parts if part is not None and not part.path]
            lines = [part if part.text.endswith("\n") else join((part, _newline(part))) for part in known if part.text]
            if lines and len(known) == len(parts):  # lines of a module, whatever joins them later
                best, text = above, join(lines)
        elif kind in _GROWING:
            wider = ctx.string(above)
            if wider is None or wider.path:
                break
            best, text = above, wider
        elif kind not in _BETWEEN:
            break
    return best, text


def _newline(part: Located) -> Located:
    return Located("\n", (part.ends[-1],), (part.ends[-1],))
