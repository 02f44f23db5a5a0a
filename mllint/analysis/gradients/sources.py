"""Which functions are handed a gradient by their own nature: backward methods, custom gradients.

May not: follow the gradient from there; functions registered by a call (hooks) are met in `taint_calls`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mllint.analysis.names import dotted_name

if TYPE_CHECKING:
    from mllint.analysis.index import Definition, FileIndex

#: Calls that hand a function over to autograd: the place of that function among the arguments (by name where it
#: has one), and which of its parameters then receive gradients. None: all from there on.
REGISTRARS: Mapping[str, tuple[tuple[int | str, ...], int, int | None]] = {
    "register_hook": ((0, "hook"), 0, 1),
    "register_prehook": ((0,), 0, 1),
    "register_backward_hook": ((0, "hook"), 1, 3),
    "register_full_backward_hook": ((0, "hook"), 1, 3),
    "register_full_backward_pre_hook": ((0, "hook"), 1, 2),
    "register_module_full_backward_hook": ((0, "hook"), 1, 3),
    "register_module_full_backward_pre_hook": ((0, "hook"), 1, 2),
    "register_post_accumulate_grad_hook": ((0, "hook"), 0, 1),
    "register_multi_grad_hook": ((1, "fn"), 0, 1),
    "register_autograd": ((0, 1, "backward"), 1, None),
    "defvjp": ((1, "bwd"), -1, None),
    "custom_vjp": ((2, "backward_fn"), -1, None),
}

#: One of these stands in every file that hands a gradient to a function of its own.
SOURCE_PHRASES = ("def backward", "def vjp", "custom_gradient", "RegisterGradient", "backward = ", *sorted(REGISTRARS))

_SOURCES = tuple(phrase.encode() for phrase in SOURCE_PHRASES)
BACKWARD = b"def backward"

#: Parameters of a backward that hold no gradient, whatever library it is of.
_NO_GRADIENT = frozenset(
    {"self", "ctx", "cls", "variables", "req", "in_data", "out_data", "aux", "indexes", "upstream"}
)


#: What a layer of somebody's own framework calls the gradient that its ``backward`` is given.
_OWN_GRADIENT = re.compile(
    r"d?grads?|grad_\w+|\w+_grads?|d_?(?:y|out|outputs?)|dL\w*|upstream_gradients?|gradients?|\w+_gradients?"
)


def layer_gradients(node: ast.ClassDef, method: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[str, ...]:
    """The gradients of a hand-written layer: a class with a forward and a ``backward(self, grad_output)``."""
    names = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    if method.name != "backward" or not names & {"forward", "__call__", "call"}:
        return ()
    return tuple(item.arg for item in method.args.args[1:2] if _OWN_GRADIENT.fullmatch(item.arg))


def is_autograd_class(node: ast.ClassDef, aliases: Mapping[str, str], known: frozenset[str]) -> bool:
    """Do instances of this class define an operation with a backward of its own?"""
    methods = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
    if "backward" not in methods and "vjp" not in methods:
        return False
    for base in node.bases:
        written = dotted_name(base.value if isinstance(base, ast.Subscript) else base)
        head, dot, rest = written.partition(".")
        dotted = aliases.get(head, head) + dot + rest
        last = dotted.rpartition(".")[2]
        if written in known or last in ("PyLayer", "PyLayerContext", "CustomOp", "FunctionNode"):
            return True
        if dotted.endswith(("autograd.Function", "autograd.function.Function", "autograd.function.InplaceFunction")):
            return True
        forward = methods.get("forward")
        if (
            last.endswith("Function")
            and forward
            and forward.args.args[:1]
            and forward.args.args[0].arg in ("ctx", "self")
        ):
            return True
    return False


def autograd_classes(defined: list[ast.ClassDef], aliases: Mapping[str, str]) -> frozenset[ast.ClassDef]:
    """The classes of a file whose ``backward`` autograd calls, those that inherit from another one included."""
    classes = [node for node in defined if node.bases]
    found: set[ast.ClassDef] = set()
    while True:
        known = frozenset(node.name for node in found)
        more = {node for node in classes if node not in found and is_autograd_class(node, aliases, known)}
        if not more:
            return frozenset(found)
        found |= more


def source_phrases(data: bytes) -> list[bytes]:
    """Which signs of a gradient that enters are in a file's text."""
    return [phrase for phrase in _SOURCES if phrase in data]


