"""Kernel discovery (code in; language, loader and text out) and the cut of C-like text into regions."""

from __future__ import annotations

import libcst as cst
import pytest
from test_strings import context

from mllint.analysis.context import Context
from mllint.analysis.kernels.find import KERNEL_NODES, Kernel, code_and_comments, file_kernel, python_kernels
from mllint.analysis.walk import walk
from mllint.reading.clike import regions
from mllint.reading.located import HOLE
from mllint.reading.source import Source


def kernels_of(ctx: Context) -> list[Kernel]:
    found: list[Kernel] = []

    def visit(node: cst.CSTNode, above: list[cst.CSTNode]) -> None:
        found.extend(python_kernels(node, ctx))

    assert ctx.module is not None
    walk(ctx.module, KERNEL_NODES, visit)
    return found


HEAD = ".version 8.0\\n.target sm_80\\n"
PTX = ".version 8.0\n.target sm_80\n"

FOUND: dict[str, tuple[str, list[tuple[str, str, str]]]] = {
    "raw kernel": ("import cupy as cp\ncp.RawKernel('s', 'n')", [("cuda", "cupy.RawKernel", "s")]),
    "keyword": ("import cupy\ncupy.RawModule(options=('-x',), code='s')", [("cuda", "cupy.RawModule", "s")]),
    "renamed": ("from cupy import RawKernel as kernel\nkernel('s', 'n')", [("cuda", "cupy.RawKernel", "s")]),
    "re-bound": ("import cupy\nRaw = cupy.RawKernel\nRaw('s', 'n')", [("cuda", "cupy.RawKernel", "s")]),
    "elementwise": (
        "import cupy\ncupy.ElementwiseKernel('T x', 'T y', 'y = x', name='n', preamble='p')",
        [("cuda", "cupy.ElementwiseKernel", text) for text in ("T x", "T y", "y = x", "p")],
    ),
    "opencl elementwise": (
        "from pyopencl.elementwise import ElementwiseKernel\nElementwiseKernel(ctx, 'float *x', 'x[i] = 0')",
        [("opencl", "pyopencl.elementwise.ElementwiseKernel", text) for text in ("float *x", "x[i] = 0")],
    ),
    "lists": (
        "from torch.utils.cpp_extension import load_inline\nload_inline('n', ['a', 'b'], cuda_sources='c')",
        [("cuda", "torch.utils.cpp_extension.load_inline", text) for text in "abc"],
    ),
    "a program of OpenCL": (
        "import pyopencl as cl\ncl.Program(ctx, 's').build()",
        [("opencl", "pyopencl.Program", "s")],
    ),
    "another program": ("from planning import Program\nProgram('s', 's')", []),
    "nvrtc": (
        "from cuda import nvrtc\nnvrtc.nvrtcCreateProgram(str.encode('s'), b'n.cu', 0, [], [])",
        [("cuda", "cuda.bindings.nvrtc.nvrtcCreateProgram", text) for text in ("s", "n.cu")],
    ),
    "inline assembly": (
        "import triton.language as tl\ntl.inline_asm_elementwise('a', '=f', [x])",
        [("ptx", "triton.language.inline_asm_elementwise", "a")],
    ),
    "used twice": (
        "import cupy\ns = 't'\ncupy.RawKernel(s, 'a')\ncupy.RawKernel(s, 'b')",
        [("cuda", "cupy.RawKernel", "t")],
    ),
    "either": (
        "import cupy\ns = 'a'\nif c:\n    s = 'b'\ncupy.RawKernel(s if d else 'c', 'n')",
        [("cuda", "cupy.RawKernel", text) for text in "abc"],
    ),
    "from the callers": (
        "import cupy\ndef f(n, s='z'):\n    return cupy.RawKernel(s.strip(), n)\nf('n', 'a')\nf(s='b', n='n')\nf(*c)",
        [("cuda", "cupy.RawKernel", text) for text in "zab"],
    ),
    "through a constructor": (
        "import cupy\nclass K:\n    def __init__(self, s):\n        self.s = s\n        self.k = cupy.RawKernel(self.s, 'n')\nK('a')",
        [("cuda", "cupy.RawKernel", "a")],
    ),
    "from a function": (
        "import cupy\ndef s(n):\n    return f'a{n}b'\ncupy.RawKernel(s(1), 'n')",
        [("cuda", "cupy.RawKernel", f"a{HOLE}b")],
    ),
    "from a table": (
        "import cupy\nT = {'x': 'a', 'y': 'b'}\ncupy.RawKernel(T[name], 'n')",
        [("cuda", "cupy.RawKernel", text) for text in "ab"],
    ),
    "unknown": ("import cupy\ncupy.RawKernel(read(), 'n')\ncupy.RawKernel(*arguments)", []),
    "endless": ("import cupy\ndef f(s):\n    f(s)\n    return cupy.RawKernel(s, 'n')\ns = s\nf(s)", []),
    "PTX by content": (f"x = '{HEAD}ret;'", [("ptx", "content", PTX + "ret;")]),
    "PTX after comments": (f"x = '// a\\n/* b\\n*/\\n{HEAD}'", [("ptx", "content", "// a\n/* b\n*/\n" + PTX)]),
    "PTX in literals": (
        "x = ('.version 8.0\\n'\n     '.target sm_80\\n' + y)",
        [("ptx", "content", PTX + HOLE)],
    ),
    "PTX with fields": (
        "x = f'.version {v}\\n.target sm_{a}\\n'",
        [("ptx", "content", f".version {HOLE}\n.target sm_{HOLE}\n")],
    ),
    "PTX in lines": (
        "x = '\\n'.join(['.version 8.0', '.target sm_80', 'ret;'])",
        [("ptx", "content", PTX + "ret;")],
    ),
    "PTX in a list": ("x = ['.version 8.0', '.target sm_80']", [("ptx", "content", PTX)]),
    "PTX in pieces": (
        "def f():\n    x = ['.version 8.0']\n    x.append('.target sm_80')\n    y.append('no')\n    x += ['b']\n",
        [("ptx", "content", text) for text in (".version 8.0\n", ".target sm_80", "b")],
    ),
    "PTX from a header": (
        f"h = '{HEAD}'\nx = h + 'a'\ny = f'{{h}}b'",
        [("ptx", "content", text) for text in (PTX, PTX + "a", PTX + "b")],
    ),
    "PTX for a loader": (
        f"from cuda import cuda\ncuda.cuModuleLoadData('{HEAD}'.encode())",
        [("ptx", "cuda.bindings.driver.cuModuleLoadData", PTX)],
    ),
    "a docstring": (f"def f():\n    '''{HEAD}'''", []),
    "prose": (f"x = 'An example:\\n{HEAD}'", []),
    "a pattern": ("assert '.version' in x and '.target sm_' in x", []),
    "a header without target": ("x = '.version 8.0\\n'", []),
    "a dotted version": ("x = 'numpy' + '.version'\nfrom a import b\nb.version", []),
}


