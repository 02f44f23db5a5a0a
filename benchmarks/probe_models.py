"""Real model families under the probe: small Hugging Face configurations and timm models, with random weights.

``python benchmarks/probe_models.py [NAME…] [--record]`` prints every error and warning; ``--record`` writes them to
probe_models.json. Needs ``transformers`` and ``timm`` beside the extra ``probe``. For every finding there is a second opinion,
`second_opinion`: a finite difference or an ablation that shares no code with the probe.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
VOCABULARY, LENGTH, BATCH = 97, 12, 4
TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}


@dataclass(frozen=True)
class Case:
    """One model of a family: ``build`` gives the dictionary that a user's ``mllint_probe`` would return."""

    name: str
    build: Callable[[], dict[str, Any]]


def tokens() -> torch.Tensor:
    return torch.randint(5, VOCABULARY, (BATCH, LENGTH))


def _target(model: torch.nn.Module, batches: list[Any], **facts: Any) -> dict[str, Any]:
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    loss = facts.pop("loss", lambda model, batch: model(**batch).loss)
    return {"model": model, "batches": batches, "loss": loss, "optimizer": optimizer, **facts}


def language_model(config: Any, **facts: Any) -> dict[str, Any]:
    """A causal language model on random tokens."""
    from transformers import AutoModelForCausalLM

    batches = [{"input_ids": ids, "labels": ids} for ids in (tokens() for _ in range(3))]
    return _target(AutoModelForCausalLM.from_config(config), batches, causal=True, **facts)


def classifier(config: Any, **facts: Any) -> dict[str, Any]:
    """A text classifier on random tokens."""
    from transformers import AutoModelForSequenceClassification

    batches = [{"input_ids": tokens(), "labels": torch.randint(0, 2, (BATCH,))} for _ in range(3)]
    return _target(AutoModelForSequenceClassification.from_config(config), batches, classes=2, fresh=True, **facts)


def masked(config: Any) -> dict[str, Any]:
    """A masked language model on random tokens."""
    from transformers import AutoModelForMaskedLM

    batches = [{"input_ids": ids, "labels": ids} for ids in (tokens() for _ in range(3))]
    return _target(AutoModelForMaskedLM.from_config(config), batches)


def translator(config: Any) -> dict[str, Any]:
    """An encoder and a decoder on random tokens."""
    from transformers import AutoModelForSeq2SeqLM

    batches = [{"input_ids": tokens(), "labels": tokens()} for _ in range(3)]
    return _target(AutoModelForSeq2SeqLM.from_config(config), batches)


def images(config: Any, size: int = 32) -> dict[str, Any]:
    """An image classifier on noise."""
    from transformers import AutoModelForImageClassification

    batches = [
        {"pixel_values": torch.randn(BATCH, 3, size, size), "labels": torch.randint(0, 2, (BATCH,))} for _ in range(3)
    ]
    return _target(AutoModelForImageClassification.from_config(config), batches, classes=2, fresh=True)


