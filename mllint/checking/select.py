"""Which codes are on, and at which levels.

May not: read files or run rules. Selectors in, codes out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mllint.diagnostic import Severity
from mllint.rule import Meta
from mllint.settings import Settings

#: The hundreds of the codes: what each family is about, and the name that selects it.
FAMILIES = {
    "ML0": ("mllint", "mllint itself: syntax errors, suppressions, crashed rules"),
    "ML1": ("compilation", "import time and compiled caches"),
    "ML2": ("gradients", "gradients and loss"),
    "ML3": ("kernels", "kernels, builds, APIs"),
    "ML4": ("processes", "processes and long jobs"),
    "ML5": ("definitions", "definitions, dead code, fallbacks"),
    "ML6": ("state", "module and checkpoint state"),
    "ML7": ("throughput", "device synchronisation and throughput"),
    "ML8": ("data", "data and evaluation"),
    "ML9": ("claims", "tests, gates, claims"),
}


class UnknownSelector(ValueError):
    """A selector that selects nothing; the message names the nearest one that does."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Codes that run, and those among them whose info findings are shown too."""

    codes: frozenset[str]
    with_info: frozenset[str]


def select(
    metas: Sequence[Meta],
    *,
    chosen: Sequence[str] = (),
    extended: Sequence[str] = (),
    ignored: Sequence[str] = (),
    preview: bool = False,
) -> Selection:
    """Resolve selectors (code, prefix, family or rule name, ``ALL``); the more specific one wins, as in ruff.

    Without ``chosen`` every rule of level warning or error is on. An info rule is on by its exact code or
    name, or by any selector together with ``preview``. Raises UnknownSelector.
    """
    codes: set[str] = set()
    with_info: set[str] = set()
    for selector in (*chosen, *extended, *ignored):
        if not expand(selector, metas):
            raise UnknownSelector(unknown_selector(selector, metas))
    for meta in metas:
        on = max((_weight(selector, meta) for selector in (*chosen, *extended)), default=0)
        exact = on == _EXACT
        if not chosen and not on:
            on = 1 if meta.severity is not Severity.INFO or preview else 0
        if meta.severity is Severity.INFO and not (exact or preview):
            on = 0
        off = max((_weight(selector, meta) for selector in ignored), default=0)
        if on > off:
            codes.add(meta.code)
            if exact or preview:
                with_info.add(meta.code)
    return Selection(frozenset(codes), frozenset(with_info))


def selection(settings: Settings, metas: Sequence[Meta]) -> Selection:
    """The codes that some settings turn on. Raises UnknownSelector, naming the configuration file."""
    try:
        return select(
            metas,
            chosen=settings.select,
            extended=settings.extend_select,
            ignored=settings.ignore,
            preview=settings.preview,
        )
    except UnknownSelector as error:
        where = f"{settings.config_path}: " if settings.config_path else ""
        raise UnknownSelector(f"{where}{error}") from error


def expand(selector: str, metas: Iterable[Meta]) -> tuple[str, ...]:
    """The codes that one selector stands for."""
    return tuple(meta.code for meta in metas if _weight(selector, meta))


_EXACT = 9


def _weight(selector: str, meta: Meta) -> int:
    """How specific a selector is for a rule: 0 (no match), 1 (ALL), 2 (family) … 9 (its code or name)."""
    if selector in (meta.code, meta.name):
        return _EXACT
    if selector == "ALL":
        return 1
    if selector == FAMILIES.get(meta.code[:3], ("", ""))[0]:
        return 3
    if selector and selector.startswith("ML"[: len(selector)]) and meta.code.startswith(selector):
        return min(len(selector), 8)
    return 0


def unknown_selector(selector: str, metas: Sequence[Meta]) -> str:
    """What to tell somebody who named a rule that does not exist."""
    names = ["ALL"]
    names += (name for prefix, (name, _) in FAMILIES.items() if expand(prefix, metas))
    for meta in metas:
        names += (meta.code, meta.name)
    near = difflib.get_close_matches(selector, names, n=1, cutoff=0.5) or difflib.get_close_matches(
        selector.upper(), names, n=1, cutoff=0.5
    )
    hint = f"; did you mean `{near[0]}`?" if near else "; `mllint linter` lists all of them"
    return f"unknown rule selector `{selector}`{hint}"
