"""A run of user code, watched: where it cuts the graph by name, and, in a second run, the same values held still.

Held still, a detached target or a straight-through estimator is the constant that autograd takes it for, so that finite
differences can be compared with the gradient all the same. Also raises every precision to one, so that a cast to float32
inside a layer does not swallow small steps. May not: judge.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from mllint.probe.recording.frames import nearness, user_sites
from mllint.probe.recording.oracle.precision import called_higher, changes_first
from mllint.probe.site import Site

#: Calls that hand a value to Python, where no gradient follows.
_TO_PYTHON = frozenset({"item", "tolist", "__float__", "__int__", "__bool__", "__index__", "numpy", "__array__"})

#: What a person writes to cut a graph, or what cuts it unasked: the operations worth naming.
_NAMED = frozenset(
    {
        "detach",
        "detach_",
        "data",
        "numpy",
        "__array__",
        "item",
        "tolist",
        "__float__",
        "tensor",
        "as_tensor",
        "new_tensor",
    }
    | {
        "argmax",
        "argmin",
        "long",
        "int",
        "short",
        "byte",
        "bool",
        "one_hot",
        "multinomial",
        "bucketize",
        "searchsorted",
    }
)

#: Samplers and operations of torch whose gradient is by design no derivative of what they return for one seed.
_SURROGATES = frozenset(
    {
        "_standard_gamma",
        "_sample_dirichlet",
        "_dirichlet_grad",
        "ctc_loss",
        "register_hook",
        "fake_quantize_per_tensor_affine",
    }
    | {
        "fake_quantize_per_channel_affine",
        "_fake_quantize_learnable_per_tensor_affine",
        "fused_moving_avg_obs_fake_quant",
    }
    | {"_fake_quantize_learnable_per_channel_affine", "register_post_accumulate_grad_hook"}
)

#: Look-ups that may have a padding row.
_TABLES = frozenset({"embedding", "embedding_bag"})


@dataclass(frozen=True)
class Cut:
    """One call whose inputs required a gradient and whose result does not.

    ``kept`` is what a later run is given in its place. ``changes_leaf``: it changes a parameter behind autograd's back
    (a weight clipped in place), which a later run leaves out.
    """

    name: str
    site: Site | None
    no_grad: bool
    kept: tuple[Any, ...] = ()
    changes_leaf: bool = False

    @property
    def named(self) -> bool:
        """Is it an operation that a person would call a cut?"""
        return self.no_grad or self.name in _NAMED


@dataclass
class Tape:
    """The cuts of one run by the number of the call, the padding rows of its tables, and what else was met."""

    cuts: dict[int, Cut] = field(default_factory=dict)
    padding: dict[int, torch.Tensor] = field(default_factory=dict)
    surrogates: set[str] = field(default_factory=set)


class Strayed(RuntimeError):
    """A second run did not make the same calls as the first."""


class _Watch(TorchFunctionMode):
    """``held`` names the calls whose results are taken from the tape; None: the tape is being written.

    Padding rows are held in every later run: torch gives them no gradient by design.
    """

    def __init__(self, least: torch.dtype, tape: Tape, held: frozenset[int] | None) -> None:
        super().__init__()
        self._least, self._tape, self._held, self._count = least, tape, held, 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        owner = getattr(func, "__self__", None)
        if name in ("__get__", "__set__"):
            if getattr(owner, "__name__", "") != "data":
                return self._attribute(func, getattr(owner, "__name__", ""), name == "__set__", args)
            name = "data" if name == "__get__" else "data ="
        number, self._count = self._count, self._count + 1
        if name == "requires_grad_" and _switches(args):
            self._tape.surrogates.add("requires_grad")
        if name in _SURROGATES or (name == "gumbel_softmax" and _is_hard(args, kwargs or {})):
            self._tape.surrogates.add(name)
        if _changes_leaf(name, args):
            if self._held is None:
                self._tape.cuts[number] = Cut(name, None, not torch.is_grad_enabled(), changes_leaf=True)
            elif number in self._held:
                return args[0]
        if name in _TABLES:
            args = self._with_padding_held(number, args, kwargs or {})
        result = called_higher(func, name, args, kwargs or {}, self._least)
        if self._held is None:
            if number not in self._tape.cuts:
                self._note(number, name, args, kwargs, result)
        elif number in self._held:
            return self._replaced(number, name, args, result)
        return result

    def _attribute(self, func: Callable[..., Any], attribute: str, written: bool, args: Any) -> Any:
        """Code that switches parameters on and off, or computes with gradients, makes a loss of another kind."""
        if attribute == "requires_grad" and written and _switches(args):
            self._tape.surrogates.add("requires_grad")
        result = func(*args)
        read = attribute == "grad" and not written and result is not None
        if read and nearness(sys._getframe(2).f_code.co_filename):
            self._tape.surrogates.add("grad")
        return result

    def _with_padding_held(self, number: int, args: Any, kwargs: dict[str, Any]) -> Any:
        self._tape.surrogates |= {key for key in ("max_norm", "scale_grad_by_freq") if kwargs.get(key)}
        place = next((place for place, each in enumerate(args[:2]) if _is_table(each)), None)
        row = kwargs.get("padding_idx")
        if place is None or row is None:
            return args
        if self._held is None:
            self._tape.padding[number] = args[place][row].detach().clone()
            return args
        kept = self._tape.padding.get(number)
        if kept is None:
            return args
        table = args[place].clone()
        table[row] = kept
        return (*args[:place], table, *args[place + 1 :])

    def _note(self, number: int, name: str, args: Any, kwargs: Any, result: Any) -> None:
        if not any(isinstance(each, torch.Tensor) and each.requires_grad for each in _flat(args, kwargs)):
            return
        target = args[0] if changes_first(name) and args else result
        leaves = [target] if isinstance(target, torch.Tensor) else tree_leaves(target)
        loose = [isinstance(each, torch.Tensor) and not each.requires_grad for each in leaves]
        if not (any(loose) or name in _TO_PYTHON) or _inside_function():
            return
        kept = tuple(_kept(each, name) for each in leaves)
        near = user_sites(1)
        self._tape.cuts[number] = Cut(name, near[0] if near else None, not torch.is_grad_enabled(), kept)

    def _replaced(self, number: int, name: str, args: Any, result: Any) -> Any:
        cut = self._tape.cuts[number]
        if cut.name != name:
            raise Strayed(f"call {number} was {cut.name}, now {name}")
        if changes_first(name) and args:
            with torch.no_grad():
                if cut.kept and cut.kept[0] is not None:
                    args[0].copy_(cut.kept[0])
            return result
        if not isinstance(result, (torch.Tensor, tuple, list, dict)):
            return cut.kept[0] if cut.kept else result
        kept = iter(cut.kept)

        def one(now: Any) -> Any:
            was = next(kept, None)
            if was is None:
                return now
            return was.clone() if isinstance(was, torch.Tensor) else was

        return one(result) if isinstance(result, torch.Tensor) else tree_map(one, result)


def _is_table(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.dim() == 2


def _changes_leaf(name: str, args: Any) -> bool:
    """Does the call change a parameter in place, unseen by autograd?"""
    if not args or not isinstance(args[0], torch.Tensor) or not (args[0].requires_grad and args[0].is_leaf):
        return False
    return name == "data =" or (changes_first(name) and name != "requires_grad_" and not torch.is_grad_enabled())


def _switches(args: Any) -> bool:
    """Does the call turn the gradient of a parameter on or off?"""
    wanted = args[1] if len(args) > 1 else True
    return isinstance(args[0], torch.nn.Parameter) and args[0].requires_grad != wanted


def _is_hard(args: Any, kwargs: dict[str, Any]) -> bool:
    return bool(kwargs.get("hard", args[2] if len(args) > 2 else False))


def _kept(value: Any, name: str) -> Any:
    """What a later run is given in place of this part of a result; None where it goes on as it is."""
    if isinstance(value, torch.Tensor):
        return None if value.requires_grad else value.detach().clone()
    return copy.deepcopy(value) if name in _TO_PYTHON else None


def _flat(args: Any, kwargs: Any) -> Iterator[Any]:
    for each in (*args, *(kwargs or {}).values()):
        if isinstance(each, (tuple, list)):
            yield from each
        else:
            yield each


def _inside_function() -> bool:
    """Is a forward of a custom autograd Function at work? Nothing in it requires a gradient, and nothing is cut by that."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code.co_name == "apply" and code.co_filename == torch.autograd.function.__file__:
            return True
        frame = frame.f_back
    return False


def unwatched() -> AbstractContextManager[None]:
    """Inside, calls of torch are our own: neither noted nor raised."""
    found: AbstractContextManager[None] = torch._C.DisableTorchFunction()
    return found


@contextmanager
def watched(least: torch.dtype, tape: Tape, held: frozenset[int] | None = None) -> Iterator[None]:
    """Inside, calls of torch run in at least this precision; cuts are written on the tape, or those held are replayed."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(least)
    try:
        with _Watch(least, tape, held):
            yield
    finally:
        torch.set_default_dtype(before)
