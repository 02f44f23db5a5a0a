"""What the text of a custom autograd Function says about a backward that differs from the derivative on purpose.

May not: run the Function, or look at another file.
"""

from __future__ import annotations

import re
from itertools import pairwise

#: Words of a class name that tell of a gradient changed or approximated on purpose. Rounding and signs need no words: their
#: derivative is zero.
_NAMES = frozenset(
    {
        "straight",
        "passthrough",
        "ste",
        "surrogate",
        "reverse",
        "reversal",
        "reversed",
        "reverser",
        "revgrad",
        "grl",
        "adversarial",
        "clip",
        "clamp",
        "clamper",
        "bound",
        "detach",
        "identity",
        "adjoint",
        "implicit",
        "approx",
        "approximate",
        "approximation",
        "stochastic",
        "perturbed",
        "smoothed",
        "relaxed",
        "proxy",
    }
)

#: Words that say so of a Function whose forward returns its input as it is.
_OF_IDENTITY = frozenset(
    {
        "grad",
        "gradient",
        "grads",
        "gradients",
        "backward",
        "bwd",
        "scale",
        "scaler",
        "multiply",
        "multiplier",
        "modifier",
        "stop",
        "noise",
        "inject",
        "aux",
        "auxiliary",
        "loss",
        "penalty",
        "filter",
        "hook",
        "copy",
        "reduce",
        "gather",
        "scatter",
        "parallel",
        "region",
        "sync",
        "broadcast",
        "neg",
        "negate",
        "flip",
        "rev",
        "weight",
        "mask",
        "norm",
        "warp",
    }
)

#: Words that stand in the name of almost any Function, and say so only beside "grad".
_WITH_GRAD = frozenset({"scale", "scaled", "mult", "mul", "weight", "weighted", "norm", "normalize", "trick"})
_GRAD = frozenset({"grad", "gradient", "grads", "gradients", "backward", "bwd"})

#: What a docstring or comment says about it.
_PHRASES = re.compile(
    r"straight[\s-]*through|gradient[\s-]*revers|revers\w*\s+(the\s+)?(sign\s+of\s+)?(the\s+)?gradient|surrogate|"
    r"pseudo[\s-]*(gradient|derivative)|gradient\s+(scal|clip|clamp|multipl|modif)\w*|scal\w+\s+(the\s+)?gradient|"
    r"\bSTE\b|\bGRL\b|pass(es|ed)?\s+(the\s+)?gradients?\s+straight\s+through|"
    r"(flip|negat|invert)\w*\s+(the\s+)?gradient|biased\s+gradient",
    re.IGNORECASE,
)


def made_up_on_purpose(name: str, text: str, identity: bool = False) -> str:
    """Why a Function's backward may differ on purpose, from its name and source: the words that say so; "" where none do.

    ``identity``: its forward returns its input as it is, so that its backward is all that it is for.
    """
    words = words_of(name)
    told = words & (_NAMES | _OF_IDENTITY if identity else _NAMES)
    if words & _GRAD:
        told |= words & _WITH_GRAD
    if told:
        return f"its name says {min(told, key=lambda word: (word not in _NAMES, word))}"
    found = _PHRASES.search(text)
    return f"its text says {' '.join(found.group().lower().split())}" if found else ""


def words_of(name: str) -> set[str]:
    """The words of a name in camel case or with underscores: ``GradReverse`` has grad and reverse."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    joined = {"".join(pair).lower() for pair in pairwise(parts)}
    return {part.lower() for part in parts} | (joined & {"revgrad", "passthrough"})
