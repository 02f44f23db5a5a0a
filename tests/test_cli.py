"""``mllint check`` as a person or a CI job meets it: output, exit codes, configuration, fixes, standard input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mllint.cli import main

TWICE = "def step():\n    return 1\n\n\ndef step():\n    return 2\n"
#: ML301 with a safe fix: an em dash in a comment of PTX.
PTX = '''KERNEL = """
.version 7.0
.target sm_70
// one thread \u2014 one row
"""
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with a configuration, as the current folder."""
    (tmp_path / "pyproject.toml").write_text("[tool.mllint]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=stdin, prog_name="mllint")


def findings(*arguments: str) -> list[dict[str, Any]]:
    result = run("check", "--output-format", "json", *arguments)
    assert result.exit_code in (0, 1), result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


# -- exit codes ------------------------------------------------------------------------------------------------


def test_clean_is_zero(project: Path) -> None:
    (project / "a.py").write_text("x = 1\n")
    result = run("check")
    assert (result.exit_code, result.stdout) == (0, "All checks passed!\n")


def test_a_finding_is_one(project: Path) -> None:
    (project / "a.py").write_text(TWICE)
    result = run("check", "--output-format", "concise")
    assert result.exit_code == 1
    assert result.stdout.startswith("a.py:5:5: ML501 ")
    assert run("check", "--exit-zero").exit_code == 0


def test_fail_on_decides_what_fails(project: Path) -> None:
    (project / "a.py").write_text("x = 1  # mllint: ignore[ML501] not needed\n")
    assert [row["code"] for row in findings()] == ["ML001"]
    assert run("check").exit_code == 1
    assert run("check", "--fail-on", "error").exit_code == 0
    (project / "pyproject.toml").write_text('[tool.mllint]\nfail-on = "error"\n')
    assert run("check").exit_code == 0


def test_a_missing_path_is_two_and_the_rest_is_checked(project: Path) -> None:
    (project / "a.py").write_text(TWICE)
    result = run("check", "a.py", "gone.py", "--output-format", "concise")
    assert result.exit_code == 2
    assert "gone.py" in result.stderr and "no such file" in result.stderr
    assert "a.py:5:5: ML501" in result.stdout


def test_what_could_not_be_checked_has_not_passed(project: Path) -> None:
    (project / "a.py").write_text("x = 1\n")
    result = run("check", "a.py", "gone.py")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: gone.py: no such file or directory\n"
    (project / "mllint.toml").write_text("max-file-size = 3\n")
    result = run("check")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("a.py") == 1
    assert json.loads(run("check", "--output-format", "json").stdout) == []


def test_a_given_file_that_no_rule_reads_is_one_warning(project: Path) -> None:
    (project / "notes.txt").write_text("x\n")
    result = run("check", "notes.txt")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "warning: notes.txt: no rule reads files of this type\n"
    assert run("check", "-q", "notes.txt").output == ""


def test_nothing_to_check_is_no_error(project: Path) -> None:
    result = run("check", ".")
    assert result.exit_code == 0
    assert "no files to check under `.`" in result.stderr


def test_the_same_result_for_any_order_and_any_number_of_jobs(project: Path) -> None:
    for number in range(12):
        (project / f"f{number}.py").write_text(TWICE + f"x = '{'y' * 200_000}'\n")  # enough for a pool
    names = [f"f{number}.py" for number in range(12)]
    command = [sys.executable, "-m", "mllint", "check", "--no-cache", "--output-format", "json"]
    outputs = set()
    for seed, jobs, paths in (("0", "1", names), ("1", "2", names[::-1]), ("77", "3", ["."])):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([*command, "-j", jobs, *paths], env=environment, capture_output=True, check=False)
        assert done.returncode == 1, done.stderr
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert len(json.loads(outputs.pop())) == 12


# -- selection and configuration -------------------------------------------------------------------------------


def test_select_and_ignore(project: Path) -> None:
    (project / "a.py").write_text(TWICE)
    assert findings("--ignore", "ML501") == []
    assert len(findings("--select", "definitions")) == 1
    assert findings("--select", "ML3") == []
    assert len(findings("--select", "ML3", "--extend-select", "duplicate-definition")) == 1


def test_an_unknown_code_names_the_nearest(project: Path) -> None:
    result = run("check", "--select", "ML5011")
    assert result.exit_code == 2
    assert "`ML5011`" in result.stderr and "`ML501`" in result.stderr
    (project / "pyproject.toml").write_text('[tool.mllint]\nselect = ["fill-in-backwards"]\n')
    result = run("check")
    assert result.exit_code == 2
    assert "pyproject.toml" in result.stderr and "`fill-in-backward`" in result.stderr
    result = run("check", "--ignore", "ML5011")
    assert "`ML5011`" in result.stderr and "pyproject.toml" not in result.stderr


def test_an_empty_selection_is_an_error(project: Path) -> None:
    for value in ("", " , "):
        assert run("check", "--select", value).exit_code == 2


def test_an_unknown_key_names_the_nearest(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.mllint]\nextend-selct = ["ML2"]\n')
    result = run("check")
    assert result.exit_code == 2
    assert "`extend-selct`" in result.stderr and "`extend-select`" in result.stderr


def test_an_unknown_output_format_names_the_nearest(project: Path) -> None:
    for arguments in (["--output-format", "jsn"], ["--config", "output-format = 'jsn'"]):
        result = run("check", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert '"jsn"; did you mean "json"?' in result.stderr
    (project / "pyproject.toml").write_text('[tool.mllint]\noutput-format = "consise"\n')
    result = run("check")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "pyproject.toml: `output-format`" in result.stderr and 'did you mean "concise"?' in result.stderr


def test_broken_toml_is_two_and_says_where(project: Path) -> None:
    (project / "mllint.toml").write_text("select = [\n")
    result = run("check")
    assert result.exit_code == 2
    assert "mllint.toml" in result.stderr and "TOML" in result.stderr
    assert run("check", "--isolated").exit_code == 0


def test_the_closest_configuration_wins(project: Path) -> None:
    (project / "inner").mkdir()
    (project / "inner" / "mllint.toml").write_text('ignore = ["ML501"]\n')
    (project / "inner" / "a.py").write_text(TWICE)
    (project / "a.py").write_text(TWICE)
    assert [Path(row["filename"]).name for row in findings(".")] == ["a.py"]
    assert len(findings("--isolated", ".")) == 2


def test_excluded_files(project: Path) -> None:
    (project / "gen").mkdir()
    (project / "gen" / "a.py").write_text(TWICE)
    assert findings("--extend-exclude", "gen") == []
    assert len(findings("--extend-exclude", "gen", "gen/a.py")) == 1
    assert findings("--extend-exclude", "gen", "--force-exclude", "gen/a.py") == []
    (project / ".gitignore").write_text("gen/\n")
    (project / ".git").mkdir()
    assert findings() == []
    assert len(findings("--no-respect-gitignore")) == 1


def test_show_files(project: Path) -> None:
    (project / "a.py").write_text(TWICE)
    (project / "b.txt").write_text("")
    assert run("check", "--show-files").stdout == f"{project / 'a.py'}\n"


# -- fixes -----------------------------------------------------------------------------------------------------


def test_fix_writes_what_diff_shows(project: Path) -> None:
    (project / "k.py").write_bytes(PTX.replace("\n", "\r\n").encode())
    before = (project / "k.py").read_bytes()
    shown = run("check", "--diff")
    assert shown.exit_code == 1
    assert (project / "k.py").read_bytes() == before
    (project / "k.patch").write_bytes(shown.stdout_bytes)
    fixed = run("check", "--fix", "--show-fixes")
    assert fixed.exit_code == 0
    assert "1 fixed, 0 remaining" in fixed.stdout and "1 × ML301" in fixed.stdout
    after = (project / "k.py").read_bytes()
    assert after == before.replace("\u2014".encode(), b"-")
    (project / "k.py").write_bytes(before)
    subprocess.run(["git", "apply", "k.patch"], check=True, cwd=project)
    assert (project / "k.py").read_bytes() == after


def test_exit_non_zero_on_fix_and_fix_only(project: Path) -> None:
    (project / "k.py").write_text(PTX)
    assert run("check", "--fix", "--exit-non-zero-on-fix").exit_code == 1
    (project / "k.py").write_text(PTX + TWICE)
    result = run("check", "--fix-only")
    assert result.exit_code == 0
    assert "ML501" not in result.stdout
    assert "\u2014" not in (project / "k.py").read_text()


def test_display_fixes_are_never_applied(project: Path) -> None:
    (project / "a.py").write_text(TWICE)
    assert run("check", "--fix", "--unsafe-fixes").exit_code == 1
    assert (project / "a.py").read_text() == TWICE


def test_show_fixes_counts_every_fix(project: Path) -> None:
    (project / "k.py").write_text(PTX.replace("row\n", "row\n// \u2014\n"))
    result = run("check", "--fix", "--show-fixes")
    assert "Fixed 2 " in result.stdout and "2 × ML301" in result.stdout


def test_what_the_encoding_cannot_give_back_is_not_fixed(project: Path) -> None:
    raw = b"# coding: utf-7\nunused = '+AGE-'\n" + PTX.replace("\u2014", "+IBQ-").encode()
    (project / "k.py").write_bytes(raw)  # utf-7 reads `+AGE-` as "a" and would write it as that
    assert [row["code"] for row in findings()] == ["ML301"]
    for arguments in (["--fix"], ["--fix", "--unsafe-fixes"], ["--diff"]):
        run("check", *arguments)
        assert (project / "k.py").read_bytes() == raw


def test_a_full_disk_loses_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "k.py").write_text(PTX)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(os, "fsync", full)
    result = run("check", "--fix", "--no-cache")
    monkeypatch.undo()
    assert result.exit_code == 2
    assert result.stderr == "error: k.py: not written, the file is unchanged: no space left on device\n"
    assert (project / "k.py").read_text() == PTX
    assert sorted(path.name for path in project.iterdir()) == ["k.py", "pyproject.toml"]


def test_a_file_that_changed_meanwhile_is_not_overwritten(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "k.py").write_text(PTX)
    from mllint.checking import repair

    def saved_meanwhile(*arguments: Any) -> Any:
        (project / "k.py").write_text(PTX + "# an edit\n")
        return fix_source(*arguments)

    fix_source = repair.fix_source
    monkeypatch.setattr(repair, "fix_source", saved_meanwhile)
    result = run("check", "--fix")
    assert result.exit_code == 2 and "k.py: not written" in result.stderr
    assert (project / "k.py").read_text() == PTX + "# an edit\n"


# -- standard input --------------------------------------------------------------------------------------------


def test_standard_input(project: Path) -> None:
    result = run("check", "-", "--stdin-filename", "src/a.py", "--output-format", "concise", stdin=TWICE)
    assert result.exit_code == 1
    assert result.stdout.startswith("src/a.py:5:5: ML501")
    result = run("check", "--fix", "-", stdin=PTX)
    assert result.stdout == PTX.replace("\u2014", "-")
    assert result.exit_code == 0


def test_standard_input_that_cannot_be_fixed_comes_back_as_it_was(project: Path) -> None:
    notebook = json.dumps({"cells": [{"cell_type": "code", "source": TWICE, "metadata": {}, "outputs": []}]})
    for name, raw in (("a.py", b"x = '\xff'\n"), ("n.ipynb", notebook.encode())):
        result = run("check", "--fix", "-", "--stdin-filename", name, stdin=raw)
        assert (result.exit_code, result.stdout_bytes) == (1, raw)
        assert "ML" in result.stderr
        assert run("check", "--diff", "-", "--stdin-filename", name, stdin=raw).stdout == ""


def test_stdin_filename_means_standard_input_and_may_be_excluded(project: Path) -> None:
    result = run("check", "gone.py", "--stdin-filename", "a.py", "--output-format", "concise", stdin=TWICE)
    assert (result.exit_code, result.stdout[:15]) == (1, "a.py:5:5: ML501")
    assert result.stderr.startswith("warning: gone.py: ")
    excluded = ("--stdin-filename", "k.py", "--force-exclude", "--extend-exclude", "k.py")
    assert run("check", "-", *excluded, stdin=TWICE).exit_code == 0
    assert run("check", "-", "--fix", *excluded, stdin=PTX).stdout == PTX


# -- output ----------------------------------------------------------------------------------------------------


def test_statistics(project: Path) -> None:
    (project / "a.py").write_text(TWICE)
    lines = run("check", "--statistics").stdout.splitlines()
    assert lines[0].split()[:2] == ["1", "ML501"]


def test_output_file(project: Path) -> None:
    (project / "a.py").write_text(TWICE)
    result = run("check", "--output-format", "json", "-o", "out/report.json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert json.loads((project / "out" / "report.json").read_text())[0]["code"] == "ML501"


def test_machine_formats_stay_documents_when_there_is_nothing(project: Path) -> None:
    assert json.loads(run("check", "--output-format", "json").stdout) == []
    assert json.loads(run("check", "--output-format", "sarif").stdout)["version"] == "2.1.0"


def test_color(project: Path) -> None:
    (project / "a.py").write_text(TWICE)
    assert "\x1b[" in run("check", "--color", "always").stdout
    assert "\x1b[" not in run("check").stdout


def test_ignore_noqa(project: Path) -> None:
    (project / "a.py").write_text(
        TWICE.replace("def step():\n    return 2", "def step():  # noqa: ML501\n    return 2")
    )
    assert findings() == []
    assert len(findings("--ignore-noqa")) == 1


# -- the cache -------------------------------------------------------------------------------------------------


def test_a_second_run_gives_the_same_and_sees_changes(project: Path) -> None:
    (project / "a.py").write_text(TWICE)
    first = run("check").stdout
    assert list((project / ".mllint_cache").glob("*.json"))
    assert run("check").stdout == first
    (project / "a.py").write_text("x = 1\n")
    assert run("check").exit_code == 0


def test_a_smaller_limit_holds_for_cached_files_too(project: Path) -> None:
    (project / "a.py").write_text(TWICE)
    assert run("check").exit_code == 1
    result = run("check", "--config", "max-file-size = 3")
    assert result.exit_code == 2 and "`max-file-size`" in result.stderr


def test_a_broken_cache_is_a_cold_start(project: Path) -> None:
    (project / "a.py").write_text(TWICE)
    first = run("check").stdout
    for path in (project / ".mllint_cache").glob("*.json"):
        path.write_text('{"files": {"x": 3}}')
    assert run("check").stdout == first
    assert run("clean").exit_code == 0
    assert not (project / ".mllint_cache").exists()


def test_a_change_elsewhere_reaches_a_cached_file(project: Path) -> None:
    (project / "masks.py").write_text("def fill(x, mask):\n    return x.masked_fill(mask, -1e9)\n")
    caller = (
        "import torch\nfrom masks import fill\n\n\nclass F(torch.autograd.Function):\n"
        "    @staticmethod\n    def forward(ctx, x, mask):\n        ctx.save_for_backward(mask)\n        return fill(x, mask)\n\n"
        "    @staticmethod\n    def backward(ctx, grad):\n        (mask,) = ctx.saved_tensors\n        return {}, None\n"
    )
    (project / "f.py").write_text(caller.format("grad"))
    assert findings() == []
    (project / "f.py").write_text(caller.format("fill(grad, mask)"))
    assert [(Path(row["filename"]).name, row["code"]) for row in findings()] == [("masks.py", "ML201")]
    assert [(Path(row["filename"]).name, row["code"]) for row in findings("masks.py")] == [("masks.py", "ML201")]


def test_a_file_moved_over_another_is_checked_anew(project: Path) -> None:
    (project / "a.py").write_text(TWICE)
    (project / "b").write_text(TWICE.replace("step", "stop", 1))
    status = (project / "a.py").stat()
    os.utime(project / "b", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert len(findings()) == 1
    (project / "b").rename(project / "a.py")  # as large and as old as the one before
    assert findings() == []


def test_a_kernel_in_a_text_file_reaches_the_cached_file_that_loads_it(project: Path) -> None:
    kernel = "__global__ void k() {{ int {} = 1; }}\n"
    (project / "k.py").write_text(
        "from pathlib import Path\nfrom pycuda.compiler import SourceModule\n\n"
        'SourceModule(Path(__file__).with_name("kernel.txt").read_text())\n'
    )
    for name, count in (("cafe", 0), ("caf\u00e9", 1), ("coffee", 0)):
        (project / "kernel.txt").write_text(kernel.format(name), "utf-8")
        assert len(findings()) == count, name


def test_a_cache_folder_that_cannot_be(project: Path) -> None:
    (project / "a.py").write_text(TWICE)
    assert run("check", "--cache-dir", "a.py").exit_code == 1
    (project / "elsewhere").mkdir()
    (project / "elsewhere" / "kept").touch()
    (project / ".mllint_cache").symlink_to("elsewhere")
    assert run("clean").exit_code == 0
    assert not (project / ".mllint_cache").exists() and (project / "elsewhere" / "kept").exists()


# -- the other commands ----------------------------------------------------------------------------------------


def test_without_a_command_there_is_help(project: Path) -> None:
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")  # as ruff does
    assert "Usage: mllint" in result.stderr and "check" in result.stderr


@pytest.mark.parametrize("command", ["", "check", "probe", "rule", "linter", "clean", "version"])
def test_help_fits_a_narrow_terminal(command: str) -> None:
    result = CliRunner(env={"COLUMNS": "80"}).invoke(main, [*command.split(), "--help"], prog_name="mllint")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "..." not in result.stdout.replace("]...", "")


def test_rule_linter_version() -> None:
    assert "fill-in-backward" in run("rule", "ML201").stdout
    assert run("rule", "duplicate-definition").exit_code == 0
    assert json.loads(run("rule", "ML501", "--output-format", "json").stdout)["code"] == "ML501"
    result = run("rule", "ML5O1")
    assert result.exit_code == 2 and "`ML501`" in result.stderr
    assert "ML401" in run("linter").stdout
    assert run("version").stdout == run("--version").stdout
