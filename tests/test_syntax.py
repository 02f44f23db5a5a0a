"""The statements of a file, and the facts about it: code in, plain data out."""

from __future__ import annotations

import ast
import json
import textwrap
from pathlib import Path

import pytest

from mllint.analysis.index import FileIndex, build_index
from mllint.analysis.syntax import Syntax, expressions

CODE = textwrap.dedent(
    """
    import os
    try:
        import fast
    except ImportError as missing:
        fast = None
    else:
        ready = True

    class Model:
        size = 4

        def run(self, x):
            match x:
                case 1:
                    return [y for y in x]
                case _:
                    pass
            with open(x) as file:
                yield file

    if __name__ == "__main__":
        for name in os.environ:
            print(name)
    """
)


def syntax(code: str) -> Syntax:
    return Syntax(ast.parse(textwrap.dedent(code)))


def index(code: str) -> FileIndex:
    return build_index(syntax(code), "/p/a.py")


def test_every_statement_is_there_once_and_in_order() -> None:
    read = syntax(CODE)
    kinds = (ast.stmt, ast.ExceptHandler, ast.match_case)
    expected = [node for node in ast.walk(read.module) if isinstance(node, kinds)]
    found = read.statements(*{type(node) for node in expected})
    assert set(found) == set(expected) and len(found) == len(expected)
    places = [(getattr(node, "pattern", node).lineno, getattr(node, "pattern", node).col_offset) for node in found]
    assert places == sorted(places)


def test_where_a_statement_stands() -> None:
    read = syntax(CODE)
    (returned,) = read.statements(ast.Return)
    assert read.qualname(returned) == "Model.run"
    assert isinstance(read.parent(returned), ast.match_case)
    scope = read.scope(returned)
    assert isinstance(scope, ast.FunctionDef) and scope.name == "run"
    assert [type(node).__name__ for node in read.ancestors(returned)] == [
        "match_case", "Match", "FunctionDef", "ClassDef", "Module",
    ]  # fmt: skip
    (handler,) = read.statements(ast.ExceptHandler)
    block, position = read.block(handler.body[0])
    assert (block, position) == (handler.body, 0)


def test_what_runs_at_import() -> None:
    text = {ast.unparse(statement).splitlines()[0] for statement in syntax(CODE).at_import()}
    assert {"import os", "import fast", "fast = None", "ready = True", "class Model:", "print(name)"} <= text
    assert not {"size = 4", "pass", "yield file"} & text


def test_expressions_of_a_statement_stop_at_nested_ones() -> None:
    (loop,) = syntax("for x in a(b):\n    c(d)\n").statements(ast.For)
    assert [ast.unparse(node) for node in expressions(loop)] == ["x", "a(b)", "a", "b"]


def test_every_expression_belongs_to_one_statement() -> None:
    for path in sorted(Path(json.__file__).parent.parent.glob("*.py"))[:60]:
        read = Syntax(ast.parse(path.read_bytes()))
        kinds = {type(node) for node in ast.walk(read.module) if isinstance(node, (ast.stmt, ast.ExceptHandler))}
        found = [node for statement in read.statements(*kinds, ast.match_case) for node in expressions(statement)]
        expected = [node for node in ast.walk(read.module) if isinstance(node, ast.expr)]
        assert len(found) == len(set(found)) == len(expected), path
        assert set(found) == set(expected), path


@pytest.mark.parametrize(
    ("code", "name", "value"),
    [
        ("SIZE = 4", "SIZE", "4"),
        ("SIZE: int = 4", "SIZE", "4"),
        ("model = nn.Linear(4, 4)", "model", "nn.Linear()"),
        ("config = {}", "config", "{}"),
        ("a, b = 1, 2", "b", ""),
        ("x = other.config", "x", "other.config"),
        ("with f() as held:\n    pass", "held", ""),
        ("for step in range(3):\n    last = step", "last", "step"),
    ],
)
def test_bindings(code: str, name: str, value: str) -> None:
    assert (name, value) in {(binding.name, binding.value) for binding in index(code).bindings}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("config.size = 4", ("config.size", "attribute")),
        ("config['size'] = 4", ("config[]", "item")),
        ("config.data['size'] += 4", ("config.data[]", "item")),
        ("config.update(size=4)", ("config", "call")),
        ("setattr(config, 'size', 4)", ("config.size", "attribute")),
        ("setattr(config, name, 4)", ("config", "attribute")),
        ("del config['size']", ("config[]", "item")),
        ("a, config.size = 1, 2", ("config.size", "attribute")),
        ("global config\n    config = 4", ("config", "rebind")),
        ("config = 4", None),
        ("config = make()\n    config.size = 4", None),
        ("for config in all_of_them:\n        config.size = 4", None),
        ("other.size = 4", None),
        ("config.read(4)", None),
    ],
)
def test_writes(body: str, expected: tuple[str, str] | None) -> None:
    found = index(f"config = {{}}\n\ndef change(name):\n    {body}\n").writes
    inside = [(write.target, write.kind) for write in found if write.function == "change"]
    assert inside == ([] if expected is None else [expected])


def test_a_parameter_hides_a_module_level_name() -> None:
    assert index("config = {}\ndef change(config):\n    config.size = 4\n").writes == ()


def test_imports_keep_what_an_alias_loses() -> None:
    found = index("import a.b.c\nfrom . import d\nfrom ..e import *\ndef late():\n    from f import g as h\n")
    assert found.imports == ("a.b.c", ".d", "..e.*", "f.g")
    assert found.aliases["h"] == "f.g"
