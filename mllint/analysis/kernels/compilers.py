"""The functions that compile kernel sources, and which of their arguments are source text.

May not: look at the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mllint.lazy import cst

if TYPE_CHECKING:
    from mllint.analysis.context import Context


@dataclass(frozen=True, slots=True)
class Compiler:
    """Takes source text in these positions and keywords. ``loader`` is its full dotted name.

    ``within``: parts of which the resolved name must contain one, where the last part alone is too common.
    """

    language: str
    loader: str
    positions: tuple[int, ...]
    keywords: tuple[str, ...] = ()
    within: tuple[str, ...] = ()

    def arguments(self, call: cst.Call) -> Iterator[cst.BaseExpression]:
        """The arguments of a call that hold source text, as far as stars allow to tell."""
        positional = True
        for number, argument in enumerate(call.args):
            positional = positional and not argument.star
            if argument.keyword is not None:
                if argument.keyword.value in self.keywords:
                    yield argument.value
            elif positional and number in self.positions:
                yield argument.value


_PIECES = ("operation", "preamble", "map_expr", "reduce_expr", "post_map_expr", "arguments", "loop_prep", "after_loop")
_ELEMENTWISE = (0, 1, 2, 3, 4, 5)

#: By the last part of the name. Some take a C pointer first when called through ctypes: hence two positions.
_COMPILERS: dict[str, tuple[Compiler, ...]] = {}


def _enter(*compilers: Compiler) -> None:
    for item in compilers:
        last = item.loader.rpartition(".")[2]
        _COMPILERS[last] = (*_COMPILERS.get(last, ()), item)


_enter(
    Compiler("cuda", "cupy.RawKernel", (0,), ("code",)),
    Compiler("cuda", "cupy.RawModule", (0,), ("code",)),
    Compiler("opencl", "pyopencl.elementwise.ElementwiseKernel", _ELEMENTWISE, _PIECES, ("pyopencl",)),
    Compiler("opencl", "pyopencl.reduction.ReductionKernel", _ELEMENTWISE, _PIECES, ("pyopencl",)),
    Compiler("cuda", "cupy.ElementwiseKernel", _ELEMENTWISE, _PIECES),
    Compiler("cuda", "cupy.ReductionKernel", _ELEMENTWISE, _PIECES),
    Compiler("cuda", "cupy.cuda.compile_with_cache", (0,), ("source",)),
    Compiler("cuda", "cupy.cuda.compiler.compile_using_nvrtc", (0,), ("source",)),
    Compiler("cuda", "cupy.cuda.nvrtc.createProgram", (0,), ("src",), ("nvrtc",)),
    Compiler("cuda", "torch.utils.cpp_extension.load_inline", (1, 2), ("cpp_sources", "cuda_sources")),
    Compiler("cuda", "torch.cuda._compile_kernel", (0,), ("kernel_source", "header_code")),
    Compiler("cuda", "pycuda.compiler.SourceModule", (0,), ("source",)),
    Compiler("cuda", "pycuda.compiler.DynamicSourceModule", (0,), ("source",)),
    Compiler("cuda", "cuda.bindings.nvrtc.nvrtcCreateProgram", (0, 1), ("src",)),
    Compiler("cuda", "hip.hiprtc.hiprtcCreateProgram", (0, 1), ("src",)),
    Compiler("opencl", "pyopencl.Program", (1,), ("src",), ("pyopencl", "cl.Program")),
    Compiler("cuda", "cuda.core.Program", (0,), ("code",), ("cuda.core", "pynvrtc")),
    Compiler("cuda", "warp.func_native", (0,), ("snippet", "adj_snippet", "replay_snippet")),
    Compiler("ptx", "triton.language.inline_asm_elementwise", (0,), ("asm",)),
    Compiler("ptx", "llvm.inline_asm", (0, 1, 2, 3), ("asm_string",), ("llvm",)),
    Compiler("ptx", "cuda.bindings.driver.cuModuleLoadData", (0, 1), ("image",)),
    Compiler("ptx", "cuda.bindings.driver.cuModuleLoadDataEx", (0, 1), ("image",)),
    Compiler("ptx", "cuda.bindings.driver.cuLibraryLoadData", (0, 1), ("code",)),
    Compiler("ptx", "cuda.bindings.driver.cuLinkAddData", (2,), ("data",)),
    Compiler("ptx", "pycuda.driver.module_from_buffer", (0,), ()),
    Compiler("ptx", "cuda.core.ObjectCode.from_ptx", (0,), ("module",)),
)


def compiler(call: cst.Call, ctx: Context) -> Compiler | None:
    """What a call compiles with, None for all other calls (most are told by their last name alone)."""
    function = call.func
    last = function.attr.value if isinstance(function, cst.Attribute) else getattr(function, "value", "")
    name = ""
    if last not in _COMPILERS:
        if not isinstance(function, cst.Name):
            return None
        name = ctx.name(function)  # ``from cupy import RawKernel as kernel``, ``kernel = cupy.RawKernel``
        last = name.rpartition(".")[2]
    for known in _COMPILERS.get(last, ()):
        name = name or ctx.name(function)
        if not known.within or any(part in name for part in known.within):
            return known
    return None
