"""Check one file: bytes -> triggers -> outline -> index -> lossless tree -> one walk -> findings.

May not: read files, print, or look at the clock or the environment. A broken file and a crashing rule are
entries in the result, never exceptions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from mllint.analysis.context import Context, Shared
from mllint.analysis.index import FileIndex, SyntaxFault, build_index, outline, parse
from mllint.analysis.positions import NoPositions
from mllint.analysis.project import Project
from mllint.checking.fix import in_comment_way
from mllint.checking.report import Report
from mllint.checking.ruleset import RuleSet
from mllint.checking.suppress import apply as apply_suppressions
from mllint.diagnostic import Diagnostic, Severity
from mllint.lazy import cst
from mllint.reading.source import Source
from mllint.rule import Rule, reads_commands, reads_files, reads_kernels

#: Nodes below which Python strings become commands or kernels.
_COMMAND_NODES = ("Call", "Assign", "AnnAssign")


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file alone gives. ``report`` is final unless there are codes in ``asking``, or one in ``waiting``
    turns out to be reached from other files; then `answer` looks again, with the project.
    """

    report: Report
    asking: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


def check(
    source: Source, rules: RuleSet, project: Project | None = None, absolute: str = "", *, ignore_noqa: bool = False
) -> Report:
    """Everything that the rules find in one text, suppressions applied; it may differ from the file on the disk."""
    if project is not None:
        project = project.with_text(absolute, source)
    first = survey(source, rules, ignore_noqa=ignore_noqa)
    return answer(source, rules, first, project, absolute, ignore_noqa=ignore_noqa)


def survey(source: Source, rules: RuleSet, *, ignore_noqa: bool = False) -> Survey:
    """Run the rules that this file alone can answer, and say which others want to look at it."""
    woken, waiting = rules.woken(source.data)
    local = [rule for rule in woken if not rule.meta.project]
    report = finish(source, rules, _look(source, rules, local, None, ""), ignore_noqa=ignore_noqa)
    asking = tuple(rule.meta.code for rule in woken if rule.meta.project)
    return Survey(report, asking, tuple(rule.meta.code for rule in waiting))


def answer(
    source: Source, rules: RuleSet, first: Survey, project: Project | None, absolute: str, *, ignore_noqa: bool = False
) -> Report:
    """The final report: the survey's, or one of a second look in which rules may ask the project."""
    reached = rules.reached(first.waiting, project, absolute)
    if not first.asking and not reached:
        return first.report
    woken, _ = rules.woken(source.data)
    return finish(source, rules, _look(source, rules, [*woken, *reached], project, absolute), ignore_noqa=ignore_noqa)


def _look(
    source: Source, rules: RuleSet, woken: list[Rule], project: Project | None, absolute: str
) -> Sequence[Diagnostic]:
    """Findings of some rules in one file. Never raises: a crash of mllint itself becomes ML002."""
    try:
        return _findings(source, rules, woken, project, absolute)
    except Exception as error:  # noqa: BLE001  # analysis is shared, and its bug must not cost the other files
        return (_crash(source, rules, "mllint", error),)


def _findings(
    source: Source, rules: RuleSet, woken: list[Rule], project: Project | None, absolute: str
) -> Sequence[Diagnostic]:
    if source.kind not in ("python", "notebook"):
        return _check_script(source, rules, [rule for rule in woken if rules.reads_kind(rule, source.kind)])
    shape = outline(source)
    if isinstance(shape, SyntaxFault):
        return syntax_error(source, rules, shape)
    if shape is not None:
        woken = [rule for rule in woken if rule.may_apply(shape)]
        if not woken:
            return ()
    index = project.index(absolute) if project is not None else None
    if index is None:
        tree = parse(source)
        if isinstance(tree, SyntaxFault):
            return syntax_error(source, rules, tree)
        if not woken:
            return ()
        asking = any(rule.meta.project for rule in woken)
        index = build_index(tree, source.path, source.data, with_flows=asking)
    return _run(source, rules, [rule for rule in woken if rule.narrow(index)], index, project, absolute)


def finish(source: Source, rules: RuleSet, diagnostics: Iterable[Diagnostic], *, ignore_noqa: bool = False) -> Report:
    """Drop what is off, suppressed, or a fix in a comment's way; put the rest in order."""
    kept, suppressed = apply_suppressions(
        source,
        sorted(set(diagnostics), key=lambda found: found.sort_key),
        active=rules.checking,
        unused=rules.meta("ML001"),
        ignore_noqa=ignore_noqa,
        names=rules.names,
    )
    shown = [found for found in kept if found.severity is not Severity.INFO or found.code in rules.selection.with_info]
    whys = rules.whys
    final = tuple(
        sorted((_ready(source, found, whys[found.code]) for found in shown), key=lambda found: found.sort_key)
    )
    crashed = any(found.code == "ML002" for found in final)
    return Report(source.path, final, source if final else None, suppressed, crashed)


def _ready(source: Source, found: Diagnostic, why: str) -> Diagnostic:
    """A finding with its why, and without a fix that would swallow a comment."""
    fix = None if found.fix is not None and in_comment_way(source, found.fix) else found.fix
    return replace(found, fix=fix, why=found.why or why)


def _run(
    source: Source,
    rules: RuleSet,
    woken: Sequence[Rule],
    index: FileIndex | None,
    project: Project | None,
    absolute: str,
) -> list[Diagnostic]:
    """All findings of some rules in one Python file; parses it losslessly only if one of them has to see the tree."""
    found: list[Diagnostic] = []
    contexts = {
        rule.meta.code: Context(source, rule.meta, rules.whys[rule.meta.code], index, None, project, absolute)
        for rule in woken
    }
    for rule in woken:
        if reads_files(rule):
            _collect(found, rules, source, rule, rule.visit_file(contexts[rule.meta.code]))
    walkers = [rule for rule in woken if rules.visitors[rule.meta.code] or reads_commands(rule) or reads_kernels(rule)]
    if walkers:
        found += _walk(source, rules, walkers, contexts)
    return found