def does_not_enter(data: bytes, index: FileIndex) -> bool:
    """Is a file's only sign of a gradient a ``backward`` that its index knows for a trainer's? `flows` finds nothing then."""
    return not _may_have_backward(index) and source_phrases(data) == [BACKWARD]


def _may_have_backward(index: FileIndex) -> bool:
    """Could some ``backward`` of a file be one that autograd or a layer calls, as far as its index tells? Many are a
    trainer's, and their files need not be parsed once more (84 of 706 files with a ``backward``)."""
    classes: dict[str, list[Definition]] = {}
    for each in index.definitions:
        if each.kind == "class":
            classes.setdefault(each.qualname, []).append(each)
    own = {name.rpartition(".")[2] for name in classes}
    for each in index.definitions:
        owner, _, name = each.qualname.rpartition(".")
        if name != "backward" or each.kind == "class" or owner not in classes:
            continue
        if any(_OWN_GRADIENT.fullmatch(parameter) for parameter in each.parameters):
            return True
        if any(_may_be_autograd(base, own, index) for holder in classes[owner] for base in holder.bases):
            return True
    return False


def _may_be_autograd(base: str, own: set[str], index: FileIndex) -> bool:
    """Could a base class make a ``backward`` autograd's? One of the file itself, or of no plain name, could."""
    last = index.dotted(base).rpartition(".")[2]
    return not base or base in own or "Function" in last or last in ("PyLayer", "PyLayerContext", "CustomOp")


def received(function: ast.FunctionDef | ast.AsyncFunctionDef, parameters: tuple[str, ...]) -> tuple[str, ...]:
    """The parameters of an autograd class's method that receive gradients."""
    if function.name not in ("backward", "vjp"):
        return ()
    if "out_grad" in parameters:  # MXNet's CustomOp names them
        return tuple(name for name in parameters if name in ("out_grad", "in_grad"))
    return tuple(name for name in parameters[1:] if name.lstrip("*") not in _NO_GRADIENT and name[:2] != "**")


def custom_gradients(function: ast.FunctionDef | ast.AsyncFunctionDef, aliases: Mapping[str, str]) -> bool:
    """Does the function return (value, gradient function), as TensorFlow's ``custom_gradient`` asks?"""
    return any(_decorated(item, aliases, "custom_gradient") for item in function.decorator_list)


def registered_gradient(function: ast.FunctionDef | ast.AsyncFunctionDef, aliases: Mapping[str, str]) -> bool:
    """Is it ``@tf.RegisterGradient("Op") def f(op, *gradients)``?"""
    return any(_decorated(item, aliases, "RegisterGradient") for item in function.decorator_list)


def is_device_code(function: ast.FunctionDef | ast.AsyncFunctionDef, aliases: Mapping[str, str]) -> bool:
    """Is it compiled to run once per element or block (Triton, Numba, Pallas has no mark)?"""
    return any(
        _decorated(item, aliases, "jit", "njit", "vectorize", "guvectorize", "cuda.jit")
        for item in function.decorator_list
    )


def _decorated(decorator: ast.expr, aliases: Mapping[str, str], *names: str) -> bool:
    written = dotted_name(decorator.func if isinstance(decorator, ast.Call) else decorator)
    head, dot, rest = written.partition(".")
    dotted = aliases.get(head, head) + dot + rest
    return dotted.rpartition(".")[2] in names and "torch.jit" not in dotted and not dotted.startswith("jax.")