def hugging_face() -> Iterator[Case]:
    """Families that differ in what matters here: norms, ties, biases, positions, routing, state spaces, convolutions."""
    import transformers as hf

    small = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": VOCABULARY, "n_positions": 32}
    yield Case("gpt2", lambda: language_model(hf.GPT2Config(**small)))
    yield Case("llama", lambda: language_model(hf.LlamaConfig(**TEXT, num_key_value_heads=2)))
    yield Case("qwen2", lambda: language_model(hf.Qwen2Config(**TEXT, num_key_value_heads=2)))
    yield Case("gpt-neox", lambda: language_model(hf.GPTNeoXConfig(**TEXT)))
    yield Case(
        "opt",
        lambda: language_model(
            hf.OPTConfig(
                vocab_size=VOCABULARY,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                ffn_dim=64,
                word_embed_proj_dim=32,
            )
        ),
    )
    yield Case(
        "mixtral",
        lambda: language_model(
            hf.MixtralConfig(**TEXT, num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2)
        ),
    )
    yield Case(
        "mamba",
        lambda: language_model(
            hf.MambaConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, state_size=8)
        ),
    )
    yield Case("bert", lambda: masked(hf.BertConfig(**TEXT)))
    yield Case("albert", lambda: classifier(hf.AlbertConfig(**TEXT, embedding_size=16)))
    yield Case("deberta-v2", lambda: classifier(hf.DebertaV2Config(**TEXT, relative_attention=True)))
    yield Case(
        "distilbert",
        lambda: classifier(hf.DistilBertConfig(vocab_size=VOCABULARY, dim=32, n_layers=2, n_heads=4, hidden_dim=64)),
    )
    yield Case(
        "t5",
        lambda: translator(
            hf.T5Config(
                vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0
            )
        ),
    )
    yield Case(
        "bart",
        lambda: translator(
            hf.BartConfig(
                vocab_size=VOCABULARY, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64,
            )
        ),
    )  # fmt: skip
    vision = {key: value for key, value in TEXT.items() if key != "vocab_size"}
    yield Case("vit", lambda: images(hf.ViTConfig(**vision, image_size=32, patch_size=8)))
    yield Case(
        "convnext",
        lambda: images(hf.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1], drop_path_rate=0.1)),
    )
    yield Case(
        "resnet",
        lambda: images(hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")),
    )


def timm_models() -> Iterator[Case]:
    """Convolutions with squeeze and excitation, a transformer with layer scale, a plain residual net."""
    for name in ("resnet10t", "efficientnet_b0", "cait_xxs24_224"):
        yield Case(f"timm/{name}", lambda name=name: _timm(name))


def _timm(name: str) -> dict[str, Any]:
    import timm

    size = 224 if "224" in name else 64
    model = timm.create_model(name, num_classes=10)
    batches = [(torch.randn(2, 3, size, size), torch.randint(0, 10, (2,))) for _ in range(3)]
    return _target(
        model, batches, loss=lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]), classes=10, fresh=True
    )


def findings_of(case: Case) -> tuple[list[dict[str, Any]], list[str], float, float]:
    """Errors and warnings of one model, checks that crashed, seconds of the probe and of a plain step."""
    from mllint.authoring.runtime import findings_in, runtime_rules
    from mllint.checking.packs import builtin_rules
    from mllint.probe.check import all_checks
    from mllint.probe.recording.here import probe_here

    started = time.perf_counter()
    trace = probe_here(case.build, [check for check in all_checks() if check.default])
    seconds = time.perf_counter() - started
    found = findings_in(trace, runtime_rules(builtin_rules()), {})
    told = [
        {
            "code": one.code,
            "severity": one.severity.value,
            "message": one.message,
            "why": one.why,
            "at": f"{one.path}:{one.begin.row}",
        }
        for one in found
    ]
    crashed = [f"{run.check}: {run.reason}" for run in trace.checks if run.outcome == "crashed"]
    if trace.failure is not None:
        crashed.append(f"failure: {trace.failure.message} at {trace.failure.frames[-1:]}")
    return told, crashed, seconds, trace.plain_step


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--record", action="store_true")
    told = parser.parse_args()
    results = {}
    for case in (*hugging_face(), *timm_models()):
        if told.names and not any(name in case.name for name in told.names):
            continue
        torch.manual_seed(0)
        found, crashed, seconds, step = findings_of(case)
        print(f"{case.name:22s} {len(found)} findings, {seconds:5.1f} s, plain step {step * 1e3:.0f} ms")
        for one in found:
            print(f"    {one['severity']} {one['code']} {one['message']} ({one['at']})\n        {one['why']}")
        for line in crashed:
            print(f"    CRASHED {line}")
        results[case.name] = {"findings": found, "crashed": crashed}
    if told.record:
        import transformers

        versions = {"torch": torch.__version__, "transformers": transformers.__version__}
        text = json.dumps({"versions": versions, "models": results}, indent=1, sort_keys=True)
        (HERE / "probe_models.json").write_text(text + "\n", encoding="utf-8")
    return int(any(one["crashed"] for one in results.values()))


if __name__ == "__main__":
    sys.exit(main())
