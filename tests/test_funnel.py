"""The funnel that makes checking fast, counted and never timed: what is read, parsed, indexed and walked, how often.

The corpus is a part of Python's standard library: 200 files of ordinary code, on every machine, in which training
rules have next to nothing to look for. A rule that makes mllint parse half of it losslessly, or that asks
about the project in every file, fails here and not in somebody's editor.
"""

from __future__ import annotations

import ast
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libcst
import pytest
from click.testing import CliRunner

import mllint.analysis.syntax
import mllint.analysis.walk
import mllint.checking.first as first
import mllint.checking.look as look
import mllint.checking.opened as opened
import mllint.checking.second as second
from mllint.cli import main

FOLDERS = (
    "asyncio collections concurrent ctypes email html http importlib json logging multiprocessing unittest urllib xml"
)


@dataclass
class Counts:
    """How often each step was taken, and how many nodes were walked."""

    steps: Counter[str] = field(default_factory=Counter)
    nodes: Counter[str] = field(default_factory=Counter)
    paths: dict[str, Counter[str]] = field(default_factory=dict)

    def watch(self, patch: pytest.MonkeyPatch, owner: Any, name: str, step: str, path_first: bool = False) -> None:
        """Count the calls of a function under the name that its caller uses."""
        original: Callable[..., Any] = getattr(owner, name)

        def counting(*arguments: Any, **named: Any) -> Any:
            self.steps[step] += 1
            if path_first:
                self.paths.setdefault(step, Counter())[str(arguments[0])] += 1
            return original(*arguments, **named)

        patch.setattr(owner, name, counting)


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    counted = Counts()
    counted.watch(monkeypatch, first, "read", "read", path_first=True)
    counted.watch(monkeypatch, opened, "read", "read for the project", path_first=True)
    counted.watch(monkeypatch, look, "parse", "parsed")
    counted.watch(monkeypatch, opened, "parse", "parsed for the project")
    counted.watch(monkeypatch, look, "build_index", "indexed")
    counted.watch(monkeypatch, opened, "build_index", "indexed for the project")
    counted.watch(monkeypatch, libcst, "parse_module", "parsed losslessly")
    counted.watch(monkeypatch, second, "answer", "looked at twice")
    below = ast.iter_child_nodes

    def walked(node: ast.AST) -> Iterator[ast.AST]:
        counted.nodes["ast"] += 1
        return below(node)

    monkeypatch.setattr(ast, "iter_child_nodes", walked)
    direct = mllint.analysis.syntax.parts

    def parts(node: ast.AST) -> list[ast.AST]:
        counted.nodes["ast"] += 1
        return direct(node)

    monkeypatch.setattr(mllint.analysis.syntax, "parts", parts)
    children = mllint.analysis.walk.children

    def lossless(node: libcst.CSTNode) -> list[libcst.CSTNode]:
        counted.nodes["lossless"] += 1
        return children(node)

    monkeypatch.setattr(mllint.analysis.walk, "children", lossless)
    return counted


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of ordinary code, as the current folder."""
    library = Path(json.__file__).parent.parent
    for name in FOLDERS.split():
        shutil.copytree(library / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "test*"))
    (tmp_path / "pyproject.toml").write_text("[tool.mllint]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*arguments: str) -> list[str]:
    result = CliRunner().invoke(main, ["check", "--jobs", "1", "--output-format", "concise", *arguments])
    assert result.exit_code in (0, 1), result.output
    return [line for line in result.stdout.splitlines() if ": ML" in line]


def all_nodes(folder: Path) -> int:
    return sum(len(list(ast.walk(ast.parse(path.read_bytes())))) for path in folder.rglob("*.py"))


def test_a_cold_run_stays_within_its_bounds(corpus: Path, counts: Counts) -> None:
    nodes = all_nodes(corpus)
    files = len(list(corpus.rglob("*.py")))
    counts.nodes.clear()
    assert files > 150
    check()
    steps = counts.steps
    twice = steps["looked at twice"]
    # Each file is read, parsed and indexed once, and once more if a rule asks about other files.
    assert steps["read"] <= files + twice
    assert steps["parsed"] <= files + twice
    assert steps["indexed"] <= files + twice
    assert twice <= 0.3 * files, f"{twice} of {files} files ask about the project"
    assert steps["parsed losslessly"] <= 0.03 * files, f"{steps['parsed losslessly']} of {files} lossless trees"
    assert counts.nodes["ast"] <= 0.3 * nodes, f"{counts.nodes['ast']} of {nodes} nodes walked"
    assert steps["indexed for the project"] <= files
    most = counts.paths.get("read for the project", Counter()).most_common(1)
    assert not most or most[0][1] <= 12, f"read again and again: {most}"


def test_a_second_run_reads_only_what_it_shows(corpus: Path, counts: Counts) -> None:
    first = check()
    with_findings = {line.partition(":")[0] for line in first}
    counts.steps.clear()
    assert check() == first
    assert counts.steps["read"] == len(with_findings)
    assert {step for step, count in counts.steps.items() if count} <= {"read"}


def test_after_one_change_only_what_depends_on_it_is_done_again(corpus: Path, counts: Counts) -> None:
    first = check()
    asked = counts.steps["looked at twice"]
    counts.steps.clear()
    changed = corpus / "json" / "tool.py"
    changed.write_text(changed.read_text() + "\n\n_added = 1\n")
    assert check() == first
    # Answers about the project come from what is kept; a candidate may look at the text of a file or two again.
    assert counts.steps["parsed"] <= 2 * (1 + asked)
    assert counts.steps["indexed for the project"] <= 1
    again = counts.steps["read for the project"]
    assert again <= 0.5 * asked, f"{again} files read for the project, {asked} files ask"


def test_without_candidates_nothing_is_parsed_losslessly(corpus: Path, counts: Counts) -> None:
    check("json", "html", "concurrent")
    assert counts.steps["parsed losslessly"] == 0
    assert counts.nodes["lossless"] == 0
