"""The virtual device: what code believes on it, what it notes, and that nothing of it is left behind."""

from __future__ import annotations

import copy
import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

from mllint.probe.recording import rehearsal
from mllint.probe.recording.rehearsal import VirtualDevice, virtual_device
from mllint.probe.recording.rehearsal.tags import StorageMap


@pytest.fixture
def device() -> Iterator[VirtualDevice]:
    with virtual_device() as opened:
        yield opened


def kinds(log: Any) -> list[str]:
    return [wait.kind for wait in log.waits]


# ---- tags


def test_a_tag_belongs_to_the_storage(device: VirtualDevice) -> None:
    weight = torch.zeros(4, 4, device="cuda")
    same = (weight[1:], weight.data, weight.detach(), weight.view(-1), nn.Parameter(weight), weight.t())
    assert all(device.has(each) for each in same)
    assert not device.has(torch.zeros(4, 4))


def test_no_other_storage_inherits_a_tag() -> None:
    tags: StorageMap[bool] = StorageMap()
    for _ in range(200):
        tags.set(torch.empty(1000), True)
        assert torch.empty(1000) not in tags


def test_freed_storages_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mllint.probe.recording.rehearsal.tags._PRUNE_AFTER", 50)
    tags: StorageMap[bool] = StorageMap()
    for _ in range(500):
        tags.set(torch.empty(10), True)
    assert len(tags.values) < 100


def test_sparse_tensors_have_tags(device: VirtualDevice) -> None:
    assert device.has(torch.eye(3, device="cuda").to_sparse())
    assert device.has(torch.eye(3).to_sparse().to("cuda"))
    assert device.has(torch.eye(3, device="cuda").to_sparse_csr())


def test_modules_move_with_all_they_register(device: VirtualDevice) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).cuda()
    assert all(device.has(each) for each in (*model.parameters(), *model.buffers()))
    assert next(model.parameters()).device == torch.device("cuda", 0) and next(model.parameters()).is_cuda
    again = copy.deepcopy(model)
    assert all(device.has(each) for each in (*again.parameters(), *again.buffers()))
    assert not any(device.has(each) for each in again.cpu().parameters())


def test_results_lie_where_their_inputs_lie(device: VirtualDevice) -> None:
    there, here = torch.ones(4, device="cuda"), torch.ones(4)
    results = (there * 2, torch.stack([there, there]), torch.zeros_like(there), there.new_zeros(3), there + here[0])
    assert all(device.has(each) for each in results)
    assert not any(device.has(each) for each in (here * 2, torch.zeros_like(there, device="cpu"), there.cpu()))


def test_sequences_are_padded_where_they_lie(device: VirtualDevice) -> None:
    parts = [torch.ones(2, device="cuda"), torch.ones(3, device="cuda")]
    with device.watched() as log:
        padded = nn.utils.rnn.pad_sequence(parts)
    assert device.has(padded) and not log.waits  # its memory is made in C++, from no tensor


def test_a_move_is_a_copy(device: VirtualDevice) -> None:
    here = torch.zeros(3)
    there = here.to("cuda")
    there += 1
    assert here.sum() == 0 and torch.as_tensor(here, device="cuda").data_ptr() != here.data_ptr()
    assert there.to("cuda") is there


def test_gradients_move_back(device: VirtualDevice) -> None:
    leaf = torch.ones(3, requires_grad=True)
    (leaf.to("cuda") * 2).sum().backward()
    assert leaf.grad is not None and not device.has(leaf.grad) and leaf.grad.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "given",
    [("cuda",), ("cuda:0",), (torch.device("cuda"),), (0,), ("cuda", torch.float64), ("cuda", torch.float64, True)],
)
def test_every_way_to_name_the_device(device: VirtualDevice, given: tuple[Any, ...]) -> None:
    moved = torch.zeros(3).to(*given)
    assert device.has(moved) and moved.dtype == (torch.float64 if len(given) > 1 else torch.float32)
    assert device.has(torch.zeros(3).to(device=given[0]))
    assert device.has(torch.zeros(3).to(moved)) and not device.has(torch.zeros(3).to(torch.float64))


