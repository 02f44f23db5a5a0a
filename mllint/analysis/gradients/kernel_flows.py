"""How gradients would move through kernels whose source is a string: CUDA C, OpenCL, Metal and PTX.

May not: compile or fully parse them. Statements are read in order with regular expressions; what they do not
recognise, moves nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping

from mllint.analysis.gradients.fills import LARGE, spot_of
from mllint.analysis.gradients.flow import Amount, Fill, Flow, Handover, Passed, Spot, own_label

_IS_KERNEL = re.compile(r"__global__|__device__|__kernel\b|kernel\s+void|\.entry\b|\.func\b|torch::Tensor")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
_FUNCTION = re.compile(r"\b([A-Za-z_]\w*)\s*\(((?:[^(){};]|\([^()]*\))*)\)\s*(?:const\s*)?\{")
_NO_FUNCTION = frozenset({"if", "for", "while", "switch", "else", "return", "do", "catch"})
_WORD = re.compile(r"[A-Za-z_]\w*")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\s*((?:\[[^\]]*\]|\.\w+)*)\s*([-+*/|&]?)=(?!=)\s*(.*)", re.S)
_LIMITS = r"std::numeric_limits<[^<>]*>::(?:infinity|max)\(\)"
_LARGEST = (
    rf"-\s*(?:(\d[\d.]*(?:[eE][+]?\d+)?)[fFhHlL]?\b|(?:INFINITY|HUGE_VALF?|FLT_MAX|DBL_MAX|HALF_MAX|CUDART_\w*INF\w*|{_LIMITS}))"
    r"|std::numeric_limits<[^<>]*>::lowest\(\)|0xff800000[uU]?|0xFF800000[uU]?"
)
_NEGATIVE = re.compile(r"(?<![\w.)\]])" + _LARGEST)
_AFTER_CAST = re.compile(_LARGEST)
_DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+(.+)$", re.M)
_CONSTANT = re.compile(r"\b(?:const|constexpr|constant)\s+\w+\s+(\w+)\s*=\s*([^;]+);")
_CAST = re.compile(
    r"\b(?:float|double|half|scalar_t|T|static_cast<[^<>]*>|__float2half\w*|__float2bfloat16\w*|__int_as_float|as_float|__half|bfloat16)\b"
)
_KEEPS_LARGEST = re.compile(r"(?i)\b\w*max\w*\s*\(|\bexp\w*\s*\(|__exp\w*\s*\(")
_CALL = re.compile(r"\b([A-Za-z_]\w*)\s*(?:<[^<>;]*>)?\s*(?:<<<.*?>>>)?\s*\(", re.S)


def kernel_flows(texts: Mapping[str, ast.expr], called: Iterable[str]) -> list[Flow]:
    """The flows of every kernel in a file's strings. ``called``: callees, of which some name an element-wise kernel."""
    found: list[Flow] = []
    for token, node in texts.items():
        text = string_of(node)
        if text is None:
            continue
        if _IS_KERNEL.search(text):
            from mllint.analysis.gradients.kernel_ptx import ptx_flows

            reader = ptx_flows if ".entry" in text or ".func" in text else c_flows
            found += reader(text, token, spot_of(node))
    for callee in called:
        token, _, names = callee.partition("$")
        body, parts = string_of(texts.get(token)), [string_of(texts.get(part)) for part in names.split(",")]
        if body is not None and len(parts) == 2 and parts[0] is not None and parts[1] is not None:
            parameters = tuple(parameters_in(f"{parts[0]},{parts[1]}"))
            found.append(
                Body(body, token, spot_of(texts[token]), names, parameters, {}, frozenset()).flow(0, len(body))
            )
    return found


