"""The process pool: every start method, and a worker that dies takes nothing with it."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest
from pool_work import multiply, name_file, prepare

from mllint.checking.pool import Pool


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_results_come_back(method: str) -> None:
    pool: Pool[int, int] = Pool(2, prepare, (10,), multiply, method)
    assert sorted(pool.map([[1, 2], [3]], lambda item: -item)) == [10, 20, 30]


def test_a_dying_worker_loses_only_its_own_item() -> None:
    chunks = [[number] for number in range(8)] + [[12, 13, 14]] + [[number] for number in range(20, 28)]
    pool: Pool[int, int] = Pool(2, prepare, (10,), multiply)
    expected = sorted([*range(0, 80, 10), 120, -13, 140, *range(200, 280, 10)])
    assert sorted(pool.map(chunks, lambda item: -item)) == expected


def test_a_pool_of_one_that_dies_at_once() -> None:
    pool: Pool[int, int] = Pool(1, prepare, (10,), multiply)
    assert list(pool.map([[13]], lambda item: -item)) == [-13]


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_workers_import_nothing_from_the_current_folder(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what is checked. They work there all the same."""
    for name in ("multiprocessing", "selectors", "signal"):
        (tmp_path / f"{name}.py").write_text("open('has-run', 'w')\nraise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    pool: Pool[str, str] = Pool(2, prepare, (1,), name_file, method)
    assert list(pool.map([["a.py"]], lambda item: "lost")) == [os.path.join(os.getcwd(), "a.py")]
    assert not Path("has-run").exists()