# ---- what code believes


def test_torch_says_there_is_a_gpu_and_afterwards_that_there_is_none() -> None:
    names = ("is_available", "device_count", "synchronize", "Stream", "Event", "memory_allocated")
    before = {name: getattr(torch.cuda, name) for name in names}
    others = (torch.save, torch.load, torch.compile, torch.Generator, torch.Tensor.device, F.has_torch_function_unary)
    with virtual_device():
        assert torch.cuda.is_available() and torch.cuda.device_count() == 1
        assert (
            torch.cuda.get_device_capability() >= (7, 0) and torch.cuda.memory_stats()["allocated_bytes.all.peak"] == 0
        )
        assert rehearsal.current() is not None
    assert {name: getattr(torch.cuda, name) for name in names} == before
    assert others == (
        torch.save, torch.load, torch.compile, torch.Generator, torch.Tensor.device, F.has_torch_function_unary,
    )  # fmt: skip
    assert rehearsal.current() is None and "pin_memory" not in vars(torch.Tensor)
    assert torch.zeros(2).device.type == "cpu"


def test_nothing_is_left_when_the_users_code_fails() -> None:
    available = torch.cuda.is_available()
    with pytest.raises(ZeroDivisionError), virtual_device():
        torch.set_default_device("cuda")
        raise ZeroDivisionError
    assert rehearsal.current() is None and torch.cuda.is_available() == available
    assert torch.zeros(2).device.type == "cpu" and torch.get_default_device().type == "cpu"


def test_default_devices(device: VirtualDevice) -> None:
    with torch.device("cuda"):
        model, made = nn.Linear(2, 2), torch.zeros(2)
        assert torch.get_default_device().type == "cuda"
    assert device.has(model.weight) and device.has(made) and not device.has(torch.zeros(2))
    torch.set_default_device("cuda")
    assert (
        device.has(torch.arange(3))
        and device.has(nn.Linear(2, 2).bias)
        and not device.has(torch.zeros(2, device="cpu"))
    )
    torch.set_default_device("cpu")
    assert not device.has(torch.zeros(2))


def test_streams_events_generators_and_old_constructors(device: VirtualDevice) -> None:
    stream, first, last = (
        torch.cuda.Stream(),
        torch.cuda.Event(enable_timing=True),
        torch.cuda.Event(enable_timing=True),
    )
    first.record()
    with torch.cuda.stream(stream):
        drawn = torch.randn(3, generator=torch.Generator("cuda").manual_seed(1), device="cuda")
    last.record()
    torch.cuda.current_stream().wait_stream(stream)
    drawn.record_stream(stream)
    assert first.elapsed_time(last) > 0 and isinstance(torch.default_generator, torch.Generator)
    assert device.has(torch.cuda.FloatTensor(2, 3)) and drawn.type() == "torch.cuda.FloatTensor"
    assert isinstance(drawn, torch.cuda.FloatTensor)


def test_half_precision_that_the_cpu_lacks(device: VirtualDevice) -> None:
    with torch.autocast("cuda", dtype=torch.float16):
        assert torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda") == torch.float16
        assert (torch.ones(2, 2, device="cuda") @ torch.ones(2, 2, device="cuda")).dtype == torch.float16
    counted = torch.histc(torch.tensor([0, 1, 1], dtype=torch.int32, device="cuda"), 2, 0, 1)
    assert counted.tolist() == [1, 2] and counted.dtype == torch.int32


def test_compiled_code_runs_eagerly_and_is_told(device: VirtualDevice) -> None:
    @torch.compile(dynamic=True)
    def doubled(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    model = nn.Linear(2, 2)
    assert torch.compile(model) is model and device.has(doubled(torch.ones(1, device="cuda")))
    assert any("torch.compile" in note for note in device.notes)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing(device: VirtualDevice, reentrant: bool) -> None:
    layer = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)).cuda()
    x = torch.ones(2, 4, device="cuda", requires_grad=True)
    checkpoint(layer, x, use_reentrant=reentrant).sum().backward()
    assert device.has(layer[0].weight.grad)


