"""Where gradients flow: code in, the lines with a large negative fill on a gradient out."""

from __future__ import annotations

import ast
import pickle
import textwrap

import pytest

from mllint.analysis.gradients.flow import Flow, GradientFill
from mllint.analysis.gradients.flows import flows
from mllint.analysis.gradients.routes import gradient_fills
from mllint.analysis.index import FileIndex, build_index
from mllint.analysis.project import Project
from mllint.analysis.syntax import Syntax
from mllint.reading.source import read_source

IMPORTS = """
import math
import numpy as np
import torch
import torch.nn.functional as F
import jax
import jax.numpy as jnp
import triton
import triton.language as tl
from functools import partial
from torch.autograd import Function
"""

BACKWARD = """
class Op(Function):
    @staticmethod
    def forward(ctx, x, mask):
        return x.masked_fill(mask, -1e9)

    @staticmethod
    def backward(ctx, grad):
        q, k, mask = ctx.saved_tensors
"""


def flows_of(code: str) -> tuple[Flow, ...]:
    tree = ast.parse(code)
    return flows(tree, build_index(tree, "code.py").aliases, code.encode())


def fills_of(code: str, path: str, whole: Project | None = None) -> tuple[GradientFill, ...]:
    return gradient_fills(build_index(ast.parse(code), path), flows_of(code), path, whole)


def lines(code: str) -> list[str]:
    """The text of each line with a fill, its marker left out."""
    found = fills_of(code, "code.py")
    rows = code.splitlines()
    return [rows[fill.spot.row - 1].strip() for fill in found]


def backward(body: str, around: str = "") -> str:
    """A backward with this body, and module-level code before it."""
    return IMPORTS + textwrap.dedent(around) + BACKWARD + textwrap.indent(textwrap.dedent(body).strip(), " " * 8) + "\n"


FILLS = {
    "masked_fill": "return grad.masked_fill(mask, float('-inf'))",
    "masked_fill as a function": "return torch.masked_fill(grad, mask, -1e30)",
    "masked_fill by keyword": "return grad.masked_fill(mask=mask, value=-65504)",
    "where, filled on the left": "return torch.where(mask, -np.inf, grad)",
    "where, a tensor as the fill": "return torch.where(mask, grad, torch.tensor(-1e9, device=grad.device))",
    "where, a whole tensor as the fill": "return torch.where(mask, grad, torch.full_like(grad, -math.inf))",
    "where as a method": "return grad.where(mask, -1e4)",
    "numpy": "return np.where(mask, grad.numpy(), -np.inf)",
    "fill_ of a part": "grad[:, 0].fill_(float('-inf'))",
    "index_fill_": "grad.index_fill_(0, mask, -1e9)",
    "indexed store": "grad[mask] = torch.finfo(grad.dtype).min / 2",
    "at set": "return grad.at[mask].set(-jnp.inf)",
    "scatter of a number": "return grad.scatter(1, mask, -1e9)",
    "minus a large mask": "return grad - 1e9 * mask.float()",
    "mask minus one": "return grad + (mask.float() - 1) * 1e9",
    "plus an upper triangle": "bias = torch.full((8, 8), float('-inf')).triu(1)\nreturn grad + bias",
    "plus a filled mask": "bias = torch.zeros(8).masked_fill(mask, -1e9).to(grad)\nreturn grad.add(bias[None])",
    "plus a chosen mask": "grad += torch.where(mask, 0, -1.0e6)\nreturn grad",
    "in-place sum": "grad += (1 - mask) * -10000.0",
    "through arithmetic": "return (2 * q * grad.sum(-1, keepdim=True)).masked_fill(mask, -1e9)",
    "through a loop": "for _ in range(3): q = q + grad\nreturn q.masked_fill(mask, -1e9)",
    "through one branch": "if mask is None:\n    grad = q\nreturn grad.masked_fill(mask, -1e9)",
    "through a comprehension": "return [g.masked_fill(mask, -1e9) for g in (grad, q)][0]",
    "through a tuple": "a, b = q, grad\nreturn b.masked_fill(mask, -1e9)",
    "through an in-place sum": "q.addmm_(grad, k)\nreturn q.masked_fill(mask, -1e9)",
    "through a store": "out = torch.zeros_like(q)\nout[0] = grad\nreturn out.masked_fill(mask, -1e9)",
    "through an unknown function with a telling name": "dq = unknown(grad, k)\nreturn dq.masked_fill(mask, -1e9)",
    "through autograd": "g, = torch.autograd.grad(k, q, grad)\nreturn g.masked_fill(mask, -1e9)",
    "a full tensor with gradients in it": "out = grad.new_full(q.shape, -1e9)\nout[mask] = grad[mask]\nreturn out",
    "a full tensor returned": "return torch.full_like(grad, float('-inf'))",
    "a constant of two": "fill = -1e4 if mask.dtype else -1e9\nreturn grad.masked_fill(mask, fill)",
    "inside a closure": "def inner():\n    return grad.masked_fill(mask, -1e9)\nreturn inner()",
}


