"""Which names a statement mentions when it runs, and which only in bodies that run later.

May not: resolve names or judge. Works on names as written and rather counts one too many: a loop's or a
``with`` statement's target counts as mentioned, so does a name that a comprehension shadows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mllint.analysis.names import written_name
from mllint.analysis.walk import children

if TYPE_CHECKING:
    import libcst as cst

#: Node classes that bind names, with the field that holds the target.
_BINDERS = {
    "AnnAssign": "target",
    "AsName": "name",
    "AssignTarget": "target",
    "AugAssign": "target",
    "ClassDef": "name",
    "CompFor": "target",
    "For": "target",
    "FunctionDef": "name",
    "MatchAs": "name",
    "MatchStar": "name",
    "NamedExpr": "target",
    "Param": "name",
}

_TARGET_LISTS = frozenset({"Tuple", "List", "Element", "StarredElement"})

#: Parts of expressions and of a function's head that run nothing they mention. A decorator does.
_KEEPING_TEXT = (
    "Annotation Arg AsName Attribute BitOr ConcatenatedString Dict DictElement Element Ellipsis Float Index Integer List "
    "Name Param ParamSlash ParamStar Parameters Set SimpleString StarredElement Subscript SubscriptElement Tuple"
)
_KEEPING = frozenset(_KEEPING_TEXT.split())

_NO_NAMES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reads:
    """``now``: mentioned while the statement runs; ``later``: only in bodies of functions and lambdas.

    ``run``: those of ``now`` that the statement may also run, not just keep (``step = Model.apply``) or name as a type.
    A chain of names is there in all its lengths: ``sys.modules`` and ``sys``. ``binds``: names it assigns.
    """

    now: frozenset[str]
    run: frozenset[str]
    later: frozenset[str]
    binds: frozenset[str]


@dataclass
class _Collector:
    """``runs_now`` says of a function whether a decorator may run its body, or read its names, at once."""

    runs_now: Callable[[cst.FunctionDef], bool]
    annotations_run: bool
    run: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)

    def collect(self, root: cst.CSTNode) -> None:
        pending: list[tuple[cst.CSTNode, set[str], frozenset[str]]] = [(root, self.run, _NO_NAMES)]
        while pending:
            node, sink, own = pending.pop()
            kind = type(node).__name__
            if sink is self.kept and not _only_keeps(node):
                sink = self.run
            if kind == "Name":
                if node.value not in own:  # type: ignore[attr-defined]
                    sink.add(node.value)  # type: ignore[attr-defined]
            elif kind == "Attribute":
                chain = written_name(node)
                if chain and chain.partition(".")[0] not in own:
                    sink.add(chain)
                pending.append((node.value, sink, own))  # type: ignore[attr-defined]
            elif kind == "AssignTarget" and type(node.target).__name__ == "Name":  # type: ignore[attr-defined]
                continue
            elif kind == "Assign":
                only_names = all(_target_names(target.target) for target in node.targets)  # type: ignore[attr-defined]
                pending.extend((target, sink, own) for target in node.targets)  # type: ignore[attr-defined]
                pending.append((node.value, self._keeping(sink) if only_names else sink, own))  # type: ignore[attr-defined]
            elif kind in ("Arg", "Param"):
                for part in ("value", "annotation", "default"):
                    if getattr(node, part, None) is not None:
                        pending.append((getattr(node, part), sink, own))
            elif kind in ("FunctionDef", "Lambda"):
                is_now = kind == "FunctionDef" and self.runs_now(node)  # type: ignore[arg-type]
                head_sink = sink if is_now else self._keeping(sink)  # a type is not run, nor is what a default names
                pending.extend((part, head_sink, own) for part in _header(node))
                body_sink = sink if is_now else self.later
                pending.append((node.body, body_sink, own | _locals(node)))  # type: ignore[attr-defined]
            elif kind == "ClassDef":
                pending.extend((part, sink, own) for part in (*_header(node), node.body))  # type: ignore[attr-defined]
            elif kind != "Annotation" or self.annotations_run:
                pending.extend((child, sink, own) for child in children(node))

    def _keeping(self, sink: set[str]) -> set[str]:
        """Where names go that stand in a place that only keeps them."""
        return self.kept if sink is self.run else sink


def reads(statement: cst.CSTNode, runs_now: Callable[[cst.FunctionDef], bool], annotations_run: bool) -> Reads:
    """What one statement mentions now and later. ``annotations_run`` is False under the ``annotations`` future."""
    collector = _Collector(runs_now, annotations_run)
    collector.collect(statement)
    run, now = frozenset(collector.run), frozenset(collector.run | collector.kept)
    return Reads(now, run, frozenset(collector.later), frozenset(bound_names(statement)))


def bound_names(root: cst.CSTNode) -> set[str]:
    """Names that a statement binds in its own scope: what functions and classes in it bind inside is left out."""
    found: set[str] = set()
    pending = [root]
    while pending:
        node = pending.pop()
        kind = type(node).__name__
        binder = _BINDERS.get(kind)
        if binder is not None:
            found.update(_target_names(getattr(node, binder)))
        elif kind == "ImportAlias" and node.asname is None:  # type: ignore[attr-defined]
            found.add(written_name(node.name).partition(".")[0])  # type: ignore[attr-defined]
        if kind not in ("FunctionDef", "ClassDef", "Lambda"):
            pending.extend(children(node))
    return found


def _header(node: cst.CSTNode) -> list[cst.CSTNode]:
    """The parts of a function, lambda or class that run where it stands."""
    parts: list[cst.CSTNode] = []
    for name in ("decorators", "params", "returns", "bases", "keywords"):
        value = getattr(node, name, None)
        if value is not None:
            parts.extend(value) if isinstance(value, (list, tuple)) else parts.append(value)
    return parts


def _only_keeps(node: cst.CSTNode) -> bool:
    """Does this part of an expression only pass on what it mentions, without running any of it?"""
    kind = type(node).__name__
    if kind == "Call":
        return written_name(node.func) in ("partial", "functools.partial")  # type: ignore[attr-defined]
    if kind == "BinaryOperation":
        return type(node.operator).__name__ == "BitOr"  # type: ignore[attr-defined]  # a type or another
    return kind in _KEEPING


def _locals(function: cst.CSTNode) -> frozenset[str]:
    """Names that mean something of its own inside a function or lambda."""
    names: set[str] = set()
    outer: set[str] = set()
    for part in (function.params, function.body):  # type: ignore[attr-defined]
        names |= bound_names(part)
    pending = [function.body]  # type: ignore[attr-defined]
    while pending:
        node = pending.pop()
        kind = type(node).__name__
        if kind in ("Global", "Nonlocal"):
            outer.update(item.name.value for item in node.names)
        if kind not in ("FunctionDef", "ClassDef", "Lambda"):
            pending.extend(children(node))
    return frozenset(names - outer)


def _target_names(target: cst.CSTNode | None) -> set[str]:
    if target is None:
        return set()
    kind = type(target).__name__
    if kind == "Name":
        return {target.value}  # type: ignore[attr-defined]
    if kind in _TARGET_LISTS:
        return {name for child in children(target) for name in _target_names(child)}
    return set()
