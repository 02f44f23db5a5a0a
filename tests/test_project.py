"""Questions over the files of a project, on small projects on the disk; and what is kept of the answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mllint.analysis.project import Found, Project
from mllint.checking.projects import ProjectStore
from mllint.reading.files import Target, list_project
from mllint.settings import Settings

FILES = {
    "pkg/__init__.py": "from .models import Net as Network\nfrom .config import *\n",
    "pkg/models.py": "import torch.nn as nn\nfrom .layers import Block\n\nclass Net(Block):\n    pass\n\nclass Plain:\n    pass\n",
    "pkg/layers.py": "from torch import nn\n\nclass Block(nn.Module):\n    def _reset_old(self):\n        pass\n",
    "pkg/config.py": "options = {}\nsizes = []\nFLAG = False\n\ndef setup(value):\n    options['size'] = value\n",
    "pkg/circle.py": "from .circle_b import Loop\n",
    "pkg/circle_b.py": "from .circle import Loop\n",
    "train.py": "from pkg import Network, options\nimport pkg.config as settings\n\ndef main():\n    options.update(x=1)\n    settings.FLAG = True\n    return Network()\n",
    "tests/test_layers.py": "import pkg.layers\nfrom pkg import circle\n",
    "src/inner/tool.py": "def tool():\n    pass\n",
    "uses.py": "from inner.tool import tool\n",
    "conf/run.yaml": "init: pkg.layers.Block._reset_old\n",
}


def store(folder: Path, facts: str = "") -> ProjectStore:
    root = folder.as_posix()
    listing = list_project(root, Settings(root=root))
    return ProjectStore(
        lambda target: root,
        lambda target, root: listing.python,
        1_000_000,
        lambda root: listing.texts,
        lambda root: facts,
    )


def target(folder: Path) -> Target:
    return Target("train.py", f"{folder.as_posix()}/train.py", "python", Settings())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    opened = store(tmp_path).of(target(tmp_path))
    assert opened is not None
    return opened


@pytest.mark.parametrize(
    ("dotted", "importer", "expected"),
    [
        ("pkg.Network", "train.py", ("pkg/models.py", "Net")),
        ("pkg.models.Net", "train.py", ("pkg/models.py", "Net")),
        ("pkg.config", "train.py", None),  # the module, no name in it
        ("pkg.sizes", "train.py", ("pkg/config.py", "sizes")),
        ("pkg.config.FLAG", "train.py", ("pkg/config.py", "FLAG")),
        (".layers.Block", "pkg/models.py", ("pkg/layers.py", "Block")),
        ("Net", "pkg/models.py", ("pkg/models.py", "Net")),
        ("inner.tool.tool", "uses.py", ("src/inner/tool.py", "tool")),
        ("torch.nn.Module", "pkg/models.py", None),
        ("pkg.circle.Loop", "train.py", None),
        ("pkg.nothing", "train.py", None),
    ],
)
def test_where_a_name_is_defined(
    project: Project, dotted: str, importer: str, expected: tuple[str, str] | None
) -> None:
    found = project.resolve(dotted, f"{project.root}/{importer}")
    assert found == (Found(f"{project.root}/{expected[0]}", expected[1]) if expected else None)


@pytest.mark.parametrize(
    ("dotted", "answer"), [("pkg.Network", True), ("pkg.models.Plain", False), ("gone.Net", False)]
)
def test_what_a_class_is_derived_from(project: Project, dotted: str, answer: bool) -> None:
    assert project.is_a(dotted, f"{project.root}/train.py", frozenset({"torch.nn.Module"})) is answer


@pytest.mark.parametrize(
    ("path", "importers", "importable"),
    [
        ("pkg/models.py", ["pkg/__init__.py"], True),
        ("pkg/layers.py", ["pkg/models.py", "tests/test_layers.py"], True),
        ("pkg/circle.py", ["pkg/circle_b.py", "tests/test_layers.py"], True),
        ("pkg/__init__.py", ["tests/test_layers.py", "train.py"], True),
        ("train.py", [], False),
        ("tests/test_layers.py", [], False),
        ("src/inner/tool.py", ["uses.py"], True),
    ],
)
def test_who_imports_a_module(project: Project, path: str, importers: list[str], importable: bool) -> None:
    found = project.importers(f"{project.root}/{path}")
    assert sorted(found) == [f"{project.root}/{name}" for name in importers]
    assert project.importable(f"{project.root}/{path}") is importable


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("options", {("pkg/config.py", "setup", "item"), ("train.py", "main", "call")}),
        ("FLAG", {("train.py", "main", "attribute")}),
        ("sizes", set()),
    ],
)
def test_who_assigns_into_an_object(project: Project, name: str, expected: set[tuple[str, str, str]]) -> None:
    writes = project.writes(Found(f"{project.root}/pkg/config.py", name))
    assert {(write.path[len(project.root) + 1 :], write.function, write.kind) for write in writes} == expected


def test_who_mentions_a_word(project: Project) -> None:
    assert project.mentioned("_reset_old") == {f"{project.root}/pkg/layers.py"}
    assert project.mentioned_in_texts("_reset_old")
    assert not project.mentioned_in_texts("_reset_new")
    assert project.mentioned("Network") == {f"{project.root}/train.py", f"{project.root}/pkg/__init__.py"}


# -- kept between runs --------------------------------------------------------------------------------------------


def asked(folder: Path, facts: Path) -> tuple[object, ...]:
    """Some answers, and which files were read for them."""
    opened = store(folder, str(facts))
    whole = opened.of(target(folder))
    assert whole is not None
    read: list[str] = []
    of = opened._known[folder.as_posix()]
    original = of._source
    of._source = lambda path, kind: (read.append(path), original(path, kind))[1]  # type: ignore[method-assign, func-returns-value]
    root = folder.as_posix()
    answers = (
        whole.importable(f"{root}/pkg/layers.py"),
        whole.resolve("pkg.Network", f"{root}/train.py"),
        whole.mentioned("_reset_old"),
        whole.writes(Found(f"{root}/pkg/config.py", "FLAG")),
        [whole.index(path) for path in sorted(whole.files)],
    )
    opened.save()
    return answers, {path[len(root) + 1 :] for path in read}


def test_the_second_run_reads_nothing_and_says_the_same(project: Project, tmp_path: Path) -> None:
    facts = tmp_path / ".mllint_cache" / "facts.json"
    cold, everything = asked(tmp_path, facts)
    assert everything == {name for name in FILES if name.endswith(".py")}
    warm, nothing = asked(tmp_path, facts)
    assert warm == cold
    assert nothing == set()


def test_only_a_changed_file_is_read_again(project: Project, tmp_path: Path) -> None:
    facts = tmp_path / ".mllint_cache" / "facts.json"
    asked(tmp_path, facts)
    (tmp_path / "train.py").write_text("import pkg.config as settings\n\ndef _reset_old():\n    settings.FLAG = 3\n")
    (_, network, words, writes, _), read = asked(tmp_path, facts)  # type: ignore[misc]
    assert read == {"train.py"}
    assert words == {f"{tmp_path}/pkg/layers.py", f"{tmp_path}/train.py"}
    assert [write.function for write in writes] == ["_reset_old"]
    assert network is not None


@pytest.mark.parametrize("damage", ["{", "[]", '{"%s": {"at": %s, "index": [1]}}', '{"%s": {"at": %s, "index": "x"}}'])
def test_a_damaged_file_of_facts_is_a_cold_start(project: Project, tmp_path: Path, damage: str) -> None:
    facts = tmp_path / ".mllint_cache" / "facts.json"
    cold, _ = asked(tmp_path, facts)
    path = f"{tmp_path}/train.py"
    at = json.loads(facts.read_text())[path]["at"]
    facts.write_text(damage % (path, json.dumps(at)) if "%" in damage else damage)
    again, _ = asked(tmp_path, facts)
    assert again == cold


def test_files_that_are_gone_are_forgotten(project: Project, tmp_path: Path) -> None:
    facts = tmp_path / ".mllint_cache" / "facts.json"
    asked(tmp_path, facts)
    (tmp_path / "uses.py").unlink()
    (tmp_path / "train.py").write_text("x = 1\n")
    opened = store(tmp_path, str(facts))
    whole = opened.of(target(tmp_path))
    assert whole is not None and whole.index(f"{tmp_path}/train.py") is not None
    opened.save()
    assert f"{tmp_path}/uses.py" not in json.loads(facts.read_text())
