"""Models that were written when the probe's thresholds had been set: each with the outcome that it has, misses included.

A miss or a false alarm that a change repairs makes its test fail: then its line here goes, and nothing else changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")

from mllint.authoring import runtime
from mllint.checking.packs import builtin_rules

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parent.parent / "fixtures" / "later_models"
PREFIX = "mllint_probe_"

#: Faulty models of which the probe says nothing, and why.
KNOWN_MISSES = {
    "rnn_detached_state": "a `detach` whose parameters all have a gradient passes for deliberate, inside a recurrence too",
    "lora_both_zero": "two zero factors recover when both are perturbed together, as a gate that starts at zero does",
    "statistics_from_data": "a part cut by `.data` passes for a deliberate stop-gradient (info)",
    "softmax_over_the_batch": "a class called `Batch…` passes for one that mixes its batch on purpose (info)",
    "mean_over_padding": "ML806 wants both comparisons to differ; an average is the same with its padding on either side",
}

#: Benign models of which the probe says something, and what it is.
KNOWN_FALSE_ALARMS = {
    "vqvae": ("ML813", "true of this start (all samples take one code), and no fault of the model"),
}

#: What is found in a faulty model beside its fault: true, a consequence of it, or ("noise") neither.
BESIDES = {
    "residual_numpy_norm": {"ML701"},
    "rewrapped_pooling": {"ML701", "ML711"},
    "rezero_as_float": {"ML701"},
    "lora_merged_each_forward": {"ML202"},
    "teacher_and_student_swapped": {"ML215"},
    "gradient_clipped_away": {"ML217"},
    "dead_relu": {"ML813"},
    "deep_sigmoid": {"ML813"},
    "prompts_in_a_dict": {"ML711"},
    "half_softmax_overflows": {"ML813"},  # noise: the output is not-a-number
    "chaotic_recurrence": {"ML202"},  # noise: a finite difference says nothing where the loss is chaotic
    "encoder_run_twice": {"ML217"},  # noise: beside a parameter that the loss does not depend on
}


def models(kind: str) -> Iterator[tuple[Path, str, str]]:
    """The targets of the files of a kind, each with the code marked in its model ("" in a good file)."""
    for path in sorted(FOLDER.glob(f"model_{kind}_*.py")):
        names = runtime.targets_in(path)
        marks = (
            re.findall(r"# (ML\d{3})$", path.read_text("utf-8"), re.MULTILINE) if kind == "bad" else [""] * len(names)
        )
        for name, mark in zip(names, marks, strict=True):
            yield path, name.removeprefix(PREFIX), mark


def codes_of(path: Path, name: str) -> set[str]:
    """The codes of what a user would be told."""
    trace = runtime.trace_of(path, PREFIX + name, runtime.SLOW)
    return {one.code for one in runtime.findings_in(trace, runtime.runtime_rules(builtin_rules()), {})}


@pytest.mark.parametrize(("path", "name", "code"), [pytest.param(*one, id=one[1]) for one in models("bad")])
def test_faulty_model(path: Path, name: str, code: str) -> None:
    found = codes_of(path, name)
    if name in KNOWN_MISSES:
        assert not found, f"known miss ({KNOWN_MISSES[name]}), but {found} is found: take it off the list"
    else:
        assert found == {code} | BESIDES.get(name, set())


@pytest.mark.parametrize(("path", "name"), [pytest.param(*one[:2], id=one[1]) for one in models("good")])
def test_benign_model(path: Path, name: str) -> None:
    code, why = KNOWN_FALSE_ALARMS.get(name, ("", ""))
    assert codes_of(path, name) == ({code} if code else set()), why


def test_the_lists_name_models() -> None:
    bad, good = ({name for _, name, _ in models(kind)} for kind in ("bad", "good"))
    assert len(bad) == 59 and len(good) == 44
    assert KNOWN_MISSES.keys() <= bad and BESIDES.keys() <= bad and KNOWN_FALSE_ALARMS.keys() <= good
