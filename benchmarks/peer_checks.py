"""How `probe_peers.py` uses each peer: as its documentation says, with everything that it asks for.

Every function takes ``load`` (which builds the target anew: the dictionary of ``mllint_probe``) and gives what the peer says
is wrong. The peers know ``model(inputs)`` and ``loss(outputs, targets)``; a target's loss takes model and batch, so the batch
is taken apart here, and put together again where the peer changes the inputs.
"""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

STEPS = 4


class NotApplicable(Exception):
    """The peer has no check for such a target."""


@dataclass(frozen=True)
class Fed:
    """A target, freshly built, and how its model is called."""

    target: dict[str, Any]

    @property
    def model(self) -> nn.Module:
        model: nn.Module = self.target["model"]
        return model

    @cached_property
    def optimizers(self) -> list[Any]:
        """The target's; without any, the Adam that the peers would take too."""
        given = self.target.get("optimizer")
        if given is None:
            return [torch.optim.Adam(self.trainable, lr=1e-3)]
        return list(given) if isinstance(given, (list, tuple)) else [given]

    @property
    def trainable(self) -> list[nn.Parameter]:
        return [each for each in self.model.parameters() if each.requires_grad]

    @cached_property
    def batches(self) -> list[Any]:
        given = self.target["batches"]
        if callable(given) and not hasattr(given, "__iter__"):
            return [given(number) for number in range(STEPS)]
        return list(itertools.islice(itertools.cycle(given), STEPS))

    def loss(self, model: nn.Module, batch: Any) -> torch.Tensor:
        if "loss" not in self.target:
            raise NotApplicable("the target has a training step of its own, and the peer wants a loss")
        found: torch.Tensor = self.target["loss"](model, batch)
        return found

    @cached_property
    def inputs(self) -> Any:
        """The part of the first batch that the model takes: a tensor, a tuple of arguments, or a dictionary."""
        batch = self.batches[0]
        tried = [batch[0], batch] if isinstance(batch, (tuple, list)) else [batch]
        for inputs in tried:
            try:
                with torch.no_grad():
                    called(copy.deepcopy(self.model).eval(), inputs)
            except (TypeError, ValueError, RuntimeError, NotImplementedError, AttributeError, IndexError):
                continue
            return tuple(inputs) if isinstance(inputs, list) else inputs
        raise NotApplicable("the loss does not go through `model(inputs)`")

    def batch_with(self, inputs: Any) -> Any:
        """The first batch with other inputs."""
        batch = self.batches[0]
        if isinstance(batch, (tuple, list)) and not isinstance(self.inputs, tuple):
            return type(batch)([inputs, *batch[1:]])
        return inputs

    @cached_property
    def classes(self) -> int:
        """The number of classes, where the loss is the cross entropy of ``model(inputs)`` and nothing else; else 0."""
        batch = self.batches[0]
        if not isinstance(batch, (tuple, list)) or len(batch) != 2 or "loss" not in self.target:
            return 0
        model = copy.deepcopy(self.model).eval()
        with torch.no_grad():
            try:
                outputs = model(batch[0])
                same = torch.allclose(F.cross_entropy(outputs, batch[1]), self.loss(model, batch), equal_nan=True)
            except (TypeError, ValueError, RuntimeError, NotImplementedError, IndexError):
                return 0
        return int(outputs.shape[-1]) if same and outputs.dim() == 2 else 0

    @cached_property
    def has_function(self) -> bool:
        """Does a Function of the user's run in the loss? That is when the peers advise their gradcheck."""
        loss = self.loss(copy.deepcopy(self.model), self.batches[0])
        waiting, seen = [loss.grad_fn], set()
        while waiting:
            node = waiting.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if isinstance(node, torch.autograd.function.BackwardCFunction):
                own = getattr(type(node), "_forward_cls", type(node)).__module__
                if not own.startswith("torch."):  # re-entrant checkpointing is a Function too
                    return True
            waiting += [before for before, _ in node.next_functions]
        return False


