"""The architecture's absences: who may import whom, and who may touch the outside world."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(path for folder in ("mllint", "rules") for path in (ROOT / folder).rglob("*.py"))

#: From the ground up: a module may import its own floor and those below, never above.
FLOORS = [
    {"mllint", "mllint.diagnostic", "mllint.lazy", "mllint.record"},
    {
        "mllint.settings",
        "mllint.settings_meanings",
        "mllint.settings_probe",
        "mllint.settings_values",
        "mllint.rule",
    },
    {"mllint.reading"},
    {"mllint.analysis"},
    {"mllint.checking"},
    {"mllint.probe"},
    {"mllint.output", "mllint.authoring", "mllint.testing", "rules"},
    {"mllint.cli", "mllint.__main__"},
]

#: Pure: no file, no printing, no clock, no environment.
PURE = [
    "mllint.diagnostic",
    "mllint.record",
    "mllint.rule",
    "mllint.settings",
    "mllint.settings_meanings",
    "mllint.settings_probe",
    "mllint.settings_values",
    "mllint.reading.source",
    "mllint.reading.located",
    "mllint.analysis",
    "mllint.checking.engine",
    "mllint.checking.look",
    "mllint.checking.select",
    "mllint.checking.fix",
    "mllint.checking.suppress",
    "mllint.probe.check",
    "mllint.probe.choose",
    "mllint.probe.codec",
    "mllint.probe.gather",
    "mllint.probe.judge",
    "mllint.probe.measured",
    "mllint.probe.page",
    "mllint.probe.request",
    "mllint.probe.site",
    "mllint.probe.suspicion",
    "mllint.probe.target",
    "mllint.probe.trace",
    "mllint.output",
    "rules",
]
WORLD = {"os", "time", "pathlib", "shutil", "tempfile", "subprocess", "socket", "datetime", "random"}


def dotted(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def within(name: str, places: set[str] | list[str]) -> bool:
    return any(name == place or (place != "mllint" and name.startswith(place + ".")) for place in places)


def floor(name: str) -> int:
    floors = [number for number, places in enumerate(FLOORS) if within(name, places)]
    assert floors, f"{name} stands on no floor of FLOORS"
    return floors[0]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every imported dotted name, and whether only a type checker sees it."""
    tree = ast.parse(path.read_text("utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                yield item.name, id(node) in hidden
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or ""), id(node) in hidden


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_point_down(path: Path) -> None:
    own = floor(dotted(path))
    for name, only_types in imports(path):
        if name.split(".")[0] == "mllint" and not only_types:
            assert floor(name) <= own, f"{dotted(path)} imports {name}, which stands above it"


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_nobody_prints_but_the_command_line(path: Path) -> None:
    if within(dotted(path), ["mllint.cli", "mllint.__main__"]):
        return
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    assert not [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id in ("print", "input")]


@pytest.mark.parametrize("path", [path for path in MODULES if within(dotted(path), PURE)], ids=dotted)
def test_pure_modules_touch_no_world(path: Path) -> None:
    reached = {name.split(".")[0] for name, only_types in imports(path) if not only_types}
    assert not reached & WORLD, f"{dotted(path)} is pure and imports {reached & WORLD}"
    tree = ast.parse(path.read_text("utf-8"))
    opens = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "open"]
    assert not opens, f"{dotted(path)} is pure and opens a file"


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_heavy_libraries_stay_where_they_belong(path: Path) -> None:
    name = dotted(path)
    for imported, only_types in imports(path):
        top = imported.split(".")[0]
        if top == "torch" and not only_types:
            assert within(name, ["mllint.probe.recording"]), f"{name} imports torch: only the probe's recorders may"
        if top == "libcst" and not only_types:
            assert within(name, ["mllint.analysis", "mllint.lazy"]), f"{name} imports libcst: ask mllint.lazy"


@pytest.mark.parametrize("path", [path for path in MODULES if dotted(path).startswith("rules.")], ids=dotted)
def test_rules_load_without_the_probe(path: Path) -> None:
    """Every `mllint check` loads every rule: what only `judge` needs is imported in it, what only a type checker needs
    below `if TYPE_CHECKING` (all measurements together are 30 ms)."""
    tree = ast.parse(path.read_text("utf-8"))
    at_once = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert not [name for name in at_once if name.startswith("mllint.probe")], f"{dotted(path)} loads the probe at once"


def test_loading_the_rules_costs_little() -> None:
    """What `test_rules_load_without_the_probe` cannot see: what rules load by way of others, and heavy standard modules."""
    code = (
        "import sys; before = {*sys.modules}; import mllint.cli.check; from mllint.checking.packs import builtin_rules; "
        "builtin_rules(); print(*({*sys.modules} - before))"  # a coverage tool brings modules of its own
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "statistics",
        "difflib",
        "decimal",
        "multiprocessing",
        "concurrent",
        "pickle",
        "tomllib",
        "libcst",
        "torch",
    }
    assert not [name for name in loaded if name.startswith("mllint.probe") or name in heavy]


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_every_module_says_what_it_may_not_do(path: Path) -> None:
    if path.name == "__init__.py" or dotted(path).startswith("rules."):
        return
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    assert "May not:" in text or dotted(path) == "mllint.__main__", f"{dotted(path)} does not say what it may not do"


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 300, f"{dotted(path)} has more than 300 lines: split it"


def test_broad_excepts() -> None:
    """House rule: errors are values until the edge. Only the engine's boundaries to rules and files are broad, and
    the import of a user's rule file. The probe's recording side runs the user's code everywhere: there each says why."""
    broad = []
    for path in MODULES:
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "everything"
                if not re.search(r"\b(Exception|BaseException|everything)\b", caught):
                    continue
                if within(dotted(path), ["mllint.probe.recording"]):
                    line = text.splitlines()[node.lineno - 1]
                    assert re.search(r"  # (?!noqa)\w+", line), f"{path}:{node.lineno} does not say why it is broad"
                else:
                    broad.append((dotted(path), caught))
    assert broad == [
        ("mllint.checking.look", "Exception"),
        ("mllint.checking.look", "(Exception, SystemExit)"),
        ("mllint.checking.packs", "(Exception, SystemExit)"),
        ("mllint.checking.ruleset", "(Exception, SystemExit)"),
        ("mllint.probe.judge", "(Exception, SystemExit)"),
    ]
