"""ML301: see the class for the page.

May not: look at text that no compiler reads as code, or guess what a hole holds.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Fix, Place, Related, Safety, Severity
from mllint.reading.located import HOLE
from mllint.reading.plain import PUNCTUATION, in_ascii
from mllint.rule import NON_ASCII, Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.context import Context
    from mllint.analysis.kernels.find import Kernel

#: Calls that compile source text: a file with one of them is read even if it is ASCII, for what it loads or imports.
_COMPILING = (
    "RawKernel",
    "RawModule",
    "ElementwiseKernel",
    "ReductionKernel",
    "load_inline",
    "SourceModule",
    "CreateProgram",
    "createProgram",
    "_compile_kernel",
    "compile_with_cache",
    "compile_using_nvrtc",
    "pyopencl",
    "pynvrtc",
    "cuda.core",
    "func_native",
    "inline_asm",
    "cuModuleLoadData",
    "cuLibraryLoadData",
    "cuLinkAddData",
    "module_from_buffer",
    "from_ptx",
)
#: What PTX, and files of CUDA C++ or OpenCL C, contain.
_KERNEL_TEXT = (
    ".target sm_",
    ".target\t",
    ".target  ",
    ".target {",
    ".target %",
    ".target $",
    '.target "',
    ".target '",
    "__global__",
    "__device__",
    "__kernel",
    "kernel void",
    " void ",
    "\nvoid ",
    "#include",
    "#define",
    "#pragma",
    "template<",
    "template <",
)
#: Ways to write a character above 0x7F. Octal escapes that begin with 2 or 3 are such bytes.
_WRITTEN = (NON_ASCII, "\\u", "\\U", "\\N{", "\\x", "\\2", "\\3")


@dataclass(frozen=True, slots=True)
class _Hit:
    """A non-ASCII character: its position in the kernel's text, and whether it stands in a comment."""

    at: int
    commented: bool
    severity: Severity


class NonAsciiKernelSource(Rule):
    """A GPU kernel's source holds a character that is not ASCII where its compiler refuses one.

    ## Why

    Somebody wrote an em dash into a comment of a PTX string. Python and every editor were content, the tests
    without a GPU passed, and on the training machine the module failed to load with `CUDA_ERROR_INVALID_PTX`, an
    error that names no line. ptxas from CUDA 12.8 on stops at the first byte above 0x7F, in a comment and in a
    string too; older ones skipped comments, so a file that always worked fails after an update. NVRTC and nvcc skip
    comments and string literals, but in code a non-breaking space from a web page, a curly quote, a minus sign or
    a Greek letter is an unrecognized token. Such a character looks right on the screen, and it only fails when the
    kernel is compiled, often hours into a job.

    ## Bad

    ```python
    PTX = r'''
    .version 8.0
    .target sm_80
    .address_size 64
    // one thread per row — the tail is masked
    .visible .entry scale() { ret; }
    '''
    ```

    ```python
    import cupy

    scale = cupy.RawKernel(
        r'''
        extern "C" __global__ void scale(float* x, float α) { x[threadIdx.x] *= α; }
        ''',
        "scale",
    )
    ```

    ## Good

    ```python
    PTX = r'''
    .version 8.0
    .target sm_80
    .address_size 64
    // one thread per row - the tail is masked
    .visible .entry scale() { ret; }
    '''
    ```

    ```python
    import triton
    import triton.language as tl


    @triton.jit
    def scale(x_ptr, alpha, BLOCK: tl.constexpr):
        # x ← α · x: Triton compiles Python, comments never reach ptxas
        offsets = tl.arange(0, BLOCK)
        tl.store(x_ptr + offsets, tl.load(x_ptr + offsets) * alpha)
    ```

    ## Fix safety

    Safe for punctuation with an ASCII spelling (dashes, curly quotes, special spaces, ellipsis, multiplication
    sign, arrows, comparison signs) in a comment: the compiler sees the same program. Everything else is shown and
    never applied: code, assembly strings, and letters in comments.

    ## Known limits

    - Comments of CUDA C++ and OpenCL C are a finding of level info: their compilers skip them, unless nvcc is asked
      to copy the source into the PTX (`--source-in-ptx`), where ptxas refuses them.
    - A text is followed through names, concatenation, formatting, functions of the same file, modules and files of the
      project. What comes from somewhere else is a hole, and a hole is no finding.
    - Text inside `#if 0`, `#error` and `#pragma` lines and C string literals is left alone. The body of a macro
      counts as code, used or not.
    - Newer host compilers accept letters beyond ASCII in identifiers, in C++ code that never reaches the device.
    - A byte-order mark makes ptxas stop as well; mllint reads files without theirs and does not report it.

    ## References

    - <https://docs.nvidia.com/cuda/parallel-thread-execution/#source-format>: PTX source is ASCII text
    - <https://github.com/JuliaGPU/CUDA.jl/issues/2730>: what ptxas of CUDA 12.8 says
    - <https://github.com/cms-patatrack/pixeltrack-standalone/pull/419>: comments that reach ptxas through nvcc
    """

    meta = Meta(
        code="ML301",
        name="non-ascii-kernel-source",
        severity=Severity.ERROR,
        since="0.1.0",
        triggers=((*_COMPILING, *_KERNEL_TEXT), (*_COMPILING, *_WRITTEN)),
        fix=Safety.SAFE,
        project=True,
    )

    def visit_kernel(self, kernel: Kernel, ctx: Context) -> Iterator[Diagnostic]:
        lines = _lines(kernel)
        if kernel.source.path:
            if lines:
                yield _elsewhere(kernel, lines, ctx)
            return
        for hits in lines:
            yield _on_line(kernel, hits, ctx)


