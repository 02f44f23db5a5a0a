"""The study that builds models of several sizes in one process: what mllint says of it, and what it gives when it runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mllint.authoring.cases import check_folder, expected_findings
from mllint.checking.packs import load_pack
from mllint.checking.ruleset import RuleSet
from mllint.checking.select import Selection

ROOT = Path(__file__).parent.parent
STUDY = ROOT / "fixtures" / "import_study"
CODES = frozenset({"ML101", "ML102", "ML103", "ML104", "ML105"})


def found(name: str) -> dict[str, list[tuple[int, str]]]:
    """What the five rules find in one version of the study, by file."""
    rules = RuleSet(load_pack(ROOT / "rules", "mllint_rules"), Selection(CODES, frozenset()))
    reports = check_folder(STUDY / name, rules)
    return {path: [(each.begin.row, each.code) for each in report.diagnostics] for path, report in reports.items()}


def test_before_is_flagged_where_it_goes_wrong() -> None:
    expected = {path.relative_to(STUDY / "before").as_posix(): expected_findings(path) for path in _files("before")}
    assert found("before") == expected
    assert {code for rows in expected.values() for _, code in rows} == CODES


def test_after_is_clean() -> None:
    assert not any(found("after").values())


def test_before_and_after_differ_only_in_what_runs_at_import() -> None:
    before, after = ({path.name for path in _files(name)} for name in ("before", "after"))
    assert before == after
    unchanged = ("switches.py", "__init__.py")
    for name in unchanged:
        assert (STUDY / "before/study" / name).read_text("utf-8") == (STUDY / "after/study" / name).read_text("utf-8")


def test_before_saves_a_model_that_nobody_trained(tmp_path: Path) -> None:
    (result,) = run("before", [4], tmp_path)
    saved = json.loads((tmp_path / "4.json").read_text("utf-8"))
    assert sum(result["trained"]) == pytest.approx(10.0)
    assert saved != result["trained"]
    assert sum(saved) != pytest.approx(10.0)


def test_after_saves_the_trained_model(tmp_path: Path) -> None:
    for width, result in zip((4, 8), run("after", [4, 8], tmp_path), strict=True):
        saved = json.loads((tmp_path / f"{width}.json").read_text("utf-8"))
        assert saved == result["trained"]
        assert sum(saved) == pytest.approx(10.0)


def test_before_crashes_at_the_second_size(tmp_path: Path) -> None:
    with pytest.raises(Crashed, match="the layer is 4 wide, what comes in is 8"):
        run("before", [4, 8], tmp_path)
    assert (tmp_path / "4.json").exists()  # in the middle of the study: the first size is done


def test_before_takes_the_wrong_path_without_a_word(tmp_path: Path) -> None:
    (result,) = run("before", [4], tmp_path)
    assert (result["path"], result["model_uses_xla"]) == ("eager", False)
    (result,) = run("after", [4], tmp_path)
    assert (result["path"], result["model_uses_xla"]) == ("xla", True)


def test_before_keeps_a_setting_in_the_trace(tmp_path: Path) -> None:
    (result,) = run("before", [4], tmp_path, loss_scales=(1.0, 100.0))
    assert result["steps"][1] == result["steps"][0]
    (result,) = run("after", [4], tmp_path, loss_scales=(1.0, 100.0))
    assert result["steps"][1] == pytest.approx(100 * result["steps"][0])


def test_before_draws_the_same_whatever_the_seed(tmp_path: Path) -> None:
    noises = {
        name: [run(name, [4], tmp_path, seed=seed)[0]["noise"] for seed in (1, 2)] for name in ("before", "after")
    }
    assert noises["before"][0] == noises["before"][1]
    assert noises["after"][0] != noises["after"][1]


def test_the_fix_changes_one_option_and_leaves_the_rest_to_a_person(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(STUDY / "before", copy)
    (copy / "mllint.toml").write_text("", encoding="utf-8")  # makes the folder a project
    options = [
        "--select",
        ",".join(sorted(CODES)),
        "--fix",
        "--unsafe-fixes",
        "--no-cache",
        "--output-format",
        "json",
        ".",
    ]
    command = [sys.executable, "-m", "mllint", "check", *options]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert {each["code"] for each in json.loads(done.stdout)} == CODES - {"ML104"}
    changed = []
    for path in _files("before"):
        old, new = (each.read_text("utf-8").splitlines() for each in (path, copy / path.relative_to(STUDY / "before")))
        changed += [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]
    assert changed == [
        ("@tf.function(jit_compile=True)  # ML104", "@tf.function(jit_compile=True, reduce_retracing=True)  # ML104")
    ]
    assert run(str(copy), [4], tmp_path) == run("before", [4], tmp_path)


class Crashed(Exception):
    """The study ended with a traceback; its last line."""


def run(name: str, widths: list[int], folder: Path, seed: int = 0, loss_scales: tuple[float, ...] = (1.0,)) -> Any:
    """Run one version of the study (or a copy, by its absolute path) in a process of its own, with the stand-ins for TensorFlow and Keras."""
    code = (
        "import json, pathlib, sys; from study.run import run; "
        f"print(json.dumps(run({widths}, pathlib.Path(sys.argv[1]), {seed}, {loss_scales})))"
    )
    path = os.pathsep.join((str(STUDY / name), str(STUDY / "stand_ins")))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Crashed(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout)


def _files(name: str) -> list[Path]:
    return sorted((STUDY / name).rglob("*.py"))
