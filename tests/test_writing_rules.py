"""docs/writing-rules.md is done from top to bottom: its files written, its commands run, their output compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

PAGE = Path(__file__).parent.parent / "docs" / "writing-rules.md"


def blocks() -> list[tuple[str, str, str]]:
    """Language, title and text of each fenced block."""
    fences = [token for token in MarkdownIt("commonmark").parse(PAGE.read_text("utf-8")) if token.type == "fence"]
    return [(*(token.info.strip() + " ").split(" ", 1), token.content) for token in fences]  # type: ignore[misc]


def sessions(text: str) -> list[tuple[str, str]]:
    """Each command of a console block, and what it is said to print."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    assert parts[0] == ""
    return list(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path


class Shell:
    """One after another in one folder, as at a terminal; ``$?`` is the last exit code."""

    def __init__(self, home: Path) -> None:
        self.home, self.code = home, 0

    def run(self, command: str) -> str:
        interpreter = f'"{sys.executable}"'
        script = f'mllint() {{ {interpreter} -m mllint "$@"; }}\npython() {{ {interpreter} "$@"; }}\n'
        names = {"HOME": str(self.home), "NO_COLOR": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        kept = {name: value for name, value in os.environ.items() if name not in ("XDG_CONFIG_HOME", "PYTEST_ADDOPTS")}
        done = subprocess.run(
            ["sh", "-c", f"{script}(exit {self.code})\n{command} 2>&1"],
            cwd=self.home / "project",
            env={**kept, **names},
            capture_output=True,
            text=True,
            check=False,
        )
        self.code = done.returncode
        return re.sub(r"in \d+\.\d+s", "in 0.10s", done.stdout)


def test_the_page_works(home: Path) -> None:
    shell = Shell(home)
    ran = 0
    for language, title, text in blocks():
        if language == "console":
            for command, printed in sessions(text):
                assert shell.run(command).rstrip() == printed.rstrip(), command
                ran += 1
            continue
        title = title.strip()
        assert title, f"a block of {language} that is neither a file nor a session"
        path = home / title[2:] if title.startswith("~/") else home / "project" / title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    assert ran >= 8
    hooks = yaml.safe_load((home / "project" / ".pre-commit-config.yaml").read_text("utf-8"))
    assert hooks["repos"][0]["hooks"][0]["args"] == ["--allow-packs"]
    rule = home / "project/lint/acme001_bare_torch_save.py"
    rule.write_text(rule.read_text("utf-8").replace('!= "torch.save"', '!= "torch.load"'), "utf-8")
    assert "FAIL" in shell.run("mllint test-rules lint"), "the control: a rule that is wrong does not pass"


def test_links_lead_somewhere() -> None:
    prose = re.sub(r"^```.*?^```$", "", PAGE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)\)", prose):
        assert target.startswith("https://") or (PAGE.parent / target).exists(), target
