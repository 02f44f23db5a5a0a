"""Names of functions and methods of numeric libraries, by what becomes of a gradient in them.

May not: hold anything but names.
"""

from __future__ import annotations

# fmt: off

#: First parts of dotted names whose functions compute with numbers and keep nothing.
NUMERIC = frozenset({
    "chainer", "cupy", "einops", "jax", "keras", "math", "mindspore", "mlx", "mxnet", "numba", "numpy", "paddle", "scipy",
    "tensorflow", "tinygrad", "torch", "triton",
})

#: What follows from a tensor without being computed from its elements.
QUERIES = frozenset({
    "Generator", "all", "allclose", "any", "arange", "argmax", "argmin", "argpartition", "argsort", "argwhere",
    "array_equal", "bincount", "bool", "can_cast", "cdiv", "device", "dim", "dtype", "element_size", "empty",
    "empty_like", "eq", "equal", "eye", "finfo", "flatnonzero", "full", "full_like", "ge", "get_device",
    "get_shape", "getattr", "grad_fn", "greater", "greater_equal", "gt", "hasattr", "id", "iinfo", "int",
    "is_complex", "is_contiguous", "is_cuda", "is_floating_point", "is_leaf", "is_meta", "is_nested",
    "is_quantized", "is_sparse", "is_tensor", "isclose", "isfinite", "isinf", "isinstance", "isnan", "isneginf",
    "isposinf", "item", "item_size", "itemsize", "layout", "le", "len", "less", "less_equal", "linspace",
    "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "manual_seed", "names", "nbytes", "ndim",
    "ndimension", "ne", "nelement", "new_empty", "new_full", "new_ones", "new_tensor", "new_zeros",
    "next_power_of_2", "nonzero", "not_equal", "num_programs", "numel", "one_hot", "ones", "ones_like", "print",
    "program_id", "promote_types", "rand", "rand_like", "randint_like", "randn", "randn_like", "range", "rank",
    "repr", "requires_grad", "result_type", "searchsorted", "shape", "shape_n", "size", "storage_offset", "str",
    "stride", "strides", "tolist", "type", "type_as_dtype", "unique", "zeros", "zeros_like",
})

#: Functions whose result no longer shows a very negative element, or which only choose.
CHOOSERS = frozenset({
    "amax", "clamp", "clamp_", "clamp_min", "clamp_min_", "clip", "clip_", "clip_by_value", "cummax", "entmax15",
    "exp", "exp2", "fmax", "logsumexp", "max", "maximum", "min_max", "nan_to_num", "nan_to_num_", "reduce_max",
    "relu", "sigmoid", "softmax", "sparsemax",
})

#: Functions that return values and places; what matters of them is the places.
RANKERS = frozenset({
    "approx_max_k", "kthvalue", "msort", "multinomial", "sort", "top_k", "topk",
})

#: Tensor methods whose result is computed from their arguments too.
ARITHMETIC = frozenset({
    "__add__", "__matmul__", "__mul__", "__radd__", "__rmul__", "__sub__", "__truediv__", "add", "addbmm",
    "addcdiv", "addcmul", "addmm", "addmv", "addr", "append", "at", "baddbmm", "bmm", "cat", "concat", "copy",
    "cross", "div", "divide", "dot", "einsum", "extend", "fmod", "ger", "index_add", "index_copy", "index_put",
    "inner", "insert", "kron", "lerp", "masked_scatter", "matmul", "maximum", "minimum", "mm", "mul", "multiply",
    "mv", "outer", "pow", "rsub", "scatter", "scatter_add", "scatter_reduce", "set", "stack", "sub", "subtract",
    "true_divide", "vdot",
})

#: Functions that keep a part of a constant tensor, as a causal mask does.
TRIANGLES = frozenset({"tril", "triu", "tril_", "triu_", "band_part"})

#: Methods that change how a tensor is held, not what it holds.
RESHAPES = frozenset({
    "astype", "bfloat16", "clone", "contiguous", "copy", "cpu", "cuda", "detach", "double", "expand", "expand_as", "float",
    "half", "mT", "permute", "repeat", "reshape", "squeeze", "swapaxes", "t", "to", "transpose", "type", "type_as", "unsqueeze",
    "view", "view_as",
})
