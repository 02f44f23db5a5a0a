"""The comments of a script by row, and which of them go with a command.

May not: find comments; it is told.
"""

from __future__ import annotations


class Comments:
    """Comments as they are met, one a row."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[str, bool]] = {}

    def add(self, row: int, text: str, alone: bool) -> None:
        """A comment; ``alone``: nothing else stands on its row."""
        self._rows[row] = (text, alone)

    def around(self, first: int, last: int) -> list[str]:
        """The comment lines directly above row ``first`` and the comment behind the code of row ``last``."""
        lines: list[str] = []
        row = first - 1
        while row in self._rows and self._rows[row][1]:
            lines.insert(0, self._rows[row][0])
            row -= 1
        if last in self._rows and not self._rows[last][1]:
            lines.append(self._rows[last][0])
        return lines
