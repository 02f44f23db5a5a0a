"""How gradients would move through PTX: registers, loads and stores of each entry.

May not: run or check the code.
"""

from __future__ import annotations

import re
import struct

from mllint.analysis.gradients.fills import LARGE
from mllint.analysis.gradients.flow import Flow, Spot
from mllint.analysis.gradients.kernel_flows import COMMENT, Body, closing, parameters_in

_ENTRY = re.compile(r"\.(?:entry|func)\s+(\w+)\s*\(([^()]*)\)[^{]*\{")
_INSTRUCTION = re.compile(r"(?:^|;|\{|:)\s*(@!?%\w+\s+)?([a-z][\w.]*)\s+([^;{}]*)(?=;)")
_PTX_NUMBER = re.compile(
    r"0[fF][0-9a-fA-F]{8}\b|0[dD][0-9a-fA-F]{16}\b|0x[fF][fFbB][0-9a-fA-F]{2}(?:[0-9a-fA-F]{4})?\b"
)


def ptx_flows(text: str, token: str, spot: Spot) -> list[Flow]:
    """The flows of the entries of a PTX source."""
    code = COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
    found = []
    for match in _ENTRY.finditer(code):
        body = Body(code, token, spot, match.group(1), tuple(parameters_in(match.group(2))), {}, frozenset())
        _read_ptx(body, match.end(), closing(code, match.end()))
        found.append(body.flow(0, 0))
    return found


def _read_ptx(body: Body, start: int, end: int) -> None:
    for match in _INSTRUCTION.finditer(body.code, start - 1, end):
        guard, operation, text = match.groups()
        operands = [item.strip() for item in text.split(",")]
        kind = operation.partition(".")[0]
        at = match.start(3)
        if kind in ("setp", "bra", "max", "ex2", "ret", "bar") or len(operands) < 2:
            continue
        target = operands[0].strip("[]").partition("+")[0].strip()
        fill = next((item for item in operands[1:] if _ptx_fill(item) or item in body.pending), "")
        labels: frozenset[str] = frozenset()
        for item in operands[1:]:
            for word in re.findall(r"%?\w+", item):
                labels |= body.labels.get(word, frozenset())
        place, literal = body.pending.get(fill, (body.code.find(fill, at), fill)) if fill else (at, "")
        if kind == "st":
            if fill:
                body.fill("store", place, literal, body.labels.get(target, frozenset()))
        elif fill and kind == "selp" and labels:
            body.fill("conditional", place, literal, labels)
            body.labels[target] = labels
        elif fill and kind == "mov":
            if guard and body.labels.get(target):
                body.fill("overwrite", place, literal, body.labels[target])
            else:
                body.pending[target] = (place, literal)
                body.labels.pop(target, None)
        else:
            body.pending.pop(target, None)
            body.labels[target] = labels | (body.labels.get(target, frozenset()) if guard else frozenset())


def _ptx_fill(operand: str) -> bool:
    if _PTX_NUMBER.fullmatch(operand) is None:
        return False
    digits = bytes.fromhex(operand[2:])
    kinds = {8: ">d", 4: ">f", 2: ">e"}
    return bool(struct.unpack(kinds[len(digits)], digits)[0] <= LARGE)