@pytest.mark.parametrize("code, expected", FOUND.values(), ids=FOUND)
def test_python_kernels(code: str, expected: list[tuple[str, str, str]]) -> None:
    ctx = context(code)
    found = [(kernel.language, kernel.loader, kernel.source.text) for kernel in kernels_of(ctx)]
    assert found == expected
    again = [(kernel.language, kernel.loader, kernel.source.text) for kernel in kernels_of(ctx)]
    assert again == expected, "a second rule asks about the same nodes"


def test_a_kernel_of_another_file_stands_at_its_call() -> None:
    code = "import cupy\ncupy.RawKernel(open('k.cu').read(), 'n')"
    (kernel,) = kernels_of(context(code, {"pkg/k.cu": "é"}))
    assert kernel.source.path == "pkg/k.cu"
    assert code[kernel.start : kernel.end] == "cupy.RawKernel(open('k.cu').read(), 'n')"


@pytest.mark.parametrize(
    "name, language", [("k.ptx", "ptx"), ("K.PTX", "ptx"), ("k.cu", "cuda"), ("k.cuh", "cuda"), ("k.cl", "opencl")]
)
def test_file_kernel(name: str, language: str) -> None:
    kernel = file_kernel(Source(f"a/{name}", "kernel", "é;".encode()))
    assert (kernel.language, kernel.loader, kernel.start, kernel.end) == (language, "file", 0, 3)
    assert kernel.source.span(1, 2) == (2, 3)
    assert [region.kind for region in code_and_comments(kernel)] == ["code"]


