"""What can run and what is used: the questions behind ML502, ML503, ML507 and ML508."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mllint.analysis.index import FileIndex, parse
from mllint.analysis.liveness.blocks import bound_names, leaves, shows_only
from mllint.analysis.liveness.branches import read_in_other_branch
from mllint.analysis.liveness.composed import may_be_composed
from mllint.analysis.liveness.conditions import deciding, is_spared, truth
from mllint.analysis.liveness.mentions import is_mentioned
from mllint.analysis.liveness.self_imports import self_imports
from mllint.analysis.project import Project
from mllint.analysis.syntax import Syntax
from mllint.analysis.words import Words, words_of
from mllint.authoring.testing import check_folder, check_source, rule_cases
from mllint.checking.fix import apply_edits
from mllint.diagnostic import Diagnostic, Severity
from mllint.reading.source import Source, read_source

ROOT = Path(__file__).parent.parent
CASES = {case.code: case for case in rule_cases(ROOT / "rules", ROOT / "fixtures")}


def source(text: str) -> Source:
    return read_source("a.py", "python", text.encode())


def expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def syntax(text: str) -> Syntax:
    tree = parse(source(text))
    assert isinstance(tree, ast.Module)
    return Syntax(tree)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("False", False),
        ("0", False),
        ("None", False),
        ("''", False),
        ("1", True),
        ("not 0", True),
        ("x and False", False),
        ("x or 'b'", True),
        ("x and True", None),
        ("x or False", None),
        ("True and 1", True),
        ("False or 0", False),
        ("x and (y and not True)", False),
        ("x", None),
        ("not x", None),
        ("FLAG and x", False),
        ("not FLAG", True),
        ("x == 0", None),
        ("()", None),
    ],
)
def test_value_of_a_condition(text: str, value: bool | None) -> None:
    assert truth(expression(text), {"FLAG": False}) is value


def test_part_that_decides() -> None:
    assert ast.unparse(deciding(expression("a or b == 'x' or 'y'"), True)) == "'y'"
    assert ast.unparse(deciding(expression("a and (b and False)"), False)) == "False"


@pytest.mark.parametrize(("text", "spared"), [("a.b == c[0] and False", True), ("f() and False", False)])
def test_conditions_that_may_go(text: str, spared: bool) -> None:
    test = expression(text)
    assert is_spared(test, deciding(test, False)) is spared


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("return", True),
        ("raise x", True),
        ("if a:\n  return\nelse:\n  raise x", True),
        ("if a:\n  return\nelif b:\n  return\nelse:\n  return", True),
        ("if a:\n  return\nelif b:\n  return", False),
        ("if a:\n  return", False),
        ("try:\n  return\nexcept E:\n  raise", True),
        ("try:\n  return\nexcept E:\n  pass", False),
        ("try:\n  f()\nexcept E:\n  return\nelse:\n  return", True),
        ("try:\n  f()\nfinally:\n  return", True),
        ("try:\n  return\nfinally:\n  f()", True),
        ("with a:\n  raise x", False),
        ("while True:\n  pass", False),
        ("for a in b:\n  return", False),
        ("f()", False),
    ],
)
def test_statements_behind_which_nothing_runs(text: str, value: bool) -> None:
    function = ast.parse("def f():\n" + "\n".join(f"  {line}" for line in text.splitlines())).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert leaves(function.body[0]) is value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("print(x)", True),
        ("x = 1\nlogger.info(x)", True),
        ("rank0_print(x)", True),
        ("x = torch.log(x)", False),
        ("x = embed(x)", False),
        ("print(x)\nraise E", False),
    ],
)
def test_blocks_that_only_show_something(text: str, value: bool) -> None:
    assert shows_only(ast.parse(text).body) is value


def test_names_that_code_binds() -> None:
    text = """
import a.b, c as d
e = f.g = h[0] = 1
def i(): j = 1
for k, (l, *m) in n: pass
with o as p: pass
try: pass
except q as r: pass
match s:
    case {"t": u, **v}: pass
