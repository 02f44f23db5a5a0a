"""What a value is for a gradient's sake: derived from which parameters, a large negative constant, a mask bias.

May not: know statements or scopes; expressions are valued in `taint`, calls in `taint_calls`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mllint.analysis.gradients.flow import Amount, Spot
from mllint.analysis.gradients.tensor_words import NUMERIC

#: From here down a fill is large: real masks use -1e4, -65504, -1e9, -1e30, the dtype's least value or -inf.
LARGE = -1e3

NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of an expression's value.

    ``labels``: the parameters it is computed from, and the tokens (``#…``) of the fills it went through.
    ``number``: the one constant that all its elements hold. ``bias``: the constant that a mask was multiplied
    by. ``through``: an untouched parameter's label, or ``=`` and an imported name. ``maybe``: labels if its
    name says that it is a gradient. ``buffer``: the token of a tensor made of one large negative constant, and
    ``like`` the labels of what gave it its shape. ``callee``: the function it stands for, ``text``: the id of a
    string of this file. ``head``: the parameter that a pointer starts from, whatever was added to it.
    """

    labels: frozenset[str] = NOTHING
    number: float | None = None
    bias: float = 0.0
    through: str = ""
    maybe: frozenset[str] = NOTHING
    parts: tuple[Value, ...] = ()
    buffer: str = ""
    like: frozenset[str] = NOTHING
    callee: str = ""
    bound: int = 0
    text: str = ""
    head: str = ""

    @property
    def origins(self) -> frozenset[str]:
        """The labels without fill tokens."""
        return frozenset(label for label in self.labels if label[0] != "#")

    @property
    def negative(self) -> bool:
        """Is it, where a mask says so, a large negative constant?"""
        return (self.number is not None and self.number <= LARGE) or self.bias <= LARGE


UNKNOWN = Value()


def derived(values: Iterable[Value]) -> Value:
    """A value computed from all of these, with nothing else known of it."""
    labels: frozenset[str] = NOTHING
    maybe: frozenset[str] = NOTHING
    for value in values:
        labels |= value.labels
        maybe |= value.maybe
    return Value(labels, maybe=maybe) if labels or maybe else UNKNOWN


def joined(one: Value, other: Value) -> Value:
    """What is known where either value may stand (after an ``if``, say)."""
    if one == other:
        return one
    number = None
    if one.number is not None and other.number is not None:
        number = max(one.number, other.number)
    parts: tuple[Value, ...] = ()
    if len(one.parts) == len(other.parts):
        parts = tuple(map(joined, one.parts, other.parts))
    return Value(
        one.labels | other.labels,
        number,
        one.bias if one.bias == other.bias else 0.0,
        one.through if one.through == other.through else "",
        one.maybe | other.maybe,
        parts,
        one.buffer if one.buffer == other.buffer else "",
        one.like if one.buffer == other.buffer else NOTHING,
        one.callee if one.callee == other.callee else one.callee or other.callee,
        one.bound if one.callee else other.bound,
        one.text or other.text,
        one.head if one.head == other.head else "",
    )


def without_tokens(value: Value) -> Value:
    """The same where fills no longer show (a maximum, an exponential of them)."""
    return Value(value.origins, maybe=value.maybe)


def amount(value: Value, node: ast.expr) -> Amount:
    """What a value at this place is as a fill."""
    return Amount(value.negative, value.through, spot_of(node) if is_plain(node) else None)


def spot_of(node: ast.expr | ast.stmt) -> Spot:
    """The place of a node."""
    return Spot(node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)


def is_plain(node: ast.expr) -> bool:
    """Is it a constant written out at that place (no name that others share, except a library's)?"""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.UnaryOp):
        return is_plain(node.operand)
    if isinstance(node, ast.BinOp):
        return is_plain(node.left) and is_plain(node.right)
    if isinstance(node, ast.Attribute):
        if isinstance(node.value, ast.Call):
            return node.attr in ("min", "max") and _last(node.value.func) == "finfo"
        if node.attr in ("min", "max"):
            return _last(node.value) == "dtype" or "float" in _last(node.value)
        return node.attr in INFINITIES and isinstance(node.value, ast.Name)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "float" and all(map(is_plain, node.args))
    return False


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


#: Attributes of numeric libraries that are infinite.
INFINITIES = {
    "inf": math.inf,
    "Inf": math.inf,
    "infty": math.inf,
    "Infinity": math.inf,
    "PINF": math.inf,
    "NINF": -math.inf,
}
_EXTREMES = {"min": -3.4e38, "max": 3.4e38, "lowest": -3.4e38}


def named_number(node: ast.Attribute, dotted: str) -> float | None:
    """The number behind ``math.inf``, ``torch.finfo(...).min``, ``tf.float32.min``, else None."""
    if node.attr in INFINITIES and dotted.partition(".")[0] in NUMERIC:
        return INFINITIES[node.attr]
    if node.attr in _EXTREMES:
        owner = node.value
        if isinstance(owner, ast.Call) and _last(owner.func) == "finfo":
            return _EXTREMES[node.attr]
        if any(word in _last(owner) for word in ("dtype", "finfo", "float", "half")):
            return _EXTREMES[node.attr]
    return None


def folded(operator: ast.operator, left: float, right: float) -> float | None:
    """The result of an operation on two constants; None where there is none."""
    try:
        if isinstance(operator, ast.Add):
            return left + right
        if isinstance(operator, ast.Sub):
            return left - right
        if isinstance(operator, ast.Mult):
            return left * right
        if isinstance(operator, ast.Div):
            return left / right
        if isinstance(operator, ast.Pow) and abs(right) < 400:
            power = left**right
            return power if isinstance(power, (int, float)) else None
    except (ArithmeticError, ValueError):
        return None
    return None


def negated(value: Value) -> Value:
    """``-value``."""
    number = None if value.number is None else -value.number
    return replace(value, number=number, bias=-value.bias, through="", buffer="", parts=(), callee="")


def float_of(text: str) -> float | None:
    """``float("-inf")``'s number."""
    try:
        return float(text)
    except ValueError:
        return None
