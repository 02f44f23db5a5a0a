"""Odd batches, each tried: does the step break on it, and not without what is odd?

May not: call a batch bad for its looks alone, unless the user has declared how it must look.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from mllint.probe.measured.bad_batch import BadBatch, OddBatch, Outcome
from mllint.probe.recording.data.oddities import Odd, Schema, constants, undeclared, values
from mllint.probe.recording.data.survey import surveyed
from mllint.probe.recording.frames import traceback_sites
from mllint.probe.recording.leaves import is_array, own, parts
from mllint.probe.recording.run import Run, first_line
from mllint.probe.recording.skip import Skip
from mllint.probe.site import Site

#: Batches that are tried for each oddity of a part, and in all; batches among which one that works is looked for.
_TRIED, _ALL_TRIED, _REFERENCES = 2, 6, 3
#: These are what they are: a step says nothing about them.
_NOT_TRIED = ("undeclared", "constant")

#: What a step on a batch did: "" where it is fine, and where it raised.
_Effect = tuple[str, Site | None]


def record(run: Run) -> BadBatch:
    """Raises Skip where the declared schema cannot be read."""
    batches = surveyed(run)
    try:
        odd = list(_odd(run, batches))
    except ValueError as error:
        raise Skip(str(error)) from error
    trial = _Trial(run, batches, frozenset(number for number, _ in odd))
    return BadBatch(len(batches), tuple(trial.of(number, each) for number, each in odd))


class _Trial:
    """Steps on odd batches, no more than a few for each kind of oddity."""

    def __init__(self, run: Run, batches: Sequence[Any], odd: frozenset[int]) -> None:
        self._run, self._batches = run, batches
        self._plain = [number for number in range(len(batches)) if number not in odd][:_REFERENCES]
        self._tried: Counter[tuple[str, str]] = Counter()
        self._works: bool | None = None

    def of(self, number: int, odd: Odd) -> OddBatch:
        """An oddity with what the step makes of it, as far as it is tried."""
        outcome: Outcome = "unknown"
        effect: _Effect = ("", None)
        key = (odd.oddity, odd.part)
        if odd.oddity not in _NOT_TRIED and self._tried[key] < _TRIED and self._tried.total() < _ALL_TRIED:
            self._tried[key] += 1
            effect = _effect(self._run, own(self._batches[number]))
            outcome = self._outcome(number, odd, effect)
        return OddBatch(odd.oddity, number, odd.part, odd.told, odd.usual, outcome, *effect)

    def _outcome(self, number: int, odd: Odd, effect: _Effect) -> Outcome:
        if not effect[0]:
            return "works"
        if odd.oddity == "non-finite":
            return _without(self._run, self._batches[number])
        return "breaks" if self._others_work() else "unknown"

    def _others_work(self) -> bool:
        if self._works is None:
            self._works = any(not _effect(self._run, own(self._batches[number]))[0] for number in self._plain)
        return self._works


def _odd(run: Run, batches: Sequence[Any]) -> Iterator[tuple[int, Odd]]:
    """Everything odd, the first of each batch and kind. Raises ValueError."""
    declared = run.entry.expect.get("batch", {})
    if not isinstance(declared, dict) or not all(isinstance(told, str) for told in declared.values()):
        raise ValueError("expect['batch'] must be a dict such as {'0': 'float32[*, 3, 32, 32]'}")
    declared = {str(path): told for path, told in declared.items()}
    schema, same = Schema(batches), constants(batches)
    for number, batch in enumerate(batches):
        yield from ((number, odd) for odd in undeclared(batch, declared))
        looks = list(values(batch))
        yield from ((number, odd) for odd in looks)
        if number in same:
            yield number, same[number]
        if not any(odd.oddity == "empty" for odd in looks):
            yield from ((number, odd) for odd in list(schema.oddities(batch))[:1])


def _effect(run: Run, batch: Any) -> _Effect:
    """What a step on a batch does: "" where its loss and gradients are finite."""
    with run.preserved():
        try:
            loss = run.loss(batch)
            if not bool(torch.isfinite(loss.detach())):
                return f"the loss is {float(loss.detach()):g}", None
            return _gradient_effect(run, loss), None
        except Skip:
            return "", None
        except Exception as error:  # noqa: BLE001  # the user's step: what it raises on this batch is the measurement
            sites = traceback_sites(error.__traceback__)
            return f"the step raises {first_line(error)}", sites[-1] if sites else None
        finally:
            run.clear_gradients()


def _gradient_effect(run: Run, loss: torch.Tensor) -> str:
    if not loss.requires_grad:
        return ""
    run.clear_gradients()
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in run.model.named_parameters():
        gradient = parameter.grad
        if gradient is not None and gradient.layout == torch.strided and not bool(torch.isfinite(gradient).all()):
            return f"the gradient of `{name}` is not finite"
    return ""


def _without(run: Run, batch: Any) -> Outcome:
    """Is it the values that are not finite? The same batch with zeros in their place."""
    healed = own(batch)
    for leaf in parts(healed).values():
        if isinstance(leaf, torch.Tensor) and (leaf.is_floating_point() or leaf.is_complex()):
            with torch.no_grad():
                leaf.masked_fill_(~torch.isfinite(leaf), 0)
        elif is_array(leaf) and leaf.dtype.kind in "fc":
            leaf[~(abs(leaf) < float("inf"))] = 0
    return "unknown" if _effect(run, healed)[0] else "breaks"
