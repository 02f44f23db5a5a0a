"""The runtime half of a rule and its fixtures: models that are probed, traces that are judged, examples that are run.

``model_bad*.py`` and ``model_good*.py`` in a rule's fixture folder hold targets: every function whose name begins with
``mllint_probe``. The lines of a bad file where something is to be found carry the code, as in static fixtures;
``trace_bad*.json`` and ``trace_good*.json`` are stored traces, for what a test cannot run (a hang, a GPU).
May not: import torch when it is imported, or know any rule. Models run in this process, one after the other.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from mllint.authoring.cases import RuleCase, expected_findings, hold, read_fixture
from mllint.authoring.explain import examples, missing, page
from mllint.checking.ruleset import RuleSet
from mllint.checking.select import select
from mllint.diagnostic import Diagnostic, Severity
from mllint.probe.check import all_checks
from mllint.probe.codec import from_json
from mllint.probe.judge import judge
from mllint.probe.trace import Trace
from mllint.reading.source import Source
from mllint.rule import Rule, reads_traces

#: Checks that go over all objects of the process, a third of a second for each of hundreds of targets: they are put to the
#: fixtures of their own rules, and tests/test_later_models.py to those of nobody's.
SLOW = ("growing_memory",)
#: A function with such a name is a target.
TARGET_PREFIX = "mllint_probe"


def check_bad_models(case: RuleCase) -> None:
    """Every target of a bad file gives a finding of the rule; all together give exactly the marked lines."""
    for path in _files(case, "model_bad*.py"):
        rows: set[tuple[int, str]] = set()
        for name in targets_in(path):
            found = findings_of_target(case, path, name)
            lines = "\n".join(f"  {_told(one)}" for one in found) or "  nothing"
            hold(any(one.code == case.code for one in found), f"{path}:{name} is bad, but {case.code} says\n{lines}")
            rows |= {(one.begin.row, one.code) for one in found if one.path.endswith(path.name)}
        expected = set(expected_findings(path))
        missed = [f"  {row}: {code} is marked, but not found" for row, code in sorted(expected - rows)]
        added = [f"  {row}: {code} is found, but not marked" for row, code in sorted(rows - expected)]
        hold(not missed and not added, "\n".join([str(path), *missed, *added]))


def check_good_models(case: RuleCase) -> None:
    """No target of a good file gives a finding of any rule, and none fails."""
    for path in _files(case, "model_good*.py"):
        for name in targets_in(path):
            trace = trace_of(path, name, _feeding(case))
            hold(trace.failure is None, f"{path}:{name} fails: {trace.failure}")
            found = [f"  {_told(one)}" for one in findings_of_target(case, path, name)]
            hold(not found, "\n".join([f"{path}:{name} is good, but:", *found]))


def check_stored_traces(case: RuleCase) -> None:
    """A stored bad trace gives a finding of the rule, a stored good one gives none. Needs no torch."""
    for kind, wanted in (("bad", True), ("good", False)):
        for path in _files(case, f"trace_{kind}*.json"):
            found = findings_in(from_json(path.read_text("utf-8")), runtime_rules(case.known), {})
            fires = any(one.code == case.code for one in found)
            hold(fires == wanted, f"{path}: {[_told(one) for one in found] or 'nothing'}")


def check_runtime_examples(case: RuleCase) -> None:
    """The page has its sections; its Bad example is a target with a finding of the rule, its Good example one without."""
    shown = page(type(case.rule))
    lacking = ", ".join(missing(shown))
    hold(not lacking, f"{case.code}: its page (the docstring) has no text under {lacking}")
    every = [example for example in examples(shown) if example.language == "python"]
    hold({"bad", "good"} <= {example.kind for example in every}, f"{case.code}: its page lacks a Bad or Good example")
    for example in every:
        with TemporaryDirectory() as scratch:
            path = Path(scratch, "example.py")
            path.write_text(example.code, "utf-8")
            runnable = targets_in(path) and not _needs_gpu(case)
            for name in targets_in(path) if runnable else ():
                found = findings_of_target(case, path, name)
                fires = any(one.code == case.code for one in found)
                told = [_told(one) for one in found] or "nothing"
                hold(fires == (example.kind == "bad"), f"{case.code}: the page's {example.kind} example gives {told}")


def has_models(case: RuleCase) -> bool:
    """Has the rule a runtime half, and models or traces for it?"""
    return reads_traces(case.rule)


def runtime_findings(case: RuleCase) -> Iterator[Diagnostic]:
    """Every finding of the rule in its bad models and traces."""
    for path in _files(case, "model_bad*.py"):
        for name in targets_in(path):
            yield from (one for one in findings_of_target(case, path, name) if one.code == case.code)
    for path in _files(case, "trace_bad*.json"):
        found = findings_in(from_json(path.read_text("utf-8")), runtime_rules(case.known), {})
        yield from (one for one in found if one.code == case.code)


def targets_in(path: Path) -> list[str]:
    """The names of the functions of a file that are targets, in their order."""
    tree = ast.parse(path.read_text("utf-8"))
    return [
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith(TARGET_PREFIX)
    ]


def findings_of_target(case: RuleCase, path: Path, name: str) -> list[Diagnostic]:
    """What a user would be told about a target, in every default check and those that feed the rule."""
    trace = trace_of(path, name, _feeding(case))
    hold(not trace.unrestored, f"{path}:{name}: not as it was before the probe: {trace.unrestored}")
    return findings_in(trace, runtime_rules(case.known), {_shown(path): read_fixture(path, _shown(path))})


def findings_in(trace: Trace, rules: RuleSet, sources: Mapping[str, Source]) -> list[Diagnostic]:
    """The findings in a trace; observations at level info are none."""
    return [one for report in judge(trace, rules, sources).reports for one in report.diagnostics]


def runtime_rules(known: Iterable[Rule]) -> RuleSet:
    """The rules as the probe selects them unless told otherwise: by the level of their runtime half."""
    rules = tuple(known)
    metas = [
        replace(rule.meta, severity=rule.meta.observed or rule.meta.severity) for rule in rules if reads_traces(rule)
    ]
    info = frozenset(meta.code for meta in metas if meta.severity is Severity.INFO)
    chosen = select(metas)
    return RuleSet(rules, replace(chosen, codes=chosen.codes | info))


@lru_cache(maxsize=512)
def trace_of(path: Path, name: str, feeding: tuple[str, ...] = ()) -> Trace:
    """Probe one target in this process, in every default check that is quick, and those named."""
    from mllint.probe.recording.here import probe_here
    from mllint.probe.site import Site

    row = 1

    def load() -> object:
        nonlocal row
        function = getattr(_loaded(path), name)
        row = function.__code__.co_firstlineno
        return function()

    wanted = [check for check in all_checks() if (check.default and check.stem not in SLOW) or check.stem in feeding]
    trace = probe_here(load, wanted)
    return replace(trace, target=f"{_shown(path)}:{name}", entry=Site(_shown(path), row, name))


def _loaded(path: Path) -> ModuleType:
    """The file as a module, run anew."""
    name = f"probed_{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _feeding(case: RuleCase) -> tuple[str, ...]:
    """Checks that feed this rule, although they are not among those that every fixture is put through."""
    extra = (check for check in all_checks() if not check.default or check.stem in SLOW)
    return tuple(check.stem for check in extra if case.code in check.codes)


def _needs_gpu(case: RuleCase) -> bool:
    feeding = [check for check in all_checks() if case.code in check.codes]
    return bool(feeding) and all(check.devices == ("cuda",) for check in feeding)


def _files(case: RuleCase, pattern: str) -> list[Path]:
    return sorted(case.folder.glob(pattern))


def _shown(path: Path) -> str:
    from mllint.probe.recording.frames import shown

    return shown(str(path))


def _told(found: Diagnostic) -> str:
    return f"{found.path}:{found.begin.row} {found.severity.value} {found.code} {found.message}"