class Marked(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return super().__torch_function__(func, types, args, kwargs or {})


def test_tensor_classes_of_the_users_own(device: VirtualDevice) -> None:
    mine = torch.ones(3, device="cuda").as_subclass(Marked)
    assert isinstance(mine * 2, Marked) and device.has(mine * 2) and mine.is_cuda
    assert device.has(F.relu(mine)) and mine.device.type == "cuda"


def test_functions_of_python_see_the_device_too(device: VirtualDevice) -> None:
    attention = nn.MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True, batch_first=True).cuda()
    x = torch.ones(2, 3, 4, device="cuda")
    with device.watched() as log:
        attention(x, x, x, key_padding_mask=torch.zeros(2, 3, dtype=torch.bool, device="cuda"))[0].sum().backward()
    assert not log.mixes and not log.waits


class Halved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x / 2

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        assert gradients[0].is_cuda
        return gradients[0] * torch.full((1,), 0.5, device=gradients[0].device)


@pytest.mark.parametrize("way", ["method", "backward", "grad"])
def test_backward_passes_run_user_code_on_the_device(device: VirtualDevice, way: str) -> None:
    x = torch.ones(3, device="cuda", requires_grad=True)
    with device.watched() as log:
        out = Halved.apply(x).sum()
        if way == "method":
            out.backward(gradient=torch.ones((), device="cuda"))
        elif way == "backward":
            torch.autograd.backward(out)
        else:
            assert device.has(torch.autograd.grad(out, x)[0])
    assert not log.mixes


def test_optimizers_and_clipping_group_by_device(device: VirtualDevice) -> None:
    mixed = [nn.Parameter(torch.ones(3, device="cuda")), nn.Parameter(torch.ones(3))]
    for parameter in mixed:
        (parameter * 2).sum().backward()
    optimizer = torch.optim.AdamW(mixed)
    with device.watched() as log:
        optimizer.step()
    assert not log.mixes and not log.waits
    assert device.has(optimizer.state[mixed[0]]["exp_avg"]) and not device.has(optimizer.state[mixed[1]]["exp_avg"])
    assert not device.has(optimizer.state[mixed[0]]["step"])  # Adam counts on the host


def test_saved_and_loaded(device: VirtualDevice) -> None:
    file = io.BytesIO()
    torch.save({"weight": torch.ones(3, device="cuda")}, file)
    file.seek(0)
    assert device.has(torch.load(file, map_location="cuda")["weight"])


@pytest.mark.parametrize("workers", [0, 1])
def test_loaders_pin_memory(device: VirtualDevice, workers: int) -> None:
    loader = DataLoader(TensorDataset(torch.ones(4, 3)), batch_size=2, num_workers=workers, pin_memory=True)
    with device.watched() as log:
        for (batch,) in loader:
            assert batch.is_pinned()
            batch.to("cuda", non_blocking=True)
    assert not log.waits


def test_other_threads_see_where_tensors_are(device: VirtualDevice) -> None:
    tensor, seen = torch.ones(3, device="cuda"), []
    thread = threading.Thread(target=lambda: seen.append(tensor.is_cuda))
    thread.start()
    thread.join()
    assert seen == [True]


# ---- what it notes


def test_a_wait_names_the_line_and_who_asked(device: VirtualDevice) -> None:
    parameter = nn.Parameter(torch.ones(3, device="cuda"))
    optimizer = torch.optim.SGD([parameter], 0.1)
    scaler = torch.amp.GradScaler("cuda")
    with device.watched() as log:
        parameter.sum().item()
        scaler.scale(parameter.sum()).backward()
        scaler.step(optimizer)
    first, last = log.waits
    assert first.where.site is not None and first.where.site.path.endswith("test_probe_rehearsal.py")
    assert (first.called, first.where.asker, last.where.asker) == ("item", "user", "framework")


