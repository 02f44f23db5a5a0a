"""A pre-commit run on three files gives the same findings for these files as a run on everything.

The project is made of the project fixtures of all rules, each a package of its own.
"""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

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
    assert result.exit_code in (0, 1), result.output
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
