"""ML701: see the class for the page.

May not: take a count for a cost; only a GPU measures that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Option, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.syncs import Sync, Syncs
    from mllint.probe.site import Site
    from mllint.probe.trace import Trace

#: How a reader knows what torch calls by another name.
_SHOWN = {
    "__bool__": "A tensor as a condition",
    "__float__": "`float()` of a tensor",
    "__int__": "`int()` of a tensor",
    "__index__": "A tensor as a size or index",
    "__contains__": "`in` on a tensor",
    "__format__": "Formatting a tensor",
    "__repr__": "Printing a tensor",
    "__reduce_ex__": "Pickling a tensor",
    "synchronize": "`synchronize()`",
    "validate_args": "A distribution's look at its arguments",
}

#: The same, where one name does several things: by function and kind.
_SHOWN_AS = {
    ("__getitem__", "nonzero"): "Indexing with a boolean mask",
    ("__getitem__", "H2D"): "Indexing with a list or CPU tensor",
    ("__getitem__", "item"): "A tensor as an index",
    ("__setitem__", "nonzero"): "Assigning through a boolean mask",
    ("__setitem__", "H2D"): "Assigning through CPU indices or a number",
    ("to", "H2D"): "A copy to the GPU",
    ("cuda", "H2D"): "A copy to the GPU",
    ("to", "batch"): "A copy of the batch",
    ("cuda", "batch"): "A copy of the batch",
    ("to", "staged"): "A copy from pageable memory",
    ("cuda", "staged"): "A copy from pageable memory",
    ("to", "idle"): "A copy to the GPU",
    ("cuda", "idle"): "A copy to the GPU",
    ("to", "D2H"): "A copy to the host",
    ("cpu", "D2H"): "`.cpu()`",
}

_ADVICE = {
    "item": "keep it a tensor (`total += loss.detach()`) and read it every n steps, outside the step",
    "condition": "a mask or `torch.where` does without a branch; or look only every n steps",
    "validation": "give the distribution `validate_args=False`",
    "D2H": "copy once every n steps, or with `non_blocking=True` and an event before the first read",
    "H2D": "make it on the GPU, or pin the host's memory (`pin_memory=True`) and copy with `non_blocking=True`",
    "batch": "pin the loader's memory (`pin_memory=True`) and copy with `non_blocking=True`",
    "staged": "pin the loader's memory (`pin_memory=True`): only then is `non_blocking` true",
    "idle": "it comes directly behind another wait, so that the GPU had nothing to do: see that one",
    "nonzero": "the result's size depends on values: keep the shape (`torch.where`, a factor, `ignore_index`)",
    "unique": "the result's size depends on values: do it once outside the step, or keep the shape",
    "size": "the size is asked of the data: give it (`output_size`, `num_classes`, `minlength`, a range)",
    "equal": "compare on the GPU (`==`, `torch.where`), and read the answer every n steps",
    "linalg": "it looks whether it worked: the `_ex` variant (`inv_ex`, `cholesky_ex`) leaves that to you",
    "explicit": "only timing needs it, and that not in every step",
    "release": "the allocator reuses freed memory by itself: take it out of the step",
}


#: Kinds that are judged apart from what else waits on their line.
_APART = ("batch", "staged", "idle")

#: Who else may wait.
_OTHERS = {
    "library": "an installed library",
    "framework": "torch itself (an optimizer, a gradient scaler, a module or derivative of its own)",
    "placed": "a part of the batch, which the rehearsal has put on the GPU and your loop may leave on the CPU,",
    "unknown": "a backward pass whose forward is not known",
}


class HostSyncInStep(Rule):
    """A training step makes the host wait for the GPU.

    ## Why

    A GPU works through a queue that the host fills. Code that needs a value (`.item()`, `if loss > 10`, a boolean mask, whose
    result has an unknown size) waits until the queue is empty, and afterwards the GPU waits for the host. One project
    found its GPU busy 5 to 7 % of the time after hours of looking elsewhere; no line of the step looks slow, and a profile
    shows the wait, not its reason. The probe names the lines, without a GPU too: it rehearses the step on a virtual device.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F

    seen = {"loss": 0.0, "right": 0.0}


    def loss(model, batch):
        images, labels = batch
        logits = model(images)
        value = F.cross_entropy(logits, labels)
        seen["loss"] += value.item()
        seen["right"] += float((logits.argmax(1) == labels).sum())
        return value


    def mllint_probe():
        model = torch.nn.Linear(16, 10)
        batches = [(torch.randn(8, 16), torch.randint(0, 10, (8,))) for _ in range(3)]
        return {"model": model, "batches": batches, "loss": loss}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F

    seen = {"loss": 0.0, "right": 0.0}


    def loss(model, batch):
        images, labels = batch
        logits = model(images)
        value = F.cross_entropy(logits, labels)
        seen["loss"] = seen["loss"] + value.detach()
        seen["right"] = seen["right"] + (logits.argmax(1) == labels).sum()
        return value


    def mllint_probe():
        model = torch.nn.Linear(16, 10)
        batches = [(torch.randn(8, 16), torch.randint(0, 10, (8,))) for _ in range(3)]
        return {"model": model, "batches": batches, "loss": loss}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    A step may wait `max-syncs` times (1); copies of a batch count as one wait together. What waits in one watched step only (built once, or behind `if step % n`), a copy to
    the GPU directly behind another wait, what an installed
    library waits for, and what torch's optimizers, modules and `GradScaler` wait for, are notes. The rehearsal counts waits by a
    table of what each operator does on a GPU; it cannot know their length, extensions, NCCL, `flex_attention` or compiled regions, and leaves
    `torch.compile` out. The static half of this rule comes later.
    """

    meta = Meta(
        code="ML701",
        name="host-sync-in-step",
        severity=Severity.INFO,
        observed=Severity.WARNING,
        since="0.1.0",
        options=(Option("max-syncs", 1, "How often a training step may wait for the GPU in the user's own code."),),
    )

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.syncs import Syncs

        measured = trace.get(Syncs)
        if measured is None:
            return
        lines: dict[tuple[object, ...], list[Sync]] = {}
        for sync in measured.syncs:
            place, apart = sync.forward or sync.site, sync.kind if sync.kind in _APART else ""
            lines.setdefault((place and (place.path, place.row), sync.asker, apart), []).append(sync)
        counted = [syncs for syncs in lines.values() if _counts(syncs)]
        copied = any(
            syncs[0].kind == "batch" for syncs in counted
        )  # one after the other: only the first finds work to wait for
        total = sum(_a_step(syncs) for syncs in counted if syncs[0].kind != "batch") + copied
        allowed = int(str(ctx.option("max-syncs")))
        for syncs in lines.values():
            site = syncs[0].forward or syncs[0].site
            yield ctx.observe(
                site,
                *_messages(syncs),
                severity=None if _counts(syncs) and total > allowed else Severity.INFO,
                why=_why(syncs, total, allowed, measured),
                related=_related(syncs, site),
            )


def _counts(syncs: Sequence[Sync]) -> bool:
    """Does the user's own code wait here, in every step?"""
    return syncs[0].asker == "user" and syncs[0].kind not in ("staged", "idle") and _in_every_step(syncs)


