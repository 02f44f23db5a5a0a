"""Users' own rules: what a pack may be, what every command knows about it, and what is said when it is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mllint.checking.packs import Packs, builtin_rules, known_rules, pack_package, pack_rules
from mllint.checking.rule_faults import meta_fault, rule_fault
from mllint.checking.select import expand
from mllint.diagnostic import Safety, Severity
from mllint.rule import Meta, Option

RULE = '''"""A rule."""

from mllint.rule import Meta, Rule, Severity


class {class_name}(Rule):
    """{name} is called.

    ## Why

    It fails.

    ## Bad

    ```python
    {name}()
    ```

    ## Good

    ```python
    other()
    ```
    """

    meta = Meta(code="{code}", name="{rule_name}", severity=Severity.{severity}, since="1.0", triggers=(("{name}",),))

    def visit_Call(self, node, ctx):
        if ctx.name(node.func) == "{name}":
            yield ctx.report(node, "`{name}` is called")
'''


def rule_text(code: str = "ACME001", name: str = "forbidden", severity: str = "WARNING", rule_name: str = "") -> str:
    rule_name = rule_name or f"{name}-call"
    class_name = rule_name.title().replace("-", "")
    return RULE.format(code=code, name=name, severity=severity, rule_name=rule_name, class_name=class_name)


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def mllint(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "XDG_CONFIG_HOME": str(folder / "no-home"), **environment}
    return subprocess.run(
        [sys.executable, "-m", "mllint", *arguments],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a pack of one rule, and a file that it flags in its second line."""
    return write(
        tmp_path,
        {
            "pyproject.toml": '[tool.mllint]\nrules = ["./lint"]\n',
            "lint/acme001_forbidden_call.py": rule_text(),
            "train.py": "other()\nforbidden()\n",
        },
    )


# -- loading -----------------------------------------------------------------------------------------------------


def test_files_of_a_pack_share_helpers(tmp_path: Path) -> None:
    """Two packs with equal file names: each imports its own helper; nothing is written into their folders."""
    text = rule_text().replace("from mllint.rule", "from ._shared import WORD\nfrom mllint.rule", 1)
    text = text.replace('== "forbidden"', "== WORD")
    for name, code in (("one", "ACME001"), ("two", "OTHER001")):
        pack = {"_shared.py": f"WORD = {name!r}\n", "rule.py": text.replace("ACME001", code), "__init__.py": "1 / 0\n"}
        if name == "two":
            pack["rule.py"] = pack["rule.py"].replace("forbidden-call", "second-call")
        write(tmp_path / name, pack)
    packs = (str(tmp_path / "one"), str(tmp_path / "two"))
    rules = known_rules(Packs(packs))
    assert {"ACME001", "OTHER001", "ML501"} <= {rule.meta.code for rule in rules}
    for pack, word in zip(packs, ("one", "two"), strict=True):
        assert word == sys.modules[f"{pack_package(pack)}._shared"].WORD
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_changed_pack_is_loaded_again(tmp_path: Path) -> None:
    """Even within one second and with as many bytes, and when only a helper changed."""
    text = rule_text().replace("from mllint.rule", "from ._shared import CODE\nfrom mllint.rule", 1)
    write(tmp_path, {"rule.py": text.replace('"ACME001"', "CODE"), "_shared.py": "CODE = 'ACME001'\n"})
    first = pack_rules(str(tmp_path))
    assert pack_rules(str(tmp_path))[0] is first[0]
    write(tmp_path, {"_shared.py": "CODE = 'ACME002'\n"})
    os.utime(tmp_path / "_shared.py", ns=(1, 1))
    assert [rule.meta.code for rule in pack_rules(str(tmp_path))] == ["ACME002"]


def test_one_file_is_a_pack(project: Path) -> None:
    done = mllint(
        project, "check", "--isolated", "--rules", "lint/acme001_forbidden_call.py", "--output-format", "json"
    )
    assert [row["code"] for row in json.loads(done.stdout)] == ["ACME001"]


