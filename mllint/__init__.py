"""mllint: the linter, code-mod tool and runtime probe for machine-learning training code."""

__version__ = "0.1.0"
