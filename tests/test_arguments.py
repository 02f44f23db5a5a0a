"""What parsers declare, who reads it, and that the fix of a flag makes it a flag."""

from __future__ import annotations

import argparse
import ast

import pytest

from mllint.analysis.arguments.declared import Declared
from mllint.analysis.arguments.namespaces import namespaces, produce
from mllint.analysis.arguments.options import options
from mllint.analysis.arguments.receivers import Receivers
from mllint.analysis.arguments.uses import Uses
from mllint.analysis.arguments.views import Files, Unseen, View
from mllint.analysis.index import build_index
from mllint.analysis.syntax import Syntax
from mllint.checking.packs import builtin_rules

HEAD = "import argparse\nparser = argparse.ArgumentParser()\n"


def files_of(text: str) -> Files:
    syntax = Syntax(ast.parse(text))
    return Files(View("train.py", syntax, build_index(syntax, "train.py"), Uses(syntax)), None)


DESTS = [
    'a("--long-name", "-l")',
    'a("-l", "--long-name", "--other")',
    'a("-s")',
    'a("positional-name")',
    'a("--long", dest="short")',
    'a("-vv")',
]


@pytest.mark.parametrize("call", DESTS)
def test_dest_is_what_argparse_derives(call: str) -> None:
    parser = argparse.ArgumentParser()
    action = eval(call, {"a": parser.add_argument})
    (option,) = options(Syntax(ast.parse(call.replace("a(", "p.add_argument(", 1))))
    assert option.dest == action.dest


DECLARED = {
    'parser.add_argument("--a-b")\nparser.set_defaults(c=1)': {"a_b", "c"},
    'g = parser.add_argument_group("x")\ng.add_argument("--a")': {"a"},
    'parser.add_mutually_exclusive_group().add_argument("--a")': {"a"},
    's = parser.add_subparsers(dest="cmd")\np = s.add_parser("x")\np.add_argument("--a")': {"cmd", "a"},
    'def f(q):\n    q.add_argument("--a")\nf(parser)': {"a"},
    'def f(x, q=None):\n    q.add_argument("--a")\n    return q\nparser = f(1, q=parser)': {"a"},
    'base = argparse.ArgumentParser()\nbase.add_argument("--a")\nparser = argparse.ArgumentParser(parents=[base])': {
        "a"
    },
    "parser.description = 'x'\nparser.print_help()": set(),
    'other = parser\nother.add_argument("--a")': {"a"},
}


@pytest.mark.parametrize("body", DECLARED)
def test_everything_a_parser_declares_is_found(body: str) -> None:
    files = files_of(f"{HEAD}{body}\nargs = parser.parse_args()\n")
    ((scope, name),) = namespaces(files)
    declared = Declared(files)
    for use in files.own.uses.of(scope, name):
        assert isinstance(use.statement, ast.Assign)
        produce(files.own, use.statement, name, declared)
    assert declared.names == DECLARED[body]
    assert not declared.pending


UNSEEN = [
    'for n in "ab":\n    parser.add_argument("--" + n)',
    'parser.add_argument("--a", action=Mine)',
    'parser.add_argument("--a", **more)',
    "parser.set_defaults(**more)",
    "parsers = [parser]",
    "self.parser = parser",
    "parser = other",
    "del parser",
    "with open(parser) as parser:\n    pass",
    "parser._actions.clear()",
]


@pytest.mark.parametrize("body", UNSEEN)
def test_a_parser_that_cannot_be_followed_is_unseen(body: str) -> None:
    files = files_of(f"{HEAD}{body}\nargs = parser.parse_args()\n")
    (statement,) = [each for each in files.own.syntax.statements(ast.Assign) if "parse_args" in ast.unparse(each)]
    with pytest.raises(Unseen):
        produce(files.own, statement, "args", Declared(files))


RECEIVERS = {
    'import argparse\nx = argparse.ArgumentParser()\nx.add_argument("-a")': "yes",
    'from argparse import ArgumentParser as P\nx = P()\ny = x.add_argument_group()\ny.add_argument("-a")': "yes",
    'class P(argparse.ArgumentParser):\n    def __init__(self):\n        self.add_argument("-a")': "yes",
    'def f(parser):\n    parser.add_argument("-a")': "likely",
    'def f(parser: jsonargparse.ArgumentParser):\n    parser.add_argument("-a")': "likely",
    'def f(parser: Registry):\n    parser.add_argument("-a")': "no",
    'from mine import Parser\nparser = Parser()\nparser.add_argument("-a")': "no",
    'registry.add_argument("-a")': "unknown",
    'x = f()\nx.add_argument("-a")': "unknown",
}


@pytest.mark.parametrize("text", RECEIVERS)
def test_receivers(text: str) -> None:
    syntax = Syntax(ast.parse(text))
    index = build_index(syntax, "train.py")
    (option,) = options(syntax)
    receivers = Receivers(syntax, lambda node: index.dotted(ast.unparse(node)))
    assert receivers.is_parser(option.receiver, option.statement) == RECEIVERS[text]


@pytest.mark.parametrize(
    ("words", "value"),
    [("", True), ("--x False", False), ("--x no", False), ("--x 0", False), ("--x True", True), ("--x 1", True)],
)
def test_the_conversion_that_the_fix_puts_in_reads_words(words: str, value: bool) -> None:
    builtin_rules()
    from mllint_rules.ml506_flag_that_cannot_be_off import _FALSE_WORDS

    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=eval(f"lambda text: text.lower() not in {_FALSE_WORDS}"), default=True)
    assert parser.parse_args(words.split()).x is value


def test_a_name_belongs_to_the_scope_that_binds_it() -> None:
    text = "x = 1\ndef f():\n    x = 2\n    def g():\n        return x\ndef h():\n    global x\n    x = 3\nclass C:\n    x = 4\n    def m(self):\n        return x\n"
    syntax = Syntax(ast.parse(text))
    uses = Uses(syntax)
    scopes = [syntax.module, *syntax.statements(ast.FunctionDef, ast.ClassDef)]
    lines = {scope: sorted(use.node.lineno for use in uses.of(scope, "x")) for scope in scopes}
    assert lines[syntax.module] == [1, 8, 12]
    function, owner = syntax.statements(ast.FunctionDef)[0], syntax.statements(ast.ClassDef)[0]
    assert (lines[function], lines[owner]) == ([3, 5], [10])