#: Pack -> a part of what is said, which also names the file.
BROKEN: dict[str, tuple[dict[str, str], str]] = {
    "no folder": ({}, "lint: no such folder or file of rules"),
    "no rule file": ({"lint/_shared.py": ""}, "lint: no rule file in this folder; `mllint new-rule"),
    "no python": ({"lint": "x"}, "lint: no Python file of rules"),
    "syntax": ({"lint/rule.py": "def f(:\n"}, "rule.py:1: not valid Python: "),
    "import": ({"lint/rule.py": "\nimport no_such_library\n"}, "rule.py:2: cannot be loaded: ModuleNotFoundError"),
    "helper": (
        {"lint/rule.py": "import _shared\n", "lint/_shared.py": ""},
        "imported with a dot: `from ._shared import",
    ),
    "in helper": (
        {"lint/rule.py": "from . import _shared\n", "lint/_shared.py": "\n\n1 / 0\n"},
        "_shared.py:3: cannot",
    ),
    "exit": ({"lint/rule.py": "raise SystemExit(0)\n"}, "rule.py:1: cannot be loaded: SystemExit: 0"),
    "no rule": ({"lint/rule.py": "x = 1\n"}, "rule.py: no rule in it"),
    "no module": ({"lint/my-rule.py": rule_text()}, "my-rule.py: no name for a module"),
    "constructor": (
        {"lint/rule.py": rule_text() + "\n    def __init__(self, x):\n        pass\n"},
        "rule.py: cannot be loaded: TypeError",
    ),
    "no meta": ({"lint/rule.py": "from mllint.rule import Rule\n\n\nclass A(Rule):\n    pass\n"}, "`A` has no `meta`"),
    "meta of": (
        {"lint/rule.py": rule_text().replace("since=", "sinse=")},
        "TypeError: Meta.__init__() got an unexpected",
    ),
    "code": ({"lint/rule.py": rule_text("acme1")}, "code 'acme1' must be capital letters and three digits"),
    "reserved": ({"lint/rule.py": rule_text("ML777")}, "codes that begin with `ML` are mllint's own"),
    "taken name": (
        {"lint/rule.py": rule_text(rule_name="duplicate-definition")},
        "rule.py: `duplicate-definition` is taken by mllint itself",
    ),
    "family": ({"lint/rule.py": rule_text(rule_name="gradients")}, "`gradients` is that of a family of rules"),
    "twice": (
        {"lint/a.py": rule_text(), "lint/b.py": rule_text(rule_name="else")},
        "b.py: `ACME001` is taken by ",
    ),
    "other pack": (
        {"lint/a.py": rule_text(), "more/b.py": rule_text(rule_name="else")},
        "b.py: `ACME001` is taken by ",
    ),
    "node": (
        {"lint/rule.py": rule_text().replace("visit_Call", "visit_FunctionDeff")},
        "did you mean `visit_FunctionDef`?",
    ),
    "lower": ({"lint/rule.py": rule_text().replace("visit_Call", "visit_call")}, "did you mean `visit_Call`?"),
    "abstract": (
        {"lint/rule.py": rule_text().replace("visit_Call", "visit_BaseExpression")},
        "no node class of LibCST",
    ),
    "idle": ({"lint/rule.py": rule_text().replace("visit_Call", "look")}, "visits nothing"),
    "arguments": (
        {"lint/rule.py": rule_text().replace("(self, node, ctx)", "(self, node)")},
        "`visit_Call` must take `(self, node, ctx)`",
    ),
    "arguments of commands": (
        {"lint/rule.py": rule_text().replace("visit_Call(self, node, ctx)", "visit_command(self)")},
        "`visit_command` must take `(self, command, ctx)`",
    ),
    "no method": (
        {"lint/rule.py": rule_text() + "\n    visit_Call = 3\n"},
        "`visit_Call` is no method; write `def visit_Call(self, node, ctx)`",
    ),
    "triggers": (
        {"lint/rule.py": rule_text().replace('(("forbidden",),)', '("forbidden",)')},
        "must be groups of phrases",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_pack_is_an_error_that_names_the_file(name: str, tmp_path: Path) -> None:
    files, message = BROKEN[name]
    write(tmp_path, {**files, "train.py": "x = 1\n"})
    more = ["--rules", "more"] if "more/b.py" in files else []
    done = mllint(tmp_path, "check", "--rules", "lint", *more, "train.py")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"error: {tmp_path}/lint" if not more else f"error: {tmp_path}/more"), done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr


def test_every_builtin_rule_would_pass_as_one_of_a_pack() -> None:
    """The control of the checks above."""
    assert [fault for rule in builtin_rules() if (fault := rule_fault(rule))] == []


def test_selectors_of_own_codes_need_all_their_letters() -> None:
    metas = [
        Meta(code, code.lower(), Severity.WARNING, since="1")
        for code in ("ML501", "MLOPS001", "ACME001", "ACME101", "AC001")
    ]
    assert expand("ML", metas) == ("ML501",)
    assert expand("MLOPS", metas) == ("MLOPS001",)
    assert expand("ACME", metas) == ("ACME001", "ACME101")
    assert expand("ACME1", metas) == ("ACME101",)
    assert expand("AC", metas) == ("AC001",)
    assert expand("A", metas) == expand("", metas) == ()


def test_a_meta_of_wrong_types() -> None:
    good = Meta("ACME001", "a-b", Severity.ERROR, since="1", fix=Safety.SAFE)
    assert meta_fault(good) == ""
    assert "severity 'error' must be" in meta_fault(Meta("ACME001", "a-b", "error", since="1"))  # type: ignore[arg-type]
    assert "fix 'safe' must be" in meta_fault(Meta("ACME001", "a-b", Severity.ERROR, "1", fix="safe"))  # type: ignore[arg-type]
    assert "since 1 must be" in meta_fault(Meta("ACME001", "a-b", Severity.ERROR, since=1))  # type: ignore[arg-type]
    for option, fault in (
        (Option("max_depth", 1, "m"), "lower-case words joined by `-`"),
        (Option("a", None, "m"), "the default of option 'a' must be"),  # type: ignore[arg-type]
        (Option("a", ["b"], "m"), "the default of option 'a' must be"),  # type: ignore[arg-type]
        (Option("a", 1, None), "the meaning of option 'a' must be"),  # type: ignore[arg-type]
        (Option("twice", 2, "m"), "two options are called 'twice'"),
    ):
        options = (Option("twice", 1, "m"), option)
        assert fault in meta_fault(Meta("ACME001", "a-b", Severity.ERROR, since="1", options=options))
    assert "groups" in meta_fault(Meta("ACME001", "a-b", Severity.ERROR, "1", triggers=((),)))


# -- every command knows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["", "fork", "spawn", "forkserver"])
def test_workers_load_packs_themselves(method: str, project: Path) -> None:
    if method == "fork" and sys.platform == "darwin":
        pytest.skip("not safe there")
    padding = "# " + "x" * 800_000 + "\n"
    write(project, {f"more/train{number}.py": f"forbidden()\n{padding}" for number in range(3)})
    arguments = ["check", "--allow-packs", "--no-cache", "-j2", "--output-format", "concise", "more"]
    done = mllint(project, *arguments, MLLINT_START_METHOD=method)
    assert [line.split()[1] for line in done.stdout.splitlines()[:3]] == ["ACME001"] * 3, done.stderr


def test_the_cache_follows_the_pack(project: Path) -> None:
    arguments = ("check", "--allow-packs", "--output-format", "concise", "train.py")
    for _ in range(2):
        assert "train.py:2:1: ACME001 `forbidden` is called" in mllint(project, *arguments).stdout
    write(project, {"lint/acme001_forbidden_call.py": rule_text(name="other", rule_name="forbidden-call")})
    assert "train.py:1:1: ACME001 `other` is called" in mllint(project, *arguments).stdout
    assert mllint(project, "check", "train.py").stdout == "All checks passed!\n"
    assert "train.py:1:1: ACME001" in mllint(project, *arguments).stdout


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--select", "ACME001"], 1),
        (["--select", "ACME"], 1),
        (["--select", "forbidden-call"], 1),
        (["--select", "ML"], 0),
        (["--ignore", "ACME0"], 0),
        (["--select", "ALL", "--ignore", "forbidden-call"], 0),
        (["--per-file-ignores", "train.py:ACME001"], 0),
        (["--select", "ACNE001"], 2),
    ],
)
def test_selectors_name_own_rules(flags: list[str], code: int, project: Path) -> None:
    done = mllint(project, "check", "--allow-packs", "train.py", *flags)
    assert done.returncode == code, done.stderr
    assert code != 2 or "did you mean `ACME001`?" in done.stderr


