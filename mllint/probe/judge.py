"""A trace and the rules become findings: the same diagnostics, suppressions and reports as those of ``check``.

May not: read files, run a model, or import torch; a stored trace is judged the same way on any machine.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mllint.checking.faults import crash
from mllint.checking.report import Report
from mllint.checking.ruleset import RuleSet
from mllint.checking.select import Selection, selection
from mllint.checking.suppress import apply as apply_suppressions
from mllint.diagnostic import Diagnostic, Place, Related, Severity, fitting
from mllint.probe.check import all_checks
from mllint.probe.site import Site
from mllint.probe.trace import Trace
from mllint.reading.source import Source
from mllint.rule import OptionValue, Rule, reads_traces
from mllint.settings import Settings


@dataclass(frozen=True)
class Judging:
    """What a rule may ask while it judges a trace, and how it says what it found."""

    rule: Rule
    trace: Trace
    sources: Mapping[str, Source] = field(default_factory=dict)
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    def option(self, name: str) -> OptionValue:
        """What the user decided about an option of the rule, or its default."""
        return self.options.get(name, next(option.default for option in self.rule.meta.options if option.name == name))

    def observe(
        self,
        site: Site | None,
        *messages: str,
        severity: Severity | None = None,
        why: str = "",
        related: Iterable[tuple[Site | None, str]] = (),
    ) -> Diagnostic:
        """A finding at a site (where the target begins, if None). Of the messages, fullest first, the first that fits is
        taken. ``why`` is one line: the reason with its figures, then what to do. ``related`` are other places, each
        with what it has to do with this."""
        meta = self.rule.meta
        place = site or self.trace.entry or Site(self.trace.target.partition(":")[0], 1)
        start, end, begin, finish = self._span(place)
        return Diagnostic(
            path=place.path,
            start=start,
            end=end,
            code=meta.code,
            name=meta.name,
            severity=severity or meta.observed or meta.severity,
            message=fitting(*messages),
            begin=begin,
            finish=finish,
            why=why,
            related=tuple(Related(other.path, self._span(other)[2], text) for other, text in related if other),
        )

    def _span(self, site: Site) -> tuple[int, int, Place, Place]:
        """The text of a site's row: byte offsets and places, all of row one column one where the source is not at hand."""
        source = self.sources.get(site.path)
        if source is None or site.row > len(source.line_starts):
            return 0, 0, Place(site.row, 1), Place(site.row, 1)
        line = source.line(site.row)
        start = source.line_starts[site.row - 1] + len(line[: len(line) - len(line.lstrip())].encode())
        end = max(start, start + len(line.strip().encode()))
        return start, end, source.place(start), source.place(end)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reports`` are what counts, by file; ``notes`` are the observations at level info, which nobody asked for but the
    report page shows. ``failed`` has the names of checks that led to a finding, each with the codes of its own."""

    reports: tuple[Report, ...]
    notes: tuple[Diagnostic, ...]
    failed: tuple[tuple[str, tuple[str, ...]], ...] = ()


def observing(settings: Settings, rules: Sequence[Rule], cwd: str = "") -> Selection:
    """What some settings turn on, by the levels of the runtime halves. Observations at level info are made as well: they
    are notes unless the settings ask for that level. Raises UnknownSelector or ConfigError."""
    metas = [replace(rule.meta, severity=rule.meta.observed or rule.meta.severity) for rule in rules]
    chosen = selection(settings, metas, cwd)
    noted = selection(replace(settings, preview=True), metas, cwd).codes
    info = frozenset(rule.meta.code for rule in rules if reads_traces(rule))
    return replace(chosen, codes=chosen.codes | (noted & info))


def judge(
    trace: Trace, rules: RuleSet, sources: Mapping[str, Source], *, ignore_noqa: bool = False, root: str = ""
) -> Verdict:
    """Everything that the rules see in a trace, suppressions of the files and ``per-file-ignores`` applied. ``root`` is the
    folder that the trace's relative paths start from."""
    found: list[Diagnostic] = []
    for rule in rules.active:
        if reads_traces(rule):
            found += _judged(rule, trace, rules, sources)
    found = [one for one in found if one.code not in rules.selection.off(posixpath.join(root, one.path))]
    found = _without_echo(found, trace)
    noted = [one for one in found if one.severity is Severity.INFO and one.code not in rules.selection.with_info]
    counted = sorted({one for one in found if one not in noted}, key=lambda one: one.sort_key)
    reports = []
    for path in sorted({one.path for one in counted}):
        own = [one for one in counted if one.path == path]
        source, suppressed = sources.get(path), 0
        if source is not None:
            kept, suppressed = apply_suppressions(
                source, own, active=frozenset(), unused=None, ignore_noqa=ignore_noqa, names=rules.names
            )
            own = sorted(kept, key=lambda one: one.sort_key)
        reports.append(Report(path, tuple(own), source, suppressed, any(one.code == "ML002" for one in own)))
    told = frozenset((one.code, one.path, one.begin.row) for report in reports for one in report.diagnostics)
    return Verdict(tuple(reports), tuple(noted), tuple(_failed(trace, rules, sources, told)))


def _failed(
    trace: Trace, rules: RuleSet, sources: Mapping[str, Source], told: frozenset[tuple[str, str, int]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Which checks the findings come from. Two checks may feed one code: each is judged without the others; a code
    that no check gives by itself counts for all that feed it."""
    codes = {code for code, _, _ in told}
    alone: dict[str, set[str]] = {}
    feeding = [check for check in all_checks() if check.stem in trace.measurements and codes & set(check.codes)]
    for check in feeding:
        only = replace(trace, measurements={check.stem: trace.measurements[check.stem]})
        concerned = [rule for rule in rules.active if rule.meta.code in codes & set(check.codes) and reads_traces(rule)]
        found = [one for rule in concerned for one in _judged(rule, only, rules, sources)]
        alone[check.name] = {one.code for one in found if (one.code, one.path, one.begin.row) in told}
    claimed = set().union(*alone.values()) if alone else set()
    for check in feeding:
        own = alone[check.name] | (codes & set(check.codes) - claimed)
        if own:
            yield check.name, tuple(sorted(own))


def _without_echo(found: list[Diagnostic], trace: Trace) -> list[Diagnostic]:
    """A step that stopped for a reason that a check found is that finding, not an interruption (ML004) as well."""
    failure = trace.failure
    if failure is None or failure.kind != "raised":
        return found
    rows = {(frame.path, frame.row) for frame in failure.frames}
    explaining = {code for check in all_checks() if check.explains for code in check.codes}
    told = [one for one in found if one.code in explaining]
    places = {(one.path, one.begin.row) for one in told}
    if rows & (places | {(other.path, other.place.row) for one in told for other in one.related}):
        return [one for one in found if one.code != "ML004"]
    return found


def _judged(rule: Rule, trace: Trace, rules: RuleSet, sources: Mapping[str, Source]) -> list[Diagnostic]:
    """What one rule sees. A rule that raises is ML002, and the others go on: a run of minutes is not lost for it."""
    ctx = Judging(rule, trace, sources, rules.options.get(rule.meta.code, {}))
    try:
        return [replace(one, why=one.why or rules.whys[one.code]) for one in rule.judge(trace, ctx)]
    except (Exception, SystemExit) as error:  # noqa: BLE001  # somebody's plug-in
        path = trace.entry.path if trace.entry else trace.target.partition(":")[0]
        source = sources.get(path) or Source(path, "python", b"")
        return [crash(source, rules, f"rule `{rule.meta.code}`", error)]
