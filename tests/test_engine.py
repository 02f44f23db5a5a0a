"""The engine on its own: what wakes a rule, what a broken file or rule becomes, and that order never matters."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from mllint.analysis.context import Context
from mllint.analysis.index import FileIndex
from mllint.analysis.project import Project
from mllint.analysis.triggers import Gate
from mllint.checking.engine import check
from mllint.checking.packs import builtin_rules
from mllint.checking.ruleset import RuleSet
from mllint.checking.select import Selection, select
from mllint.diagnostic import Diagnostic, Severity
from mllint.reading.source import Source, read_source
from mllint.rule import NON_ASCII, Meta, Rule
from mllint.settings import Layer

if TYPE_CHECKING:
    import libcst as cst


class NamedBad(Rule):
    """Flags every name ``bad``."""

    meta = Meta(code="ML990", name="named-bad", severity=Severity.WARNING, since="0.1.0", triggers=(("bad",),))

    def visit_Name(self, node: cst.Name, ctx: Context) -> Iterator[Diagnostic]:
        if node.value == "bad":
            yield ctx.report(node, "`bad` is a bad name")


class Raises(Rule):
    """Crashes on every call."""

    meta = Meta(code="ML991", name="raises", severity=Severity.WARNING, since="0.1.0", triggers=(("bad",),))

    def visit_Call(self, node: cst.Call, ctx: Context) -> Iterator[Diagnostic]:
        raise RuntimeError("no such luck")
        yield  # pragma: no cover


def rule_set(*extra: Rule) -> RuleSet:
    known = (*(rule for rule in builtin_rules() if rule.meta.code in ("ML000", "ML001", "ML002")), *extra)
    return RuleSet(known, Selection(frozenset(rule.meta.code for rule in known), frozenset()))


def source(text: str | bytes, path: str = "a.py") -> Source:
    return read_source(path, "python", text.encode() if isinstance(text, str) else text)


def places(text: str | bytes) -> list[tuple[int, int, str]]:
    report = check(source(text), rule_set(NamedBad()))
    return [(found.begin.row, found.begin.column, found.code) for found in report.diagnostics]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bad = 1\n", [(1, 1)]),
        ("bad = 1", [(1, 1)]),
        ("\ufeffbad = 1\n", [(1, 1)]),
        ("x = 1\r\nbad = 2\r\n", [(2, 1)]),
        ("s = 'é€😀'; bad = 1\n", [(1, 12)]),
        ("# -*- coding: latin-1 -*-\ns = '\xe9'; bad = 1\n".encode("latin-1"), [(2, 10)]),
        ("x = 1\n\x0c\nbad = 2\n", [(3, 1)]),
        ("\x0cdef f():\n    return bad\n\x0c\nclass A:\n    bad = 1\n", [(2, 12), (5, 5)]),
        ("\x0cbad = 1", [(1, 2)]),
        ("def f():\n\tif x:\n\t\treturn bad\n", [(3, 10)]),
    ],
    ids=[
        "plain",
        "no-final-newline",
        "bom",
        "crlf",
        "wide",
        "latin-1",
        "form-feed",
        "leading-form-feed",
        "form-feed-no-newline",
        "tabs",
    ],
)
def test_places_are_exact_in_every_kind_of_file(text: str | bytes, expected: list[tuple[int, int]]) -> None:
    assert places(text) == [(row, column, "ML990") for row, column in expected]


def test_a_deep_expression_still_gets_its_place() -> None:
    found = places("x = " + "+".join(["1"] * 900) + "\nbad = 1\n")
    # Known to be weaker on Python 3.12: there nothing lifts the low recursion limit of calls through C.
    assert found == ([(1, 1, "ML002")] if sys.version_info[:2] == (3, 12) else [(2, 1, "ML990")])


def test_a_crashing_rule_is_a_finding_and_the_others_go_on() -> None:
    report = check(source("bad = f()\n"), rule_set(Raises(), NamedBad()))
    assert [found.code for found in report.diagnostics] == ["ML002", "ML990"]
    assert report.crashed
    crash = report.diagnostics[0]
    assert "ML991" in crash.message and "RuntimeError" in crash.message
    assert crash.why == "RuntimeError: no such luck"


class RaisesEarly(Raises):
    """Crashes when it is asked whether it wants to see a file."""

    meta = Meta(code="ML992", name="raises-early", severity=Severity.WARNING, since="0.1.0")

    def narrow(self, index: FileIndex) -> bool:
        raise RuntimeError("no such luck")


class RaisesReaching(RaisesEarly):
    """Crashes when it is asked which files other files reach."""

    meta = Meta(
        code="ML993", name="raises-reaching", severity=Severity.WARNING, since="0.1.0",
        triggers=(("never there",),), project_triggers=(("bad",),), project=True,
    )  # fmt: skip

    def narrow(self, index: FileIndex) -> bool:
        return True

    def reached(self, project: Project) -> frozenset[str]:
        raise RuntimeError("no such luck")


@pytest.mark.parametrize("rule", [RaisesEarly(), RaisesReaching()], ids=["narrow", "reached"])
def test_a_rule_may_crash_wherever_it_is_asked(rule: Rule) -> None:
    files = frozenset({"/p/a.py", "/p/b.py"})
    project = Project("/p", files, lambda path: None, lambda path: None, lambda triggers: files)
    report = check(source("bad = f()\n"), rule_set(rule, NamedBad()), project, "/p/a.py")
    assert [found.code for found in report.diagnostics] == ["ML002", "ML990"]
    assert rule.meta.code in report.diagnostics[0].message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f(:\n", "invalid syntax"),
        ("print 'two'\n", "print"),
        ("x = 1\0\n", "null bytes"),
        ("if x:\npass\n", "indented block"),
        ("x = " + "(" * 1500 + ")" * 1500, "nest"),
        ("bad = a" + ".f()" * 8000, "nested too deeply"),
    ],
    ids=["syntax", "python-2", "null", "indent", "parentheses", "chain"],
)
def test_what_python_refuses_is_one_syntax_error(text: str, words: str) -> None:
    report = check(source(text), rule_set(NamedBad()))
    assert [found.code for found in report.diagnostics] == ["ML000"]
    assert words in report.diagnostics[0].message
    assert not report.crashed


def test_a_syntax_error_has_the_place_that_python_gives() -> None:
    found = check(source("x = 1\ny = (2,\nz = 'é' +* 3\n"), rule_set()).diagnostics[0]
    with pytest.raises(SyntaxError) as refusal:
        compile("x = 1\ny = (2,\nz = 'é' +* 3\n", "a.py", "exec")
    assert (found.begin.row, found.begin.column) == (refusal.value.lineno, refusal.value.offset)
    assert found.message == refusal.value.msg


def test_info_findings_need_to_be_asked_for() -> None:
    quiet = Meta(code="ML992", name="quiet", severity=Severity.INFO, since="0.1.0")
    metas = [quiet, NamedBad.meta]
    assert select(metas).codes == {"ML990"}
    family = [Layer(select=("ML99",))]
    assert select(metas, family).codes == {"ML990"}
    assert select(metas, family, preview=True).codes == {"ML990", "ML992"}
    assert select(metas, [Layer(select=("quiet",))]).with_info == {"ML992"}


def test_selectors_are_as_specific_as_in_ruff() -> None:
    metas = [rule.meta for rule in builtin_rules()]
    for layer, there in [
        (Layer(ignore=("ML5",)), False),
        (Layer(select=("ML501",), ignore=("ML5",)), True),
        (Layer(select=("definitions",), ignore=("duplicate-definition",)), False),
        (Layer(select=("gradients",)), False),
    ]:
        assert ("ML501" in select(metas, [layer]).codes) is there


@pytest.mark.parametrize(
    ("typo", "nearest"), [("ML501X", "ML501"), ("fill-in-bakward", "fill-in-backward"), ("gradient", "gradients")]
)
def test_an_unknown_selector_names_the_nearest(typo: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"`{nearest}`"):
        select([rule.meta for rule in builtin_rules()], [Layer(select=(typo,))])


def test_the_gate_finds_overlapping_phrases() -> None:
    gate = Gate([(("where",),), (("index_where",), ("mask", "fill")), ((NON_ASCII,),), ()])
    assert gate.passing(b"index_where(x)") == [0, 3]
    assert gate.passing(b"index_where(mask)") == [0, 1, 3]
    assert gate.passing("é".encode()) == [2, 3]


def test_rules_never_cross_a_process_boundary() -> None:
    import pickle

    with pytest.raises(TypeError, match="process boundary"):
        pickle.dumps(NamedBad())