@pytest.mark.parametrize("name", FILLS)
def test_fill_on_a_gradient(name: str) -> None:
    found = lines(backward(FILLS[name]))
    assert len(found) == 1, found


SILENT = {
    "zero": "return grad.masked_fill(mask, 0.0)",
    "small": "return grad.masked_fill(mask, -100.0)",
    "positive": "return grad.masked_fill(mask, 1e9)",
    "recomputed scores": "s = (q @ k.mT).masked_fill(mask, -1e9).softmax(-1)\nreturn s * grad",
    "scores of a gradient's type": "s = (q @ k.mT).to(grad).masked_fill(mask, torch.finfo(grad.dtype).min)\nreturn s.exp() * grad",
    "a name used twice": "x = q.masked_fill(mask, -1e9)\nx = x.softmax(-1) * grad\nreturn x",
    "clamp": "return grad.clamp(min=-1e4)",
    "running maximum": "m = torch.full_like(grad, float('-inf'))\nm = torch.maximum(m, q)\nreturn (q - m).exp() * grad",
    "a buffer like a gradient": "b = torch.zeros_like(grad).masked_fill(mask, -1e9)\nreturn (q + b).softmax(-1) * grad",
    "a mask from a gradient": "return torch.where(grad > 0, q, -1e9).softmax(-1) * grad",
    "a choice": "best = grad.masked_fill(mask, -1e9).argmax(-1)\nreturn grad[best]",
    "a ranking": "_, best = torch.where(mask, grad, -1e9).topk(3)\nreturn grad[best]",
    "never used": "unused = grad.masked_fill(mask, -1e9)\nreturn grad",
    "an unknown function": "s = unknown(q, grad)\nreturn s.masked_fill(mask, -1e9)",
    "an unknown value": "return grad.masked_fill(mask, ctx.value)",
    "an entry of a dictionary": "seen = {'g': grad}\nseen['lowest'] = float('-inf')\nreturn seen['g']",
    "a scale": "return grad * -1e9",
    "probabilities added": "p = q.masked_fill(mask, -1e9).softmax(-1)\nreturn grad + 2 * p",
    "scores' exponentials added": "s = q + (1 - mask) * -1e9\nreturn grad + s.exp() + (s - k).exp()",
    "a plain constant": "return grad + 1e-9",
}


@pytest.mark.parametrize("name", SILENT)
def test_silent_in_a_backward(name: str) -> None:
    assert lines(backward(SILENT[name])) == []


HELPER = "def helper(x, m):\n    return x.masked_fill(m, -1e9)\n"

