"""Where gradients flow: which functions receive one, pass it on, and fill it with large constants.

May not: look at another file (`routes` does), or report.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from mllint.analysis.gradients.fills import Value, joined
from mllint.analysis.gradients.flow import UNREAD, Flow
from mllint.analysis.gradients.kernel_flows import kernel_flows
from mllint.analysis.gradients.scopes import Draft, Reading, Unit, collect, defaults_of, definitions
from mllint.analysis.gradients.sources import BACKWARD, source_phrases
from mllint.analysis.gradients.taint import Frame, read_unit


def flows(tree: ast.Module, aliases: Mapping[str, str], data: bytes) -> tuple[Flow, ...]:
    """One `Flow` for each function of a file that receives, passes on or fills what may be a gradient.

    Only files in which a gradient enters are read (20 of transformers' 2,860); for all others one flow says
    ``unread``, and `routes` reads them where it has to. ``data`` is the file's text.
    """
    phrases = source_phrases(data)
    if not phrases or (phrases == [BACKWARD] and not _has_backward(tree, aliases)):
        return UNREAD
    return read_flows(tree, aliases)


def _has_backward(tree: ast.Module, aliases: Mapping[str, str]) -> bool:
    """Is some ``backward`` one that autograd or a layer calls? Most are a trainer's, and cost a reading for nothing."""
    return any(unit.gradients for unit in collect(tree, aliases).units.values())


def read_flows(tree: ast.Module, aliases: Mapping[str, str]) -> tuple[Flow, ...]:
    """The flows of every function, kernel and module-level alias of a file; none where it is nested too deeply."""
    try:
        return _read(tree, aliases)
    except RecursionError:
        return ()


def _read(tree: ast.Module, aliases: Mapping[str, str]) -> tuple[Flow, ...]:
    reading = collect(tree, aliases)
    reading.drafts[""] = Draft()
    top = Frame(reading, Unit(_NOBODY, "", ()), reading.module)
    top.run(
        [statement for statement in tree.body if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef))]
    )
    _constants(reading, tree)
    top.run(tree.body)  # again, with what functions and attributes stand for
    for qualname in list(reading.units):
        if qualname not in reading.drafts:
            read_unit(reading, reading.units[qualname])
    found = [_flow(reading, qualname, draft) for qualname, draft in reading.drafts.items()]
    called = {handover.callee for flow in found for handover in flow.handovers if "$" in handover.callee}
    found += kernel_flows(reading.texts, sorted(called))
    found += [
        Flow(name, stands_for=value.callee or "$" + value.text)
        for name, value in reading.module.items()
        if (value.callee and value.callee != "@" + name) or value.text
    ]
    return tuple(flow for flow in found if _says_something(flow))


#: What the module level is a function of.
_NOBODY = ast.Lambda(
    args=ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[]), body=ast.Constant(None)
)


def _says_something(flow: Flow) -> bool:
    return bool(flow.fills or flow.handovers or flow.gradients or flow.negatives or flow.stands_for or flow.returned)


def _flow(reading: Reading, qualname: str, draft: Draft) -> Flow:
    """The frozen facts of one function; fills that nothing comes of are left out."""
    unit = reading.units.get(qualname)
    fills = tuple(fill for fill, _, token in draft.fills.values() if token in reading.live)
    handovers = tuple(draft.handovers.values())
    if unit is None:
        negatives = tuple(name for name, value in reading.module.items() if value.negative)
        return Flow("", negatives=negatives, handovers=handovers)
    returned = draft.returned.callee if draft.returned else ""
    return Flow(
        qualname,
        unit.node.lineno,
        unit.parameters,
        unit.gradients,
        unit.negatives,
        unit.method,
        fills,
        handovers,
        returned=returned,
    )


def _constants(reading: Reading, tree: ast.Module) -> None:
    """Attributes that only ever hold constants (``ctx.fill = -1e9``), and parameters with negative defaults."""
    for unit in list(reading.units.values()):
        frame = Frame(reading, Unit(unit.node, "", ()), {})
        for name, default in defaults_of(unit.node.args):
            frame.env[name] = frame.value(default)
        unit.negatives = tuple(name for name, value in frame.env.items() if value.negative)
        if not isinstance(unit.node, ast.Lambda):
            _attributes(frame, unit.node.body)
    for _, node in definitions(tree.body):
        if isinstance(node, ast.ClassDef):
            frame = Frame(reading, Unit(_NOBODY, "", ()), {})
            for statement in node.body:
                if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                    _hold(reading, statement.targets[0].id, frame.value(statement.value))


def _attributes(frame: Frame, body: list[ast.stmt]) -> None:
    for statement in body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Attribute):
                    _hold(frame.reading, target.attr, frame.value(statement.value))
        for block in ("body", "orelse", "finalbody"):
            if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                _attributes(frame, getattr(statement, block, []))


def _hold(reading: Reading, name: str, value: Value) -> None:
    """One more value that an attribute of this name is given somewhere in the file."""
    plain = Value(number=value.number, callee=value.callee, bound=value.bound, text=value.text)
    known = reading.attributes.get(name)
    reading.attributes[name] = plain if known is None else joined(known, plain)
