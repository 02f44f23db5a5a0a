"""The formats by name. Each lives in its own module, imported when it is asked for.

May not: import a format at the top; ``concise`` runs on every commit and needs no ``json``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from mllint.output.options import Options
from mllint.settings import OUTPUT_FORMATS as FORMATS

if TYPE_CHECKING:
    from mllint.checking.report import Report

#: Formats that are one document, so that nothing may be printed around them.
MACHINE_FORMATS = tuple(name for name in FORMATS if name not in ("full", "concise", "grouped"))

#: Formats whose name is also that of a library, so that the module bears another one.
_LIKE_LIBRARIES = ("json", "pylint")


def render(name: str, reports: Sequence[Report], options: Options) -> str:
    """The reports in a format of `FORMATS`: text that ends in a newline, or "" where there is nothing to say."""
    if name not in FORMATS:
        raise ValueError(f"unknown output format {name!r}, one of {', '.join(FORMATS)} is needed")
    stem = name.replace("-", "_") + ("_" if name in _LIKE_LIBRARIES else "")
    module = import_module(f"mllint.output.{stem}")
    text: str = module.render(reports, options)
    return text


__all__ = ["FORMATS", "MACHINE_FORMATS", "render"]