if (w := 1): del x
[y for y in z]
"""
    assert bound_names(ast.parse(text).body) == set("adeiklmpruvwxy")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("def _f(): _f()", False),
        ("def _f(): pass\n_f()", True),
        ("def _f(): pass\n'_f'", True),
        ("def _f(): pass\n# _f()", False),
        ("def _f(): pass\n'#', _f", True),
        ("def _f(): pass\n'#' # _f", False),
        ("def _f(): pass\n__f, _ff, x_f", False),
        ("def _f(): pass\nx._f", True),
    ],
)
def test_mentions_of_a_name(text: str, value: bool) -> None:
    assert is_mentioned("_f", text.encode(), (0, text.find("\n") if "\n" in text else len(text))) is value


@pytest.mark.parametrize(
    ("code", "near", "value"),
    [
        ('getattr(self, f"_load_{kind}")', False, True),
        ('getattr(self, "_load_" + kind)', False, True),
        ('getattr(self, "_load_%s" % kind)', False, True),
        ('getattr(self, "_load_{}".format(kind))', False, True),
        ('getattr(self, kind + "_weights")', False, True),
        ('name = f"_{a}_weights"\ngetattr(self, name)', False, True),
        ('[n for n in dir(x) if n.startswith("_load")]', False, True),
        ('getattr(self, f"_{kind}")', False, False),
        ('getattr(self, f"_{kind}")', True, True),
        ('getattr(self, f"_save_{kind}")', True, False),
        ('print(f"_load_{kind}")', True, False),
        ("[getattr(self, n) for n in dir(self)]", True, True),
        ("self.__dict__.update(kind)", True, False),
    ],
)
def test_names_that_a_program_may_build(code: str, near: bool, value: bool) -> None:
    texts = {"/p/a.py": b"def _load_weights(): pass", "/p/b.py": code.encode()}

    def words(path: str) -> Words:
        return words_of(texts[path], FileIndex(path))

    project = Project("/p", frozenset(texts), lambda path: None, texts.get, lambda triggers: (), load_words=words)
    files = ["/p/a.py", "/p/b.py"] if near else ["/p/a.py"]
    assert may_be_composed("_load_weights", files, project) is value


@pytest.mark.parametrize(
    ("path", "text", "count"),
    [
        ("/p/pkg/samples.py", "from pkg.samples import x", 1),
        ("/p/pkg/samples.py", "from .samples import x", 1),
        ("/p/pkg/samples.py", "from ..pkg.samples import x", 1),
        ("/p/pkg/samples.py", "from ..samples import x", 0),
        ("/p/pkg/samples.py", "from other.samples import x", 0),
        ("/p/pkg/samples.py", "from . import samples", 0),
        ("/p/pkg/queue.py", "from queue import Queue", 0),
        ("/p/pkg/__init__.py", "from pkg import x", 0),
        ("/p/pkg/__main__.py", "from .__main__ import x", 0),
        ("/p/pkg/samples.pyi", "from .samples import x", 0),
    ],
)
def test_imports_that_may_name_their_own_module(path: str, text: str, count: int) -> None:
    assert len(list(self_imports(syntax(text), path))) == count


def test_a_branch_of_a_long_chain() -> None:
    chain = "def f(x):\n    if x == 0:\n        y = 0\n" + "".join(
        f"    elif x == {number}:\n        pass\n" for number in range(1, 60)
    )
    text = chain + "    else:\n        return y\n"
    (function,) = syntax(text).statements(ast.FunctionDef)
    (found,) = read_in_other_branch(function, source(text))
    assert (found.read.lineno, found.bound.lineno) == (text.count("\n"), 3)


def found_in(code: str, text: str) -> list[Diagnostic]:
    return list(check_source(source(text), CASES[code].alone).diagnostics)


@pytest.mark.parametrize(
    ("text", "message", "severity"),
    [
        ("if x and False:\n    y = 1\n", "this branch never runs: `False` in its condition decides it", "warning"),
        ("if False:\n    y = 1\n", "this branch never runs: its condition is `False`", "warning"),
        ("if True:\n    y = 1\nelse:\n    y = 2\n", "the `else` never runs: the condition is `True`", "info"),
        ("if 1:\n    y = 1\n", "`if 1` always runs: a switch that was left in the code", "info"),
        (
            "if x == 'a' or 'b':\n    y = 1\nelse:\n    y = 2\n",
            "the `else` never runs: `'b'` makes the condition always true",
            "warning",
        ),
        ("def f():\n    return 1\n    g()\n", "this code never runs: the `return` in line 2 comes first", "warning"),
        (
            "def f():\n    if a:\n        return 1\n    else:\n        return 2\n    g()\n",
            "this code never runs: all branches of the `if` in line 2 leave",
            "warning",
        ),
    ],
)
def test_dead_branch_says_why(text: str, message: str, severity: str) -> None:
    (found,) = found_in("ML502", text)
    assert (found.message, found.severity) == (message, Severity(severity))


def test_leftover_shows_the_file_without_it() -> None:
    text = "def f(x):\n    @staticmethod\n    def _old(x):\n        return x\n    return x\n"
    (found,) = found_in("ML503", text)
    assert found.fix is not None
    assert apply_edits(text.encode(), found.fix.edits) == b"def f(x):\n    return x\n"


def test_self_import_is_no_error_where_it_works(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").write_text("")
    (tmp_path / "pkg/a.py").write_text(
        "def f():\n    from pkg.a import g\n    from pkg.a import h\n    return g, h\n\n\ndef g(): ...\n"
    )
    found = check_folder(tmp_path, CASES["ML507"].alone)["pkg/a.py"].diagnostics
    assert [(each.begin.row, each.severity) for each in found] == [(2, Severity.INFO), (3, Severity.ERROR)]