def string_of(node: ast.expr | None) -> str | None:
    """The text of a string node, holes in an f-string as ``0``."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else " 0 "
            for part in node.values
        )
    return None


def c_flows(text: str, token: str, spot: Spot) -> list[Flow]:
    """The flows of the functions of a C-like source."""
    code = COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
    shared = {
        name: True for pattern in (_DEFINE, _CONSTANT) for name, value in pattern.findall(code) if _is_fill(value, {})
    }
    bodies: list[tuple[str, tuple[str, ...], int, int]] = []
    for match in _FUNCTION.finditer(code):
        if match.group(1) not in _NO_FUNCTION:
            bodies.append(
                (match.group(1), tuple(parameters_in(match.group(2))), match.end(), closing(code, match.end()))
            )
    known = frozenset(name for name, *_ in bodies)
    return [
        Body(code, token, spot, name, parameters, shared, known).flow(start, end)
        for name, parameters, start, end in bodies
    ]


def closing(code: str, start: int) -> int:
    depth = 1
    for match in re.compile(r"[{}]").finditer(code, start):
        depth += 1 if match.group() == "{" else -1
        if not depth:
            return match.start()
    return len(code)


def parameters_in(text: str) -> list[str]:
    names = []
    for part in re.sub(r"\[\[.*?\]\]|<[^<>]*>", "", text).split(","):
        words = _WORD.findall(part.partition("=")[0])
        if words:
            names.append(words[-1])
    return names


def _is_fill(expression: str, shared: Mapping[str, bool]) -> bool:
    """Is the expression one large negative constant, casts aside?"""
    bare = _CAST.sub("", expression).strip().strip("()").strip()
    if bare in shared:
        return True
    match = _NEGATIVE.match(bare)
    return match is not None and not bare[match.end() :].strip("() \n") and _is_large(match)


def _is_large(match: re.Match[str]) -> bool:
    return match.group(1) is None or -float(match.group(1)) <= LARGE


class Body:
    """One C function being read: which parameters each name was last computed from."""

    def __init__(
        self,
        code: str,
        token: str,
        spot: Spot,
        name: str,
        parameters: tuple[str, ...],
        shared: Mapping[str, bool],
        known: frozenset[str],
    ) -> None:
        self.code, self.token, self.spot, self.shared, self.known = code, token, spot, shared, known
        self.qualname = f"{token}${name}"
        self.parameters = parameters
        self.labels: dict[str, frozenset[str]] = {
            item: frozenset({own_label(self.qualname, item)}) for item in parameters
        }
        self.stored: dict[str, frozenset[str]] = {}
        self.pending: dict[str, tuple[int, str]] = {}
        self.stores: list[tuple[str, int, str]] = []
        self.fills: dict[int, Fill] = {}
        self.handovers: list[Handover] = []

    def flow(self, start: int, end: int) -> Flow:
        for match in re.compile(r"[^;{}]+").finditer(self.code, start, end):
            self.statement(match.group(), match.start())
        for base, at, literal in self.stores:
            origins = self.stored.get(base, frozenset()) | {own_label(self.qualname, base)}
            self.fill("store", at, literal, origins)
        return Flow(
            self.qualname,
            self.spot.row,
            self.parameters,
            fills=tuple(self.fills.values()),
            handovers=tuple(self.handovers),
        )

    def fill(self, form: str, at: int, literal: str, origins: frozenset[str]) -> None:
        if origins and literal:
            nth = self.code.count(literal, 0, at)
            self.fills[at] = Fill(form, self.spot, tuple(sorted(origins)), Amount(True), literal, nth)

    def statement(self, text: str, offset: int) -> None:
        self.calls(text, offset)
        condition = re.match(r"\s*(?:else\s+)?(?:if|while|for)\s*\(", text)
        conditional = condition is not None or re.match(r"\s*else\b", text) is not None
        if condition:
            after = _matching(text, condition.end())
            self.compared(text[condition.end() : after])
            text, offset = text[after + 1 :], offset + after + 1
        returned = re.match(r"\s*return\b(.*)", text, re.S)
        if returned:
            self.choice(returned.group(1), offset + returned.start(1))
            return
        match = _ASSIGNMENT.search(text)
        if match is None:
            return
        base, index, operator, right = match.groups()
        right_at = offset + match.start(4)
        if _is_fill(right, self.shared):
            if not operator:
                self.overwrite(base, bool(index), right, right_at)
            return
        labels = self.choice(right, right_at) or self.derived(right)
        self.hold(base, labels, bool(index or operator), conditional or bool(operator))

    def compared(self, condition: str) -> None:
        """A name that a condition compares is looked for the largest of: its seed is no fill."""
        for name in _WORD.findall(condition):
            self.pending.pop(name, None)

    def overwrite(self, base: str, indexed: bool, right: str, at: int) -> None:
        place, literal = self.literal(right, at)
        if base in self.parameters and indexed:
            self.stores.append((base, place, literal))
        elif self.labels.get(base):
            self.fill("overwrite", place, literal, self.labels[base])
        else:
            self.pending[base] = (place, literal)

    def literal(self, text: str, at: int) -> tuple[int, str]:
        """Where the fill stands in an expression, and how it is written."""
        for match in _AFTER_CAST.finditer(text):
            if _is_large(match):
                return at + match.start(), match.group()
        for match in _WORD.finditer(text):
            if match.group() in self.shared:
                return at + match.start(), match.group()
        return at, ""

    def choice(self, right: str, at: int) -> frozenset[str]:
        """``mask ? a : b`` with a fill on one side; the labels of the other side."""
        question = right.find("?")
        colon = _colon(right, question + 1) if question >= 0 else -1
        if colon < 0:
            return frozenset()
        sides = ((right[question + 1 : colon], at + question + 1), (right[colon + 1 :].rstrip(" )\n"), at + colon + 1))
        for (fill, fill_at), (kept, _) in (sides, sides[::-1]):
            if _is_fill(fill, self.shared):
                labels = self.derived(kept)
                place, literal = self.literal(fill, fill_at)
                self.fill("conditional", place, literal, labels)
                return labels
        return frozenset()

    def derived(self, expression: str) -> frozenset[str]:
        """The labels of the names in an expression, indices and what a maximum hides left out."""
        if _KEEPS_LARGEST.search(expression) or "_like(" in expression:
            return frozenset()
        while True:
            shorter = re.sub(r"\[[^\[\]]*\]", "", expression)
            if shorter == expression:
                break
            expression = shorter
        found: frozenset[str] = frozenset()
        for name in _WORD.findall(expression):
            found |= self.labels.get(name, frozenset())
        return found

    def hold(self, base: str, labels: frozenset[str], adds: bool, conditional: bool) -> None:
        if base in self.parameters and adds:
            self.stored[base] = self.stored.get(base, frozenset()) | labels
            return
        seed = self.pending.pop(base, None)
        if seed is not None and conditional:
            self.fill("seed", seed[0], seed[1], labels)
        self.labels[base] = labels | (
            self.labels.get(base, frozenset()) if adds and base not in self.parameters else frozenset()
        )

    def calls(self, text: str, offset: int) -> None:
        for match in _CALL.finditer(text):
            if match.group(1) in self.known and f"{self.token}${match.group(1)}" != self.qualname:
                arguments = _split(text[match.end() : _matching(text, match.end())])
                passed = tuple(Passed(tuple(sorted(self.derived(item))), Amount()) for item in arguments)
                self.handovers.append(Handover(f"{self.token}${match.group(1)}", self.spot, passed))


def _matching(text: str, start: int) -> int:
    depth = 1
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if not depth:
            return at
    return len(text)


def _colon(text: str, start: int) -> int:
    match = re.compile(r"(?<!:):(?!:)").search(text, start)
    return match.start() if match else -1


def _split(text: str) -> list[str]:
    parts, depth, begin = [], 0, 0
    for at, character in enumerate(text):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if character == "," and not depth:
            parts.append(text[begin:at])
            begin = at + 1
    return [*parts, text[begin:]]
