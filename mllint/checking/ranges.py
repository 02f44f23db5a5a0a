"""How far each ``disable`` of a file reaches, and which of them each ``enable`` ends.

A range runs from its ``disable`` to an ``enable`` in the same block, or to the end of that block. May not: know
which findings there are, or what a selector means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mllint.checking.directives import Directive

#: (position of a directive, position of the selector in it, 0 where it has none)
Spot = tuple[int, int]


@dataclass(frozen=True)
class Ranges:
    """``ended`` has, for each selector of a ``disable``, the codes that an ``enable`` ends and that one's row;
    ``enders`` has the ``disable`` selectors that each selector of an ``enable`` ends. All others end nothing."""

    directives: Sequence[Directive]
    ended: dict[Spot, dict[str, int]] = field(default_factory=dict)
    enders: dict[Spot, set[Spot]] = field(default_factory=dict)

    def holds(self, spot: Spot, code: str, row: int) -> bool:
        """Is a row in the range that a selector of a ``disable`` opens for this code?"""
        comment = self.directives[spot[0]].comment
        end = self.ended.get(spot, {}).get(code, comment.block_end + 1)
        return comment.row < row < end

    def only_for(self, spot: Spot) -> dict[int, set[int]]:
        """What would end nothing without this selector of a ``disable``: selectors by directive."""
        found: dict[int, set[int]] = {}
        for (number, position), disabled in self.enders.items():
            if disabled == {spot}:
                found.setdefault(number, set()).add(position)
        return found


def ranges(directives: Sequence[Directive], codes_of: Callable[[Directive, int], frozenset[str]]) -> Ranges:
    """The ranges of one file's directives; ``codes_of`` says what a selector (by position) of a directive means."""
    found = Ranges(directives)
    open_codes: dict[Spot, frozenset[str]] = {}
    for number, directive in enumerate(directives):
        for position in range(max(len(directive.selectors), 1)):
            if directive.form == "disable":
                open_codes[number, position] = codes_of(directive, position)
            elif directive.form == "enable":
                codes = codes_of(directive, position)
                for spot, still in open_codes.items():
                    if still & codes and _in_one_block(directives[spot[0]], directive):
                        found.ended.setdefault(spot, {}).update(dict.fromkeys(still & codes, directive.comment.row))
                        found.enders.setdefault((number, position), set()).add(spot)
                        open_codes[spot] = still - codes
    return found


def _in_one_block(disable: Directive, enable: Directive) -> bool:
    first, second = disable.comment, enable.comment
    return first.block == second.block and second.row <= first.block_end
