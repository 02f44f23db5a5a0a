"""Which codes are on, at which levels, in which files, and which of their fixes may be made.

May not: read files or run rules. Selectors in, codes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from mllint.checking.options import ChosenOptions, chosen_options
from mllint.diagnostic import Severity
from mllint.reading.ignore import pattern_fault, pattern_hits
from mllint.record import dataclass
from mllint.rule import Meta, WithheldMeta
from mllint.settings import ConfigError, Layer, Settings, origin

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
    """Codes that run, and those among them whose info findings are shown too.

    ``unfixable`` codes lose their fixes; unsafe fixes of ``safe`` codes count as safe, safe ones of ``unsafe``
    codes as unsafe. ``per_file`` are patterns (``!`` negates; relative ones start from ``anchor``) and the codes that are
    off in the files they match. ``options`` are what the rules were told.
    """

    codes: frozenset[str]
    with_info: frozenset[str]
    unfixable: frozenset[str] = frozenset()
    safe: frozenset[str] = frozenset()
    unsafe: frozenset[str] = frozenset()
    per_file: tuple[tuple[str, frozenset[str]], ...] = ()
    anchor: str = ""
    options: ChosenOptions = ()

    def off(self, absolute: str) -> frozenset[str]:
        """The selected codes that are off in one file."""
        return frozenset(
            code
            for pattern, codes in self.per_file
            if pattern_hits(pattern, self.anchor, absolute)
            for code in codes & self.codes
        )

    @property
    def signature(self) -> str:
        """Equal for equal selections, whatever the order of the sets: a part of the cache's key."""
        sets = (self.codes, self.with_info, self.unfixable, self.safe, self.unsafe)
        files = [(pattern, sorted(codes)) for pattern, codes in self.per_file]
        return repr(([sorted(codes) for codes in sets], files, self.anchor, self.options))


def select(metas: Sequence[Meta], layers: Sequence[Layer] = (), *, preview: bool = False) -> Selection:
    """Resolve the selectors (code, prefix, family or rule name, ``ALL``) of some layers, the oldest first.

    Within a layer the more specific selector wins, and of equal ones the one that switches off; a layer with
    ``select`` starts anew, as in ruff. Without any ``select`` every rule of level warning or error is on. An info rule
    is on by its exact code or name, or by any selector together with ``preview``. Raises UnknownSelector.
    """
    on = {meta.code for meta in metas if meta.severity is not Severity.INFO or preview}
    fixable = {meta.code for meta in metas}
    named: set[str] = set()
    for layer in layers:
        for name in ("select", "extend_select", "ignore", "fixable", "extend_fixable", "unfixable"):
            _check_known(getattr(layer, name) or (), metas, layer.where, name)
        if layer.select is not None:
            on, named = set(), set()
        if layer.fixable is not None:
            fixable = set()
        for meta in metas:
            wanted = _specificity((*(layer.select or ()), *layer.extend_select), meta)
            quiet = meta.severity is Severity.INFO and wanted < _EXACT and not preview
            _switch(on, meta.code, 0 if quiet else wanted, _specificity(layer.ignore, meta))
            if wanted == _EXACT:
                named.add(meta.code)
            repaired = _specificity((*(layer.fixable or ()), *layer.extend_fixable), meta)
            _switch(fixable, meta.code, repaired, _specificity(layer.unfixable, meta))
    with_info = on if preview else on & named
    unfixable = {meta.code for meta in metas} - fixable
    return Selection(frozenset(on), frozenset(with_info), frozenset(unfixable))


def selection(settings: Settings, metas: Sequence[Meta], cwd: str = "") -> Selection:
    """What some settings turn on. ``cwd`` is where patterns start without a configuration.

    Raises UnknownSelector or ConfigError, naming the place that is wrong.
    """
    chosen = select(metas, settings.layers, preview=settings.preview)
    chosen = replace(chosen, codes=chosen.codes - {meta.code for meta in metas if isinstance(meta, WithheldMeta)})
    safe, unsafe = _forced(settings, metas)
    return replace(
        chosen,
        safe=safe,
        unsafe=unsafe,
        per_file=tuple(_per_file(settings, metas)),
        anchor=settings.root or cwd,
        options=chosen_options(settings.options, metas),
    )