@pytest.mark.parametrize(
    ("comment", "codes"),
    [
        ("# mllint: ignore[ACME001]", []),
        ("# mllint: ignore[forbidden-call]", []),
        ("# mllint: ignore[ACME]", []),
        ("# noqa: ACME001", []),
        ("# mllint: ignore[AC]", ["ACME001", "ML001"]),
        ("# mllint: ignore[ACME002]", ["ACME001", "ML001"]),
        ("# mllint: ignore[OTHER001]", ["ACME001"]),
    ],
)
def test_suppressions_name_own_rules(comment: str, codes: list[str], project: Path) -> None:
    write(project, {"train.py": f"forbidden()  {comment}\n"})
    done = mllint(project, "check", "--allow-packs", "--output-format", "json", "train.py")
    assert sorted(row["code"] for row in json.loads(done.stdout)) == codes


def test_an_unused_suppression_of_an_own_rule(project: Path) -> None:
    write(project, {"train.py": "other()  # mllint: ignore[ACME001]\n"})
    done = mllint(project, "check", "--allow-packs", "--output-format", "json", "train.py")
    assert [row["message"] for row in json.loads(done.stdout)] == ["`ACME001` suppresses nothing here"]


def test_a_run_without_the_pack_removes_no_suppression_of_its_rules(project: Path) -> None:
    text = "forbidden()  # mllint: ignore[ACME001]\n"
    write(project, {"train.py": text})
    mllint(project, "check", "--isolated", "--fix", "train.py")
    assert (project / "train.py").read_text() == text


