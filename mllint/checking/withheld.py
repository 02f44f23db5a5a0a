"""Stand-ins for the rules of packs that may not run: their codes and names are known, so that configurations and
suppressions that name them are no mistakes.

May not: run or import anything of such a pack. Its files are read as text.
"""

from __future__ import annotations

import re
from pathlib import Path

from mllint.checking.rule_faults import CODE, NAME
from mllint.diagnostic import Severity
from mllint.rule import Rule, WithheldMeta

_CODE_GIVEN = re.compile(rf"""\bcode\s*=\s*["']({CODE.pattern})["']""")
_NAME_GIVEN = re.compile(rf"""\bname\s*=\s*["']({NAME.pattern})["']""")
_STEM = re.compile(r"([a-z]{2,}\d{3})_([a-z][a-z0-9_]*)")
_LARGEST = 1_000_000


def withheld_rules(pack: str) -> tuple[Rule, ...]:
    """A stand-in for each rule that the text of a pack's files shows; none where it cannot be read."""
    path = Path(pack)
    files = [path] if path.is_file() else sorted(path.glob("*.py"))
    found = [pair for file in files if file.is_file() and not file.stem.startswith("_") for pair in _shown(file)]
    return tuple(_stand_in(code, name) for code, name in found)


def _stand_in(code: str, name: str) -> Rule:
    """A rule that visits nothing."""
    meta = WithheldMeta(code, name, Severity.WARNING, since="")
    rule_class: type[Rule] = type("WithheldRule", (Rule,), {"meta": meta, "__doc__": "A rule that may not run."})
    return rule_class()


def _shown(file: Path) -> list[tuple[str, str]]:
    """Codes and names in one file's text, else what its own name says."""
    try:
        with file.open("rb") as stream:
            text = stream.read(_LARGEST).decode("utf-8", "replace")
    except OSError:
        return []
    pairs = list(zip(_CODE_GIVEN.findall(text), _NAME_GIVEN.findall(text), strict=False))
    stem = _STEM.fullmatch(file.stem)
    return pairs or ([(stem[1].upper(), stem[2].replace("_", "-"))] if stem else [])
