"""The harness over the runtime half of every built-in rule: models are probed in this process, stored traces judged."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from mllint import testing
from mllint.authoring import runtime
from mllint.authoring.testing import hold_to_convention

ROOT = Path(__file__).parent.parent
CASES = [case for case in testing.rule_cases(ROOT / "rules", ROOT / "fixtures") if runtime.has_models(case)]

each_rule = pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)


@each_rule
def test_finds_exactly_the_marked_lines(case: testing.RuleCase) -> None:
    runtime.check_bad_models(case)


@each_rule
def test_is_silent_on_good_models(case: testing.RuleCase) -> None:
    runtime.check_good_models(case)


@each_rule
def test_judges_stored_traces(case: testing.RuleCase) -> None:
    runtime.check_stored_traces(case)


@each_rule
def test_messages_follow_the_convention(case: testing.RuleCase) -> None:
    findings = list(runtime.runtime_findings(case))
    assert findings, f"{case.code} finds nothing in its bad models and traces"
    hold_to_convention(case, findings)


@each_rule
def test_page_examples_hold(case: testing.RuleCase) -> None:
    runtime.check_runtime_examples(case)
