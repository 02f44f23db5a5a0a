"""What a user's TARGET means: a file or a module, and the function or class in it.

May not: look at the disk itself (it is told what is there), or import the target.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

#: The function that is looked for where none is named.
DEFAULT_FUNCTION = "mllint_probe"

#: What to add to a file that has nothing to probe: the shortest target that works.
TEMPLATE = """\
def mllint_probe():
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters())

    def loss(model, batch):
        inputs, labels = batch
        return torch.nn.functional.cross_entropy(model(inputs), labels)

    return {"model": model, "optimizer": optimizer, "batches": loader, "loss": loss}
"""

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class TargetError(ValueError):
    """A target that cannot be probed; the message names it and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """Either ``path`` (a Python file, as it was given) or ``module`` (a dotted name); ``function`` is "" where the file is
    searched for something to probe."""

    path: str = ""
    module: str = ""
    function: str = ""

    def __str__(self) -> str:
        return (self.path or self.module) + (f":{self.function}" if self.function else "")


def target_of(text: str, is_file: Callable[[str], bool], is_folder: Callable[[str], bool]) -> Target:
    """The target that a word of the command line means. Raises TargetError."""
    if not text.strip():
        raise TargetError("the target is empty; name a file such as `train.py`, or `package.module:function`")
    if "::" in text:
        raise TargetError(f"{text}: write one colon before the function: `{text.replace('::', ':')}`")
    place, function = _parted(text, is_file)
    if is_file(place) or _looks_like_path(place):
        return _file(place, function, is_file, is_folder)
    if not _NAME.fullmatch(place):
        raise TargetError(
            f"{text}: neither a file nor a module; name `path.py`, `path.py:function` or `package.module:function`"
        )
    if is_folder(place) and not is_file(posixpath.join(place, "__init__.py")):
        raise TargetError(_folder(place))
    return Target(module=place, function=function)


def _parted(text: str, is_file: Callable[[str], bool]) -> tuple[str, str]:
    """Place and function. The colon of a drive (``C:\\x.py``) and one in the name of a file belong to the place."""
    place, colon, function = text.rpartition(":")
    if not colon or is_file(text) or not place:
        return text, ""
    if not function:
        raise TargetError(f"{text}: no function after the colon; write `{place}` or `{place}:function`")
    drive = len(place) == 1 and place.isalpha()
    if drive or any(character in function for character in "/\\"):
        return text, ""
    if not _NAME.fullmatch(function):
        raise TargetError(f"{text}: `{function}` is no name of a function")
    return place, function


def _looks_like_path(place: str) -> bool:
    return place.endswith((".py", ".pyw", ".ipynb")) or "/" in place or "\\" in place or place in (".", "..")


def _file(place: str, function: str, is_file: Callable[[str], bool], is_folder: Callable[[str], bool]) -> Target:
    if is_folder(place):
        raise TargetError(_folder(place))
    if not is_file(place):
        hint = f"; did you mean `{place}.py`?" if is_file(f"{place}.py") else ""
        raise TargetError(f"{place}: no such file{hint}")
    if place.endswith(".ipynb"):
        raise TargetError(
            f"{place}: a notebook cannot be probed; move its model and `{DEFAULT_FUNCTION}` to a .py file"
        )
    if not place.endswith((".py", ".pyw")):
        raise TargetError(f"{place}: no Python file; name one that ends in .py")
    return Target(path=place, function=function)


def _folder(place: str) -> str:
    return f"{place}: a folder cannot be probed; name a file in it, such as `{posixpath.join(place, 'train.py')}`"


def nothing_found(target: Target, tried: Iterable[str]) -> str:
    """What to tell a user whose file holds nothing to probe: what was looked for and why it did not do, and the lines to add."""
    looked = "".join(f"\n  - {line}" for line in tried)
    lines = "".join(f"    {line}".rstrip() + "\n" for line in TEMPLATE.splitlines())
    return f"{target}: nothing to probe; looked for{looked}\nAdd a function like this to the file:\n\n{lines}"
