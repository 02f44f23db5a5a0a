"""Hold every rule of a pack to its promises and say how that went: the harness without pytest.

May not: print, or stop at the first rule that fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mllint.authoring.cases import Broken, RuleCase, corpus_of, rule_cases
from mllint.authoring.testing import PROMISES, check_triggers
from mllint.output.style import paint


@dataclass(frozen=True, slots=True)
class Verdict:
    """A promise, and why it is not kept; "" where it is."""

    promise: str
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """How one rule did."""

    code: str
    name: str
    verdicts: tuple[Verdict, ...]

    @property
    def failures(self) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts if verdict.failure)


def try_pack(pack: Path, fixtures: Path | None = None) -> tuple[Trial, ...]:
    """How each rule of a pack does, by code. Raises PackError where the pack cannot be loaded."""
    cases = rule_cases(pack, fixtures)
    corpus = corpus_of(cases)
    promises = {**PROMISES, "triggers hide no finding": partial(check_triggers, corpus=corpus)}
    trials = [
        Trial(
            case.code,
            case.rule.meta.name,
            tuple(Verdict(promise, _failure(check, case)) for promise, check in promises.items()),
        )
        for case in cases
    ]
    return (*trials, *(_left_over(cases) if pack.is_dir() else ()))


def _failure(check: object, case: RuleCase) -> str:
    """Why a promise is not kept."""
    assert callable(check)
    try:
        check(case)
    except Broken as failure:
        return str(failure)
    except (OSError, ValueError) as error:  # a fixture that cannot be read, or a list that is none
        return f"{case.folder}: {type(error).__name__}: {error}"
    return ""


def _left_over(cases: Sequence[RuleCase]) -> Iterable[Trial]:
    """A failing trial for each fixture folder that belongs to no rule."""
    for parent in sorted({case.folder.parent for case in cases}):
        for folder in sorted(path for path in parent.glob("*") if path.is_dir()):
            if folder.name not in {case.folder.name for case in cases} and not folder.name.startswith((".", "_")):
                failure = f"{folder}: no rule file has this name; rename the folder or remove it"
                yield Trial("", folder.name, (Verdict("every folder of fixtures has its rule", failure),))


def render(trials: Sequence[Trial], *, everything: bool = False, color: bool = False) -> str:
    """A line for each rule, each broken promise with what was expected and what came, and a summary."""
    lines: list[str] = []
    for trial in trials:
        failed = len(trial.failures)
        word = paint("FAIL", "red", color) if failed else paint("ok", "green", color) + "  "
        kept = f"{len(trial.verdicts) - failed} of {len(trial.verdicts)} promises kept"
        lines.append(f"{word}  {' '.join(part for part in (trial.code, trial.name) if part)}: {kept}")
        for verdict in trial.verdicts:
            if verdict.failure:
                lines.append(f"      {paint('broken', 'red', color)}  {verdict.promise}")
                lines += [f"        {line}".rstrip() for line in verdict.failure.splitlines()]
            elif everything:
                lines.append(f"      kept    {verdict.promise}")
    bad = sum(bool(trial.failures) for trial in trials)
    total = f"{len(trials)} rule{'s' if len(trials) != 1 else ''}"
    lines += ["", f"{bad} of {total} failed." if bad else f"{total} passed."]
    return "\n".join(lines) + "\n"
