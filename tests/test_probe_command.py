"""``mllint probe``: what it prints where, its exit codes, selection, suppressions, settings, stored traces.

May not: start a child where a stored trace or an answer of our own proves the same.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click.testing
import pytest

from mllint.cli import main
from mllint.cli import probe as command
from mllint.probe.check import Check, all_checks
from mllint.probe.choose import chosen_checks
from mllint.probe.codec import to_json
from mllint.probe.launch import Plan
from mllint.probe.measured.code_reached import CodeReached
from mllint.probe.measured.first_loss import FirstLoss
from mllint.probe.site import Site
from mllint.probe.trace import CheckRun, Failure, ModuleFacts, ParameterFacts, Trace
from mllint.settings import OUTPUT_FORMATS, ConfigError, from_table
from mllint.settings_probe import memory_bytes, probe_settings

TARGET = """\
import torch


def loss(model, batch):
    return model(batch).mean()


def mllint_probe():
    return {"model": torch.nn.Linear(4, 1), "batches": [torch.ones(2, 4)], "loss": loss}
"""

#: A run with one finding, at the row of the target's function.
TRACE = Trace(
    target="train.py",
    entry=Site("train.py", 8, "mllint_probe"),
    environment={"torch": "2.13.0", "found": "`mllint_probe`"},
    modules=(ModuleFacts("", "Linear"),),
    parameters=(ParameterFacts("weight", (1, 4), "float32", True),),
    steps=3,
    losses=(9.0, 9.0, 9.0),
    checks=(CheckRun("first-loss", "measured"), CheckRun("indices", "skipped", "no index anywhere")),
    measurements={"first_loss": FirstLoss((9.0,), 10, 2.3)},
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no"))
    (tmp_path / "train.py").write_text(TARGET)
    store(TRACE)
    return tmp_path


def store(trace: Trace) -> None:
    Path("trace.json").write_text(to_json(trace))


def run(*arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, ["probe", *arguments], prog_name="mllint")


def judged(*arguments: str) -> click.testing.Result:
    return run("--judge", "trace.json", *arguments)


# ---- what is printed where


def test_findings_then_checks_then_what_ran(project: Path) -> None:
    result = judged("--output-format", "concise")
    assert result.exit_code == 1 and result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0].startswith("train.py:8:1: ML905 ")
    assert lines[1].split() == ["first-loss", "failed", "(ML905)"]
    assert lines[2].split() == ["indices", "skipped:", "no", "index", "anywhere"]
    assert lines[3:] == [
        "Found 1 finding (1 warning).",
        "Probed `Linear` (4 elements in 1 parameter); 3 steps on cpu; torch 2.13.0",
    ]


@pytest.mark.parametrize("name", OUTPUT_FORMATS)
def test_every_format_of_check(project: Path, name: str) -> None:
    result = judged("--output-format", name)
    assert result.exit_code == 1 and "ML905" in result.stdout
    human = name in ("full", "concise", "grouped")
    assert ("first-loss" in result.stdout) == human
    assert ("first-loss" in result.stderr) == (not human), "a machine's output holds the findings alone"
    if name == "json":
        (row,) = json.loads(result.stdout)
        assert row["code"] == "ML905" and row["location"]["row"] == 8


def test_quiet_and_a_file(project: Path) -> None:
    result = judged("-q", "--output-format", "concise")
    assert len(result.stdout.splitlines()) == 1 and result.stderr == ""
    result = judged("-o", "out/findings.json", "--output-format", "json")
    assert result.stdout == "" and json.loads(Path("out/findings.json").read_text())


def test_nothing_found(project: Path) -> None:
    store(replace(TRACE, measurements={}))
    result = judged()
    assert result.exit_code == 0 and "All checks passed! (1 skipped)" in result.stdout
    store(replace(TRACE, measurements={}, checks=(CheckRun("first-loss", "crashed", "KeyError: 'x'"),)))
    result = judged()
    assert result.exit_code == 0 and "Nothing was found, but not everything was looked at: 1 crashed" in result.stdout


# ---- what counts


@pytest.mark.parametrize(
    "arguments",
    [
        ("--ignore", "ML905"),
        ("--select", "ML004"),
        ("--per-file-ignores", "train.py:ML905"),
        ("--config", 'per-file-ignores = { "*.py" = ["off-initial-loss"] }'),
    ],
)
def test_what_is_switched_off_is_not_found(project: Path, arguments: tuple[str, ...]) -> None:
    result = judged(*arguments)
    assert result.exit_code == 0 and "ML905" not in result.stdout


def test_suppressions_are_those_of_check(project: Path) -> None:
    text = TARGET.replace("def mllint_probe():", "def mllint_probe():  # mllint: ignore[ML905]")
    (project / "train.py").write_text(text)
    assert judged().exit_code == 0
    assert judged("--ignore-noqa").exit_code == 1
    done = click.testing.CliRunner().invoke(main, ["check", "--isolated", "--no-cache", "train.py"])
    assert done.exit_code == 0, "check does not know whether the probe needs the comment"


def test_levels_decide_the_exit_code(project: Path) -> None:
    assert judged("--fail-on", "error").exit_code == 0
    assert judged("--exit-zero").exit_code == 0


def test_a_source_that_is_gone_leaves_the_row(project: Path) -> None:
    (project / "train.py").unlink()
    result = judged("--output-format", "concise")
    assert result.exit_code == 1 and result.stdout.startswith("train.py:8:1: ML905")


def test_a_rule_that_raises_costs_no_other_finding(project: Path) -> None:
    lint = project / "lint"
    lint.mkdir()
    (lint / "acme001_breaks.py").write_text(
        "from mllint.diagnostic import Severity\nfrom mllint.rule import Meta, Rule\n\n\n"
        'class Breaks(Rule):\n    """Breaks."""\n\n'
        '    meta = Meta(code="ACME001", name="breaks", severity=Severity.ERROR, since="1")\n\n'
        "    def judge(self, trace, ctx):\n        raise KeyError(trace.target)\n        yield\n"
    )
    result = judged("--rules", "lint", "--output-format", "concise")
    assert result.exit_code == 2 and "ML905" in result.stdout
    assert "ML002 rule `ACME001` crashed" in result.stdout


# ---- runs that failed


def test_no_first_step_is_no_finding(project: Path) -> None:
    frames = (Site("train.py", 5, "loss"),)
    failure = Failure("raised", "RuntimeError: no", "", frames, "RuntimeError: no\n  details")
    store(replace(TRACE, steps=0, failure=failure, measurements={}, checks=()))
    result = judged("--output-format", "json")
    assert result.exit_code == 2 and json.loads(result.stdout) == []
    assert result.stderr.splitlines() == [
        "error: train.py: the first training step was not completed: RuntimeError: no",
        "Traceback (most recent call last, your own frames):",
        '  File "train.py", line 5, in loss',
        "    return model(batch).mean()",
        "RuntimeError: no",
        "  details",
    ]


def explaining(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the check of ML905 explain a step that failed."""
    known = tuple(replace(check, explains="ML905" in check.codes) for check in all_checks())
    monkeypatch.setattr(command, "all_checks", lambda: known)
    monkeypatch.setattr("mllint.probe.judge.all_checks", lambda: known)


