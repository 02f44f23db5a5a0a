"""Bytes in, rules that could fire out: most files stop here.

May not: parse, or err towards silence; the gate only over-approximates.
"""

from __future__ import annotations

from collections.abc import Sequence

from ahocorasick_rs import BytesAhoCorasick

from mllint.rule import NON_ASCII, Triggers


class Gate:
    """One automaton for the phrases of many trigger sets (90 phrases over 53 MB: 0.1 s; ``in`` took 1.8 s)."""

    def __init__(self, trigger_sets: Sequence[Triggers]) -> None:
        phrases = sorted({phrase for groups in trigger_sets for group in groups for phrase in group} - {NON_ASCII})
        number = {phrase: position for position, phrase in enumerate(phrases)}
        number[NON_ASCII] = len(phrases)
        self._non_ascii = len(phrases)
        self._groups = [[frozenset(number[phrase] for phrase in group) for group in groups] for groups in trigger_sets]
        self._automaton = BytesAhoCorasick([phrase.encode() for phrase in phrases]) if phrases else None

    def passing(self, data: bytes) -> list[int]:
        """Positions of the trigger sets that these bytes satisfy."""
        found: set[int] = set()
        if self._automaton is not None:
            # Overlapping: otherwise "where" hides in "index_where" and phrases that share bytes get lost.
            found = {match[0] for match in self._automaton.find_matches_as_indexes(data, overlapping=True)}
        if not data.isascii():
            found.add(self._non_ascii)
        return [
            position
            for position, groups in enumerate(self._groups)
            if all(not group.isdisjoint(found) for group in groups)
        ]
