"""Byte spans of the nodes of a lossless tree, computed only when a rule reports something.

May not: guess. Where LibCST's text differs from the file's (it drops a form feed before a statement), spans
are carried over by aligning the two texts, and `exact` is False so that no fix is offered.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import libcst as cst


class NoPositions(ValueError):
    """Positions cannot be had: the tree is too deep, or LibCST's text differs from the file by more than form feeds."""


class Positions:
    """Byte spans (start, end) of every node of one module, in the normalised source."""

    def __init__(self, module: cst.Module, data: bytes) -> None:
        from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper

        self._shift: list[int] | None = None
        wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        self._spans = _with_room(lambda: wrapper.resolve(ByteSpanPositionProvider))
        # LibCST only ever drops text: equal length means equal text, and need not be written out to compare. The
        # span counts a final newline even where the file has none.
        added = 0 if module.has_trailing_newline else len(module.default_newline)
        self.exact = self._spans[module].length == len(data) + added
        if not self.exact:
            written = _with_room(lambda: module.bytes)
            self.exact = written == data
            self._shift = None if self.exact else _alignment(written, data)

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """First byte and one past the last byte of a node, whitespace around it excluded."""
        found = self._spans[node]
        start, end = found.start, found.start + found.length
        if self._shift is None:
            return start, end
        return self._shift[start], self._shift[end]


_Result = TypeVar("_Result")

#: Stack and recursion limit for trees too deep for the default ones (600 chained operators are enough).
_DEEP_STACK, _DEEP_LIMIT = 512 * 1024 * 1024, 60_000


def _with_room(compute: Callable[[], _Result]) -> _Result:
    """``compute()``, tried again on a large stack when the tree is too deep for the usual recursion limit.

    On Python 3.12 a limit of its own holds for calls through C, and little is gained.
    """
    try:
        return compute()
    except RecursionError:
        pass
    results: list[_Result] = []

    def attempt() -> None:
        with suppress(RecursionError):  # said below, and not by the thread on standard error
            results.append(compute())

    limit, size = sys.getrecursionlimit(), threading.stack_size(_DEEP_STACK)
    sys.setrecursionlimit(_DEEP_LIMIT)
    try:
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(size)
    if not results:
        raise NoPositions("the tree is nested too deeply to compute positions in it")
    return results[0]


def _alignment(written: bytes, data: bytes) -> list[int]:
    """For each offset of ``written`` the offset in ``data``, where ``data`` only has more form feeds."""
    offsets: list[int] = []
    at = 0
    for byte in written:
        while at < len(data) and data[at] != byte and data[at] == 0x0C:
            at += 1
        if at >= len(data) or data[at] != byte:
            raise NoPositions("the lossless tree does not reproduce the file")
        offsets.append(at)
        at += 1
    offsets.append(at)
    return offsets
