"""ML805: see the class for the page.

May not: call an index wrong that torch counts from the end, or one that the loss ignores.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.indices import OutOfTable
    from mllint.probe.trace import Trace


class IndexOutOfTable(Rule):
    """An index, token id or class label lies outside the table that it is looked up in.

    ## Why

    A tokenizer with three special tokens gives the ids 256 to 258 to a table of 256 rows: half of one project's pipeline
    tests crashed with it, and where two encoders were mixed, ids of the one were looked up in the table of the other. On the
    CPU torch says "index out of range in self" without naming the index, the table or your line. On a GPU a
    device-side assert is reported at some later operation, and the process can do nothing with the device after it.
    `torch.take_along_dim` with a dimension says nothing at all and reads another row.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F


    class Reader(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(256, 8)  # bytes, but the tokenizer adds three special tokens
            self.head = torch.nn.Linear(8, 256)

        def forward(self, ids):
            return self.head(self.table(ids))


    def loss(model, ids):
        return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


    def mllint_probe():
        ids = torch.tensor([[256, 72, 105, 257], [256, 72, 111, 257]])
        return {"model": Reader(), "batches": [ids], "loss": loss}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F


    class Reader(torch.nn.Module):
        def __init__(self, vocabulary=259):
            super().__init__()
            self.table = torch.nn.Embedding(vocabulary, 8)
            self.head = torch.nn.Linear(8, vocabulary)

        def forward(self, ids):
            return self.head(self.table(ids))


    def loss(model, ids):
        return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


    def mllint_probe():
        ids = torch.tensor([[256, 72, 105, 257], [256, 72, 111, 257]])
        return {"model": Reader(), "batches": [ids], "loss": loss}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Only what runs is seen: three batches, and further batches (up to 256, or as many as `--steps` asks for) where a part of
    the batch goes into a lookup as it is. Lookups inside scripted code, fused losses and custom kernels are not seen. A table
    that is smaller than a vocabulary in the text of the program is not found without a run.
    """

    meta = Meta(code="ML805", name="index-out-of-table", severity=Severity.ERROR, since="0.1.0")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.indices import Indices

        measured = trace.get(Indices)
        for out in measured.out if measured is not None else ():
            index = out.high if out.high >= out.size else out.low
            made = ((out.made, f"`{out.table}` is made here"),) if out.made is not None else ()
            yield ctx.observe(out.site, *_messages(out, index), why=_why(out), related=made)


def _messages(out: OutOfTable, index: int) -> tuple[str, ...]:
    if out.operation in ("cross_entropy", "nll_loss"):
        return (f"`{out.operation}` gets target {index}, but its input has {out.size} classes",)
    if out.operation == "one_hot":
        return (f"`one_hot` gets class {index}, but has {out.size} classes",)
    operation = {"getitem": "The subscript", "setitem": "The subscript"}.get(out.operation, f"`{out.operation}`")
    plain = f"{operation} asks for index {index} where there are {out.size}"
    if not out.table:
        return (plain,)
    return f"{operation} asks for row {index} of `{out.table}`, which has {out.size} rows", plain


def _why(out: OutOfTable) -> str:
    seen = f"{out.count} of {out.total} indices lie outside {out.lowest} to {out.size - 1} (seen {out.low} to {out.high}, first in batch {out.batch})"
    if out.silent:
        return f"{seen}; torch raises nothing here and reads another row: check where the indices come from"
    if out.operation in ("cross_entropy", "nll_loss", "one_hot"):
        do = "give the last layer as many classes as there are labels, or mark labels that do not count with `ignore_index`"
    else:
        do = "make the table as large as the largest index plus one, or find out which encoder these ids come from"
    return f"{seen}; on a GPU this is a device-side assert at some later line: {do}"
