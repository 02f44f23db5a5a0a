"""ML804: see the class for the page.

May not: call rows of one length cut; packed text looks like that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.probe.judge import Judging
    from mllint.probe.measured.truncation import Sequences
    from mllint.probe.trace import Trace

#: Samples of the greatest length: in number, and as a share of all.
_FEWEST, _SHARE = 5, 0.05
#: Samples that are shorter, and their different lengths: without them nothing can be compared.
_SHORTER, _DIFFERENT = 8, 5
#: A pile at the greatest length: so many times the commonest other length, and the mean of the lengths just below.
_COMMONEST, _BELOW, _NEAR = 3.0, 5.0, 0.75
#: A pile in rows shorter than this may come from how samples are made.
_SHORTEST = 16
#: Nearly all, hardly any: shares of samples that end with the token that others end with.
_ALL, _HARDLY = 0.95, 0.2


@dataclass(frozen=True, slots=True)
class _Cut:
    """What speaks for a cut."""

    cut: int
    samples: int
    longest: int
    evidence: str


class SilentTruncation(Rule):
    """Samples are cut at the maximum length, and nothing counts them.

    ## Why

    A sequence length of 32 cut 11 of 21 prompts in one project. What made the prompts different stood at their ends, so
    different goals looked the same to the model; eight experiments and forty hours went into the model before anybody
    looked at a prompt as it arrives. Cutting is one argument of the tokenizer, and it says nothing.

    ## Bad

    ```python
    import torch
    import torch.nn.functional as F

    PAD, LENGTH = 0, 40


    def row(text):
        ids = [ord(letter) - 31 for letter in text][:LENGTH]
        return ids + [PAD] * (LENGTH - len(ids))


    def loss(model, ids):
        return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten(), ignore_index=PAD)


    def mllint_probe():
        model = torch.nn.Sequential(torch.nn.Embedding(96, 16), torch.nn.Linear(16, 96))
        texts = ["go to the " + "very " * (number % 9) + f"far door {number}" for number in range(27)]
        return {"model": model, "batches": [torch.tensor([row(text) for text in texts])], "loss": loss, "pad": PAD}
    ```

    ## Good

    ```python
    import torch
    import torch.nn.functional as F

    PAD, LENGTH = 0, 80


    def row(text):
        ids = [ord(letter) - 31 for letter in text]
        if len(ids) > LENGTH:
            raise ValueError(f"{len(ids)} tokens, {LENGTH} are allowed: {text}")
        return ids + [PAD] * (LENGTH - len(ids))


    def loss(model, ids):
        return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten(), ignore_index=PAD)


    def mllint_probe():
        model = torch.nn.Sequential(torch.nn.Embedding(96, 16), torch.nn.Linear(16, 96))
        texts = ["go to the " + "very " * (number % 9) + f"far door {number}" for number in range(27)]
        return {"model": model, "batches": [torch.tensor([row(text) for text in texts])], "loss": loss, "pad": PAD}
    ```

    ## Fix safety

    There is no fix.

    ## Known limits

    Batches show what is left after the cut. It is inferred where padding can be told from tokens (a mask, `pad`, a
    `padding_idx`, or one value at the ends of rows only) and shorter samples are there to compare with: many
    samples have exactly the greatest length while the others spread over many lengths, or all shorter samples end with
    one token and these do not, or a `lengths` part claims more than there is. Rows of one length (packed text), windows
    that overlap and fewer than eight shorter samples lead to no finding; text cut into pieces of which each is a row, the
    last one padded, may lead to one although nothing is lost. A tokenizer that is told to cut is not found in the text of
    the program.
    """

    meta = Meta(code="ML804", name="silent-truncation", severity=Severity.WARNING, since="0.1.0", confidence="medium")

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        from mllint.probe.measured.truncation import Truncation

        measured = trace.get(Truncation)
        for sequences in measured.sequences if measured is not None else ():
            cut = _cut(sequences)
            if cut is None:
                continue
            part = f" of `{sequences.part}`" if sequences.part else ""
            share = f"{cut.cut} of {cut.samples} samples{part} ({cut.cut / cut.samples:.0%})"
            yield ctx.observe(
                None,
                f"{share} fill the maximum length of {cut.longest} and seem to be cut",
                f"{cut.cut} of {cut.samples} samples fill the maximum length of {cut.longest} and seem to be cut",
                why=(
                    f"{cut.evidence}: what stands at their ends is lost, and samples that differ there are the same; raise the "
                    "maximum length, or count and drop what is longer"
                ),
            )


def _cut(sequences: Sequences) -> _Cut | None:
    counts = dict(sequences.lengths)
    samples, longest = sum(counts.values()), max(counts, default=0)
    full = counts.pop(longest, 0)
    counts.pop(0, None)
    if sequences.said is not None and sequences.said > longest and full:
        return _Cut(
            full, samples, longest, f"the batch itself says that its longest sample has {sequences.said} tokens"
        )
    shorter = sum(counts.values())
    if sequences.continued or full < _FEWEST or full < _SHARE * samples or shorter < _SHORTER:
        return None
    spread = f"the lengths of the other {shorter} spread from {min(counts)} to {max(counts)}"
    if sequences.short_ends >= _ALL and sequences.full_ends <= _HARDLY:
        return _Cut(full, samples, longest, f"{spread}, and nearly all end with one token, as these do not")
    commonest = max(counts.values())
    below = [counts.get(length, 0) for length in range(int(_NEAR * longest), longest)]
    piled = full >= _COMMONEST * commonest and full >= _BELOW * sum(below) / len(below)
    if longest >= _SHORTEST and len(counts) >= _DIFFERENT and piled:
        return _Cut(full, samples, longest, f"{spread}, no other length has more than {commonest} samples")
    return None
