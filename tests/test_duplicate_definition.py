"""ML501 beyond its fixtures: what the message says, what the fix shows, and which files are never parsed for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mllint.analysis.index import build_index, parse
from mllint.authoring.testing import RuleCase, check_source, rule_cases
from mllint.diagnostic import Diagnostic
from mllint.reading.source import read_source

ROOT = Path(__file__).parent.parent
CASE: RuleCase = next(case for case in rule_cases(ROOT / "rules", ROOT / "fixtures") if case.code == "ML501")


def only_finding(text: str) -> Diagnostic:
    (found,) = check_source(read_source("a.py", "python", text.encode()), CASE.alone).diagnostics
    return found


LONG = "scale_" * 13

MESSAGES = {
    "def f():\n    return 1\ndef f():\n    return 2\n": "`f` is defined again; the definition in line 1 can never be used",
    "def f():\n    return 1\ndef f():\n    return 1\n": "`f` is defined again, the same as in line 1",
    "def f():\n    return 1\ndef f():\n    return None\n": (
        "`f` is defined again, as a placeholder; it replaces the definition in line 1"
    ),
    "def f():\n    return 1\ndef g():\n    return f()\ndef f():\n    return 2\n": (
        "`f` is defined again; code in between runs later and gets this one, not line 1"
    ),
    "class A:\n    def test_f(self):\n        a()\n    def test_f(self):\n        b()\n": (
        "`A.test_f` is defined again; the test in line 2 never runs"
    ),
    'class A:\n    def f(self):\n        return """\nx"""\n    def f(self):\n        return """\nx"""  # y\n': (
        "`A.f` is defined again, the same as in line 2"
    ),
    "def f():\n    return 1  # one\ndef f():  # noqa\n    return 1\n": "`f` is defined again, the same as in line 1",
    f"def {LONG[:36]}():\n    return 1\ndef g():\n    return {LONG[:36]}()\ndef {LONG[:36]}():\n    return 2\n": (
        f"`{LONG[:36]}` is defined again; uses in between get it, not line 1"
    ),
    "class A:\n    @property\n    def b(self):\n        return 1\n    @a.setter\n    def b(self, x):\n        c()\n": (
        "`A.b` takes over the accessors of `a`; its own from line 3 are lost"
    ),
    f"def {LONG}():\n    return 1\ndef {LONG}():\n    return 2\n": "this name is defined again; line 1 is dead",
    f"class {LONG}:\n    def f(self):\n        a()\n    def f(self):\n        b()\n": (
        "`f` is defined again; the definition in line 2 can never be used"
    ),
}


@pytest.mark.parametrize("text", MESSAGES)
def test_the_message_says_what_is_lost(text: str) -> None:
    assert only_finding(text).message == MESSAGES[text]


def test_the_first_definition_is_shown_and_the_fix_takes_its_decorators_along() -> None:
    text = "import torch\n@torch.no_grad()\ndef f():\n    return 1\n\ndef f():\n    return 2\n"
    found = only_finding(text)
    assert (found.begin.row, found.begin.column) == (6, 5)
    assert [(place.place.row, place.message) for place in found.related] == [(3, "first defined here")]
    assert found.fix is not None
    (edit,) = found.fix.edits
    assert text[: edit.start] + edit.text + text[edit.end :] == "import torch\n\ndef f():\n    return 2\n"


def test_a_fix_never_takes_a_comment_along() -> None:
    assert only_finding("def f():\n    # kept\n    return 1\ndef f():\n    return 2\n").fix is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("class A:\n    def f(self): a()\nclass B:\n    def f(self): b()\n", False),
        ("class A:\n    @property\n    def f(self): a()\n    @f.setter\n    def f(self, x): b()\n", False),
        ("from typing import overload as o\n@o\ndef f(): a()\n@o\ndef f(x): b()\ndef f(x): c()\n", False),
        ("@register\ndef f(): a()\ndef f(): b()\n", False),
        ("def f(): a()\ndef f(): b()\n", True),
        ("import functools as ft\n@ft.cache\ndef f(): a()\n@ft.cache\ndef f(): b()\n", True),
    ],
    ids=["other-scope", "property", "overload", "registered", "plain", "wrapped"],
)
def test_files_without_a_candidate_are_not_parsed_losslessly(text: str, wanted: bool) -> None:
    source = read_source("a.py", "python", text.encode())
    index = build_index(parse(source), "a.py")  # type: ignore[arg-type]
    assert CASE.rule.narrow(index) is wanted
