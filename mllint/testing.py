"""The fixture harness for authors of rules (see `mllint.authoring.testing`).

May not: hold code of its own; it is the public name.
"""

from mllint.authoring.testing import (
    PROMISES,
    Broken,
    RuleCase,
    check_exact_lines,
    check_examples,
    check_fixes,
    check_folder,
    check_marks,
    check_messages,
    check_pairing,
    check_pickling,
    check_silence,
    check_source,
    check_triggers,
    check_variants,
    expected_findings,
    rule_cases,
)

__all__ = [
    "PROMISES",
    "Broken",
    "RuleCase",
    "check_exact_lines",
    "check_examples",
    "check_fixes",
    "check_folder",
    "check_marks",
    "check_messages",
    "check_pairing",
    "check_pickling",
    "check_silence",
    "check_source",
    "check_triggers",
    "check_variants",
    "expected_findings",
    "rule_cases",
]