#: Text with the kind of each region in front of it.
REGIONS = {
    "comments": [
        ("code", "a "),
        ("line_comment", "// b"),
        ("code", "\nc "),
        ("block_comment", "/* d\n// e */"),
        ("code", "f"),
    ],
    "continued line comment": [("line_comment", "// a \\\n b"), ("code", "\nc")],
    "continued with CRLF": [("line_comment", "// a \\\r\n b"), ("code", "\nc")],
    "open block comment": [("code", "a"), ("block_comment", "/* b")],
    "string": [("code", "f("), ("string", r'"a // \" /* b"'), ("code", ")")],
    "comment marks in strings": [("string", '"/*"'), ("code", " a "), ("string", '"*/"')],
    "character": [("code", "c = "), ("char", r"'\''"), ("code", "; d = "), ("char", "'\"'"), ("code", ";")],
    "digit separators": [("code", "n = 1'000'000 + 0xFF'FFu; "), ("line_comment", "// '")],
    "prefixes": [("code", "u8"), ("string", '"a"'), ("code", " L"), ("char", "'b'")],
    "raw string": [("code", "s = "), ("string", 'R"x(a )" // b\n)y")x"'), ("code", ";")],
    "wide raw string": [("code", "s = "), ("string", 'LR"(a)"'), ("code", ";")],
    "an identifier that ends in R": [("code", "fooR"), ("string", '"(a"'), ("code", ")")],
    "open string": [("code", "a = "), ("string", '"b'), ("code", "\nc")],
    "apostrophe in a comment": [("line_comment", "// don't"), ("code", "\na "), ("line_comment", "// won't")],
    "included names": [("code", "#include"), ("string", " <a'b.h>"), ("code", "\nint")],
    "messages": [("code", "#error"), ("inactive", " don't "), ("line_comment", "// a"), ("code", "\nb")],
    "pragma": [("code", "#pragma"), ("inactive", " unroll 4"), ("code", "\nb")],
    "disabled": [("code", "#if 0"), ("inactive", "\ndon't\n#if X\n#else\n#endif\n"), ("code", "#else\na\n#endif")],
    "disabled to the end": [("code", "# if 0"), ("inactive", "\na\n/* #endif */")],
    "a condition": [("code", "#if 0 + X\na\n#endif")],
    "assembly": [
        ("code", "asm volatile("),
        ("asm", '"a;"'),
        ("code", " "),
        ("asm", '"b;"'),
        ("code", " : "),
        ("asm", '"=r"'),
        ("code", "(f(x))); g("),
        ("string", '"c"'),
        ("code", ");"),
    ],
    "a PTX module": [
        ("code", "p = "),
        ("asm", r'"// a\n"'),
        ("code", "\n"),
        ("asm", r'".version 8.0\n"'),
        ("code", " "),
        ("line_comment", "// b"),
        ("code", "\n"),
        ("asm", '".target sm_80"'),
        ("code", ";"),
    ],
    "a raw PTX module": [("code", "p = "), ("asm", 'R"(\n.version 8.0\n)"'), ("code", ";")],
    "other adjacent strings": [("string", '"a .version 8"'), ("code", " "), ("string", '"b"')],
}


@pytest.mark.parametrize("expected", REGIONS.values(), ids=REGIONS)
def test_regions(expected: list[tuple[str, str]]) -> None:
    text = "".join(part for _, part in expected)
    assert [(region.kind, text[region.start : region.end]) for region in regions(text)] == expected
