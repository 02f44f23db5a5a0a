"""What compiles or traces, what runs then, and how often: the analyses under the rules ML104 to ML108."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from mllint.analysis.compiled.applications import Application, applications
from mllint.analysis.compiled.cudagraphs import called_repeatedly, graph_callees
from mllint.analysis.compiled.literals import calls_of, differing, passed
from mllint.analysis.compiled.steps import takes_steps
from mllint.analysis.compiled.traced import traced_bodies, traced_nodes
from mllint.analysis.index import FileIndex, build_index
from mllint.analysis.names import dotted_name
from mllint.analysis.syntax import Syntax
from mllint.authoring.testing import RuleCase, check_folder, check_source, rule_cases
from mllint.cli import main
from mllint.diagnostic import Diagnostic, Severity
from mllint.reading.source import read_source

ROOT = Path(__file__).parent.parent
IMPORTS = """
import functools, jax, torch, equinox as eqx
import tensorflow as tf
import tensorflow.compat.v2 as tf2
from torch import compile as build, jit
from keras.src.utils.module_utils import tensorflow as ktf
"""


def read(code: str) -> tuple[Syntax, FileIndex, list[Application]]:
    text = IMPORTS + code
    syntax = Syntax(ast.parse(text))
    index = build_index(syntax, "file.py")
    found = applications(syntax, text.encode(), index.aliases, lambda node: index.dotted(dotted_name(node)))
    return syntax, index, found


@pytest.fixture(scope="module")
def cases() -> dict[str, RuleCase]:
    return {case.code: case for case in rule_cases(ROOT / "rules", ROOT / "fixtures")}


@pytest.mark.parametrize(
    ("code", "compilers"),
    [
        ("@torch.compile\ndef f(x): ...", ["torch.compile"]),
        ("@torch.compile(dynamic=True)\ndef f(x): ...", ["torch.compile"]),
        ("@functools.partial(jax.jit, static_argnums=0)\ndef f(x): ...", ["jax.jit"]),
        ("f = functools.partial(jax.jit, static_argnums=0)(g)", ["jax.jit"]),
        ("f = build(g)", ["torch.compile"]),
        ("f = torch.compile(mode='x')(g)", ["torch.compile"]),
        ("y = torch.compile(g)(x)", ["torch.compile"]),
        ("f, g = jit.trace(f, x), jit.script(g)", ["jit.trace", "jit.script"]),
        ("f = tf.function(g)\nh = tf2.function(g)\ni = ktf.function(g)", ["tf.function"] * 3),
        ("f = eqx.filter_jit(g)", ["jax.jit"]),
        ("with torch.cuda.graph(g, pool=p):\n    y = f(x)", ["capture"]),
        ("if torch.compile(g)(x):\n    pass", ["torch.compile"]),
        ("g = torch.cuda.graph", []),
        ("import re\nf = re.compile(g)\nmodel.compile()\n# torch.compile(f)\ntext = 'torch.compile(f)'", []),
        ("def compile(f): ...\ng = compile(f)", []),
        ("@torch.compiler.disable\ndef f(x): ...", []),
    ],
)
def test_what_compiles(code: str, compilers: list[str]) -> None:
    assert [each.compiler for each in read(code)[2]] == compilers


def test_an_application_knows_its_target_and_options() -> None:
    (first, second) = read("f = torch.compile(g, mode='default')\nh = tf.function(func=g, **options)")[2]
    assert isinstance(first.target, ast.Name) and first.target.id == "g"
    assert first.literal("mode") == "default" and not first.has("dynamic") and not first.decorates
    assert isinstance(second.target, ast.Name) and second.has("input_signature"), "it could hide behind **"


@pytest.mark.parametrize(
    ("code", "traced"),
    [
        ("@jax.jit\ndef f(x):\n    return g(x)\ndef g(x):\n    return h(x)\ndef h(x): ...\ndef other(): ...", "f g h"),
        ("def f(x): ...\ng = jax.jit(jax.vmap(f))", "f"),
        ("def f(x): ...\ndef f(x, y): ...\ng = jax.jit(f)", ""),
        ("def main(f):\n    return jax.jit(f)\ndef f(x): ...", ""),
        ("class N:\n    def forward(self, x): ...\nm = N().eval()\ntorch.jit.trace(m, x)", "forward"),
        ("class N:\n    def forward(self, x): ...\nm = N()\nm = wrap(m)\ntorch.jit.trace(m, x)", ""),
        ("class A:\n    def go(self):\n        self.f = tf.function(self.step)\n    def step(self): ...", "step"),
        ("@jax.jit\ndef f(x):\n    return g(x)\n@register\ndef g(x): ...", "f"),
    ],
)
def test_what_is_traced(code: str, traced: str) -> None:
    syntax, index, found = read(code)
    kinds = frozenset(each.compiler for each in found)
    bodies = traced_bodies(found, kinds, syntax, lambda node: index.dotted(dotted_name(node)))
    assert [body.body.name for body in bodies if isinstance(body.body, ast.FunctionDef)] == traced.split()


def test_callbacks_and_questions_about_the_trace_are_not_traced() -> None:
    code = """
@tf.function
def f(x):
    def back(y):
        return a(y)
    def inner(y):
        return b(y)
    tf.py_function(back, [x], tf.float32)
    if tf.executing_eagerly():
        c(x)
    return inner(x)
