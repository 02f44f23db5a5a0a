"""Check one file: bytes -> triggers -> tree -> index -> lossless tree -> one walk -> findings.

May not: read files, print, or look at the clock or the environment. A broken file and a crashing rule are
entries in the result, never exceptions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from mllint.analysis.context import Context, Shared
from mllint.analysis.index import FileIndex, SyntaxFault, build_index, parse, too_deep
from mllint.analysis.positions import NoPositions
from mllint.analysis.project import Project, ProjectNeeded, Unasked
from mllint.analysis.syntax import Syntax
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
    turns out to be reached from other files; then `answer` adds to ``found`` what they find with the project.
    """

    report: Report
    asking: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    found: tuple[Diagnostic, ...] = ()


@dataclass
class _Look:
    """One look at one file: the ``project`` that rules may ask, and what came of it so far."""

    source: Source
    rules: RuleSet
    project: Project | None
    absolute: str = ""
    found: dict[str, list[Diagnostic]] = field(default_factory=dict)
    asking: set[str] = field(default_factory=set)
    own: list[Diagnostic] = field(default_factory=list)

    def diagnostics(self) -> list[Diagnostic]:
        """All findings, but for those of rules that want to ask the project first."""
        return [*self.own, *(each for code, found in self.found.items() if code not in self.asking for each in found)]


#: What rules are given in the first look: the first question ends it for them.
_UNASKED = cast(Project, Unasked())


def check(
    source: Source, rules: RuleSet, project: Project | None = None, absolute: str = "", *, ignore_noqa: bool = False
) -> Report:
    """Everything that the rules find in one text, suppressions applied; it may differ from the file on the disk."""
    if project is not None:
        project = project.with_text(absolute, source)
    first = survey(source, rules, absolute, ignore_noqa=ignore_noqa)
    return answer(source, rules, first, project, absolute, ignore_noqa=ignore_noqa)


def survey(source: Source, rules: RuleSet, absolute: str = "", *, ignore_noqa: bool = False) -> Survey:
    """Run the rules as far as this file alone can answer, and say which of them want to ask about others."""
    woken, waiting = rules.woken(source.data)
    look = _Look(source, rules, _UNASKED, absolute)
    _run_all(look, woken)
    found = look.diagnostics()
    asking = tuple(rule.meta.code for rule in woken if rule.meta.code in look.asking)
    report = finish(source, rules, found, ignore_noqa=ignore_noqa)
    return Survey(
        report, asking, tuple(rule.meta.code for rule in waiting), tuple(found) if asking or waiting else ()
    )


def answer(
    source: Source, rules: RuleSet, first: Survey, project: Project | None, absolute: str, *, ignore_noqa: bool = False
) -> Report:
    """The final report: the survey's, or with what the rules find that asked for the project, or are reached by it."""
    reached = rules.reached(first.waiting, project, absolute)
    if not first.asking and not reached:
        return first.report
    look = _Look(source, rules, project, absolute)
    _run_all(look, [*(rule for rule in rules.active if rule.meta.code in first.asking), *reached])
    return finish(source, rules, [*first.found, *look.diagnostics()], ignore_noqa=ignore_noqa)


def _run_all(look: _Look, woken: list[Rule]) -> None:
    """Findings of some rules in one file. Never raises: a crash of mllint itself becomes ML002."""
    try:
        _run(look, woken)
    except Exception as error:  # noqa: BLE001  # analysis is shared, and its bug must not cost the other files
        look.own.append(_crash(look.source, look.rules, "mllint", error))


def _run(look: _Look, woken: list[Rule]) -> None:
    source, rules = look.source, look.rules
    if source.kind not in ("python", "notebook"):
        _check_script(look, [rule for rule in woken if rules.reads_kind(rule, source.kind)])
        return
    tree = parse(source)
    if isinstance(tree, SyntaxFault):
        look.own += syntax_error(source, rules, tree)
    elif woken:
        syntax = Syntax(tree)
        index = build_index(syntax, look.absolute or source.path)
        _ask(look, [rule for rule in woken if rule.narrow(index)], syntax, index)


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
    final = tuple(
        sorted((_ready(source, found, rules) for found in shown), key=lambda found: found.sort_key)
    )
    crashed = any(found.code == "ML002" for found in final)
    return Report(source.path, final, source if final else None, suppressed, crashed)


