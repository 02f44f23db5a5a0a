"""The default rules on pinned public packages: exactly the findings of ``findings.tsv``, all of them judged.

Needs the package index once (the packages are kept in ``.ecosystem/``): ``pytest -m ecosystem``.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fetch import Package, packages
from findings import GOLDEN, VERDICTS, Finding, check_package, compare, golden

from mllint.checking.packs import builtin_rules
from mllint.diagnostic import Severity

SECOND = Path(__file__).parent / "second_reading.tsv"

#: Confirmed by hand before mllint existed, with the rule that has to find them.
KNOWN_TRUE = [
    ("timm-1.0.20", "timm/optim/kron.py", "ML501"),
    ("diffusers-0.40.0", "diffusers/models/model_loading_utils.py", "ML501"),
    ("transformers-5.23.0", "transformers/optimization.py", "ML501"),
    ("transformers-5.23.0", "transformers/models/whisper/tokenization_whisper.py", "ML501"),
    ("timm-1.0.31", "timm/models/crossvit.py", "ML502"),
    ("timm-1.0.31", "timm/layers/patch_embed.py", "ML503"),
    ("diffusers-0.40.0", "diffusers/quantizers/torchao/torchao_quantizer.py", "ML502"),
    ("deepspeed-0.19.8", "deepspeed/autotuning/scheduler.py", "ML401"),
    ("deepspeed-0.19.8", "deepspeed/launcher/multinode_runner.py", "ML401"),
]
#: The fixed half of a bug/fix pair, and code that only looks like a bug.
KNOWN_GOOD = [
    ("timm-1.0.31", "timm/optim/kron.py", "ML501"),
    ("diffusers-0.42.1", "diffusers/models/model_loading_utils.py", "ML501"),
    ("diffusers-0.42.1", "diffusers/quantizers/torchao/torchao_quantizer.py", "ML502"),
]


@pytest.mark.ecosystem
@pytest.mark.parametrize("package", packages(), ids=lambda package: package.label)
def test_findings_are_the_golden_ones(package: Package) -> None:
    expected = [found for found in golden() if found.package == package.label]
    new, lost = compare(check_package(package), expected)
    assert not new and not lost, f"new: {[found.key for found in new]}, lost: {[found.key for found in lost]}"


def test_every_finding_has_been_read() -> None:
    unread = [found.key for found in golden() if found.verdict not in VERDICTS or len(found.reason) < 10]
    assert not unread, f"no verdict and reason in {GOLDEN.name}: {unread}"


@pytest.mark.parametrize(("package", "path", "code"), KNOWN_TRUE, ids=lambda value: Path(value).name)
def test_known_bugs_are_found(package: str, path: str, code: str) -> None:
    assert [
        found
        for found in golden()
        if (found.package, found.path, found.code, found.verdict) == (package, path, code, "true")
    ]


@pytest.mark.parametrize(("package", "path", "code"), KNOWN_GOOD, ids=lambda value: Path(value).name)
def test_look_alikes_stay_silent(package: str, path: str, code: str) -> None:
    assert not [found for found in golden() if (found.package, found.path, found.code) == (package, path, code)]


def test_false_findings_are_rare_and_never_errors_to_shrug_at() -> None:
    judged = golden()
    false = [found for found in judged if found.verdict == "false"]
    assert len(false) <= 0.02 * len(judged), (
        f"{len(false)} of {len(judged)} findings are false: {[found.key for found in false]}"
    )
    errors = {rule.meta.code for rule in builtin_rules() if rule.meta.severity is Severity.ERROR}
    assert not [found.key for found in false if found.code in errors], "an error is never false"
    # Below 0.2 for each thousand lines: the smallest package has 36,000, so seven would do; three is what we allow.
    assert max(Counter(found.package for found in false).values(), default=0) <= 3


def test_a_second_reader_judged_a_lot() -> None:
    with SECOND.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    first = {found.key: found for found in golden()}
    keys = [(row["package"], row["path"], int(row["row"]), row["code"]) for row in rows]
    assert len(set(keys)) >= min(30, len(first))
    assert not [key for key in keys if key not in first], "the second reading is about findings that are gone"
    assert all(row["verdict"] in VERDICTS and len(row["reason"]) >= 10 for row in rows)


def test_findings_compare_by_place() -> None:
    one, two = Finding("p", "a.py", 1, "ML501", "m"), Finding("p", "a.py", 2, "ML501", "m")
    assert compare([one], [two]) == ([one], [two])
    assert compare([one], [Finding("p", "a.py", 1, "ML501", "other words", "true", "read")]) == ([], [])