def _in_every_step(syncs: Sequence[Sync]) -> bool:
    return all(sum(counts) for counts in zip(*(sync.counts for sync in syncs), strict=True))


def _a_step(syncs: Sequence[Sync]) -> int:
    """Waits a step, as the steps show on average."""
    from statistics import mean  # 4 ms that every `mllint check` would pay

    return round(mean([float(sum(counts)) for counts in zip(*(sync.counts for sync in syncs), strict=True)]))


def _messages(syncs: Sequence[Sync]) -> tuple[str, ...]:
    most, asker = _foremost(syncs), syncs[0].asker
    what = _SHOWN_AS.get((most.called, most.kind)) or _SHOWN.get(most.called) or f"`{most.called}()`"
    who = {"library": " inside a library", "framework": " inside torch"}.get(asker, "")
    often = _times(_a_step(syncs)) + " a step" if _in_every_step(syncs) or asker != "user" else "in some steps"
    behind = ", its backward included" if any(sync.node for sync in syncs) else ""
    short = f"{what} makes the host wait for the GPU {often}"
    return f"{short}{who}{behind}", f"{short}{behind}", short, f"The host waits for the GPU {often}"


def _foremost(syncs: Sequence[Sync]) -> Sync:
    """What a line is best known for: the forward, and what waits most often."""
    return max(syncs, key=lambda sync: (not sync.node, sum(sync.counts)))


def _times(count: int) -> str:
    return {0: "not once", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _why(syncs: Sequence[Sync], total: int, allowed: int, measured: Syncs) -> str:
    first = _foremost(syncs)
    note = next((f"; {told}" for told in measured.notes if "table" in told), "")
    if first.asker in _OTHERS:
        return f"{_OTHERS[first.asker]} waits here, which does not count against `max-syncs`{note}"
    about = {"__bool__": "condition", "validate_args": "validation"}.get(first.called, first.kind)
    advice = _ADVICE.get(about, "do it outside the step")
    stalls = [sync.stall for sync in syncs if sync.stall is not None]
    took = f", {sum(stalls) * 1000:.2f} ms of it here" if stalls else ""
    where = " in rehearsal" if measured.device == "rehearse" else ""
    return f"your code waits {_times(total)} a step{where}{took} ({allowed} allowed): {advice}{note}"


def _related(syncs: Sequence[Sync], site: Site | None) -> list[tuple[Site | None, str]]:
    """The backward call that waits for this forward line, and the line of a library that does."""
    backward = next((sync for sync in syncs if sync.node and sync.site != site), None)
    found: list[tuple[Site | None, str]] = []
    if backward is not None and backward.site is not None:
        found.append((backward.site, f"the backward pass waits here, in {backward.node}"))
    library = next((sync.stack[0] for sync in syncs if sync.asker == "library" and sync.stack), None)
    return found + ([(library, "the library's line")] if library is not None and library != site else [])