def test_outputs_know_own_rules(project: Path) -> None:
    sarif = json.loads(mllint(project, "check", "--allow-packs", "--output-format", "sarif", "train.py").stdout)
    driver = sarif["runs"][0]["tool"]["driver"]
    (rule,) = (rule for rule in driver["rules"] if rule["id"] == "ACME001")
    assert rule["name"] == "forbidden-call" and "It fails." in json.dumps(rule)
    statistics = mllint(project, "check", "--allow-packs", "--statistics", "train.py").stdout
    assert statistics.split() == ["1", "ACME001", "forbidden-call"]
    page = mllint(project, "rule", "--allow-packs", "forbidden-call").stdout
    assert page.replace("\x1b[1;33m", "").replace("\x1b[0m", "").startswith("ACME001")
    listed = mllint(project, "linter", "--allow-packs").stdout
    assert "ACME  rules of your own\n  ACME001  forbidden-call" in listed
    families = json.loads(mllint(project, "linter", "--allow-packs", "--output-format", "json").stdout)
    assert next(row["rules"] for row in families if row["prefix"] == "ACME") == ["ACME001"]


def test_a_builtin_rule_is_explained_beside_a_broken_configuration(project: Path) -> None:
    write(project, {"pyproject.toml": "[tool.mllint]\nrules = 3\n"})
    assert mllint(project, "rule", "ML501").returncode == 0
    done = mllint(project, "rule", "ACME001")
    assert done.returncode == 2 and "`rules` must be a list" in done.stderr


def test_nested_configurations_have_packs_of_their_own(project: Path) -> None:
    """One code in two packs that never meet; a flag may name a rule that only one of them has."""
    write(
        project,
        {
            "sub/mllint.toml": 'rules = ["../other"]\n',
            "sub/train.py": "forbidden()\nelsewhere()\n",
            "other/rule.py": rule_text(name="elsewhere", rule_name="elsewhere-call"),
            "plain/mllint.toml": "",
            "plain/train.py": "forbidden()\nelsewhere()\n",
        },
    )
    arguments = ["check", "--allow-packs", "--output-format", "concise", "train.py", "sub", "plain"]
    done = mllint(project, *arguments)
    assert [line.split(" ", 2)[:2] for line in done.stdout.splitlines()[:-1]] == [
        ["sub/train.py:2:1:", "ACME001"],
        ["train.py:2:1:", "ACME001"],
    ]
    log = json.loads(mllint(project, *arguments, "--output-format", "sarif").stdout)["runs"][0]
    told = [log["tool"]["driver"]["rules"][result["ruleIndex"]] for result in log["results"]]
    assert [rule["name"] for rule in told] == ["elsewhere-call", "forbidden-call"]
    assert sum("help" in rule for rule in told) == 1, "one page for two rules is that of one of them"
    write(project, {"other/rule.py": rule_text("OTHER001", name="elsewhere", rule_name="elsewhere-call")})
    done = mllint(project, *arguments, "--select", "elsewhere-call")
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:-1]] == ["sub/train.py"], done.stderr


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("yield 'x'", "TypeError"),
        ("yield None", "TypeError"),
        ("return None", "TypeError"),
        ("raise ZeroDivisionError", "ZeroDivisionError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("yield ctx.report(node, None)", "TypeError"),
        ("yield ctx.report(node, '')", "TypeError"),
        ("yield ctx.report((-9, 2), 'x')", "TypeError"),
        ("import dataclasses; yield dataclasses.replace(ctx.report(node, 'x'), code='ACME999')", "TypeError"),
    ],
)
def test_an_own_rule_that_misbehaves_costs_nothing_else(body: str, reason: str, project: Path) -> None:
    lines = rule_text().splitlines()[:-2]
    write(project, {"lint/acme001_forbidden_call.py": "\n".join([*lines, f"        {body}", ""])})
    write(project, {"train.py": "def f():\n    forbidden()\n\n\ndef f():\n    pass\n"})
    done = mllint(project, "check", "--allow-packs", "--output-format", "json", "--no-cache", "train.py")
    rows = {row["code"]: row["message"] for row in json.loads(done.stdout)}
    assert done.returncode == 2 and set(rows) == {"ML002", "ML501"}, done.stderr
    assert rows["ML002"].startswith(f"rule `ACME001` crashed on this file: {reason} at ")