def _walk(source: Source, rules: RuleSet, walkers: Sequence[Rule], contexts: dict[str, Context]) -> list[Diagnostic]:
    """The one walk over the lossless tree, dispatching to every rule that asked for a node's class."""
    from mllint.analysis.walk import walk

    found: list[Diagnostic] = []
    try:
        module = cst.parse_module(source.text)  # bytes would be decoded by the file's coding cookie once more
    except (cst.ParserSyntaxError, RecursionError) as error:
        return [_unreadable_tree(source, rules, error)]
    shared = Shared(module, source.data)
    handlers: dict[str, list[_Handler]] = {}
    for rule in walkers:
        context = contexts[rule.meta.code]
        context.module, context.shared = module, shared
        for name in rules.visitors[rule.meta.code]:
            handlers.setdefault(name, []).append((rule, _visitor(rule, name, context)))
    for name, more in _text_visitors(walkers, contexts):
        handlers.setdefault(name, []).extend(more)

    def visit(node: cst.CSTNode, ancestors: list[cst.CSTNode]) -> None:
        for rule, handle in handlers[type(node).__name__]:
            contexts[rule.meta.code].ancestors = ancestors
            _collect(found, rules, source, rule, handle(node))

    walk(module, handlers, visit)
    return found


_Handler = tuple[Rule, Callable[["cst.CSTNode"], Iterator[Diagnostic]]]


def _visitor(rule: Rule, name: str, context: Context) -> Callable[[cst.CSTNode], Iterator[Diagnostic]]:
    method = getattr(rule, f"visit_{name}")
    return lambda node: method(node, context)


def _text_visitors(walkers: Sequence[Rule], contexts: dict[str, Context]) -> Iterator[tuple[str, list[_Handler]]]:
    """Handlers that turn the strings of a Python file into commands and kernels for the rules that read those."""
    for rule in walkers:
        context = contexts[rule.meta.code]
        if reads_commands(rule):
            yield from ((name, [(rule, _command_visitor(rule, context))]) for name in _COMMAND_NODES)
        if reads_kernels(rule):
            from mllint.analysis.kernels.find import KERNEL_NODES

            yield from ((name, [(rule, _kernel_visitor(rule, context))]) for name in KERNEL_NODES)


def _command_visitor(rule: Rule, context: Context) -> Callable[[cst.CSTNode], Iterator[Diagnostic]]:
    from mllint.analysis.commands.find import python_commands

    def visit(node: cst.CSTNode) -> Iterator[Diagnostic]:
        for command in python_commands(node, context):
            yield from rule.visit_command(command, context)

    return visit


def _kernel_visitor(rule: Rule, context: Context) -> Callable[[cst.CSTNode], Iterator[Diagnostic]]:
    from mllint.analysis.kernels.find import python_kernels

    def visit(node: cst.CSTNode) -> Iterator[Diagnostic]:
        for kernel in python_kernels(node, context):
            yield from rule.visit_kernel(kernel, context)

    return visit


def _check_script(source: Source, rules: RuleSet, woken: Sequence[Rule]) -> list[Diagnostic]:
    """Commands or kernels of a file that is not Python."""
    found: list[Diagnostic] = []
    if not woken:
        return found
    contexts = [(rule, Context(source, rule.meta, rules.whys[rule.meta.code])) for rule in woken]
    if source.kind == "kernel":
        from mllint.analysis.kernels.find import file_kernel

        kernel = file_kernel(source)
        for rule, context in contexts:
            _collect(found, rules, source, rule, rule.visit_kernel(kernel, context))
        return found
    from mllint.reading.shell import commands_in

    for command in commands_in(source):
        for rule, context in contexts:
            _collect(found, rules, source, rule, rule.visit_command(command, context))
    return found


def _collect(
    found: list[Diagnostic], rules: RuleSet, source: Source, rule: Rule, results: Iterator[Diagnostic]
) -> None:
    """Take what a rule yields; a rule that raises becomes ML002 and the others go on.

    One of the two broad ``except`` of mllint: a rule is somebody's plug-in, and its bug must not cost the other
    findings.
    """
    try:
        found.extend(results)
    except NoPositions as error:
        found.append(_unreadable_tree(source, rules, error))
    except Exception as error:  # noqa: BLE001
        found.append(_crash(source, rules, f"rule `{rule.meta.code}`", error))


def _crash(source: Source, rules: RuleSet, who: str, error: Exception) -> Diagnostic:
    """ML002: who crashed on this file, and where in the code."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace is not None else "?"
    why = f"{type(error).__name__}: {error}".splitlines()[0]
    return Context(source, rules.metas["ML002"], why).report(
        (0, 0), f"{who} crashed on this file: {type(error).__name__} at {where}"
    )


def _unreadable_tree(source: Source, rules: RuleSet, error: Exception) -> Diagnostic:
    """Python accepts the file, but the lossless parser does not: our failure, said as one."""
    meta = rules.metas["ML002"]
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return Context(source, meta, reason).report((0, 0), "the lossless parser cannot read this file; exclude it")


def syntax_error(source: Source, rules: RuleSet, fault: SyntaxFault) -> tuple[Diagnostic, ...]:
    meta = rules.metas.get("ML000")
    if meta is None:
        return ()
    row = min(max(fault.row, 1), len(source.line_starts))
    line = source.line(row)
    start = source.offset(row, len(line[: fault.column - 1].encode()))
    return (Context(source, meta, rules.whys["ML000"]).report((start, start), fault.message),)
