"""Words in the names of models, of effects and of configuration: where a rule about imports looks closer.

May not: import anything, so that loading the rules stays cheap.
"""

from __future__ import annotations

#: Words in the names of what builds a model, of what is built, or of a base class: nothing else is asked about.
MODEL_WORDS = tuple(
    form
    for word in (
        *(
            "model",
            "module",
            "layer",
            "net",
            "coder",
            "generator",
            "discriminator",
            "critic",
            "actor",
            "policy",
            "former",
        ),
        *("classifier", "regressor", "predictor", "detector", "vae", "gan", "bert", "gpt", "llm", "vit", "mlp", "cnn"),
        *(
            "rnn",
            "lstm",
            "gru",
            "agent",
            "learner",
            "student",
            "teacher",
            "backbone",
            "diffusion",
            "pipe",
            "sequential",
        ),
    )
    for form in (word, word.capitalize(), word.upper())
)

#: What a file must contain for one of these calls to stand in it.
EFFECT_WORDS = (
    *(
        "seed",
        "set_default_",
        "set_floatx",
        "clear_session",
        "reset_default_graph",
        "remove",
        "unlink",
        "rmdir",
        "rmtree",
    ),
    *("load", "genfromtxt", "read_", "fetch_", ".fit", ".compile", ".train"),
)

#: What names of configuration are made of; nothing else that is imported is asked about.
_WORDS = ("conf", "cfg", "setting", "option", "opts", "flag", "args", "param", "env", "state", "global", "switch")
CONFIG_WORDS = (
    *(form for word in _WORDS for form in (word, word.capitalize(), word.upper())),
    *("should_", "use_", "is_", "has_", "enable", "default", "current_"),
)

__all__ = ["CONFIG_WORDS", "EFFECT_WORDS", "MODEL_WORDS"]
