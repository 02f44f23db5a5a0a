"""ML711: see the class for the page.

May not: speak of a tensor of which it is not known how it came to be on the host.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.syncs import DeviceMix, Syncs
    from mllint.probe.site import Site
    from mllint.probe.trace import Trace

_ADVICE = {
    "made": "give it the device of what it meets: `device=x.device`",
    "attribute": "`.to(device)` moves parameters and buffers only: make it one with `register_buffer`",
    "batch": "the step moves other parts of the batch and has left this one on the host: move it too",
    "moved": "move the other tensor too, or leave this one where it was",
    "numpy": "`.detach().cpu()` first, and not in every step",
    "": "bring them to one device first",
}


class DeviceMismatch(Rule):
    """An operation gets tensors of the CPU and of the GPU.

    ## Why

    On a machine without a GPU such code runs, and its tests pass; the first job on the cluster ends with "Expected
    all tensors to be on the same device", after the queue and the loading of data. The usual culprits are a `torch.zeros(...)`
    in a forward that names no device, a mask kept as a plain attribute, which `.to(device)` does not move, and labels that
    the loop forgot. The rehearsal knows where each tensor would lie, and finds all of them in one run, not one a job.

    ## Bad

    ```python
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(16, 8)

        def forward(self, x):
            positions = torch.arange(x.shape[1])
            return x + self.table(positions)


    def mllint_probe():
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = Net().to(device)
        batches = [torch.randn(4, 16, 8, device=device) for _ in range(3)]
        return {"model": model, "batches": batches, "loss": lambda model, batch: model(batch).square().mean()}
    ```

    ## Good

    ```python
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(16, 8)

        def forward(self, x):
            positions = torch.arange(x.shape[1], device=x.device)
            return x + self.table(positions)


    def mllint_probe():
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = Net().to(device)
        batches = [torch.randn(4, 16, 8, device=device) for _ in range(3)]
        return {"model": model, "batches": batches, "loss": lambda model, batch: model(batch).square().mean()}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Without a GPU it is a prediction. Numbers (tensors of no dimension) and CPU indices of a GPU tensor may mix and are not
    reported, nor is a tensor whose origin is unknown (an extension, another thread). Where the target does not move its model, the
    rehearsal does: then a tensor that a module makes or keeps on the CPU is a warning, and one that the target's own
    functions make is a note, since the real loop may do otherwise. An extension's own operators are never reported.
    """

    meta = Meta(code="ML711", name="device-mismatch", severity=Severity.ERROR, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.syncs import Syncs

        measured = trace.get(Syncs)
        if measured is None:
            return
        groups: dict[tuple[object, ...], list[DeviceMix]] = {}
        for mix in measured.mixes:
            known = (mix.host_kind, mix.host_name, mix.host_site)
            key: tuple[object, ...] = known if mix.host_site or mix.host_kind == "attribute" else (mix.site,)
            groups.setdefault(key, []).append(mix)
        for mixes in groups.values():
            severity = _severity(mixes[0], measured)
            if severity is not None:
                yield ctx.observe(
                    _place(mixes[0]),
                    *_messages(mixes[0]),
                    severity=severity,
                    why=_why(mixes[0], measured),
                    related=_related(mixes),
                )


def _severity(mix: DeviceMix, measured: Syncs) -> Severity | None:
    """None where nobody knows how the tensor came to be on the host."""
    if measured.device != "rehearse":
        return Severity.ERROR  # torch has refused it
    if not mix.host_kind and mix.called != "numpy":
        return None
    if mix.asker == "library" and mix.host_asker != "user":
        return Severity.INFO  # a library that many run on GPUs
    if "model" not in measured.placed or mix.host_kind == "batch":
        return Severity.ERROR
    if mix.host_kind == "attribute" or (mix.host_kind == "made" and mix.in_module and not mix.asked):
        return Severity.WARNING  # a tensor made where `x.device` said may be kept from before
    return Severity.INFO


def _place(mix: DeviceMix) -> Site | None:
    """Where it has to be put right: a tensor that a module keeps where it is made, anything else where it is used."""
    return mix.host_site or mix.site if mix.host_kind == "attribute" else mix.site


def _messages(mix: DeviceMix) -> tuple[str, ...]:
    if mix.called == "numpy":
        return ("`numpy()` of a tensor on the GPU raises an error",)
    host = mix.on_host[0] if mix.on_host else "a tensor"
    there = mix.on_device[0] if mix.on_device else "a tensor"
    if mix.host_kind == "attribute":
        return (
            f"`{mix.host_name}` ({host}) stays on the CPU, where `{mix.operator}` gets it beside {there} of the GPU",
            f"`{mix.host_name}` stays on the CPU, and `{mix.operator}` gets it beside a tensor of the GPU",
            f"`{mix.host_name}` stays on the CPU when its module moves",
        )
    return (
        f"`{mix.operator}` gets {host} on the CPU and {there} on the GPU",
        f"`{mix.operator}` gets {host} on the CPU beside a tensor on the GPU",
        f"`{mix.operator}` gets tensors of the CPU and of the GPU",
    )


def _why(mix: DeviceMix, measured: Syncs) -> str:
    kind = "numpy" if mix.called == "numpy" else mix.host_kind
    if measured.device != "rehearse":
        return f"torch refuses it ({mix.host_name}): {_ADVICE[kind]}"
    made = f"; `{mix.host_name}` makes it on the CPU" if mix.host_kind == "made" else ""
    when = "once the model is on a GPU" if "model" in measured.placed else "on a GPU"
    return f"torch raises an error here {when}, {mix.count} times in {measured.steps} rehearsed steps{made}: {_ADVICE[kind]}"


def _related(mixes: Sequence[DeviceMix]) -> Iterator[tuple[Site | None, str]]:
    first, place = mixes[0], _place(mixes[0])
    if first.host_site is not None and first.host_site != place:
        yield first.host_site, "the CPU tensor is made here"
    for mix in mixes[:4]:
        if mix.site != place:
            yield mix.site, "it meets a tensor of the GPU here"
