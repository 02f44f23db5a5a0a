"""What synchronises host and device, as data: one table a torch release, in `tables/`.

May not: decide anything about a call; `conditions.py` does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

_FOLDER = Path(__file__).parent / "tables"


@dataclass(frozen=True, slots=True)
class Entry:
    """``kind`` is what the host waits for, ``when`` names the condition under which it does."""

    kind: str
    when: str


@dataclass(frozen=True, slots=True)
class SyncTable:
    """The table of one torch release. ``note`` says that it is not the one of the torch at work ("" where it is)."""

    torch: str
    operators: Mapping[str, Entry]
    functions: Mapping[str, Entry]
    silent: frozenset[str]
    mixed: frozenset[str]
    host_results: Mapping[str, tuple[int, ...]]
    note: str = ""


def known_releases() -> tuple[str, ...]:
    """The releases that have a table, oldest first."""
    return tuple(sorted((path.stem.removeprefix("torch-") for path in _FOLDER.glob("torch-*.toml")), key=_number))


def table_for(version: str = torch.__version__) -> SyncTable:
    """The table of this torch version, or the nearest one, which then says so."""
    wanted = _number(version)
    nearest = min(known_releases(), key=lambda release: (_distance(_number(release), wanted), release))
    release = ".".join(map(str, wanted))
    note = "" if nearest == release else f"there is no table for torch {release}: the one for {nearest} was used"
    return _read(_FOLDER / f"torch-{nearest}.toml", note)


def _number(version: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _distance(first: tuple[int, int], second: tuple[int, int]) -> int:
    return abs((first[0] - second[0]) * 1000 + first[1] - second[1])


def _read(path: Path, note: str) -> SyncTable:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    told: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    return SyncTable(
        torch=told["torch"],
        operators={name: Entry(**entry) for name, entry in told["operators"].items()},
        functions={name: Entry(**entry) for name, entry in told["functions"].items()},
        silent=frozenset(told["silent"]["functions"]),
        mixed=frozenset(told["mixed"]["operators"]),
        host_results={name: tuple(places) for name, places in told["host_results"].items()},
        note=note,
    )