def _per_file(settings: Settings, metas: Sequence[Meta]) -> Iterator[tuple[str, frozenset[str]]]:
    for name in ("per_file_ignores", "extend_per_file_ignores"):
        for pattern, selectors in getattr(settings, name):
            fault = pattern_fault(pattern.removeprefix("!"))
            if fault:
                where, key = origin(settings, name), name.replace("_", "-")
                raise ConfigError(f"{where}: pattern `{pattern}` of `{key}` is not valid: {fault}")
            _check_known(selectors, metas, origin(settings, name), name)
            yield pattern, frozenset(code for selector in selectors for code in expand(selector, metas))


def _forced(settings: Settings, metas: Sequence[Meta]) -> tuple[frozenset[str], frozenset[str]]:
    """The codes whose fixes count as safe, and those whose fixes count as unsafe: the more specific selector wins."""
    for name in ("extend_safe_fixes", "extend_unsafe_fixes"):
        _check_known(getattr(settings, name), metas, origin(settings, name), name)
    safe: set[str] = set()
    unsafe: set[str] = set()
    for meta in metas:
        promoted = _specificity(settings.extend_safe_fixes, meta)
        demoted = _specificity(settings.extend_unsafe_fixes, meta)
        if promoted or demoted:
            (safe if promoted > demoted else unsafe).add(meta.code)
    return frozenset(safe), frozenset(unsafe)


def _switch(codes: set[str], code: str, wanted: int, unwanted: int) -> None:
    """Put a code in or take it out, as the more specific of two selectors says; 0 says nothing."""
    if wanted > unwanted:
        codes.add(code)
    elif unwanted:
        codes.discard(code)


def _check_known(selectors: Iterable[str], metas: Sequence[Meta], where: str, name: str) -> None:
    """Raises UnknownSelector for the first selector that no rule answers to."""
    for selector in selectors:
        if not expand(selector, metas):
            place = f"{where}: " if where not in ("", "command line") else ""
            inside = "" if name in ("select", "extend_select", "ignore") else f" in `{name.replace('_', '-')}`"
            raise UnknownSelector(place + unknown_selector(selector, metas, inside))


def _specificity(selectors: Iterable[str], meta: Meta) -> int:
    """How specific the most specific of some selectors is for a rule; 0 where none means it."""
    return max((_weight(selector, meta) for selector in selectors), default=0)


def expand(selector: str, metas: Iterable[Meta]) -> tuple[str, ...]:
    """The codes that one selector stands for."""
    return tuple(meta.code for meta in metas if _weight(selector, meta))


def begins(selector: str, code: str) -> bool:
    """Is a selector the code, or a beginning of it with all its letters? (`MLOPS001` is no rule of `ML`.)"""
    return selector.startswith(code.rstrip("0123456789")) and code.startswith(selector)


_EXACT = 99


def _weight(selector: str, meta: Meta) -> int:
    """How specific a selector is for a rule: 0 (no match), 1 (ALL), 2 (``ML``), 3 (family) … 99 (its code or name)."""
    if selector in (meta.code, meta.name):
        return _EXACT
    if selector == "ALL":
        return 1
    if selector and selector == FAMILIES.get(meta.code[:3], ("", ""))[0]:
        return 3
    return min(len(selector), _EXACT - 1) if begins(selector, meta.code) else 0


def unknown_selector(selector: str, metas: Sequence[Meta], inside: str = "") -> str:
    """What to tell somebody who named a rule that does not exist; ``inside`` says where."""
    names = ["ALL"]
    names += (name for prefix, (name, _) in FAMILIES.items() if expand(prefix, metas))
    for meta in metas:
        names += (meta.code, meta.name)
    import difflib  # only a mistake needs it

    near = difflib.get_close_matches(selector, names, n=1, cutoff=0.5) or difflib.get_close_matches(
        selector.upper(), names, n=1, cutoff=0.5
    )
    hint = f"; did you mean `{near[0]}`?" if near else "; `mllint linter` lists all of them"
    return f"unknown rule selector `{selector}`{inside}{hint}"
