"""Which decorators only wrap what they decorate, and which may keep it somewhere else.

May not: judge. A decorator that is not known here counts as one that keeps (a registry, a route, a command).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mllint.lazy import cst

if TYPE_CHECKING:
    import libcst

#: Decorators that hand back the definition (or a wrapper) and keep no reference of their own, by module.
_BY_MODULE = {
    "abc": "abstractclassmethod abstractmethod abstractproperty abstractstaticmethod",
    "asyncio": "coroutine",
    "attr": "dataclass define frozen mutable s",
    "attrs": "define frozen mutable",
    "backoff": "on_exception on_predicate",
    "beartype": "beartype",
    "cached_property": "cached_property",
    "chex": "dataclass",
    "click": "argument command group option pass_context pass_obj",
    "contextlib": "asynccontextmanager contextmanager",
    "dataclasses": "dataclass",
    "deprecated": "deprecated",
    "enum": "unique",
    "equinox": "filter_custom_vjp filter_grad filter_jit filter_value_and_grad filter_vmap",
    "flax.linen": "compact jit nowrap remat",
    "flax.struct": "dataclass",
    "functools": "cache cached_property lru_cache partial singledispatch singledispatchmethod total_ordering wraps",
    "hydra": "main",
    "hypothesis": "example given settings strategies.composite",
    "jax": "checkpoint custom_gradient custom_jvp custom_vjp grad jit named_call pmap remat value_and_grad vmap",
    "jaxtyping": "jaxtyped",
    "mock": "patch patch.dict patch.multiple patch.object",
    "numba": "cuda.jit guvectorize jit njit vectorize",
    "numpy": "vectorize",
    "nvtx": "annotate",
    "overrides": "final overrides",
    "pydantic": "computed_field dataclasses.dataclass field_serializer field_validator model_serializer model_validator "
    "root_validator validate_call validator",
    "pytest": "fixture",
    "pytest_asyncio": "fixture",
    "ray": "remote",
    "streamlit": "cache cache_data cache_resource experimental_memo",
    "tenacity": "retry",
    "tensorflow": "autograph.experimental.do_not_convert custom_gradient function Module.with_name_scope",
    "torch": "_disable_dynamo _dynamo.disable autocast compile enable_grad inference_mode no_grad set_grad_enabled",
    "torch.amp": "autocast custom_bwd custom_fwd",
    "torch.autograd": "function.once_differentiable no_grad",
    "torch.compiler": "allow_in_graph disable",
    "torch.cuda": "amp.autocast amp.custom_bwd amp.custom_fwd nvtx.range",
    "torch.jit": "export ignore script script_if_tracing script_method unused",
    "torch.profiler": "record_function",
    "triton": "autotune heuristics jit",
    "typeguard": "typechecked",
    "types": "coroutine",
    "typing": "final no_type_check override runtime_checkable",
    "unittest": "expectedFailure skip skipIf skipUnless",
    "unittest.mock": "patch patch.dict patch.multiple patch.object",
    "warnings": "deprecated",
    "werkzeug.utils": "cached_property",
}
_WRAPPERS = frozenset(f"{module}.{name}" for module, names in _BY_MODULE.items() for name in names.split()) | {
    "classmethod",
    "property",
    "staticmethod",
}

#: Families in which every decorator only marks or wraps.
_WRAPPER_FAMILIES = (
    "pytest.mark.",
    "torch.testing._internal.",
    "transformers.testing_utils.",
    "accelerate.test_utils.",
)

#: Last parts that say it wherever they are imported from: documentation, deprecation and test-skip helpers.
_WRAPPER_NAMES = frozenset(
    {"add_code_sample_docstrings", "add_end_docstrings", "add_start_docstrings", "auto_docstring"}
    | {"add_start_docstrings_to_model_forward", "can_return_tuple", "deprecate_kwarg", "is_flaky"}
    | {"merge_with_config_defaults", "nottest", "override", "rank_zero_only", "replace_return_docstrings", "slow"}
    | {"tooslow"}
)

_WRAPPER_NAME_STARTS = ("require_", "requires_", "skip_", "skipif_")

#: Decorators that compile at decoration time: whatever global names the body reads are looked up then.
_COMPILES_AT_ONCE = frozenset({"torch.jit.script", "torch.jit.script_method"})

_ALIASES = {
    "tf.": "tensorflow.",
    "nn.compact": "flax.linen.compact",
    "nn.nowrap": "flax.linen.nowrap",
    "typing_extensions.deprecated": "warnings.deprecated",
    "typing_extensions.": "typing.",
    "np.": "numpy.",
    "st.": "streamlit.",
}


def only_wraps(decorator: str) -> bool:
    """Is this dotted name a decorator that keeps no reference? ``x.setter`` and overloads are not: they merge."""
    for written, meant in _ALIASES.items():  # the usual short names, where the import is not in view
        if decorator.startswith(written):
            decorator = meant + decorator[len(written) :]
            break
    last = decorator.rpartition(".")[2]
    return (
        decorator in _WRAPPERS
        or decorator.startswith(_WRAPPER_FAMILIES)
        or last in _WRAPPER_NAMES
        or last.startswith(_WRAPPER_NAME_STARTS)
    )


def compiles_at_once(decorator: str) -> bool:
    """Does this decorator look up the names that the body reads, before the module goes on?"""
    return decorator in _COMPILES_AT_ONCE


def decorator_name(node: libcst.Decorator, resolve: Callable[[libcst.CSTNode], str]) -> str:
    """The dotted name behind a decorator: of a call, the callee; of ``partial(jax.jit, …)``, what is called later."""
    target: libcst.BaseExpression = node.decorator
    if isinstance(target, cst.Call):
        if resolve(target.func) == "functools.partial" and target.args:
            return resolve(target.args[0].value)
        target = target.func
    return resolve(target)
