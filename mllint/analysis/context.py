"""What a rule may ask, and the builders of findings and edits.

May not: walk the tree for the rule, read files, or print. Rules never compute offsets; they name nodes (or
spans they were given) and the context does the rest.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

from mllint.analysis.names import dotted_name, written_name
from mllint.analysis.positions import Positions
from mllint.diagnostic import Diagnostic, Edit, Fix, Related, Safety, Severity
from mllint.reading.source import Source

if TYPE_CHECKING:
    import libcst as cst

    from mllint.analysis.index import FileIndex
    from mllint.analysis.project import Project
    from mllint.analysis.syntax import Syntax
    from mllint.reading.located import Located
    from mllint.rule import Meta, OptionValue

#: What a finding or an edit is about: a node of either tree of the file at hand, or a span of bytes (start, end).
Anchor = Union["cst.CSTNode", ast.expr, ast.stmt, ast.ExceptHandler, ast.keyword, ast.arg, tuple[int, int]]

#: Nodes of ``ast`` that know their place.
_PLACED = (ast.expr, ast.stmt, ast.ExceptHandler, ast.keyword, ast.arg)


@dataclass
class Context:
    """One rule's view of one file. The engine makes one for each rule and file.

    ``syntax`` is the file's ``ast``; ``module`` its lossless tree, which only ``visit_<Node>`` methods have.
    ``project`` is None without a configuration root. Ask it last: in the first look at a file it does not exist
    yet, and the first question puts the rule off until it does.
    """

    source: Source
    meta: Meta
    why: str
    index: FileIndex | None = None
    module: cst.Module | None = None
    project: Project | None = None
    absolute_path: str = ""
    ancestors: list[cst.CSTNode] = field(default_factory=list)
    shared: Shared | None = None
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    syntax: Syntax | None = None

    def option(self, name: str) -> Any:
        """What the user decided about this rule, else the default; of the type that the default has."""
        defaults = {option.name: option.default for option in self.meta.options}
        return self.options[name] if name in self.options else defaults[name]

    def name(self, node: cst.CSTNode | ast.expr) -> str:
        """What a chain of names stands for, through imports and re-bindings: ``torch.nn.functional.pad``.

        "" for anything that is no chain of names. A name that is not imported stays as written.
        """
        written = dotted_name(node) if isinstance(node, ast.expr) else written_name(node)
        return self.index.dotted(written) if self.index and written else written

    def span(self, anchor: Anchor) -> tuple[int, int]:
        """First and one-past-last byte of a node in the normalised source."""
        if isinstance(anchor, tuple):
            return anchor
        if isinstance(anchor, _PLACED):
            assert anchor.end_lineno is not None and anchor.end_col_offset is not None, "made by hand, not parsed"
            offset = self.source.offset
            return offset(anchor.lineno, anchor.col_offset), offset(anchor.end_lineno, anchor.end_col_offset)
        assert self.shared is not None, "a file without a lossless tree has no nodes"
        return self.shared.positions().span(anchor)

    def code(self, anchor: Anchor) -> str:
        """The source text of a node, as written."""
        start, end = self.span(anchor)
        return self.source.data[start:end].decode("utf-8")

    def string(self, node: cst.CSTNode) -> Located | None:
        """The text that an expression denotes, as far as the file shows it; None where it denotes none.

        Follows literals, concatenation, ``%``, ``.format``, f-strings and names assigned once; what is unknown
        becomes `HOLE`.
        """
        from mllint.analysis.strings.fold import fold

        return fold(node, self)

    def report(
        self,
        anchor: Anchor,
        message: str,
        *,
        fix: Fix | None = None,
        related: tuple[Related, ...] = (),
        why: str = "",
        severity: Severity | None = None,
    ) -> Diagnostic:
        """A finding of this rule at a node or span. ``message``: what is wrong here, at most 100 characters.

        ``severity`` is for a milder case than the rule's own level.
        """
        start, end = self.span(anchor)
        place = self.source.place
        return Diagnostic(
            self.source.path,
            start,
            end,
            self.meta.code,
            self.meta.name,
            severity or self.meta.severity,
            message,
            place(start),
            place(end),
            why or self.why,
            self._offered(fix),
            related,
        )

    def replace(self, anchor: Anchor, text: str) -> Edit:
        """An edit that puts ``text`` (with ``\\n`` newlines) in place of a node or span."""
        start, end = self.span(anchor)
        return Edit(start, end, text.replace("\n", self.source.newline))

    def delete_lines(self, first_row: int, last_row: int) -> Edit:
        """An edit that removes whole rows (one-based, inclusive)."""
        starts = self.source.line_starts
        end = starts[last_row] if last_row < len(starts) else len(self.source.data)
        return Edit(starts[first_row - 1], end, "")

    def fix(self, title: str, *edits: Edit, safety: Safety | None = None) -> Fix:
        """A fix of these edits, as safe as the rule's ``meta.fix`` says unless told otherwise."""
        return Fix(title, tuple(sorted(edits)), safety or self.meta.fix or Safety.DISPLAY)

    def related(self, anchor: Anchor, message: str) -> Related:
        """Another place in this file that belongs to a finding."""
        return Related(self.source.path, self.source.place(self.span(anchor)[0]), message)

    def _offered(self, fix: Fix | None) -> Fix | None:
        """The fix, unless positions are not exact, or a comment that the edit would swallow is in the way."""
        if fix is None or (self.shared is not None and not self.shared.exact()):
            return None
        return fix


class Shared:
    """What the contexts of one file have in common: positions, computed when first asked for.

    ``memory`` is where analyses keep what they built for this file, each under a key of its own.
    """

    def __init__(self, module: cst.Module, data: bytes) -> None:
        self._module = module
        self._data = data
        self._positions: Positions | None = None
        self.memory: dict[str, object] = {}

    def positions(self) -> Positions:
        if self._positions is None:
            self._positions = Positions(self._module, self._data)
        return self._positions

    def exact(self) -> bool:
        return self._positions is None or self._positions.exact
