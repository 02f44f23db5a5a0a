"""Phrases without which a file can compile or trace nothing: what rules use as triggers.

May not: import anything, since every run loads it.
"""

#: The libraries that compile.
LIBRARIES = ("torch", "tensorflow", "jax", "equinox", "flax")

#: `tf.function`, however it is imported; ``.function`` alone would let every ``torch.nn.functional`` pass.
TENSORFLOW = ("tf.function", ".function(", ".function\n", ".function\r", "import function", "function as")

#: `torch.compile`, not `torch.compiler`; ``re.compile`` stands in too many files.
TORCH_COMPILE = (
    *(f"torch.compile{after}" for after in "(),; \t\r\n"),
    *("import compile", ", compile", "compile as", "torch as"),
)

#: `jax.jit`, `torch.jit.trace` and their like.
JIT = ("jit", "pmap", "symbolic_trace", "fx import")

#: Exports and captures.
EXPORTS = (".export", "import export", "torch.onnx", "cuda.graph", "cuda import", "torch.cuda as", "graphed")

#: CUDA graphs in a comment or a name: ``cudagraph``, ``CUDA graph``, ``cuda_graph``…
CUDA_GRAPHS = tuple(
    f"{cuda}{between}{graph}"
    for cuda in ("uda", "UDA")
    for between in ("", " ", "_", "-")
    for graph in ("graph", "Graph", "GRAPH")
)