def test_a_step_whose_failure_is_explained_is_that_finding(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(replace(TRACE, steps=0, failure=Failure("raised", "IndexError: 7")))
    assert judged().exit_code == 2
    explaining(monkeypatch)
    result = judged("--output-format", "concise")
    assert result.exit_code == 1 and "ML905" in result.stdout
    assert "The first step failed: IndexError: 7" in result.stderr
    assert judged("--ignore", "ML905").exit_code == 2, "nothing explains it then"


def test_a_later_failure_is_told_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = Failure("raised", "IndexError: 7", "", (Site("train.py", 8, "mllint_probe"),))
    store(replace(TRACE, failure=failure))
    assert "ML004" in judged().stdout and "ML905" in judged().stdout
    explaining(monkeypatch)
    assert "ML004" not in judged().stdout and "ML905" in judged().stdout
    elsewhere = replace(failure, frames=(Site("train.py", 5, "loss"),))
    store(replace(TRACE, failure=elsewhere))
    assert "ML004" in judged().stdout, "a failure of another line is not explained"


# ---- what runs


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """The plans that would be run; each run gives the stored trace."""
    seen: list[Plan] = []

    def launch(plan: Plan) -> Trace:
        seen.append(plan)
        return TRACE

    monkeypatch.setattr(command, "launch", launch)
    return seen


def test_flags_stand_over_the_table(project: Path, plans: list[Plan]) -> None:
    (project / "pyproject.toml").write_text(
        '[tool.mllint.probe]\ntarget = "train.py:fn"\nsteps = 3\ntimeout = 20\nmemory = "2GB"\nskip-checks = ["indices"]\n'
    )
    assert run("--timeout", "7", "--device", "cpu").exit_code == 1
    (plan,) = plans
    assert (str(plan.target), plan.steps, plan.timeout, plan.memory, plan.device) == (
        "train.py:fn",
        3,
        7,
        2 << 30,
        "cpu",
    )
    assert "indices" not in {check.stem for check in plan.checks}
    below = project / "below"
    below.mkdir()


def test_a_target_of_the_configuration_starts_at_its_folder(
    project: Path, plans: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "pyproject.toml").write_text('[tool.mllint.probe]\ntarget = "train.py"\n')
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    assert run().exit_code == 1
    assert plans[0].target.path == str(project / "train.py")


def test_only_checks_that_a_rule_reads(project: Path, plans: list[Plan]) -> None:
    run("train.py", "--select", "ML905")
    assert {check.stem for check in plans[0].checks if check.codes} == {"first_loss"}


CHECKS = (
    Check("plain_one", ("ML901",), "", 1.0, int),
    Check("asked_one", ("ML902",), "", 1.0, int, default=False),
    Check("other_one", ("ML903", "ML904"), "", 1.0, int),
)


@pytest.mark.parametrize(
    ("codes", "more", "fewer", "wanted"),
    [
        ({"ML901", "ML902", "ML903"}, (), (), ["plain_one", "other_one"]),
        ({"ML901", "ML902", "ML904"}, ("asked-one",), (), ["plain_one", "asked_one", "other_one"]),
        ({"ML901", "ML902"}, ("all",), ("plain-one",), ["asked_one", "other_one"]),
        ({"ML901"}, (), (), ["plain_one"]),
        ({"ML901"}, ("ML902",), (), ["plain_one", "asked_one"]),
    ],
)
def test_which_checks_run(codes: set[str], more: tuple[str, ...], fewer: tuple[str, ...], wanted: list[str]) -> None:
    assert [check.stem for check in chosen_checks(CHECKS, codes, more, fewer)] == wanted


def test_an_unknown_check_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown check `plain-on` in `--checks`; did you mean `plain-one`"):
        chosen_checks(CHECKS, set(), ("plain-on",))


def test_the_list_of_checks(project: Path) -> None:
    text = run("--list-checks").stdout
    assert "first-loss" in text and "ML905" in text and "default" in text
    rows = json.loads(run("--list-checks", "--output-format", "json").stdout)
    assert {row["name"] for row in rows} == {check.name for check in all_checks() if check.codes}


def test_the_trace_and_the_page_are_written(project: Path, plans: list[Plan]) -> None:
    assert run("train.py", "--trace", "out/t.json", "--report", "out/page.html").exit_code == 1
    again = run("--judge", "out/t.json", "--output-format", "concise")
    assert again.exit_code == 1 and "ML905" in again.stdout
    assert Path("out/page.html").read_text("utf-8").startswith("<!doctype html>")


# ---- errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "no target; name one"),
        (("nothing.py",), "nothing.py: no such file"),
        ((".",), "a folder cannot be probed"),
        (("train.py", "--checks", "first-los"), "did you mean `first-loss`"),
        (("train.py", "--steps", "0"), "--steps must be at least 1, not 0"),
        (("train.py", "--memory", "lots"), "must be a size such as `8GB`"),
        (("train.py", "--select", "ML9055"), "unknown rule selector `ML9055`"),
        (("--judge", "train.py"), "no JSON"),
        (("--judge", "missing.json"), "missing.json: cannot be read"),
        (("--judge", "trace.json", "train.py"), "leave out the target"),
    ],
)
def test_what_cannot_be_done(project: Path, arguments: tuple[str, ...], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2 and says in result.stderr and result.stdout == ""


def test_without_torch_it_says_what_to_install(
    project: Path, plans: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    result = run("train.py")
    assert result.exit_code == 2 and "pip install 'mllint-train[probe]'" in result.stderr and not plans


BLOCKED = """\
import sys
sys.modules["torch"] = None
sys.argv = ["mllint", "probe", "--judge", "trace.json", "--report", "page.html", "--output-format", "concise"]
from mllint.__main__ import main
main()
"""


def test_a_stored_trace_needs_no_torch(project: Path) -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout.startswith("train.py:8:1: ML905"), done.stderr
    assert Path("page.html").exists()


# ---- suspicions

SUSPECT = """\
import torch


class Masked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, mask):
        ctx.save_for_backward(mask)
        return x.masked_fill(mask, -1e9)

    @staticmethod
    def backward(ctx, grad):
        (mask,) = ctx.saved_tensors
        return grad.masked_fill(mask, -1e9), None
"""


@pytest.fixture
def suspected(project: Path) -> Callable[..., str]:
    """``suspected(reached, runs)``: the line about a static finding, after a run that reached these rows."""

    def line(reached: tuple[int, ...], *runs: CheckRun) -> str:
        (project / "train.py").write_text(SUSPECT)
        sites = tuple(Site("train.py", row, "backward") for row in reached)
        store(replace(TRACE, entry=Site("train.py", 4), checks=runs, measurements={"code_reached": CodeReached(sites)}))
        text = judged().stdout
        (found,) = [each for each in text.splitlines() if "suspected" in each]
        return found

    return line


def checks_of(*codes: str) -> list[CheckRun]:
    return [CheckRun(check.name, "measured") for check in all_checks() if set(codes) & set(check.codes)]


def test_a_suspicion_is_cleared_where_the_code_ran_and_nothing_was_found(suspected: Callable[..., str]) -> None:
    runs = checks_of("ML202", "ML204", "ML217")
    assert "train.py:13: ML201 suspected in the text: cleared, this code ran" in suspected((10, 5), *runs)
    assert "not tried, this code did not run in a step" in suspected((99,), *runs)
    skipped = replace(runs[0], outcome="skipped", reason="no time")
    assert f"not tried, {skipped.check} was skipped: no time" in suspected((10,), skipped, *runs[1:])
    assert "not tried, no check was made" in suspected((10,))


def test_a_suspicion_is_confirmed_at_the_same_class_or_one_that_uses_it() -> None:
    from mllint.checking.packs import builtin_rules
    from mllint.checking.ruleset import RuleSet
    from mllint.probe.judge import Judging, observing
    from mllint.probe.suspicion import suspicions
    from mllint.reading.source import Source
    from mllint.settings import Settings

    known = builtin_rules()
    rules = RuleSet(known, observing(Settings(), known))
    text = (
        SUSPECT
        + "\n\nclass Layer(torch.nn.Module):\n    def forward(self, x):\n        return Masked.apply(x, x > 0)\n"
    )
    source = Source("train.py", "python", (text + "\n\ndef elsewhere():\n    pass\n").encode())
    wrong = next(rule for rule in known if rule.meta.code == "ML202")
    ctx = Judging(wrong, TRACE, {"train.py": source})
    for row, outcome in ((11, "confirmed"), (17, "confirmed"), (22, "not tried")):
        seen = [ctx.observe(Site("train.py", row), "wrong")]
        (one,) = suspicions(TRACE, seen, {"train.py": source}, rules, known)
        assert one.outcome == outcome, row


# ---- settings


@pytest.mark.parametrize(
    ("text", "size"), [("", 0), ("8GB", 8 << 30), ("512 m", 512 << 20), ("1.5GiB", 3 << 29), ("77", 77)]
)
def test_sizes(text: str, size: int) -> None:
    assert memory_bytes(text) == size


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"probe": 3}, "`probe` must be a table; write `[tool.mllint.probe]`"),
        ({"probe": {"stepps": 3}}, "unknown key `probe.stepps`; did you mean `steps`"),
        ({"probe": {"steps": "3"}}, "`probe.steps` must be a whole number"),
        ({"probe": {"timeout": 0}}, "`probe.timeout` must be at least 1, not 0"),
        ({"probe": {"device": "tpu"}}, "`probe.device` must be one of auto, cpu, cuda, rehearse"),
        ({"probe": {"memory": "much"}}, "must be a size such as"),
        ({"probe": {"checks": "all"}}, "`probe.checks` must be a list"),
    ],
)
def test_a_wrong_table_says_what_to_write(table: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_table(table, config_path="/p/mllint.toml", root="/p")
    assert says in str(caught.value) and str(caught.value).startswith("/p/mllint.toml: ")


def test_a_later_table_wins_key_by_key() -> None:
    base = from_table({"probe": {"steps": 3, "seed": 1}}, config_path="/base.toml", root="/")
    both = from_table(
        {"extend": "/base.toml", "probe": {"seed": 2}}, config_path="/p/mllint.toml", root="/p", base=base
    )
    settings = probe_settings(both.probe, [("timeout", 9), ("steps", None)])
    assert (settings.steps, settings.seed, settings.timeout) == (3, 2, 9)


def test_the_keys_are_explained() -> None:
    run_ = click.testing.CliRunner().invoke
    assert "Seconds for the whole run" in run_(main, ["config", "probe.timeout"]).stdout
    assert (
        "probe.target" in run_(main, ["config", "probe"]).stdout
        or "a table of its own" in run_(main, ["config", "probe"]).stdout
    )


# ---- once, for real


def test_a_real_run_from_the_shell(project: Path) -> None:
    text = TARGET.replace("    return {", "    print('noise')\n    return {")
    (project / "train.py").write_text(text + '\n\nif __name__ == "__main__":\n    raise SystemExit(9)\n')
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mllint",
            "probe",
            "train.py",
            "--isolated",
            "--device",
            "cpu",
            "--select",
            "ML905,ML004",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and "noise" not in done.stdout
    assert "first-loss" in done.stdout and "Probed `Linear` (5 elements in 2 parameters); 3 steps on cpu" in done.stdout
