"""A pre-commit run on three files gives the same findings for these files as a run on everything.

The project is made of the project fixtures of all rules, each a package of its own.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mllint.checking import first, second
from mllint.checking.crew import Crew
from mllint.cli import main

FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in sorted(FIXTURES.glob("ml*/*_project*")):
        target = tmp_path / f"{folder.parent.name}_{folder.name}"
        shutil.copytree(folder, target)
    (tmp_path / "pyproject.toml").write_text('[tool.mllint]\nselect = ["ALL"]\npreview = true\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def findings(*arguments: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(main, ["check", "--output-format", "json", *arguments])
    assert result.exit_code in (0, 1) and isinstance(result.exception, SystemExit | None), (
        result.output,
        result.exception,
    )
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


@pytest.mark.parametrize("cache", [(), ("--no-cache",)], ids=["cache", "no cache"])
def test_any_three_files_alone(project: Path, cache: tuple[str, ...]) -> None:
    everything = findings(*cache)
    named = sorted({row["filename"] for row in everything})
    assert len({row["code"] for row in everything}) >= 6, "the fixtures hold too few project rules to tell anything"
    if cache == ():
        shutil.rmtree(project / ".mllint_cache")
    draw = random.Random(7)
    paths = [path.relative_to(project).as_posix() for path in sorted(project.rglob("*.py"))]
    for _ in range(6):
        chosen = draw.sample(paths, 3)
        expected = [row for row in everything if any(row["filename"].endswith("/" + path) for path in chosen)]
        assert findings(*cache, *chosen) == expected, chosen
    for name in named:
        assert findings(*cache, name) == [row for row in everything if row["filename"] == name]


def test_workers_and_order_change_nothing(project: Path) -> None:
    everything = findings("--no-cache", "--jobs", "1")
    paths = [path.relative_to(project).as_posix() for path in sorted(project.rglob("*.py"), reverse=True)]
    assert findings("--no-cache", "--jobs", "2", *paths) == [
        row for row in everything if row["filename"].endswith((".py", ".pyi"))
    ]


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_pools_change_nothing(method: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both looks in workers where they can be, then a run on what the workers left in the cache, then after a change."""
    everything = findings("--no-cache", "--jobs", "1")
    monkeypatch.setattr(first, "POOL_BYTES", 0)
    monkeypatch.setattr(second, "POOL_BYTES", 0)
    monkeypatch.setattr(second, "KEPT_BYTES", 0)  # no crew
    monkeypatch.setenv("MLLINT_START_METHOD", method)
    asked = Counter[bool]()
    in_workers = second._in_workers
    monkeypatch.setattr(second, "_in_workers", lambda *about: asked.update([True]) or in_workers(*about))
    assert findings("--jobs", "2") == everything
    assert asked[True] == (method == "fork")
    assert findings("--jobs", "2") == everything
    for path in sorted(project.rglob("*.py"))[::3]:
        path.write_text(path.read_text() + "\n")
    assert findings("--jobs", "2") == findings("--no-cache", "--jobs", "1")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a crew is forked")
@pytest.mark.parametrize("size", ["2", "3"])
def test_a_crew_changes_nothing(size: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both looks in processes that keep their trees, then a run on their cache, then after a change."""
    everything = findings("--no-cache", "--jobs", "1")
    monkeypatch.setattr(second, "CREW_BYTES", 1)
    monkeypatch.setenv("MLLINT_START_METHOD", "fork")
    crews = Counter[int]()
    begun = Crew.__init__
    monkeypatch.setattr(Crew, "__init__", lambda crew, size, *more: crews.update([size]) or begun(crew, size, *more))
    assert findings("--jobs", size) == everything
    assert crews == {int(size): 1}
    assert findings("--jobs", size) == everything
    for path in sorted(project.rglob("*.py"))[::3]:
        path.write_text(path.read_text() + "\n")
    assert findings("--jobs", size) == findings("--no-cache", "--jobs", "1")
    assert crews == {int(size): 2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a crew is forked")
@pytest.mark.parametrize("step", ["look", "resume"])
def test_what_a_dead_member_has_not_told_is_done_again(
    step: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = findings("--no-cache", "--jobs", "1")
    monkeypatch.setattr(second, "CREW_BYTES", 1)
    here, deaths = os.getpid(), Counter[bool]()
    name = {"look": "examine", "resume": "_placed"}[step]
    real = getattr(second, name)

    def die(*about: Any) -> Any:
        if os.getpid() == here or multiprocessing.parent_process() is not None:
            return real(*about)
        os._exit(1)

    monkeypatch.setattr(second, name, die)
    lost = second._in_workers if step == "resume" else first.Pool.map
    where = (second, "_in_workers") if step == "resume" else (first.Pool, "map")
    monkeypatch.setattr(*where, lambda *about: deaths.update([True]) or lost(*about))
    monkeypatch.setenv("MLLINT_START_METHOD", "fork")
    for _ in range(5):  # until the other one has taken a piece
        assert findings("--no-cache", "--jobs", "2") == everything
    assert deaths[True]


@pytest.mark.parametrize("crew", [True, False], ids=["crew", "pool"])
def test_what_workers_ask_about_the_project_is_kept(crew: bool, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers that `_scan` found in a forked worker are those that one process would have found."""
    kept = []
    monkeypatch.setattr(second, "CREW_BYTES", 1 if crew else 1_000_000)
    for jobs in ("1", "2"):
        monkeypatch.setattr(first, "POOL_BYTES", 0)
        monkeypatch.setattr(second, "POOL_BYTES", 0)
        findings("--jobs", jobs)
        file = next((project / ".mllint_cache").glob("project-*.json"))
        kept.append(json.loads(file.read_text()))
        shutil.rmtree(project / ".mllint_cache")
    assert kept[0] == kept[1]
