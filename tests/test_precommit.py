"""The pre-commit hooks, run by the real pre-commit in a scratch repository.

`language: python` would install mllint's dependencies from the network; so the hooks run as `language: system` with
the interpreter of the tests, and everything else (filters, entry, arguments) is what `.pre-commit-hooks.yaml` says.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from identify.identify import tags_from_path

from mllint.reading.files import kind_of

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ROOT / ".pre-commit-hooks.yaml"
BAD = "def f():\n    return 1\n\n\ndef f():\n    return 2\n"
# mllint: ignore[ML301] this is what the hook has to find
FIXABLE = ".version 7.0\n.target sm_70\n// scale \N{EM DASH} in place\n"


def hooks() -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = yaml.safe_load(MANIFEST.read_text())
    return loaded


class Repository:
    """A git repository with one hook of ours in its pre-commit configuration."""

    def __init__(self, root: Path, hook: str, **overrides: Any) -> None:
        self.root = root
        (chosen,) = (entry for entry in hooks() if entry["id"] == hook)
        program, _, rest = chosen["entry"].partition(" ")
        assert program == "mllint"
        local = {key: value for key, value in chosen.items() if key != "minimum_pre_commit_version"}
        local.update(language="system", entry=f'"{sys.executable}" -m mllint {rest}', **overrides)
        self.git("init", "-q")
        self.write(".pre-commit-config.yaml", yaml.safe_dump({"repos": [{"repo": "local", "hooks": [local]}]}))
        self.write("pyproject.toml", "[tool.mllint]\nextend-exclude = ['vendored']\n")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.root, check=True, capture_output=True)

    def run(self, *names: str) -> tuple[int, str]:
        """Exit code and output of pre-commit over these files, else over all."""
        self.git("add", "-A")
        chosen = ["--files", *names] if names else ["--all-files"]
        dropped = ("GIT_", "COVERAGE_", "COV_CORE_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        done = subprocess.run(
            [sys.executable, "-m", "pre_commit", "run", "--verbose", "--color", "never", *chosen],
            cwd=self.root,
            env={**kept, "PYTHONPATH": str(ROOT), "PRE_COMMIT_HOME": str(self.root.parent / "home")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


def test_the_manifest_is_valid() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-manifest", str(MANIFEST)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [hook["id"] for hook in hooks()] == ["mllint", "mllint-fix"]
    assert all(hook["require_serial"] and hook["language"] == "python" for hook in hooks())


def test_a_finding_fails_the_commit(scratch: Path) -> None:
    repository = Repository(scratch, "mllint")
    repository.write("train.py", BAD)
    code, out = repository.run()
    assert code == 1
    assert "ML501" in out and "train.py:1" in out


def test_clean_code_passes(scratch: Path) -> None:
    repository = Repository(scratch, "mllint")
    repository.write("train.py", "def f():\n    return 1\n")
    code, out = repository.run()
    assert code == 0, out
    assert "Passed" in out


def test_nothing_to_check_passes(scratch: Path) -> None:
    repository = Repository(scratch, "mllint")
    repository.write("notes.txt", "not code\n")
    code, out = repository.run("notes.txt")
    assert code == 0, out
    assert "no files to check" in out and "Skipped" in out


def test_excluded_files_stay_excluded_when_named(scratch: Path) -> None:
    """pre-commit names every file; the project's own exclusion must hold all the same."""
    repository = Repository(scratch, "mllint")
    repository.write("vendored/train.py", BAD)
    code, out = repository.run()
    assert code == 0, out


def test_the_fix_hook_changes_the_file_and_fails_once(scratch: Path) -> None:
    repository = Repository(scratch, "mllint-fix")
    path = repository.write("scale.ptx", FIXABLE)
    code, out = repository.run()
    assert code == 1
    assert "files were modified by this hook" in out
    assert path.read_bytes().isascii() and b"in place" in path.read_bytes()
    assert repository.run()[0] == 0


def test_arguments_reach_mllint(scratch: Path) -> None:
    repository = Repository(scratch, "mllint", args=["--ignore", "ML501"])
    repository.write("train.py", BAD)
    code, out = repository.run()
    assert code == 0, out


#: Files that mllint reads, then files that it does not; the text decides where there is no extension.
NAMES = {
    "train.py": "x = 1\n",
    "TRAIN.PY": "x = 1\n",
    "dockerfile": "FROM x\n",
    "Containerfile": "FROM x\n",
    "GNUmakefile": "all:\n",
    "notes.markdown": "text\n",
    "gui.pyw": "x = 1\n",
    "types.pyi": "x: int\n",
    "study.ipynb": "{}\n",
    "run.sh": "ls\n",
    "run.bash": "ls\n",
    "run.sbatch": "ls\n",
    "Makefile": "all:\n",
    "rules.mk": "all:\n",
    "Dockerfile": "FROM x\n",
    "Dockerfile.gpu": "FROM x\n",
    "train.dockerfile": "FROM x\n",
    "ci.yml": "a: 1\n",
    "ci.yaml": "a: 1\n",
    "README.md": "text\n",
    "kernel.ptx": ".version 7.0\n",
    "kernel.cu": "int x;\n",
    "kernel.cuh": "int x;\n",
    "kernel.cl": "int x;\n",
    "launch": "#!/bin/bash\nls\n",
    "tool": "#!/usr/bin/env python3\nx = 1\n",
    "LICENSE": "text\n",
    "Dockerfile.j2": "FROM x\n",
    "Dockerfile.gpu.tmpl": "FROM x\n",
    "Dockerfile.dev.gpu": "FROM x\n",
    "Dockerfile~": "FROM x\n",
    "notebook_py": "x = 1\n",
    "notes.txt": "pkill\n",
    "data.json": "{}\n",
    "main.c": "int x;\n",
    "page.html": "<p>\n",
    "setup.cfg": "[a]\n",
}


@pytest.mark.parametrize("name", NAMES)
def test_the_hook_passes_exactly_the_files_that_mllint_reads(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(NAMES[name])
    path.chmod(0o755)
    if not path.suffix and not NAMES[name].startswith("#!"):
        read = kind_of(name) is not None or name != name.upper()  # let through; mllint itself leaves it out
    else:
        read = kind_of(name, path.read_bytes()) is not None
    for hook in hooks():
        passed = bool(re.search(hook["files"], name)) and bool(set(hook["types_or"]) & tags_from_path(str(path)))
        assert passed == read, hook["id"]
