"""Names that somebody else calls: hooks of known base classes and of well-known frameworks, harmless decorators.

May not: look at a file. What is not listed here is unknown, and unknown means used.
"""

from __future__ import annotations

import builtins
import sys


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MODULE_HOOKS = _names(
    "_apply _call_impl _get_abs_string_index _get_backward_hooks _get_backward_pre_hooks _get_item_by_idx _get_name "
    "_infer_parameters _lazy_load_hook _load_from_state_dict _maybe_warn_non_full_backward_hook _named_members "
    "_register_load_state_dict_pre_hook _register_state_dict_hook _replicate_for_data_parallel _save_to_state_dict "
    "_slow_forward _wrapped_call_impl"
)
_OPTIMIZER_HOOKS = _names(
    "_cuda_graph_capture_health_check _optimizer_step_code _patch_step_function "
    "_process_value_according_to_param_policy"
)
_TEST_CASE_HOOKS = _names(
    "_addSkip _baseAssertEqual _callCleanup _callSetUp _callTearDown _callTestMethod _feedErrorsToResult "
    "_formatMessage _getAssertEqualityFunc _truncateMessage"
)
_COLLECTION_HOOKS = frozenset({"_from_iterable", "_hash"})
_NO_HOOKS: frozenset[str] = frozenset()

#: External classes whose private hooks are known.
_BASES = {
    **{f"torch.nn.{name}": _MODULE_HOOKS for name in ("Module", "Sequential", "ModuleList", "ModuleDict")},
    "torch.nn.modules.module.Module": _MODULE_HOOKS,
    "torch.optim.Optimizer": _OPTIMIZER_HOOKS,
    "torch.optim.optimizer.Optimizer": _OPTIMIZER_HOOKS,
    "torch.autograd.Function": _NO_HOOKS,
    **{f"torch.utils.data.{name}": _NO_HOOKS for name in ("Dataset", "IterableDataset", "Sampler", "BatchSampler")},
    "unittest.TestCase": _TEST_CASE_HOOKS,
    **dict.fromkeys(("abc.ABC", "enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.IntFlag", "enum.Flag"), _NO_HOOKS),
    **dict.fromkeys(("typing.Generic", "typing.NamedTuple", "typing.TypedDict", "types.SimpleNamespace"), _NO_HOOKS),
    **{each: _NO_HOOKS for each in dir(builtins) if isinstance(getattr(builtins, each), type)},
    "collections.OrderedDict": _NO_HOOKS,
    "collections.defaultdict": _NO_HOOKS,
}

#: Hooks that large frameworks call on classes of their users, or on functions of their scripts.
_FRAMEWORK_HOOKS = _names(
    "_asdict _build _call _compute_loss _convert_id_to_token _convert_token_to_id _decode _encode_plus _fit _forward "
    "_generate _generate_examples _get_closed_form_lr _get_num_multimodal_tokens _get_tags _info _init_weights "
    "_load_from_state_dict _more_tags _mp_fn _pad _postprocess _prepare_generation_config "
    "_prepare_position_ids_for_generation _preprocess _preprocess_image_like_inputs "
    "_process_model_after_weight_loading _process_model_before_weight_loading _reorder_cache _sanitize_parameters "
    "_save_to_state_dict _set_aux_loss _set_gradient_checkpointing _shared_step _split_generators _standardize_kwargs "
    "_step _tokenize _update_model_kwargs_for_generation _validate_preprocess_kwargs"
)
#: Those that a person calls by hand in a debugger are among them.
_HOOK_STARTS = ("_debug_", "_dump_", "_ipython_", "_jupyter_", "_load_jupyter_", "_repr_", "_unload_jupyter_")

#: Decorators that hand the function back, or one that wraps it, and make nobody else call it.
_PLAIN_DECORATORS = _names(
    "classmethod staticmethod property functools.cache functools.lru_cache functools.cached_property functools.wraps "
    "contextlib.contextmanager contextlib.asynccontextmanager typing.no_type_check typing.final jax.jit numba.jit "
    "numba.njit torch.no_grad torch.inference_mode torch.enable_grad torch.autocast torch.amp.autocast "
    "torch.cuda.amp.autocast torch.compile torch.compiler.disable torch._dynamo.disable torch.jit.ignore "
    "torch.jit.script torch.jit.unused triton.autotune triton.heuristics triton.jit torch.autograd.no_grad"
)


def hooks_of(base: str) -> frozenset[str] | None:
    """Private methods that a class outside the project calls and subclasses may override; None where unknown."""
    if base.startswith("collections.abc."):
        return _COLLECTION_HOOKS
    return _BASES.get(base)


def is_elsewhere(base: str) -> bool:
    """Is a class surely none of the project, so that there is no need to ask?"""
    top = base.partition(".")[0]
    return "." in base and (top in sys.stdlib_module_names or top in ("numpy", "tensorflow", "torch"))


def is_framework_hook(name: str) -> bool:
    """Is it a name that some framework calls, if only in classes derived from its own?"""
    return name in _FRAMEWORK_HOOKS


def is_protocol_name(name: str) -> bool:
    """Is it a name that tools look up on any object: ``__x__``, ``_x_``, ``_repr_html_``, ``_mp_fn``?"""
    return name.endswith("_") or name.startswith(_HOOK_STARTS) or name in ("_asdict", "_mp_fn")


def is_plain_decorator(dotted: str) -> bool:
    """Does a decorator neither register a function nor call it by itself?"""
    return dotted in _PLAIN_DECORATORS


__all__ = ["hooks_of", "is_elsewhere", "is_framework_hook", "is_plain_decorator", "is_protocol_name"]
