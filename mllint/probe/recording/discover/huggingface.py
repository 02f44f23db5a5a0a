"""A Hugging Face model, shrunk to two layers with random weights: a class, an instance or a configuration in the file.

Known by the names of its base classes; transformers is not imported here. May not: read or download weights.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from mllint.probe.recording.discover.examples import default_optimizer
from mllint.probe.recording.discover.found import Found, Place, Unfit, bases, only, site_of_thing
from mllint.probe.recording.discover.surrogate import called_with, surrogate

WANTED = "a Hugging Face model or configuration: there is none"
_WHAT = "a Hugging Face model"

#: What makes a model deep, by the names that configurations have for it.
_DEPTHS = (
    "num_hidden_layers",
    "num_layers",
    "n_layer",
    "n_layers",
    "encoder_layers",
    "decoder_layers",
    "num_decoder_layers",
)
_LAYERS = 2

#: What makes it wide: the name, and what is small enough to run in milliseconds. Tried together, then not at all.
_WIDTHS = {
    "vocab_size": 256,
    "hidden_size": 64,
    "n_embd": 64,
    "d_model": 64,
    "dim": 64,
    "intermediate_size": 128,
    "n_inner": 128,
    "d_ff": 128,
    "encoder_ffn_dim": 128,
    "decoder_ffn_dim": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "n_head": 4,
    "n_heads": 4,
    "num_heads": 4,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "head_dim": 16,
    "d_kv": 16,
    "num_experts": 4,
    "num_local_experts": 4,
    "moe_intermediate_size": 32,
    "max_position_embeddings": 128,
}
_ROWS, _LENGTH, _BATCHES = 2, 16, 3


def find(place: Place) -> Found | None:
    """Raises Unfit where several are there."""
    instance = only(list(place.instances(lambda model: _is_model(type(model)))), _WHAT)
    if instance is not None:
        name, model = instance
        kind, config = type(model), model.config
        return _found(kind, lambda: config, f"`{name}`", site_of_thing(kind))
    chosen = only(list(place.classes(_is_model)), _WHAT)
    if chosen is not None:
        name, kind = chosen
        if getattr(kind, "config_class", None) is None:
            raise Unfit(f"{_WHAT}: `{name}` has no `config_class`")
        return _found(kind, lambda: kind.config_class(), f"`{name}`", site_of_thing(kind))
    configs = [(name, thing) for name, thing in place.things().items() if _is_config(thing)]
    told = only(configs, "a Hugging Face configuration")
    if told is None:
        return None
    kind = _model_of(told[1], place)
    return _found(kind, lambda: told[1], f"`{kind.__name__}` of `{told[0]}`", None)


def _is_model(kind: type) -> bool:
    return issubclass(kind, nn.Module) and "PreTrainedModel" in bases(kind) and kind.__name__ != "PreTrainedModel"


def _is_config(thing: Any) -> bool:
    return not isinstance(thing, type) and bool({"PretrainedConfig", "PreTrainedConfig"} & bases(type(thing)))


def _model_of(config: Any, place: Place) -> type:
    """The model that transformers has for a configuration: one with a head for language where there is one."""
    import importlib

    library = importlib.import_module("transformers")
    for name in ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM", "AutoModelForMaskedLM", "AutoModel"):
        mapping = getattr(getattr(library, name, None), "_model_mapping", {})
        if type(config) in mapping:
            told = mapping[type(config)]
            found: type = told[0] if isinstance(told, tuple) else told
            return found
    raise Unfit(f"a Hugging Face configuration: transformers has no model for `{type(config).__name__}`")


def _found(kind: Any, config: Any, name: str, site: Any) -> Found:
    def build() -> dict[str, Any]:
        model, small = _small(kind, config())
        model.train()
        batches = [_batch(model, small) for _ in range(_BATCHES)]
        told: dict[str, Any] = {
            "model": model,
            "batches": batches,
            "optimizer": default_optimizer(model),
            "loss": _loss,
        }
        if "ForCausalLM" in kind.__name__ or kind.__name__.endswith("LMHeadModel"):
            told["causal"] = True
        return told

    return Found(build, f"{name} with {_LAYERS} layers and random weights", site)


def _loss(model: nn.Module, batch: Any) -> Any:
    told = model(**batch)
    own = told.get("loss") if hasattr(told, "get") else getattr(told, "loss", None)
    return own if own is not None else surrogate(lambda _, outputs: outputs)(model, told)


# ---- a small model


def _small(kind: Any, config: Any) -> tuple[nn.Module, Any]:
    """The smallest of three configurations that can be made and run: narrow and shallow, shallow, as it is."""
    reasons = []
    for narrow in (True, False):
        small = _shrunk(config, narrow)
        try:
            model = kind(small)
            called_with(model.eval(), _batch(model, small))
        except (
            RuntimeError,
            ValueError,
            TypeError,
            AttributeError,
            KeyError,
            IndexError,
            AssertionError,
            ZeroDivisionError,
            ImportError,
        ) as error:
            reasons.append(error)
            continue
        return model, small
    raise reasons[-1]


def _shrunk(config: Any, narrow: bool) -> Any:
    small = copy.deepcopy(config)
    for part in (small, *(vars(small).get(name) for name in ("text_config", "vision_config", "encoder", "decoder"))):
        if part is None or isinstance(part, (str, int)):
            continue
        for name in _DEPTHS:
            _lower(part, name, _LAYERS)
        for name, size in _WIDTHS.items() if narrow else ():
            _lower(part, name, size)
        _keep_tokens(part)
        kinds = getattr(part, "layer_types", None)
        if isinstance(kinds, list) and len(kinds) > _LAYERS:
            part.layer_types = [*dict.fromkeys(kinds), *kinds][:_LAYERS]
    return small


def _lower(config: Any, name: str, size: int) -> None:
    value = getattr(config, name, None)
    if isinstance(value, int) and not isinstance(value, bool) and value > size:
        setattr(config, name, size)


def _keep_tokens(config: Any) -> None:
    """Special tokens beyond a smaller vocabulary become its last ones."""
    words = getattr(config, "vocab_size", None)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id", "sep_token_id"):
        value = getattr(config, name, None)
        if isinstance(words, int) and isinstance(value, int) and value >= words:
            setattr(config, name, words - 1)


# ---- a batch


def _batch(model: Any, config: Any) -> dict[str, torch.Tensor]:
    main = getattr(model, "main_input_name", "input_ids")
    kind = type(model).__name__
    if main == "pixel_values":
        vision = getattr(config, "vision_config", config)
        size, channels = getattr(vision, "image_size", 32), getattr(vision, "num_channels", 3)
        height, width = (size, size) if isinstance(size, int) else tuple(size)
        return {"pixel_values": torch.randn(_ROWS, channels, height, width), **_labels(kind, config, None)}
    if main in ("input_values", "input_features"):
        raise TypeError(f"`{kind}` takes `{main}`; say how a batch looks in `mllint_probe`")
    words = int(getattr(config, "vocab_size", 0) or 256)
    ids = torch.randint(
        0, words, (_ROWS, min(_LENGTH, int(getattr(config, "max_position_embeddings", _LENGTH) or _LENGTH)))
    )
    mask = {"attention_mask": torch.ones_like(ids)}
    return {"input_ids": ids, **mask, **_labels(kind, config, ids)}


def _labels(kind: str, config: Any, ids: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """What the head of a model learns from, by the name of its class."""
    classes = int(getattr(config, "num_labels", 2) or 2)
    if "ForSequenceClassification" in kind or "ForImageClassification" in kind:
        return {"labels": torch.randint(0, classes, (_ROWS,))}
    if ids is None:
        return {}
    if "ForTokenClassification" in kind:
        return {"labels": torch.randint(0, classes, ids.shape)}
    if "ForQuestionAnswering" in kind:
        return {name: torch.randint(0, ids.shape[1], (_ROWS,)) for name in ("start_positions", "end_positions")}
    if any(
        part in kind for part in ("LMHead", "ForCausalLM", "ForMaskedLM", "ForConditionalGeneration", "ForPreTraining")
    ):
        return {"labels": ids.clone()}
    return {}
