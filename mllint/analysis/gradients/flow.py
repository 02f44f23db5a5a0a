"""The plain facts about gradients that one file's index carries.

May not: compute them (`gradients`, `taint`), or follow them to another file (`routes`).
"""

from __future__ import annotations

from dataclasses import dataclass

#: The label of a value that is a gradient whoever calls: what a hook is handed.
ALWAYS = "!"


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """Where an expression stands, as ``ast`` counts: one-based rows, zero-based columns in UTF-8 bytes."""

    row: int
    column: int
    end_row: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Amount:
    """What is known of a fill value: ``negative`` is a large negative constant.

    ``through`` names where the value comes from otherwise: the label of a parameter, or ``=`` and the dotted
    name of an imported constant. ``spot`` is the value's own text where that is a plain expression.
    """

    negative: bool = False
    through: str = ""
    spot: Spot | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """An overwriting of elements. ``origins`` are the labels of the parameters whose values are overwritten.

    In a kernel source, ``literal`` is the fill as written there and ``nth`` its number among equal texts in the
    string at ``spot``; elsewhere ``literal`` is empty.
    """

    form: str
    spot: Spot
    origins: tuple[str, ...]
    amount: Amount
    literal: str = ""
    nth: int = 0


@dataclass(frozen=True, slots=True)
class Passed:
    """One argument of a call: the labels that its value derives from, and what it is as a fill value."""

    origins: tuple[str, ...]
    amount: Amount


@dataclass(frozen=True, slots=True)
class Handover:
    """A call that passes something on. ``callee`` is ``@`` and a qualified name of this file, or a dotted name.

    A trailing ``()`` means: what calling that function returns. ``bound`` parameters are filled before the
    first argument (by ``partial``); ``instance``: called on an object, which fills the first one of a method.
    """

    callee: str
    spot: Spot
    positional: tuple[Passed, ...]
    keywords: tuple[tuple[str, Passed], ...] = ()
    bound: int = 0
    instance: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """How gradients move through one function, kernel or module level.

    Labels are ``qualname:parameter``. ``gradients`` are the parameters that receive a gradient by the
    function's own nature, ``negatives`` those with a large negative default (for module level: the constants).
    ``method`` is "", "static", "class" or "instance". ``stands_for`` makes the name another one's alias,
    ``returned`` is the local function that a call gives back. ``unread``: nothing is known of this file yet.
    """

    qualname: str
    line: int = 0
    parameters: tuple[str, ...] = ()
    gradients: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    method: str = ""
    fills: tuple[Fill, ...] = ()
    handovers: tuple[Handover, ...] = ()
    stands_for: str = ""
    returned: str = ""
    unread: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One hop of a gradient's way: the row in a file where it enters or is passed on."""

    path: str
    row: int
    name: str


@dataclass(frozen=True, slots=True)
class GradientFill:
    """A large negative fill on a gradient, in the file asked about.

    ``spot`` is what to point at, ``value`` the text that a fix may replace (None: none may), ``route`` the way
    of the gradient from where it enters to the function with the fill. ``function`` holds the fill.
    """

    form: str
    spot: Spot
    value: Spot | None
    function: str
    route: tuple[Step, ...]
    literal: str = ""
    nth: int = 0


def own_label(qualname: str, parameter: str) -> str:
    """The label of a function's parameter, stars left out."""
    return f"{qualname}:{parameter.lstrip('*')}"


def arguments_of(handover: Handover, parameters: tuple[str, ...], method: str, skip: int = 0) -> dict[str, Passed]:
    """Which parameter each argument of a call fills. ``skip``: filled ones that only the caller knows of."""
    shift = handover.bound + skip
    if (method == "instance" and handover.instance) or method == "class":
        shift += 1
    found: dict[str, Passed] = {}
    plain = [name for name in parameters if name[:2] != "**"]
    starred = next((at for at, name in enumerate(plain) if name[0] == "*"), len(plain))
    for at, passed in enumerate(handover.positional, shift):
        if at < starred:
            found[plain[at]] = passed
        elif starred < len(plain):
            name = plain[starred]
            before = found.get(name)
            origins = set(passed.origins) | set(before.origins if before else ())
            found[name] = Passed(tuple(sorted(origins)), Amount())
    for name, passed in handover.keywords:
        if name in parameters:
            found[name] = passed
    return found


#: Under this key the flows of a file are left for the project.
FLOWS = "gradient flows"

#: What stands for the flows of a file in which no gradient enters: it may fill, but what it fills is only read where a
#: gradient arrives from elsewhere.
UNREAD: tuple[Flow, ...] = (Flow("", unread=True),)