def _lines(kernel: Kernel) -> list[list[_Hit]]:
    """The characters to report, by line of the kernel: those in code, or where there are none those in comments."""
    text = kernel.source.text
    if text.isascii():
        return []
    found = [hit for hit in _hits(kernel) if text[hit.at] != HOLE]
    newlines = [at for at, character in enumerate(text) if character == "\n"]
    lines = []
    for _, group in groupby(found, key=lambda hit: bisect_left(newlines, hit.at)):
        line = list(group)
        worst = max(hit.severity.rank for hit in line)
        lines.append([hit for hit in line if hit.severity.rank == worst])
    return lines


def _hits(kernel: Kernel) -> Iterator[_Hit]:
    from mllint.analysis.kernels.find import code_and_comments

    text = kernel.source.text
    for region in code_and_comments(kernel):
        piece = text[region.start : region.end]
        if piece.isascii():
            continue
        commented = region.kind in ("line_comment", "block_comment")
        if kernel.language == "ptx" or region.kind in ("code", "asm"):
            severity = Severity.ERROR
        elif commented:
            severity = Severity.INFO
        else:
            continue
        for at, character in enumerate(piece, region.start):
            if character > "\x7f":
                yield _Hit(at, commented, severity)


def _on_line(kernel: Kernel, hits: Sequence[_Hit], ctx: Context) -> Diagnostic:
    """One finding for one line of a kernel of this file, at its first run of characters."""
    from mllint.analysis.strings.fold import contiguous

    first = last = hits[0].at
    for hit in hits[1:]:
        if hit.at != last + 1 or not contiguous(kernel.source, last, hit.at + 1):
            break
        last = hit.at
    start, end = kernel.source.span(first, last + 1)
    message = _message(kernel, hits, ctx.source.place(start))
    return replace(ctx.report((start, end), message, fix=_fix(kernel, hits, ctx)), severity=hits[0].severity)


def _elsewhere(kernel: Kernel, lines: Sequence[Sequence[_Hit]], ctx: Context) -> Diagnostic:
    """One finding at the call that loads a kernel from another file, pointing at the worst lines there."""
    from mllint.analysis.strings.loading import place_elsewhere

    worst = max(line[0].severity.rank for line in lines)
    chosen = [line for line in lines if line[0].severity.rank == worst]
    text, related, first = kernel.source.text, [], None
    for line in chosen[:3]:
        place = place_elsewhere(kernel.source, line[0].at, ctx)
        if place is not None:
            first = first or place
            related.append(Related(kernel.source.path, place, f"{_shown(text[line[0].at])} is here"))
    found = ctx.report((kernel.start, kernel.end), _message(kernel, chosen[0], first), related=tuple(related))
    return replace(found, severity=chosen[0][0].severity)


def _message(kernel: Kernel, hits: Sequence[_Hit], place: Place | None) -> str:
    language = {"ptx": "PTX", "opencl": "OpenCL"}.get(kernel.language, "CUDA")
    part = "comment" if hits[0].commented else "source"
    more = f" and {len(hits) - 1} more" if len(hits) > 1 else ""
    column = f", column {place.column}" if place is not None else ""
    return f"{_shown(kernel.source.text[hits[0].at])}{more} in {language} {part}{column}"


def _shown(character: str) -> str:
    """A character, its code point and (the first words of) its name."""
    name = unicodedata.name(character, "")
    name = name if len(name) <= 30 else name[:30].rpartition(" ")[0] + "..."
    code = f"U+{ord(character):04X} {name}".rstrip()
    visible = character.isprintable() and not character.isspace() and not unicodedata.combining(character)
    return f"`{character}` ({code})" if visible else code


def _fix(kernel: Kernel, hits: Sequence[_Hit], ctx: Context) -> Fix | None:
    """ASCII for every character of a finding, if there is one for each."""
    from mllint.analysis.strings.bindings import quote_at

    edits = []
    known = all(hit.commented and kernel.source.text[hit.at] in PUNCTUATION for hit in hits)
    for hit in hits:
        span = kernel.source.span(hit.at, hit.at + 1)
        spelled = in_ascii(kernel.source.text[hit.at], quote_at(span[0], ctx))
        if spelled is None:
            return None
        edits.append(ctx.replace(span, spelled))
    return ctx.fix("Write it in ASCII", *edits, safety=Safety.SAFE if known else Safety.DISPLAY)