def called(model: Callable[..., Any], inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple | list) else model(inputs)


def _fed(load: Callable[[], Any]) -> Fed:
    target = load()
    if not isinstance(target, dict):
        raise NotApplicable("the target is found by discovery")
    return Fed(target)


def torchtest2(load: Callable[[], Any], path: Path, name: str) -> list[str]:
    """``check_model`` with every check, ``gradcheck`` where there is a Function; what FAILs."""
    import torchtest2 as peer

    fed = _fed(load)
    optimizer = fed.target.get("optimizer")
    if len(fed.optimizers) > 1:  # it takes one; this one takes sparse gradients as well
        optimizer = torch.optim.SGD(fed.trainable, lr=0.01)
    options: dict[str, Any] = {"optimizer": optimizer, "gradcheck": fed.has_function}
    if fed.classes:
        report = peer.check_model(fed.model, *fed.batches[0], loss_fn=F.cross_entropy, **options)
    else:
        report = peer.check_model(
            fed.model,
            fed.inputs,
            loss_fn=lambda loss: loss,
            forward_fn=lambda model, inputs, targets: fed.loss(model, fed.batch_with(inputs)),
            eval_forward_fn=called,
            **options,
        )
    return [f"{one.name}: {one.message}" for one in report.failures]


class _Loss(nn.Module):
    """The model and its loss as one module: pytest-torch gives a loss only the outputs."""

    def __init__(self, fed: Fed) -> None:
        super().__init__()
        self.model, self._fed = fed.model, [fed]

    def forward(self, *inputs: Any) -> torch.Tensor:
        fed = self._fed[0]
        return fed.loss(self.model, fed.batch_with(inputs if isinstance(fed.inputs, tuple) else inputs[0]))