def _ready(source: Source, found: Diagnostic, rules: RuleSet) -> Diagnostic:
    """A finding with its why, and without a fix that would swallow a comment or that the settings do not want."""
    fix = rules.allowed(found.code, found.fix)
    fix = None if fix is not None and in_comment_way(source, fix) else fix
    return replace(found, fix=fix, why=found.why or rules.whys[found.code])


def _ask(look: _Look, woken: Sequence[Rule], syntax: Syntax, index: FileIndex) -> None:
    """Ask some rules about one Python file; parses it losslessly only if one of them has to see the tree."""
    contexts = {rule.meta.code: _context(look, rule, syntax, index) for rule in woken}
    for rule in woken:
        if reads_files(rule):
            _collect(look, rule, rule.visit_file(contexts[rule.meta.code]))
    walkers = [
        rule for rule in woken if look.rules.visitors[rule.meta.code] or reads_commands(rule) or reads_kernels(rule)
    ]
    if walkers:
        _walk(look, walkers, contexts)


def _context(look: _Look, rule: Rule, syntax: Syntax | None = None, index: FileIndex | None = None) -> Context:
    rules = look.rules
    return Context(
        look.source,
        rule.meta,
        rules.whys[rule.meta.code],
        index,
        project=look.project if rule.meta.project else None,
        absolute_path=look.absolute,
        syntax=syntax,
        options=rules.options.get(rule.meta.code, {}),
    )


def _walk(look: _Look, walkers: Sequence[Rule], contexts: dict[str, Context]) -> None:
    """The one walk over the lossless tree, dispatching to every rule that asked for a node's class."""
    from mllint.analysis.walk import walk

    source = look.source
    fault = too_deep(source)
    if fault is not None:
        look.own += syntax_error(source, look.rules, fault)
        return
    try:
        module = cst.parse_module(source.text)  # bytes would be decoded by the file's coding cookie once more
    except (cst.ParserSyntaxError, RecursionError) as error:
        look.own.append(_unreadable_tree(source, look.rules, error))
        return
    shared = Shared(module, source.data)
    handlers: dict[str, list[_Handler]] = {}
    for rule in walkers:
        context = contexts[rule.meta.code]
        context.module, context.shared = module, shared
        for name in look.rules.visitors[rule.meta.code]:
            handlers.setdefault(name, []).append((rule, _visitor(rule, name, context)))
    for name, more in _text_visitors(walkers, contexts):
        handlers.setdefault(name, []).extend(more)

    def visit(node: cst.CSTNode, ancestors: list[cst.CSTNode]) -> None:
        for rule, handle in handlers[type(node).__name__]:
            contexts[rule.meta.code].ancestors = ancestors
            _collect(look, rule, handle(node))

    walk(module, handlers, visit)


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


def _check_script(look: _Look, woken: Sequence[Rule]) -> None:
    """Commands or kernels of a file that is not Python."""
    if not woken:
        return
    contexts = [(rule, _context(look, rule)) for rule in woken]
    if look.source.kind == "kernel":
        from mllint.analysis.kernels.find import file_kernel

        kernel = file_kernel(look.source)
        for rule, context in contexts:
            _collect(look, rule, rule.visit_kernel(kernel, context))
        return
    from mllint.reading.shell import commands_in

    for command in commands_in(look.source):
        for rule, context in contexts:
            _collect(look, rule, rule.visit_command(command, context))


def _collect(look: _Look, rule: Rule, results: Iterator[Diagnostic]) -> None:
    """Take what a rule yields; a rule that raises becomes ML002 and the others go on.

    One of the two broad ``except`` of mllint: a rule is somebody's plug-in, and its bug must not cost the other
    findings.
    """
    code = rule.meta.code
    if code in look.asking:
        return
    found = look.found.setdefault(code, [])
    try:
        found.extend(results)
    except ProjectNeeded:
        look.asking.add(code)
    except NoPositions as error:
        found.append(_unreadable_tree(look.source, look.rules, error))
    except Exception as error:  # noqa: BLE001
        found.append(_crash(look.source, look.rules, f"rule `{code}`", error))


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
