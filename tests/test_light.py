"""Light by default: what a command may not import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"libcst", "torch", "tree_sitter", "markdown_it", "pathspec"}


def modules_after(arguments: list[str], folder: Path) -> set[str]:
    """Top-level modules loaded by ``python -m mllint ARGUMENTS``, run in this very interpreter."""
    code = (
        "import os, sys, runpy\nos._exit = sys.exit\n"  # a check ends at once, and there is something to ask it
        f"sys.argv = ['mllint', *{arguments!r}]\n"
        "try:\n    runpy.run_module('mllint', run_name='__main__')\n"
        "except SystemExit:\n    pass\n"
        "sys.stderr.write('\\n' + ' '.join(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [["--version"], ["version"], ["check", "--isolated", "--no-cache", "hello.py"]])
def test_no_heavy_imports(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text('print("hello")\n')
    assert not modules_after(arguments, tmp_path) & HEAVY


def test_a_check_loads_nothing_of_the_probe(tmp_path: Path) -> None:
    """Not even for its rules: their measurements cost a fifth of a start."""
    (tmp_path / "twice.py").write_text("def f():\n    return 1\n\n\ndef f():\n    return 2\n")
    code = (
        "import os, sys\nos._exit = sys.exit\nsys.argv = ['mllint', 'check', '--isolated', '--no-cache', 'twice.py']\n"
        "from mllint.__main__ import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write(' '.join(name for name in sys.modules if name.startswith('mllint.probe')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "ML501" in done.stdout and done.stderr == ""


def test_version_needs_no_click(tmp_path: Path) -> None:
    assert "click" not in modules_after(["--version"], tmp_path)


def test_a_candidate_does_load_libcst(tmp_path: Path) -> None:
    """The control: the test above would also pass if the tool did nothing at all."""
    (tmp_path / "twice.py").write_text("def f():\n    return 1\n\n\ndef f():\n    return 2\n")
    assert "libcst" in modules_after(["check", "--isolated", "--no-cache", "twice.py"], tmp_path)