"""
    syntax, index, found = read(code)
    (body,) = traced_bodies(found, frozenset({"tf.function"}), syntax, lambda node: index.dotted(dotted_name(node)))
    calls = {dotted_name(node.func) for node in traced_nodes(body) if isinstance(node, ast.Call)}
    assert calls == {"b", "inner"}


@pytest.mark.parametrize(
    ("header", "body", "steps"),
    [
        ("for batch in loader", "pass", True),
        ("for epoch in range(3)", "pass", True),
        ("for x, y in train_loader", "pass", True),
        ("while True", "loss.backward()", True),
        ("while step < total", "pass", True),
        ("while queue", "pass", False),
        ("while n < batch_size", "pass", False),
        ("for i in range(3)", "optimizer.step()", True),
        ("for i in range(3)", "env.step(action)", False),
        ("for batch_size in sizes", "pass", False),
        ("for step_size in range(3)", "pass", False),
        ("for batch in (1, 2)", "pass", False),
        ("for block in model.blocks", "pass", False),
        ("for width in widths", "for batch in loader: loss.backward()", False),
    ],
)
def test_which_loops_take_steps(header: str, body: str, steps: bool) -> None:
    loop = ast.parse(f"{header}:\n    {body}").body[0]
    assert isinstance(loop, (ast.For, ast.While))
    assert takes_steps(loop) is steps


@pytest.mark.parametrize(
    ("calls", "found"),
    [
        ("f(x, 1)\nf(x, 2)", ("n", 2)),
        ("f(x, 1)\nf(x, n=1)", None),
        ("f(x)\nf(x, 2)", ("n", 2)),
        ("f(x, m)\nf(x, 2)", None),
        ("f(x, 1)\nf(x, True)", ("n", 2)),
        ("f(x, True)\nf(x, False)", None),
        ("for k in (1, 2, 3):\n    f(x, k)", ("n", 3)),
        ("for k in range(8):\n    f(x, k)", ("n", 2)),
        ("for k in sizes:\n    f(x, k)", None),
        ("f(*a)\nf(x, 1)", None),
        ("f(x, **a)\nf(x, 1)", None),
        ("f(x, -1)\nf(x, n=-2)", ("n", 2)),
    ],
)
def test_different_python_values(calls: str, found: tuple[str, int] | None) -> None:
    default = "=1" if calls.startswith("f(x)") else ""
    syntax = Syntax(ast.parse(f"def f(x, n{default}): ...\n{calls}"))
    (function,) = syntax.statements(ast.FunctionDef)
    values = [passed(function, statement, call, syntax) for statement, call in calls_of(syntax)]
    assert differing(function, values) == found


@pytest.mark.parametrize(
    ("code", "repeated"),
    [
        ("def g(x):\n    return net(x) - net(-x)", True),
        ("def g(x):\n    if x:\n        return net(x)\n    else:\n        return net(-x)", False),
        ("def g(x):\n    return net(x)\ndef h(x):\n    return g(x) + g(-x)", True),
        ("def g(x):\n    return net(x)\ndef h(x):\n    return net(x)", False),
        ("for batch in loader:\n    for k in range(3):\n        net(batch)", True),
        ("for epoch in range(3):\n    for batch in loader:\n        net(batch)", False),
        ("for t in timesteps:\n    x = net(x, t)", False),
    ],
)
def test_what_is_called_several_times_a_step(code: str, repeated: bool) -> None:
    syntax, _, found = read(f"net = torch.compile(make(), mode='reduce-overhead')\n{code}")
    assert called_repeatedly(graph_callees(found), syntax) is repeated


def diagnostics(cases: dict[str, RuleCase], code: str, text: str) -> list[Diagnostic]:
    return list(check_source(read_source("file.py", "python", text.encode()), cases[code].alone).diagnostics)


def test_milder_cases_have_a_milder_level(cases: dict[str, RuleCase]) -> None:
    text = "import os, torch\n\n\n@torch.compile\ndef f(x):\n    return x * os.getenv('A') * os.environ['B']\n"
    found = diagnostics(cases, "ML105", text)
    assert [each.severity for each in found] == [Severity.ERROR, Severity.WARNING]
    shown = check_folder(ROOT / "fixtures/ml104_module_level_compiled_function/bad_project", cases["ML104"].alone)
    levels = {each.message.split("`")[1]: each.severity for each in shown["pkg/kernels.py"].diagnostics}
    assert levels["scaled"] is levels["gelu"] is Severity.INFO
    assert levels["attend"] is levels["rotate"] is levels["resize"] is Severity.WARNING


def test_fixes_of_module_level_compilations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "fixtures/ml104_module_level_compiled_function/bad_project", tmp_path / "study")
    (tmp_path / "study" / "mllint.toml").touch()
    monkeypatch.chdir(tmp_path / "study")
    before = Path("pkg/kernels.py").read_text("utf-8").splitlines()
    command = ["check", "--no-cache", "--select", "ML104", "--fix", "--unsafe-fixes", "."]
    result = CliRunner().invoke(main, command, prog_name="mllint")
    assert result.exit_code == 1, "what has no fix is left"
    after = Path("pkg/kernels.py").read_text("utf-8").splitlines()
    pairs = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [(old.partition("  #")[0], new.partition("  #")[0]) for old, new in pairs] == [
        ("@tf.function(jit_compile=True)", "@tf.function(jit_compile=True, reduce_retracing=True)"),
        ('@torch.compile(mode="reduce-overhead")', '@torch.compile(mode="default")'),
        ("@torch.compile(fullgraph=True, dynamic=False)", "@torch.compile(fullgraph=True, dynamic=None)"),
        (
            "fast_norm = torch.compile(normalize, mode='max-autotune', dynamic=False)",
            "fast_norm = torch.compile(normalize, mode='max-autotune-no-cudagraphs', dynamic=None)",
        ),
        ('    @torch.compile(mode="max-autotune")', '    @torch.compile(mode="max-autotune-no-cudagraphs")'),
    ]
    assert "[*]" not in result.output, "nothing is left that a fix could mend"
