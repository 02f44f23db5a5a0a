"""A folder of rule files becomes rules.

May not: keep a list of rules by hand, or load a folder that nobody named.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from mllint.rule import Rule


class PackError(ValueError):
    """A rule folder or file that cannot be used; the message names it and what to do."""


def builtin_folder() -> Path:
    """Where the built-in rules are: inside the package in a wheel, beside it in a checkout or editable install."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "_rules"
    return shipped if shipped.is_dir() else package.parent / "rules"


def load_pack(folder: Path, package: str = "mllint_rules") -> tuple[Rule, ...]:
    """One instance of each rule in a folder, by code. Rule files are named ``<code>_<name>.py``.

    The folder becomes a virtual package, so its files import each other as ``mllint_rules.x`` from wherever
    they are loaded. Raises PackError for a missing folder, a broken file, or two rules with one code.
    """
    if not folder.is_dir():
        raise PackError(f"{folder}: no such folder of rules; is the installation complete?")
    holder = ModuleType(package)
    holder.__path__ = [str(folder)]
    sys.modules[package] = holder
    rules: dict[str, Rule] = {}
    for path in sorted(folder.glob("*.py")):
        if path.stem.startswith("_"):
            continue
        name = f"{package}.{path.stem}"
        sys.modules.pop(name, None)
        for rule in _rules_of(importlib.import_module(name)):
            if rule.meta.code in rules:
                raise PackError(f"{path}: {rule.meta.code} is taken by {type(rules[rule.meta.code]).__name__}")
            rules[rule.meta.code] = rule
    return tuple(rules[code] for code in sorted(rules))


def builtin_rules() -> tuple[Rule, ...]:
    """The rules that come with mllint."""
    return load_pack(builtin_folder())


def _rules_of(module: ModuleType) -> list[Rule]:
    """Instances of the rule classes that a module itself defines."""
    return [
        value()
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Rule)
        and value.__module__ == module.__name__
        and hasattr(value, "meta")
    ]
