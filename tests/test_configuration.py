"""Configuration on the command line: rules for single files, fixes, options of rules, what is shown and completed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mllint.authoring.explain import as_data, as_text, page
from mllint.authoring.keys import as_markdown, known_keys
from mllint.authoring.keys import as_text as key_text
from mllint.checking.options import chosen_options
from mllint.checking.packs import builtin_rules
from mllint.cli import main
from mllint.diagnostic import Severity
from mllint.rule import Meta, Option, Rule
from mllint.settings import KEYS, OUTPUT_FORMATS, ConfigError
from mllint.settings_meanings import MEANINGS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TWICE = "def step():\n    return 1\n\n\ndef step():\n    return 2\n"
#: ML301 with a safe fix.
PTX = '''KERNEL = """
.version 7.0
.target sm_70
// one thread \u2014 one row
"""
'''
UNUSED = "x = 1  # mllint: ignore[ML501] not needed\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.mllint]\n")
    (tmp_path / "tests").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(project: Path, text: str) -> None:
    (project / "pyproject.toml").write_text(f"[tool.mllint]\n{text}\n")


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=stdin, prog_name="mllint")


def found(*arguments: str, stdin: str | None = None) -> list[tuple[str, str]]:
    result = run("check", "--output-format", "json", *arguments, stdin=stdin)
    assert result.exit_code in (0, 1), result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return [(Path(row["filename"]).name, row["code"]) for row in rows]


# -- rules for single files ------------------------------------------------------------------------------------


def test_a_rule_is_off_in_some_files(project: Path) -> None:
    for name in ("a.py", "tests/b.py"):
        (project / name).write_text(TWICE)
    assert found() == [("a.py", "ML501"), ("b.py", "ML501")]
    configure(project, 'per-file-ignores = { "tests/*" = ["ML5"] }')
    for _ in range(2):  # the second run reads the cache
        assert found() == [("a.py", "ML501")]
    assert found("--per-file-ignores", "a.py:duplicate-definition") == [("b.py", "ML501")]
    assert found("--per-file-ignores", "a.py:ML5,tests/*:ML5") == []
    assert found("--extend-per-file-ignores", "a.py:ML5") == []
    assert found("--config", 'per-file-ignores = { "a.py" = ["ML501"] }') == [("b.py", "ML501")]
    assert found("--per-file-ignores", "!a.py:ML5") == [("a.py", "ML501")]
    assert found("--isolated", "--per-file-ignores", "tests/b.py:ML5") == [("a.py", "ML501")]


def test_standard_input_has_the_rules_of_its_file(project: Path) -> None:
    configure(project, 'per-file-ignores = { "tests/*" = ["ML5"] }')
    assert found("--stdin-filename", "a.py", stdin=TWICE) == [("a.py", "ML501")]
    assert found("--stdin-filename", "tests/b.py", stdin=TWICE) == []


def test_workers_know_the_files_too(project: Path) -> None:
    configure(project, 'per-file-ignores = { "f1*" = ["ML5"] }')
    for number in range(12):
        (project / f"f{number}.py").write_text(TWICE + f"x = '{'y' * 200_000}'\n")  # enough for a pool
    left = {"f0.py", *(f"f{number}.py" for number in range(2, 10))}
    assert {name for name, _ in found("-j", "2", "--no-cache")} == left


def test_each_file_under_its_nearest_configuration(project: Path) -> None:
    (project / "a.py").write_text(TWICE)
    (project / "tests" / "a.py").write_text(TWICE)
    configure(project, 'per-file-ignores = { "a.py" = ["ML5"] }')
    assert found() == []
    (project / "tests" / "mllint.toml").write_text("")
    assert found() == [("a.py", "ML501")]
    (project / "tests" / "mllint.toml").write_text('extend = "../pyproject.toml"')
    assert found() == []


def test_a_suppression_of_a_rule_that_is_off_in_the_file_is_unused_as_in_ruff(project: Path) -> None:
    suppressed = TWICE.replace("def step():\n    return 2", "def step():  # mllint: ignore[ML501] both\n    return 2")
    (project / "a.py").write_text(suppressed)
    assert found() == []
    assert found("--per-file-ignores", "a.py:ML501") == [("a.py", "ML001")]
    assert found("--per-file-ignores", "a.py:ML501,a.py:ML001") == []
    assert found("--ignore", "ML501") == [], "a rule that is off in this run only may need it in the next one"


def test_what_is_no_pair(project: Path) -> None:
    for pair in ("a.py", ":ML5", "a.py:", "!:ML5"):
        result = run("check", "--per-file-ignores", pair)
        assert result.exit_code == 2
        assert f"`{pair}` is no `PATTERN:CODE`" in result.stderr
    result = run("check", "--per-file-ignores", "a.py:ML5X")
    assert result.exit_code == 2
    assert "error: unknown rule selector `ML5X` in `per-file-ignores`; did you mean " in result.stderr


# -- fixes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "fixed", "star", "listed"),
    [
        ([], True, True, "safe"),
        (["--unfixable", "ML301"], False, False, None),
        (["--fixable", "ML5"], False, False, None),
        (["--fixable", "ML5", "--extend-fixable", "ML301"], True, True, "safe"),
        (["--config", "fixable = []"], False, False, None),
        (["--extend-unsafe-fixes", "ML301"], False, False, "unsafe"),
        (["--extend-unsafe-fixes", "ML301", "--unsafe-fixes"], True, True, "unsafe"),
        (["--extend-unsafe-fixes", "ML301", "--extend-safe-fixes", "ML301"], False, False, "unsafe"),
        (["--extend-unsafe-fixes", "ML3", "--extend-safe-fixes", "ML301"], True, True, "safe"),
    ],
)
def test_which_fixes_are_made_and_shown(
    project: Path, arguments: list[str], fixed: bool, star: bool, listed: str | None
) -> None:
    (project / "k.py").write_text(PTX, encoding="utf-8")
    for _ in range(2):  # cold, and from the cache
        (row,) = json.loads(run("check", "--output-format", "json", *arguments).stdout)
        assert (row["fix"] and row["fix"]["applicability"]) == listed
    shown = run("check", "--output-format", "concise", *arguments).stdout
    assert ("[*]" in shown) is star
    assert ("--unsafe-fixes" in shown) is (listed == "unsafe" and not fixed)
    assert ("+//" in run("check", "--diff", *arguments).stdout) is fixed
    run("check", "--fix", *arguments)
    assert ((project / "k.py").read_text("utf-8") != PTX) is fixed


def test_a_fix_that_is_only_shown_is_never_promoted(project: Path) -> None:
    (project / "a.py").write_text(TWICE)
    result = run("check", "--fix", "--unsafe-fixes", "--extend-safe-fixes", "ML501")
    assert "display only" in result.stdout and "[*]" not in result.stdout
    assert (project / "a.py").read_text() == TWICE
    assert "help:" not in run("check", "--unfixable", "ML501").stdout


def test_standard_input_obeys_them(project: Path) -> None:
    configure(project, 'unfixable = ["ML301"]')
    name = ["--stdin-filename", "k.py"]
    assert run("check", "--fix", *name, "-", stdin=PTX).stdout == PTX
    assert run("check", "--fix", "--fixable", "ALL", *name, "-", stdin=PTX).stdout != PTX


# -- fail-on ---------------------------------------------------------------------------------------------------


def test_fail_on_is_that_of_each_file(project: Path) -> None:
    (project / "tests" / "a.py").write_text(UNUSED)
    assert run("check").exit_code == 1
    (project / "tests" / "mllint.toml").write_text('fail-on = "error"\n')
    assert run("check").exit_code == 0
    (project / "b.py").write_text(UNUSED)
    assert run("check").exit_code == 1
    configure(project, 'fail-on = "error"')
    assert run("check").exit_code == 0
    assert run("check", "--fail-on", "warning").exit_code == 1
    assert run("check", "--config", 'fail-on = "info"').exit_code == 1


# -- options of rules ------------------------------------------------------------------------------------------

PACK_RULE = '''
from mllint.rule import Meta, Option, Rule, Severity


class LongFile(Rule):
    """The file has too many bytes.

    ## Why
    To have something to decide.

    ## Bad
    ```python
    x = 1  # a long line
    ```

    ## Good
    ```python
    x = 1
    ```
    """

    meta = Meta(
        code="TRY001", name="long-file", severity=Severity.ERROR, since="0.1.0",
        options=(Option("most-bytes", 9, "How many bytes a file may have."), Option("names", ("a.py",), "In which files.")),
    )

    def visit_file(self, ctx):
        if len(ctx.source.data) > ctx.option("most-bytes") and ctx.source.path in ctx.option("names"):
            yield ctx.report((0, 1), f"more than {ctx.option('most-bytes')} bytes")
'''


def test_options_reach_the_rule_and_the_cache(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    pack = tmp_path_factory.mktemp("lint")
    (pack / "try001_long_file.py").write_text(PACK_RULE)
    (project / "a.py").write_text("x = 1  # more\n")
    mine = ["--rules", str(pack)]
    assert found(*mine) == [("a.py", "TRY001")]
    configure(project, "options.long-file.most-bytes = 99")
    assert found(*mine) == []
    assert found(*mine, "--config", "options.TRY001.most-bytes = 5") == [("a.py", "TRY001")], "the later layer wins"
    assert found(*mine, "--stdin-filename", "a.py", stdin="x = 12345678\n") == []
    configure(project, 'options.TRY001 = { names = ["b.py"], most-bytes = 1 }')
    assert found(*mine) == []
    shown = run("check", *mine, "--show-settings").stdout
    assert tomllib.loads(shown)["resolved"]["options"]["long-file"] == {"most-bytes": 1, "names": ["b.py"]}
    configure(project, "options.TRY001.most-bites = 1")
    result = run("check", *mine)
    assert result.exit_code == 2
    assert result.stderr.endswith(
        "pyproject.toml: unknown option `most-bites` of `TRY001`; did you mean `most-bytes`?\n"
    )


def test_options_reach_workers(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    pack = tmp_path_factory.mktemp("lint")
    (pack / "try001_long_file.py").write_text(PACK_RULE)
    for number in range(12):
        (project / f"f{number}.py").write_text(f"x = '{'y' * 200_000}'\n")
    told = ["--rules", str(pack), "--config", 'options.long-file.names = ["f3.py", "f4.py"]']
    assert found(*told, "-j", "2", "--no-cache") == [("f3.py", "TRY001"), ("f4.py", "TRY001")]


_META = Meta(
    "ML990",
    "tunable",
    Severity.ERROR,
    "0.1.0",
    options=(
        Option("deep", 3, "How deep."),
        Option("share", 0.5, "How much."),
        Option("loud", False, "Whether."),
        Option("word", "a", "Which."),
        Option("names", ("a",), "Which ones."),
    ),
)
_PLAIN = Meta("ML991", "plain", Severity.ERROR, "0.1.0")


@pytest.mark.parametrize(
    ("rule", "name", "value", "message"),
    [
        ("tunabel", "deep", 1, "w: unknown rule `tunabel` in `options`; did you mean `tunable`?"),
        ("ML991", "deep", 1, "w: `options.ML991`: ML991 has no options; remove the table"),
        ("tunable", "dep", 1, "w: unknown option `dep` of `tunable`; did you mean `deep`?"),
        ("tunable", "xyz", 1, "the options are `deep`, `loud`, `names`, `share`, `word`"),
        ("tunable", "deep", True, "w: `options.tunable.deep` must be a whole number, not true"),
        ("tunable", "deep", 1.5, "must be a whole number, not 1.5"),
        ("tunable", "loud", 1, "must be true or false, not 1"),
        ("tunable", "share", "x", 'must be a number, not "x"'),
        ("tunable", "word", 1, "must be a string, not 1"),
        ("ML990", "names", "a", 'w: `options.ML990.names` must be a list of strings, not "a"'),
    ],
)
def test_wrong_options(rule: str, name: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        chosen_options(((rule, name, value, "w"),), [_META, _PLAIN])
    assert message in str(raised.value)


def test_a_whole_number_is_a_number() -> None:
    given = (("tunable", "share", 1, "w"), ("ML990", "names", (), "w"), ("tunable", "names", ("b",), "v"))
    assert chosen_options(given, [_META]) == (("ML990", (("names", ("b",)), ("share", 1.0))),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("options = 3", "`options` must be a table; write `[options.<rule>]`"),
        ("options.ML501 = 3", "`options.ML501` must be a table; write `[options.ML501]`"),
        ("options.ML501.a = 1979-05-27", "`options.ML501.a` cannot be 1979-05-27"),
        ("options.ML501.a = [1, 'b']", '`options.ML501.a` cannot be [1, "b"]'),
        ("[tool.mllint.tool.mllint]\na = 1", "only in a pyproject.toml do the keys stand below `[tool.mllint]`"),
        ("options.ML501.a = {b = 1}", "`options.ML501.a` cannot be a table"),
        ("[tool.mllint.rules.ML501]\na = 1", "options of a rule stand in `[options.<rule>]`"),
    ],
)
def test_options_that_are_none(project: Path, text: str, message: str) -> None:
    configure(project, text)
    result = run("check")
    assert result.exit_code == 2
    assert message in result.stderr and "pyproject.toml: " in result.stderr


class Tunable(Rule):
    """It can be told things."""

    meta = _META


def test_a_rules_page_has_its_options() -> None:
    told = page(Tunable)
    assert "Options\n\nIn a table `[tool.mllint.options.tunable]`" in as_text(told)
    assert '- `names` (default `["a"]`): Which ones.' in as_text(told)
    assert as_data(told)["options"][0] == {"name": "deep", "default": 3, "meaning": "How deep."}  # type: ignore[index]


def test_options_of_the_built_in_rules_are_described() -> None:
    for rule in builtin_rules():
        for option in rule.meta.options:
            assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", option.name), rule.meta.code
            assert option.meaning.endswith(".") and isinstance(option.default, (bool, int, float, str, tuple))


# -- mllint config, --show-settings ----------------------------------------------------------------------------


def test_every_key_has_a_meaning_and_an_example_that_can_be_read(project: Path) -> None:
    assert set(MEANINGS) == set(KEYS)
    for name, (meaning, example) in MEANINGS.items():
        assert meaning.endswith("."), name
        if example and name not in ("extend", "options", "rules", "allow-packs"):
            configure(project, f"{name} = {example}")
            result = run("check", "--show-settings", "--stdin-filename", "a.py")
            assert result.exit_code == 0, result.output


def test_the_command_lists_and_explains(project: Path) -> None:
    assert run("config").stdout.splitlines() == list(KEYS) + [key.name for key in _options()]
    text = run("config", "fail-on").stdout
    assert text.startswith("fail-on\n\nThe least level ")
    assert 'Default value: "warning"\nType: "error" | "warning" | "info"\nExample:\n    fail-on = "error"\n' in text
    data = json.loads(run("config", "--output-format", "json").stdout)
    assert list(data) == run("config").stdout.splitlines()
    assert set(data["jobs"]) == {"doc", "default", "value_type", "scope", "example", "deprecated"}  # as in ruff
    assert json.loads(run("config", "tool.mllint.jobs", "--output-format", "json").stdout) == data["jobs"]
    for wrong, hint in (("fail_on", "write `fail-on`"), ("fial-on", "did you mean `fail-on`?")):
        result = run("config", wrong)
        assert result.exit_code == 2 and f"unknown key `{wrong}`; {hint}" in result.stderr


def _options() -> list[Any]:
    return [key for key in known_keys([rule.meta for rule in builtin_rules()]) if key.scope]


def test_it_helps_where_the_configuration_is_wrong(project: Path) -> None:
    configure(project, "josb = 1")
    result = run("config", "jobs")
    assert result.exit_code == 0 and "Type: whole number" in result.stdout and not result.stderr
    result = run("config")
    assert result.exit_code == 0 and "jobs\n" in result.stdout
    assert "warning: options of your own rules are not known here: " in result.stderr


def test_it_knows_options_of_own_rules_by_code_and_name(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pack = str(tmp_path_factory.mktemp("lint"))
    Path(pack, "try001_long_file.py").write_text(PACK_RULE)
    names = run("config", "options.TRY001", "--rules", pack).stdout.splitlines()
    assert names == ["options.long-file.most-bytes", "options.long-file.names"]
    assert names == run("config", "options.long-file", "--rules", pack).stdout.splitlines()
    assert names == run("config", "--rules", pack).stdout.splitlines()[-2:]
    by_code = names[0].replace("long-file", "TRY001")
    assert run("config", by_code, "--rules", pack).stdout == run("config", names[0], "--rules", pack).stdout != ""
    result = run("config", "options.ML501")
    assert result.exit_code == 2 and "`duplicate-definition` has no options" in result.stderr


def test_keys_of_options() -> None:
    keys = {key.name: key for key in known_keys([_META])}
    assert 'Example:\n    [tool.mllint.options.tunable]\n    names = ["a"]\n' in key_text(keys["options.tunable.names"])
    assert "| `tunable.share` | number | `0.5` | How much. | `share = 0.5` |" in as_markdown(tuple(keys.values()))


def test_settings_that_hold_are_shown_with_who_decided_them(project: Path) -> None:
    (project / "base.toml").write_text('ignore = ["ML501"]\nfail-on = "error"\nextend-exclude = ["gen"]\n')
    configure(project, 'extend = "base.toml"\nextend-exclude = ["x/y"]\nper-file-ignores = { "tests/*" = ["ML201"] }\n')
    (project / "tests" / "a.py").write_text(TWICE)
    result = run("check", "--show-settings", "--extend-select", "ML501", "--unfixable", "ML301", "-j", "2")
    assert result.exit_code == 0
    root = project.as_posix()
    lines = result.stdout.splitlines()
    assert lines[:2] == [
        f'# Resolved settings for: "{root}/tests/a.py"',
        f'# Settings path: "{root}/pyproject.toml"',
    ]
    shown = tomllib.loads(result.stdout)
    assert [key for key in shown if key not in ("resolved", "layers")] == [
        key
        for key in KEYS
        if key not in ("select", "extend-select", "ignore", "fixable", "extend-fixable", "unfixable")
    ]
    assert f'fail-on = "error"  # {root}/base.toml' in lines
    assert "jobs = 2  # command line" in lines
    assert "cache = true  # default" in lines
    assert f'extend-exclude = ["gen", "x/y"]  # {root}/base.toml, {root}/pyproject.toml' in lines
    assert shown["per-file-ignores"] == {"tests/*": ["ML201"]}
    assert "ML501" in shown["resolved"]["enabled"] and "ML201" not in shown["resolved"]["enabled"]
    assert shown["resolved"]["off-in-this-file"] == ["ML201"]
    assert shown["resolved"]["unfixable"] == ["ML301"]
    assert shown["layers"] == [
        {"from": f"{root}/base.toml", "ignore": ["ML501"]},
        {"from": "command line", "extend-select": ["ML501"], "unfixable": ["ML301"]},
    ]


def test_settings_of_nothing(project: Path) -> None:
    result = run("check", "--show-settings")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no settings to show" in result.stderr
    result = run("check", "--show-settings", "gone.py")
    assert result.exit_code == 2 and "gone.py: no such file" in result.stderr
    shown = run("check", "--isolated", "--show-settings", "--stdin-filename", "a.py").stdout
    assert "# Settings path: none" in shown and tomllib.loads(shown)["layers" if "layers" in shown else "jobs"] == 0


def test_settings_with_odd_characters_stay_toml(project: Path) -> None:
    configure(project, 'extend-exclude = ["a\\"b\\n", "\\u007f\\\\", "é#"]\noptions = {}')
    shown = tomllib.loads(run("check", "--show-settings", "--stdin-filename", "a.py").stdout)
    assert shown["extend-exclude"] == ['a"b\n', "\x7f\\", "é#"]


# -- completion ------------------------------------------------------------------------------------------------


def completed(*words: str) -> list[str]:
    """What bash is offered for the last of some words."""
    environment = {
        **os.environ,
        "_MLLINT_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("mllint", *words)),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [sys.executable, "-m", "mllint"], env=environment, capture_output=True, text=True, encoding="utf-8", check=True
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_bash_completes() -> None:
    assert completed("che") == ["check"]
    assert {"--fixable", "--fix", "--fix-only"} <= set(completed("check", "--fi"))
    assert completed("check", "--select", "ML50") == sorted(
        rule.meta.code for rule in builtin_rules() if rule.meta.code.startswith("ML50")
    )
    assert completed("check", "--ignore", "ML201,duplicate-d") == ["ML201,duplicate-definition"]
    assert completed("check", "--unfixable", "ml501") == ["ML501"]
    assert completed("check", "--extend-select", "grad") == ["gradients"]
    assert completed("check", "--output-format", "js") == [name for name in OUTPUT_FORMATS if name.startswith("js")]
    assert completed("config", "fail") == ["fail-on"]
    assert completed("rule", "fill-in") == ["fill-in-backward"]
    assert completed("completion", "z") == ["zsh"]


def test_own_rules_complete_without_being_run(project: Path) -> None:
    (project / "lint").mkdir()
    (project / "lint/try001_long_file.py").write_text(PACK_RULE + "\nraise SystemExit('has run')\n")
    assert completed("check", "--rules", "lint", "--select", "TR") == ["TRY001"]
    assert completed("check", "--select", "TR") == [""]
    configure(project, 'rules = ["lint"]')
    assert completed("check", "--select", "ML5,long-f") == ["ML5,long-file"]
    assert completed("rule", "TR") == ["TRY001"]
    configure(project, "rules = 3")
    assert completed("rule", "ML50") == completed("check", "--select", "ML50")


def test_paths_are_left_to_the_shell() -> None:
    for words in (["check"], ["check", "--config"], ["check", "-o"], ["check", "--rules"], ["test-rules"]):
        assert completed(*words, "a") == ["a"], words


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_script_works_inside_bash(tmp_path: Path) -> None:
    """The script itself, sourced by a real bash, as if somebody had pressed the tabulator."""
    command = tmp_path / "mllint"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mllint "$@"\n')
    command.chmod(0o755)
    script = run("completion", "bash").stdout
    pressed = f'\nCOMP_WORDS=(mllint check --select ML2,fill-in)\nCOMP_CWORD=3\n_mllint_completion "{command}"\n'
    text = f'{script}{pressed}printf "%s\\n" "${{COMPREPLY[@]}}"\n'
    done = subprocess.run(["bash"], input=text, capture_output=True, text=True, check=True)
    assert done.stdout == "ML2,fill-in-backward\n"


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_the_script_works_inside_fish(tmp_path: Path) -> None:
    command = tmp_path / "mllint"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mllint "$@"\n')
    command.chmod(0o755)
    text = run("completion", "fish").stdout + '\ncomplete -C "mllint check --select ML2,fill-in"\n'
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HOME": str(tmp_path)}
    done = subprocess.run(["fish", "-N"], input=text, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "ML2,fill-in-backward\n"


def test_the_scripts() -> None:
    for shell, words in (("bash", "complete -o nosort -F"), ("zsh", "#compdef mllint"), ("fish", "--command mllint")):
        result = run("completion", shell)
        assert result.exit_code == 0 and words in result.stdout and "_MLLINT_COMPLETE" in result.stdout
        assert run("generate-shell-completion", shell).stdout == result.stdout
    assert 'string split ","' not in run("completion", "fish").stdout, "a value may have commas"
    assert "generate-shell-completion" not in run("--help").stdout
    assert (
        subprocess.run(["bash", "-n"], input=run("completion", "bash").stdout, text=True, check=False).returncode == 0
    )
