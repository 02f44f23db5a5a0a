"""Which checks a run makes: the default ones, those asked for, only where a rule that is on reads them.

May not: run a check.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from mllint.probe.check import Check
from mllint.settings_values import ConfigError, closest

EVERY = "all"


def chosen_checks(
    checks: Sequence[Check], codes: Collection[str], more: Iterable[str] = (), fewer: Iterable[str] = ()
) -> tuple[Check, ...]:
    """``codes`` are those of the rules that are on; ``more`` and ``fewer`` are names of checks. Raises ConfigError."""
    asked, left_out = _named(checks, more, "--checks"), _named(checks, fewer, "--skip-checks")
    return tuple(
        check
        for check in checks
        if (check.default or check in asked)
        and check not in left_out
        and (not check.codes or check in asked or any(code in codes for code in check.codes))
    )


def _named(checks: Sequence[Check], names: Iterable[str], where: str) -> frozenset[Check]:
    found: set[Check] = set()
    for name in names:
        same = [check for check in checks if name in (EVERY, check.name, check.stem, *check.codes)]
        if not same:
            near = closest(name, [check.name for check in checks])
            hint = f"did you mean `{near}`?" if near else "`mllint probe --list-checks` shows all of them"
            raise ConfigError(f"unknown check `{name}` in `{where}`; {hint}")
        found.update(same)
    return frozenset(found)