def pytest_torch(load: Callable[[], Any], path: Path, name: str) -> list[str]:
    """The inference contract, the four checks of ModelSuite's "training", gradcheck where there is a Function, and twenty
    steps of the training loop with ``assert_healthy``; what is asserted in vain. Compile and export parity are left out:
    they compare outputs, not gradients."""
    said, ran, broken = [], 0, None
    for title, check in _pytest_torch_checks(load):
        try:
            check()
            ran += 1
        except AssertionError as error:
            said.append(f"{title}: {str(error).splitlines()[0]}")
        except NotApplicable:
            continue
        except (
            LookupError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:  # of one check; the others may still say something
            broken = error
    if not said and broken is not None:
        raise broken
    if not said and not ran:
        raise NotApplicable("no check fits the target")
    return said


def _pytest_torch_checks(load: Callable[[], Any]) -> Iterator[tuple[str, Callable[[], object]]]:
    import pytest_torch as peer

    def on_the_loss(check: Callable[..., object], *, trains: bool = False) -> Callable[[], object]:
        def run() -> object:
            fed = _fed(load)
            several = trains and len(fed.optimizers) > 1  # its Adam does not take sparse gradients
            how = {"optimizer": lambda params: torch.optim.SGD(params, lr=0.01)} if several else {}
            inputs = fed.inputs if isinstance(fed.inputs, tuple) else (fed.inputs,)
            return check(_Loss(fed).train(), inputs, _itself, **how)

        return run

    def contract() -> object:
        fed = _fed(load)
        return peer.check_inference_contract(fed.model.eval(), fed.inputs)

    def gradcheck() -> object:
        fed = _fed(load)
        two = torch.utils._pytree.tree_map_only(torch.Tensor, lambda each: each[:2], fed.inputs)
        if not fed.has_function or not any(each.is_floating_point() for each in torch.utils._pytree.tree_leaves(two)):
            raise NotApplicable("no Function")
        return peer.assert_gradcheck(fed.model, two)

    def training() -> object:
        fed = _fed(load)
        step = fed.target.get("step")
        how = {"loss_fn": fed.loss} if step is None else {"step": lambda setup, batch: _own(step, fed.model, batch)}
        setup = peer.TrainingSetup(fed.model, fed.optimizers)
        return peer.run_training(lambda: setup, fed.batches, **how).assert_healthy()

    yield "inference contract", contract
    yield "gradients finite", on_the_loss(peer.assert_gradients_finite)
    yield "all params receive grad", on_the_loss(peer.assert_all_params_receive_grad)
    yield "loss decreases", on_the_loss(peer.assert_loss_decreases, trains=True)
    yield "overfits one batch", on_the_loss(peer.assert_overfits_one_batch, trains=True)
    yield "gradcheck", gradcheck
    yield "training loop", training


def _itself(loss: torch.Tensor) -> torch.Tensor:
    return loss


def _own(step: Callable[..., Any], model: nn.Module, batch: Any) -> Any:
    """A target's own step takes the batch, with or without the model."""
    return step(model, batch) if len(inspect.signature(step).parameters) > 1 else step(batch)


def torch_audit(load: Callable[[], Any], path: Path, name: str) -> list[str]:
    """``autopatch`` around a training loop, every step audited, the backward through the auditor where the loop is ours;
    the findings at its default fail level."""
    import torch_audit as peer

    fed = _fed(load)
    step = fed.target.get("step")
    auditor = peer.autopatch(
        fed.model, optimizer=fed.optimizers[0], every_n_steps=1, reporters=[], patch_optimizer=step is not None
    )
    for batch in fed.batches:
        if step is not None:
            _own(step, fed.model, batch)
            continue
        for optimizer in fed.optimizers:
            optimizer.zero_grad(set_to_none=True)
        auditor.backward(fed.loss(fed.model, batch))
        auditor.optimizer_step()
        for other in fed.optimizers[1:]:
            other.step()
    result = auditor.finish()
    failing = [one for one in result.findings if one.severity.value in ("ERROR", "FATAL") and not one.suppressed]
    return [f"{one.rule_id}: {one.message}" for one in failing]


def neural_net_checklist(load: Callable[[], Any], path: Path, name: str) -> list[str]:
    """Its whole list for a classifier with the cross entropy, or for a causal language model with it: the two kinds of
    model that it is for."""
    from neural_net_checklist import torch_diagnostics as peer

    fed = _fed(load)
    try:
        if fed.classes and fed.batches[0][0].is_floating_point():
            rows = _rows([each[0] for each in fed.batches], [each[1] for each in fed.batches], fed.classes)
            peer.assert_all_for_classification_cross_entropy_loss(
                lambda: _fed(load).model, rows, num_classes=fed.classes
            )
        elif fed.target.get("causal"):
            table = next(each for each, module in fed.model.named_modules() if isinstance(module, nn.Embedding))
            words = fed.model(fed.batches[0]).shape[-1]
            rows = _rows([ids[:, :-1] for ids in fed.batches], [ids[:, 1:] for ids in fed.batches], words)
            peer.assert_all_for_causal_llm_cross_entropy_loss(
                lambda: _fed(load).model, rows, embedding_layer_name=table, vocab_size=words
            )
        else:
            raise NotApplicable("it is for the cross entropy of a classifier of numbers or a causal language model")
    except AssertionError as error:
        return [(str(error).splitlines() or ["an assertion"])[0]]
    return []


def _rows(inputs: list[torch.Tensor], targets: list[torch.Tensor], classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """All samples as one batch, repeated until there are as many as classes: with fewer the list stops there."""
    times = -(-classes // sum(len(each) for each in inputs))
    return torch.cat(inputs * times), torch.cat(targets * times)


#: Name of the distribution -> how it is used.
PEERS: dict[str, Callable[[Callable[[], Any], Path, str], list[str]]] = {
    "torchtest2": torchtest2,
    "pytest-torch": pytest_torch,
    "torch-audit": torch_audit,
    "neural-net-checklist": neural_net_checklist,
}
