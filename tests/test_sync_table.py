"""The table of what makes the host wait: 81 constructs on the virtual device, and on a GPU where there is one."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from mllint.probe.check import all_checks
from mllint.probe.measured.syncs import Syncs
from mllint.probe.recording.rehearsal import virtual_device
from mllint.probe.recording.rehearsal.conditions import FUNCTION_CONDITIONS, OPERATOR_CONDITIONS
from mllint.probe.recording.rehearsal.table import known_releases, table_for

FOLDER = Path(__file__).parent.parent / "fixtures" / "sync_table"


def loaded(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"sync_table_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLE = loaded("constructs")
each_construct = pytest.mark.parametrize("construct", TABLE.CONSTRUCTS, ids=lambda construct: construct.name)


@pytest.fixture(autouse=True)
def distributions_validate() -> Iterator[None]:
    """Torch switches this off for good when anything is compiled in the process, by an earlier test for example."""
    kind = torch.distributions.Distribution
    before = kind._validate_args
    kind.set_default_validate_args(True)
    yield
    kind.set_default_validate_args(before)


def test_the_table_has_all_constructs() -> None:
    names = [construct.name for construct in TABLE.CONSTRUCTS]
    assert (len(names), len(set(names)), sum(construct.waits for construct in TABLE.CONSTRUCTS)) == (81, 81, 47)


@each_construct
def test_rehearsed(construct: Any) -> None:
    with virtual_device() as device:
        things = TABLE.things("cuda")
        with device.watched() as log:
            construct.run(things)
    assert bool(log.waits) == construct.waits, construct.why
    assert not log.mixes and not log.early


def test_the_planted_step_names_all_seven_lines() -> None:
    from mllint.probe.recording.here import probe_here

    path = FOLDER / "planted_step.py"
    trace = probe_here(
        lambda: loaded("planted_step").mllint_probe(), [check for check in all_checks() if check.stem == "syncs"]
    )
    measured = trace.measurements["syncs"]
    assert isinstance(measured, Syncs) and not measured.mixes and not measured.placed
    planted = {row for row, line in enumerate(path.read_text("utf-8").splitlines(), 1) if "# waits" in line}
    places = [sync.forward or sync.site for sync in measured.syncs if sync.asker == "user"]
    assert {place.row for place in places if place and place.path.endswith(path.name)} == planted
    assert len(planted) == 7
    assert all(min(sync.counts) > 0 for sync in measured.syncs)
    behind = {sync.node: sync.forward for sync in measured.syncs if sync.node}
    assert set(behind) == {"IndexBackward0", "IndexPutBackward0"} and all(behind.values())


@pytest.mark.parametrize("release", known_releases())
def test_tables_name_what_exists(release: str) -> None:
    table = table_for(release)
    assert not table.note and table.torch == release
    assert {entry.when for entry in table.operators.values()} <= set(OPERATOR_CONDITIONS)
    assert {entry.when for entry in table.functions.values()} <= set(FUNCTION_CONDITIONS)


def test_operators_of_the_table_exist_in_this_torch() -> None:
    missing = [name for name in table_for().operators if not hasattr(torch.ops.aten, name)]
    assert missing == []


@pytest.mark.parametrize("version", ["2.4.1", "2.99.0a0+git", "3.0.0"])
def test_another_torch_gets_the_nearest_table_and_is_told(version: str) -> None:
    table = table_for(version)
    assert table.torch in known_releases()
    assert f"there is no table for torch {'.'.join(version.split('.')[:2])}" in table.note


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@each_construct
def test_replayed_on_a_gpu(construct: Any) -> None:
    from mllint.probe.recording.gpu_syncs import waits_of

    things = TABLE.things("cuda")
    construct.run(things)  # what is done once (handles, kernels) is done
    torch.cuda.synchronize()
    assert bool(waits_of(lambda: construct.run(things))) == construct.waits, construct.why
