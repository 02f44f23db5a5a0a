"""A target goes to the device where its author has not put it; torch's `meta` device stands for a GPU.

May not: need a GPU.
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from mllint.probe.recording.entry import entry_from
from mllint.probe.recording.placing import on_device, place
from mllint.probe.recording.run import Run

META = torch.device("meta")


def run_of(loss: Callable[..., Any], model: torch.nn.Module | None = None) -> Run:
    model = model or torch.nn.Linear(4, 1)
    return Run(entry_from({"model": model, "batches": [torch.ones(2, 4)], "loss": loss}))


def plain(model: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return model(batch).mean()


def moves_itself(model: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return model(batch.to(next(model.parameters()).device)).mean()


def names_the_cpu(model: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return (model(batch) * torch.ones(2, 1, device="cpu")).mean()


@pytest.mark.parametrize(("loss", "moving"), [(plain, True), (moves_itself, False)])
def test_the_model_moves_and_the_batches_where_the_step_does_not(loss: Callable[..., Any], moving: bool) -> None:
    run = run_of(loss)
    weight = next(run.model.parameters())
    place(run, META, must=False)
    assert run.device == META and run.moving == moving
    assert run.loss(run.batch(0)).device == META
    assert next(run.model.parameters()).device == META or weight.device == META


@pytest.mark.parametrize(("must", "device"), [(False, "cpu"), (True, "meta")])
def test_a_target_that_names_the_cpu_stays_there_unless_told(
    must: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def to(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
        return module.to_empty(device=device)  # nothing can be copied out of `meta`

    monkeypatch.setattr(torch.nn.Module, "to", to)
    run = run_of(names_the_cpu)
    place(run, META, must=must)
    assert run.device.type == device and not run.moving
    assert next(run.model.parameters()).device.type == device


def test_a_model_that_is_there_already_is_left_alone() -> None:
    run = run_of(plain, torch.nn.Linear(4, 1, device=META))
    place(run, META, must=False)
    assert run.device == META and run.moving


def test_a_failure_of_another_kind_moves_nothing_back() -> None:
    def broken(model: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no such thing")

    run = run_of(broken)
    place(run, META, must=False)
    assert run.device == META and not run.moving


@dataclass
class Pair:
    x: torch.Tensor
    name: str


class Encoding(UserDict):  # type: ignore[type-arg]
    def to(self, device: torch.device) -> Encoding:
        return Encoding({key: value.to(device) for key, value in self.items()})


def test_batches_of_every_make() -> None:
    batch = {"a": [torch.ones(1), "text", 3], "b": (Pair(torch.ones(2), "x"), Encoding(ids=torch.ones(3)))}
    moved = on_device(batch, META)
    found = [moved["a"][0], moved["b"][0].x, moved["b"][1]["ids"]]
    assert [each.device for each in found] == [META] * 3
    assert moved["a"][1:] == ["text", 3] and moved["b"][0].name == "x"