def test_what_torch_decides_itself_is_told_apart(device: VirtualDevice) -> None:
    rows, lengths = torch.ones(3, 4, 2, device="cuda"), torch.tensor([2, 4, 3])
    with device.watched() as log:
        packed = nn.utils.rnn.pack_padded_sequence(rows, lengths, batch_first=True, enforce_sorted=False)
        nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
        nn.Linear(2, 2).to("cuda")
    *inside, weight, bias = (wait.where.asker for wait in log.waits)
    assert inside and set(inside) == {"framework"} and (weight, bias) == ("user", "user")


def test_a_backward_wait_knows_its_forward(device: VirtualDevice) -> None:
    x = torch.ones(4, 2, device="cuda", requires_grad=True)
    mask = torch.tensor([True, False, True, False]).cuda()
    with device.watched() as log:
        chosen = x[mask]
        chosen.sum().backward()
    forward, backward = log.waits
    assert backward.node == "IndexBackward0" and backward.where.in_backward
    assert backward.forward is not None and backward.forward.site == forward.where.site


def test_quiet_functions_of_the_cpu(device: VirtualDevice) -> None:
    with device.watched() as log:
        torch.quantile(torch.ones(4, device="cuda"), torch.tensor(0.5, device="cuda"))
    assert kinds(log) == ["H2D"]  # the tensor of the host, not the CPU's own check


@pytest.mark.parametrize(
    ("copy_of", "early"),
    [
        (lambda there: there.to("cpu", non_blocking=True), 1),
        (lambda there: torch.empty(3).pin_memory().copy_(there, non_blocking=True), 1),
        (lambda there: torch.empty(3).copy_(there, non_blocking=True), 0),
        (lambda there: there.cpu(), 0),
    ],
)
def test_early_reads(device: VirtualDevice, copy_of: Any, early: int) -> None:
    there = torch.ones(3, device="cuda")
    with device.watched() as log:
        copy_of(there)[0].item()
    assert len(log.early) == early
    with device.watched() as log:
        copied = copy_of(there)
        torch.cuda.synchronize()
        copied.sum()
    assert not log.early


def test_numpy_of_a_copy_is_early_unless_a_wait_follows(device: VirtualDevice) -> None:
    pytest.importorskip("numpy")
    there = torch.ones(3, device="cuda")
    with device.watched() as log:
        there.to("cpu", non_blocking=True).numpy()
    assert [read.called for read in log.early] == ["numpy"]
    with device.watched() as log:
        there.to("cpu", non_blocking=True).numpy()
        torch.cuda.synchronize()
    assert not log.early


@pytest.mark.parametrize(
    "harmless",
    [
        lambda there, here: there + here[0],
        lambda there, here: there[here.long().clamp(0, 1)],
        lambda there, here: torch.where(there > here[0], there, here[0]),
        lambda there, here: torch.cat([there, torch.empty(0)]),
        lambda there, here: there.copy_(here),
        lambda there, here: there.index_fill_(0, torch.zeros(1, dtype=torch.long, device="cuda"), 1.0),
        lambda there, here: nn.utils.rnn.pack_padded_sequence(there.view(1, 4, 1), torch.tensor([4]), batch_first=True),
    ],
)
def test_tensors_that_may_mix(device: VirtualDevice, harmless: Any) -> None:
    with device.watched() as log:
        harmless(torch.ones(4, device="cuda"), torch.ones(4))
    assert not log.mixes


@pytest.mark.parametrize(
    "refused",
    [
        lambda there, here: there + here,
        lambda there, here: there @ here,
        lambda there, here: torch.stack([there, here]),
        lambda there, here: here[torch.zeros(2, dtype=torch.long, device="cuda")],
        lambda there, here: there.index_select(0, torch.zeros(2, dtype=torch.long)),
        lambda there, here: F.mse_loss(there, here),
        lambda there, here: there.masked_fill(here > 0, 0.0),
    ],
)
def test_tensors_that_may_not(device: VirtualDevice, refused: Any) -> None:
    with device.watched() as log:
        refused(torch.ones(4, device="cuda"), torch.ones(4))
    assert len(log.mixes) == 1 and log.mixes[0].host is not None and log.mixes[0].host.name in ("ones", "zeros")
