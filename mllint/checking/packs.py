"""Folders and files of rules become rules: the built-in ones, and the packs that a user names.

Each pack is a virtual package of its own, so that packs with equal file names live side by side and the files of one
share helpers (``from ._shared import …``). May not: keep a list of rules by hand, decide whether a pack may run
(reading/trust.py does), or load a folder that nobody named.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType

from mllint.checking.rule_faults import foreign_fault, rule_fault
from mllint.checking.withheld import withheld_rules
from mllint.record import dataclass
from mllint.rule import Rule

#: The virtual package of the built-in rules.
_BUILTIN = "mllint_rules"


class PackError(ValueError):
    """A rule folder or file that cannot be used; the message names it and what to do."""


def builtin_folder() -> Path:
    """Where the built-in rules are: inside the package in a wheel, beside it in a checkout or editable install."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "_rules"
    return shipped if shipped.is_dir() else package.parent / "rules"


def builtin_rules() -> tuple[Rule, ...]:
    """The rules that come with mllint."""
    return load_pack(builtin_folder())


@dataclass(frozen=True, slots=True)
class Packs:
    """Users' packs by absolute path: those that are loaded, and those of which only codes and names are known."""

    loaded: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


#: The built-in rules alone.
NO_PACKS = Packs()


def known_rules(packs: Packs) -> tuple[Rule, ...]:
    """The built-in rules, those of the loaded packs and stand-ins for those of unread ones, by code.

    Raises PackError where a pack is broken, or takes a code or name that mllint itself or another pack has.
    """
    own = builtin_rules()
    taken = {word: "mllint itself" for rule in own for word in (rule.meta.code, rule.meta.name)}
    rules = list(own)
    for path in dict.fromkeys(packs.loaded):
        for rule in pack_rules(path):
            file = rule_file(rule)
            for word in (rule.meta.code, rule.meta.name):
                if word in taken:
                    raise PackError(f"{file}: `{word}` is taken by {taken[word]}; rename one of them")
                taken[word] = file
            rules.append(rule)
    for rule in [rule for path in packs.unread for rule in withheld_rules(path)]:
        words = {rule.meta.code: "", rule.meta.name: ""}
        if not words.keys() & taken.keys():
            taken |= words
            rules.append(rule)
    return tuple(sorted(rules, key=lambda rule: rule.meta.code))


def pack_rules(path: str) -> tuple[Rule, ...]:
    """The rules of one of a user's packs, a folder or a file, each held to what a rule has to be. Raises PackError."""
    pack = Path(path)
    with _no_bytecode():
        rules = load_pack(pack, pack_package(path))
    for rule in rules:
        fault = foreign_fault(rule)
        if fault:
            raise PackError(f"{rule_file(rule)}: {fault}")
    return rules


def pack_package(path: str) -> str:
    """The virtual package of a pack: its own, whatever other packs are called."""
    absolute = os.path.abspath(path)
    readable = re.sub(r"\W", "_", Path(absolute).stem)
    return f"mllint_rules_{readable}_{zlib.crc32(os.fsencode(absolute)):08x}"


def pack_files(path: str) -> tuple[Path, ...]:
    """Every file whose change may change the rules of a pack: its own, and what they can import from beside them."""
    pack = Path(path)
    return (pack, *sorted(pack.parent.glob("_*.py"))) if pack.is_file() else tuple(sorted(pack.rglob("*.py")))


def signature(packs: Packs) -> str:
    """Changes whenever a file of the packs does, or which of them are loaded."""
    return repr((packs, [(str(file), *_stamp(file)) for path in packs.loaded for file in pack_files(path)]))


def rule_file(rule: Rule) -> str:
    """The file that defines a rule."""
    return str(sys.modules[type(rule).__module__].__file__)


def load_pack(pack: Path, package: str = _BUILTIN) -> tuple[Rule, ...]:
    """One instance of each rule in a folder or a file, by code. Rule files are named ``<code>_<name>.py``.

    An unchanged pack is loaded once in a process. Raises PackError for a missing folder, a broken file, or two rules
    with one code or name.
    """
    files = _rule_files(pack)
    stamps = tuple((str(file), *_stamp(file)) for file in pack_files(str(pack)))
    if getattr(sys.modules.get(package), "__path__", None) != [str(files[0].parent)]:
        _load.cache_clear()  # another folder has this package now
    return _load(tuple(files), package, stamps)


