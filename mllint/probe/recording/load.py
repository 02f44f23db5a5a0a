"""Import the user's file or module as its author would: its folder and the current one on the path, packages as packages.

What stands below ``if __name__ == "__main__"`` does not run. May not: call anything in it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType

from mllint.probe.target import Target, TargetError


def load(target: Target) -> ModuleType:
    """The target's module, imported. Raises TargetError, and whatever the import raises."""
    here = os.getcwd()
    if target.module:
        _first_on_path(here)
        sys.argv = [target.module]
        return _imported(target)
    path = os.path.abspath(target.path)
    sys.argv = [target.path]
    name, top = _package_name(path)
    if top:
        _first_on_path(top, here)
        _last_on_path(os.path.dirname(path))  # `import sibling` works in a script of a package too
        return importlib.import_module(name)
    _first_on_path(os.path.dirname(path), here)
    return _run(path, name)


def _imported(target: Target) -> ModuleType:
    try:
        return importlib.import_module(target.module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if target.module == missing or target.module.startswith(missing + "."):
            raise TargetError(
                f"{target}: no module `{missing}` in the current folder or among the installed packages; "
                "a file is named with its suffix: `train.py`"
            ) from error
        raise


def _package_name(path: str) -> tuple[str, str]:
    """The dotted name of a file in a package and the folder that holds the outermost package; "" for a plain file."""
    folder, file = os.path.split(path)
    stem = os.path.splitext(file)[0]
    names = [] if stem == "__init__" else [stem]
    inside = False
    while os.path.isfile(os.path.join(folder, "__init__.py")) and os.path.basename(folder).isidentifier():
        inside = True
        folder, above = os.path.split(folder)
        names.insert(0, above)
    usable = inside and all(name.isidentifier() for name in names) and names[0] not in _standard_names()
    return (".".join(names), folder) if usable else (stem, "")


def _run(path: str, stem: str) -> ModuleType:
    """A plain file under its own name, so that what it defines can be pickled; under another where that one is taken."""
    taken = stem in sys.modules or stem in _standard_names() or not stem.isidentifier()
    name = "target_" + "".join(letter if letter.isalnum() else "_" for letter in stem) if taken else stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _standard_names() -> frozenset[str]:
    return frozenset(sys.stdlib_module_names) | frozenset(sys.builtin_module_names)


def _first_on_path(*folders: str) -> None:
    for folder in reversed(folders):
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)


def _last_on_path(folder: str) -> None:
    if folder not in sys.path:
        sys.path.append(folder)
