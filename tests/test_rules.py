"""The harness over every built-in rule: a new rule is held to all of this without a line of test code."""

from __future__ import annotations

from pathlib import Path

import pytest

from mllint import testing
from mllint.authoring.testing import findings_of
from mllint.rule import reads_traces

ROOT = Path(__file__).parent.parent
CASES = testing.rule_cases(ROOT / "rules", ROOT / "fixtures")
#: Rules that the engine itself reports: they visit nothing, so what wakes them cannot be tested through a gate.
READING = [case for case in CASES if case.alone.reads(case.rule)]
#: Rules with a runtime half only: tests/test_runtime_rules.py runs their models.
PROBING_ONLY = [case for case in CASES if case not in READING and reads_traces(case.rule)]

each_rule = pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)


@each_rule
def test_one_stem_everywhere(case: testing.RuleCase) -> None:
    testing.check_pairing(case)


@each_rule
def test_finds_exactly_the_marked_lines(case: testing.RuleCase) -> None:
    testing.check_exact_lines(case)


@each_rule
def test_is_silent_on_good_code(case: testing.RuleCase) -> None:
    testing.check_silence(case)


@each_rule
def test_newlines_and_byte_order_marks_move_nothing(case: testing.RuleCase) -> None:
    testing.check_variants(case)


@each_rule
def test_fixes_are_byte_exact(case: testing.RuleCase) -> None:
    testing.check_fixes(case)


@each_rule
def test_messages_follow_the_convention(case: testing.RuleCase) -> None:
    testing.check_messages(case)


@each_rule
def test_rules_stay_in_their_process(case: testing.RuleCase) -> None:
    testing.check_pickling(case)


@pytest.mark.parametrize("case", READING, ids=lambda case: case.code)
def test_page_examples_hold(case: testing.RuleCase) -> None:
    testing.check_examples(case)


@pytest.mark.parametrize("case", READING, ids=lambda case: case.code)
def test_triggers_only_over_approximate(case: testing.RuleCase) -> None:
    corpus = [
        testing_source
        for other in CASES
        for path in sorted(other.folder.rglob("*"))
        if path.is_file() and (testing_source := _readable(path)) is not None
    ]
    testing.check_triggers(case, corpus)


@pytest.mark.parametrize("case", [case for case in CASES if case not in PROBING_ONLY], ids=lambda case: case.code)
def test_bad_fixtures_have_findings(case: testing.RuleCase) -> None:
    if case.code == "ML002":  # a crash needs a crashing rule: tests/test_engine.py has one
        pytest.skip("no file makes a built-in rule crash")
    assert list(findings_of(case)), f"{case.code} finds nothing in its own bad fixtures"


def _readable(path: Path) -> object:
    from mllint.authoring.testing import read_fixture
    from mllint.reading.files import kind_of
    from mllint.reading.source import DecodeFailure

    if kind_of(path.name) is None:
        return None
    try:
        return read_fixture(path)
    except DecodeFailure:
        return None