ROUTES = {
    "a helper": (HELPER, "return helper(grad, mask)", 1),
    "a helper of scores": (HELPER, "return helper(q, mask).softmax(-1) * grad", 0),
    "a helper by keyword": (HELPER, "return helper(m=mask, x=grad)", 1),
    "a helper for both": (HELPER, "return helper(q, mask).softmax(-1) * helper(grad, mask)", 1),
    "a helper by another name": (HELPER + "hide = helper\n", "return hide(grad, mask)", 1),
    "a helper given the mask only": (HELPER, "return helper(q, grad > 0).softmax(-1) * grad", 0),
    "a default": ("def helper(x, m, v=-1e9):\n    return x.masked_fill(m, v)\n", "return helper(grad, mask)", 1),
    "a default replaced": ("def helper(x, m, v=-1e9):\n    return x.masked_fill(m, v)\n", "return helper(grad, mask, 0.0)", 0),
    "a number passed": ("def helper(x, m, v):\n    return x.masked_fill(m, v)\n", "return helper(grad, mask, -1e9)", 1),
    "a number passed twice": (
        "def inner(x, m, v):\n    return x.masked_fill(m, v)\ndef helper(x, m, v=0.0):\n    return inner(x, m, v)\n",
        "return helper(grad, mask, v=-1e9)",
        1,
    ),
    "a method of a class": ("class H:\n    @staticmethod\n    def hide(x, m):\n        return x.masked_fill(m, -1e9)\n", "return H.hide(grad, mask)", 1),
    "a class method": ("class H:\n    @classmethod\n    def hide(cls, x, m):\n        return x.masked_fill(m, -1e9)\n", "return H.hide(grad, mask)", 1),
    "numbers of two calls": ("def helper(x, m, v):\n    return x.masked_fill(m, v)\n", "helper(grad, mask, -1e4)\nreturn helper(grad, mask, -1e9)", 2),
    "a chain": (HELPER + "def outer(y, m):\n    z = y * 2\n    return helper(z, m)\n", "return outer(grad, mask)", 1),
    "a recursion": ("def helper(x, m):\n    helper(x, m)\n    return x.masked_fill(m, -1e9)\n", "return helper(grad, mask)", 1),
    "what a helper gives back": ("def twice(x):\n    return x * 2\n", "return twice(grad).masked_fill(mask, -1e9)", 1),
    "what a helper does not give back": ("def shape(x):\n    return x.shape\n", "s = q.view(shape(grad)).masked_fill(mask, -1e9)\nreturn s.softmax(-1) * grad", 0),
    "one of two that a helper gives back": ("def both(x, y):\n    return y, x\n", "a, b = both(grad, q)\nreturn a.masked_fill(mask, -1e9).softmax(-1) * b", 0),
    "vmap": (HELPER, "return jax.vmap(helper)(grad, mask)", 1),
    "a tree of gradients": ("", "return jax.tree_util.tree_map(lambda g: jnp.where(mask, g, -jnp.inf), grad)", 1),
    "a constant of the module": ("NEG = torch.finfo(torch.float32).min\n", "return grad.masked_fill(mask, NEG)", 1),
    "another function's apply": ("", "return Op.apply(grad, mask)", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", ROUTES)
def test_route_through_a_file(name: str) -> None:
    around, body, count = ROUTES[name]
    assert len(lines(backward(body, around))) == count


SOURCES = {
    "a tensor's hook": "x.register_hook(lambda g: g.masked_fill(m, -1e9))",
    "a hook as a decorator": "@x.register_hook\ndef hook(g):\n    return g.masked_fill(m, -1e9)",
    "a hook given by name": "def hook(g):\n    return g.masked_fill(m, -1e9)\nx.register_hook(hook)",
    "a module's hook": "def hook(module, grad_input, grad_output):\n    return grad_input[0].masked_fill(m, -1e9),\nx.register_full_backward_hook(hook)",
    "a pre-hook": "x.register_full_backward_pre_hook(lambda module, g: (g[0].masked_fill(m, -1e9),))",
    "a hook after accumulation": "x.register_post_accumulate_grad_hook(lambda p: p.grad.masked_fill_(m, -1e9))",
    "a library's operator": "def b(ctx, g):\n    return g.masked_fill(m, -1e9)\ntorch.library.register_autograd('a::b', b, setup_context=s)",
    "an operator's own": "def b(ctx, g):\n    return g.masked_fill(m, -1e9)\nop.register_autograd(b)",
    "jax": "def b(saved, g):\n    return jnp.where(saved, g, -jnp.inf),\nf.defvjp(fwd, b)",
    "jax by keyword": "def b(n, saved, g):\n    return jnp.where(saved, g, -jnp.inf),\nf.defvjp(fwd, bwd=b)",
    "a class of Paddle": "class P(PyLayer):\n    @staticmethod\n    def backward(ctx, dy):\n        return torch.where(m, dy, -1e9)",
    "a subclass": "class A(Function):\n    @staticmethod\n    def backward(ctx, g):\n        return g\nclass B(A):\n    @staticmethod\n    def backward(ctx, *g):\n        return g[0].masked_fill(m, -1e9)",
    "a layer of one's own": "class L:\n    def forward(self, x):\n        return x\n    def backward(self, dout):\n        return np.where(self.m, dout, -1e9)",
    "a hook in a list": "hooks = [p.register_hook(lambda g: g.masked_fill(m, -1e9)) for p in ps]",
    "many gradients": "class A(Function):\n    @staticmethod\n    def backward(ctx, *gs):\n        return tuple(g.masked_fill(m, -1e9) for g in gs)",
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_source_of_gradients(name: str) -> None:
    assert len(lines(IMPORTS + SOURCES[name] + "\n")) == 1


NO_SOURCES = {
    "a forward hook": "x.register_forward_hook(lambda module, a, b: b.masked_fill(m, -1e9))",
    "the layer behind a hook": "x.register_full_backward_hook(lambda module, a, b: module.masked_fill(m, -1e9))",
    "the parameter behind a hook": "x.register_post_accumulate_grad_hook(lambda p: p.masked_fill_(m, -1e9))",
    "what jax saved": "def b(saved, g):\n    return jnp.where(m, saved, -jnp.inf) * g,\nf.defvjp(fwd, b)",
    "a class of another kind": "class Net(torch.nn.Module):\n    def backward(self, loss):\n        return loss.masked_fill(m, -1e9)",
    "a plain function": "def backward(grad):\n    return grad.masked_fill(m, -1e9)",
}  # fmt: skip


@pytest.mark.parametrize("name", NO_SOURCES)
def test_no_source_of_gradients(name: str) -> None:
    assert lines(IMPORTS + NO_SOURCES[name] + "\n") == []


def kernel(body: str) -> str:
    """A Triton kernel and its two callers."""
    head = "@triton.jit\ndef kernel(s_ptr, g_ptr, out_ptr, n, B: tl.constexpr):\n    at = tl.arange(0, B)\n"
    return backward(
        "kernel[(1,)](q, grad, mask, 8, B=8)", head + textwrap.indent(textwrap.dedent(body), " " * 4) + "\n"
    )


KERNELS = {
    "where": ("g = tl.where(at < n, tl.load(g_ptr + at), -1e9)\ntl.store(out_ptr + at, g)", 1),
    "load": ("g = tl.load(g_ptr + at, mask=at < n, other=float('-inf'))\ntl.store(out_ptr + at, g)", 1),
    "block pointer": ("p = tl.make_block_ptr(base=g_ptr, shape=(n,))\ng = tl.where(at < n, tl.load(p), -1e9)\ntl.store(out_ptr, g)", 1),
    "store": ("tl.store(g_ptr + at, -1e9, mask=at < n)", 1),
    "recomputed": ("s = tl.where(at < n, tl.load(s_ptr + at), -1e9)\ntl.store(out_ptr, tl.exp(s) * tl.load(g_ptr + at))", 0),
    "scores loaded": ("s = tl.load(s_ptr + at, mask=at < n, other=float('-inf'))\ntl.store(out_ptr, tl.exp(s) * tl.load(g_ptr + at))", 0),
    "running maximum": ("m = tl.full([B], float('-inf'), tl.float32)\nm = tl.maximum(m, tl.load(g_ptr + at))\ntl.store(out_ptr, m)", 0),
    "place from a gradient's pointer": ("s = tl.load(s_ptr + at * n, mask=at < n, other=-1e9)\ntl.store(out_ptr, s)", 0),
}  # fmt: skip


@pytest.mark.parametrize("name", KERNELS)
def test_triton_kernel(name: str) -> None:
    body, count = KERNELS[name]
    assert len(lines(kernel(body))) == count


CUDA = {
    "ternary": ("out[i] = m[i] ? -1e9f : g[i];", 1),
    "ternary, the other way": ("out[i] = i < n ? g[i] : -INFINITY;", 1),
    "overwritten": ("float v = g[i]; if (i > n) v = -FLT_MAX; out[i] = v;", 1),
    "seeded": ("float v = -1e30f; if (i < n) v = g[i]; out[i] = v;", 1),
    "stored": ("if (i > n) out[i] = -1e9f; else out[i] = g[i];", 1),
    "cast": ("out[i] = i < n ? g[i] : (float)-1e9;", 1),
    "zero": ("out[i] = m[i] ? 0.0f : g[i];", 0),
    "in a comment": ("out[i] = g[i]; // -1e9f", 0),
    "scores": ("float s = m[i] ? -1e9f : q[i]; out[i] = expf(s) * g[i];", 0),
    "maximum": ("float h = -INFINITY; for (int j = 0; j < n; ++j) h = fmaxf(h, g[j]); out[i] = h;", 0),
    "compared": ("float h = -INFINITY; for (int j = 0; j < n; ++j) { if (g[j] > h) h = g[j]; } out[i] = h;", 0),
}


@pytest.mark.parametrize("name", CUDA)
def test_cuda_string(name: str) -> None:
    body, count = CUDA[name]
    source = f'import cupy\nK = cupy.RawKernel(r"""extern "C" __global__ void k(const float* q, const float* g, const bool* m, float* out, int n)\n{{ int i = threadIdx.x; {body} }}""", "k")\n'
    launched = backward("K((1,), (8,), (q, grad, mask, k, 8))", source)
    assert len(lines(launched)) == count
    assert lines(launched.replace("(q, grad, mask", "(q, q, mask")) == []


def project(files: dict[str, str]) -> Project:
    """Files in memory as a project."""
    data = {f"/p/{path}": code.encode() for path, code in files.items()}
    indexes: dict[str, FileIndex] = {}

    def load(path: str) -> FileIndex:
        if path not in indexes:
            indexes[path] = build_index(ast.parse(data[path]), path)
        return indexes[path]

    def load_syntax(path: str) -> Syntax:
        return Syntax(ast.parse(data[path]))

    def containing(triggers: tuple[tuple[str, ...], ...]) -> list[str]:
        return [path for path in data if all(any(word.encode() in data[path] for word in group) for group in triggers)]

    return Project("/p", frozenset(data), load, data.get, containing, load_syntax)


HELPERS = "def hide(x, m, v=-1e9):\n    return x.masked_fill(m, v)\n"

PROJECTS: dict[str, tuple[dict[str, str], list[tuple[str, int]]]] = {
    "from import": ({"a.py": backward("return hide(grad, mask)", "from b import hide"), "b.py": HELPERS}, [("b.py", 2)]),
    "module import": ({"a.py": backward("return b.hide(grad, mask)", "import b"), "b.py": HELPERS}, [("b.py", 2)]),
    "package": ({"a.py": backward("return hide(grad, mask)", "from ops import hide"), "ops/__init__.py": "from .b import *\n", "ops/b.py": HELPERS}, [("ops/b.py", 2)]),
    "re-export": ({"a.py": backward("return cover(grad, mask)", "from ops import cover"), "ops/__init__.py": "from .b import hide as cover\n", "ops/b.py": HELPERS}, [("ops/b.py", 2)]),
    "a file between": ({"a.py": backward("return between(grad, mask)", "from c import between"), "c.py": "from b import hide\ndef between(x, m):\n    return hide(x * 2, m)\n", "b.py": HELPERS}, [("b.py", 2)]),
    "scores only": ({"a.py": backward("return hide(q, mask).softmax(-1) * grad", "from b import hide"), "b.py": HELPERS}, []),
    "zero passed": ({"a.py": backward("return hide(grad, mask, 0.0)", "from b import hide"), "b.py": HELPERS}, []),
    "number passed": ({"a.py": IMPORTS + "from b import hide\nx.register_hook(lambda g: hide(g, 1, -1e4))\n", "b.py": HELPERS}, [("a.py", 13)]),
    "constant": ({"a.py": IMPORTS + "from b import NEG\nx.register_hook(lambda g: g.masked_fill(m, NEG))\n", "b.py": "NEG = -1e9\n"}, [("a.py", 13)]),
    "constant that is none": ({"a.py": IMPORTS + "from b import PAD\nx.register_hook(lambda g: g.masked_fill(m, PAD))\n", "b.py": "PAD = 0\n"}, []),
    "hook of another file": ({"a.py": "from b import hook\nx.register_hook(hook)\n", "b.py": "def hook(g):\n    return g.masked_fill(m, -1e9)\n"}, [("b.py", 2)]),
    "maker of another file": ({"a.py": "from b import make\nx.register_hook(make(m))\n", "b.py": "def make(m):\n    def hook(g):\n        return g.masked_fill(m, -1e9)\n    return hook\n"}, [("b.py", 3)]),
    "kernel source of another file": ({"a.py": backward("K((1,), (8,), (grad, q))", "import cupy\nfrom b import SOURCE\nK = cupy.RawKernel(SOURCE, 'k')"), "b.py": 'SOURCE = """__global__ void k(const float* g, float* out) { out[0] = g[0] > 0 ? g[0] : -1e9f; }"""\n'}, [("b.py", 1)]),
    "never called with a gradient": ({"a.py": backward("return grad"), "b.py": HELPERS + "def forward(x):\n    return hide(x, x)\n"}, []),
    "a name that is missing": ({"a.py": backward("return hide(grad, mask)", "from gone import hide"), "b.py": HELPERS}, []),
    "an import in a circle": ({"a.py": backward("return hide(grad, mask)", "from b import hide"), "b.py": "from c import hide\n", "c.py": "from b import hide\n"}, []),
}  # fmt: skip


@pytest.mark.parametrize("name", PROJECTS)
def test_route_through_files(name: str) -> None:
    files, expected = PROJECTS[name]
    for order in (sorted(files), sorted(files, reverse=True)):
        whole = project(files)
        found = []
        for path in order:
            found += [(path, fill.spot.row) for fill in fills_of(files[path], f"/p/{path}", whole)]
        assert sorted(found) == expected, order


def test_flows_stay_plain() -> None:
    code = backward("return grad.masked_fill(mask, -1e9)", "K = '__global__ void k(float* x) { x[0] = -1e9f; }'")
    found = flows_of(code)
    assert pickle.loads(pickle.dumps(found)) == found
    assert any(flow.fills for flow in found)


def test_a_file_without_gradients_is_not_read() -> None:
    assert [flow.unread for flow in flows_of(HELPERS)] == [True]
    assert fills_of(HELPERS, "helpers.py") == ()


def test_deep_nesting_is_left_alone() -> None:
    code = backward("return grad.masked_fill(mask, -1e9)") + "x = " + " + ".join(["y"] * 1500) + "\n"
    assert flows_of(code) == ()


def test_nested_calls_are_read_once() -> None:
    chain = "grad" + ".abs()" * 60
    choice = "grad"
    for _ in range(40):
        choice = f"torch.where(mask, {choice}, 0.0)"
    assert len(lines(backward(f"return {chain}.masked_fill(mask, -1e9) + {choice}.masked_fill(mask, -1e9)"))) == 2


def test_route_names_every_hop() -> None:
    code = backward("return outer(grad, mask)", HELPER + "def outer(y, m):\n    return helper(y, m)\n")
    (fill,) = fills_of(code, "code.py")
    assert [step.name for step in fill.route] == ["Op.backward", "outer", "helper"]
    assert code.splitlines()[fill.route[2].row - 1].strip() == "return helper(y, m)"


def test_text_in_hand_wins_over_the_disk() -> None:
    files = PROJECTS["from import"][0]
    whole = project(files)
    changed = HELPERS.replace("-1e9", "0.0")
    assert fills_of(changed, "/p/b.py", whole) != (), "the project still reads the disk"
    now = whole.with_text("/p/b.py", read_source("b.py", "python", changed.encode()))
    assert fills_of(changed, "/p/b.py", now) == ()