def _rule_files(pack: Path) -> list[Path]:
    if pack.is_file() and pack.suffix == ".py":
        return [pack]
    if not pack.is_dir():
        wrong = "no Python file" if pack.exists() else "no such folder or file"
        raise PackError(f"{pack}: {wrong} of rules; name a folder of rule files, or one file")
    files = sorted(file for file in pack.glob("*.py") if not file.stem.startswith("_"))
    if not files:
        raise PackError(f"{pack}: no rule file in this folder; `mllint new-rule CODE NAME` writes one")
    return files


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


@cache  # a run asks for its rules several times
def _load(files: tuple[Path, ...], package: str, stamps: object) -> tuple[Rule, ...]:
    """The rules of these files as modules of a fresh virtual package. ``stamps`` are there to be compared."""
    for name in [name for name in sys.modules if name == package or name.startswith(package + ".")]:
        del sys.modules[name]
    holder = ModuleType(package)
    holder.__path__ = [str(files[0].parent)]
    sys.modules[package] = holder
    importlib.invalidate_caches()  # a file may be younger than Python's listing of its folder
    rules: list[Rule] = []
    for file in files:
        found = _rules_in(file, package)
        for rule in found:
            for word in (rule.meta.code, rule.meta.name):
                other = next((known for known in rules if word in (known.meta.code, known.meta.name)), None)
                if other is not None:
                    raise PackError(f"{file}: `{word}` is taken by {rule_file(other)}; rename one of them")
            rules.append(rule)
        if not found:
            hint = "begin its name with `_` if it only helps the others"
            raise PackError(f"{file}: no rule in it, that is no subclass of `mllint.rule.Rule`; {hint}")
    return tuple(sorted(rules, key=lambda rule: rule.meta.code))


def _rules_in(file: Path, package: str) -> list[Rule]:
    """One instance of each rule class that a file itself defines. Raises PackError for whatever is wrong with it."""
    if not file.stem.isidentifier():
        raise PackError(f"{file}: no name for a module; use letters, digits and `_`, as in `acme001_short_name.py`")
    try:
        module = importlib.import_module(f"{package}.{file.stem}")
        rules = [rule_class() for rule_class in _rule_classes(module)]
    except (Exception, SystemExit) as error:  # somebody's plug-in may raise anything when it is run
        raise PackError(_import_failure(file, error)) from error
    for rule in rules if package != _BUILTIN else ():  # mllint's own are held to this by a test: 3 ms a run
        fault = rule_fault(rule)
        if fault:
            raise PackError(f"{file}: {fault}")
    return rules


def _rule_classes(module: ModuleType) -> Iterator[type[Rule]]:
    """The rules of this very module. A class whose name begins with ``_`` is a base of others."""
    for name, value in vars(module).items():
        if not isinstance(value, type) or not issubclass(value, Rule) or name != value.__name__:
            continue
        if value.__module__ == module.__name__ and not name.startswith("_"):
            yield value


def _import_failure(file: Path, error: BaseException) -> str:
    """Where a rule file failed, and why."""
    if isinstance(error, SyntaxError):
        return f"{error.filename or file}:{error.lineno or 1}: not valid Python: {error.msg}"
    import traceback  # 2 ms to import

    frames = traceback.extract_tb(error.__traceback__)
    beside = [frame for frame in frames if Path(frame.filename).parent == file.parent]
    place = f"{beside[-1].filename}:{beside[-1].lineno}" if beside else str(file)
    hint = ""
    if isinstance(error, ModuleNotFoundError) and error.name and (file.parent / f"{error.name}.py").is_file():
        hint = f"; a file beside it is imported with a dot: `from .{error.name} import …`"
    reason = str(error).partition("\n")[0]
    return f"{place}: cannot be loaded: {type(error).__name__}: {reason}{hint}"


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """A user's folder is left as it is; Python's own cache would also miss a second edit within one second."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
