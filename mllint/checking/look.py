"""One look at one file: bytes -> tree -> index -> lossless tree -> one walk -> what the rules yield.

May not: read files, suppress, or decide which rules look. A broken file and a crashing rule are findings here,
never exceptions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mllint.analysis.context import Context, Shared
from mllint.analysis.index import FileIndex, SyntaxFault, build_index, parse, too_deep
from mllint.analysis.positions import NoPositions
from mllint.analysis.project import Project, ProjectNeeded
from mllint.analysis.syntax import Syntax
from mllint.analysis.words import Words, words_of
from mllint.checking.faults import crash, syntax_error, unreadable_tree
from mllint.checking.ruleset import RuleSet, crash_of
from mllint.checking.yields import check_yielded, lazily, usable
from mllint.diagnostic import Diagnostic
from mllint.lazy import cst
from mllint.reading.source import Source
from mllint.rule import Rule, reads_commands, reads_files, reads_kernels

#: Nodes below which Python strings become commands or kernels.
_COMMAND_NODES = ("Call", "Assign", "AnnAssign")


@dataclass
class Look:
    """One look at one file: the ``project`` that rules may ask, and what came of it so far."""

    source: Source
    rules: RuleSet
    project: Project | None
    absolute: str = ""
    found: dict[str, list[Diagnostic]] = field(default_factory=dict)
    asking: set[str] = field(default_factory=set)
    own: list[Diagnostic] = field(default_factory=list)
    narrowed: set[str] = field(default_factory=set)
    words: Words | None = None
    index: FileIndex | None = None
    for_project: dict[str, Any] = field(default_factory=dict)
    syntax: Syntax | None = None

    def diagnostics(self) -> list[Diagnostic]:
        """All findings, but for those of rules that want to ask the project first."""
        return [*self.own, *(each for code, found in self.found.items() if code not in self.asking for each in found)]


def run_rules(look: Look, woken: list[Rule]) -> None:
    """Findings of some rules in one file. Never raises: a crash of mllint itself becomes ML002."""
    try:
        _run(look, woken)
    except Exception as error:  # noqa: BLE001  # analysis is shared, and its bug must not cost the other files
        look.own.append(crash(look.source, look.rules, "mllint", error))


def _run(look: Look, woken: list[Rule]) -> None:
    source, rules = look.source, look.rules
    if source.kind not in ("python", "notebook"):
        _check_script(look, [rule for rule in woken if rules.reads_kind(rule, source.kind)])
        return
    tree = look.syntax or parse(source)
    if isinstance(tree, SyntaxFault):
        look.own += syntax_error(source, rules, tree)
    elif woken:
        syntax = look.syntax = tree if isinstance(tree, Syntax) else Syntax(tree)
        known = look.project.index(look.absolute) if type(look.project) is Project else None
        index = known or build_index(syntax, look.absolute or source.path)
        if look.project is not None and known is None:  # the first look of two
            look.words, look.index = words_of(source.data, index), index
            look.for_project = syntax.for_project
        for rule in woken:
            _collect(look, rule, _narrowing(look, rule, index))
        _ask(look, [rule for rule in woken if rule.meta.code in look.narrowed], syntax, index)


def _narrowing(look: Look, rule: Rule, index: FileIndex) -> Iterator[Diagnostic]:
    """Yields nothing; whether a rule wants to see the file is noted, and what it raises over it is its crash."""
    error = crash_of(rule, look.project) if isinstance(look.project, Project) else None
    if error is not None:
        raise error
    if rule.narrow(index):
        look.narrowed.add(rule.meta.code)
    yield from ()


def _ask(look: Look, woken: Sequence[Rule], syntax: Syntax, index: FileIndex) -> None:
    """Ask some rules about one Python file; parses it losslessly only if one of them has to see the tree."""
    contexts = {rule.meta.code: _context(look, rule, syntax, index) for rule in woken}
    for rule in woken:
        if reads_files(rule):
            _collect(look, rule, lazily(rule.visit_file)(contexts[rule.meta.code]))
    walkers = [
        rule for rule in woken if look.rules.visitors[rule.meta.code] or reads_commands(rule) or reads_kernels(rule)
    ]
    if walkers:
        _walk(look, walkers, contexts)


def _context(look: Look, rule: Rule, syntax: Syntax | None = None, index: FileIndex | None = None) -> Context:
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


def _walk(look: Look, walkers: Sequence[Rule], contexts: dict[str, Context]) -> None:
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
        look.own.append(unreadable_tree(source, look.rules, error))
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
    method = lazily(getattr(rule, f"visit_{name}"))
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


def _check_script(look: Look, woken: Sequence[Rule]) -> None:
    """Commands or kernels of a file that is not Python."""
    if not woken:
        return
    contexts = [(rule, _context(look, rule)) for rule in woken]
    if look.source.kind == "kernel":
        from mllint.analysis.kernels.find import file_kernel

        kernel = file_kernel(look.source)
        for rule, context in contexts:
            _collect(look, rule, lazily(rule.visit_kernel)(kernel, context))
        return
    from mllint.reading.shell import commands_in

    for command in commands_in(look.source):
        for rule, context in contexts:
            _collect(look, rule, lazily(rule.visit_command)(command, context))


def _collect(look: Look, rule: Rule, results: Iterator[Diagnostic]) -> None:
    """Take what a rule yields; a rule that raises becomes ML002 and the others go on.

    Broad on purpose: a rule is somebody's plug-in, and its bug must not cost the other
    findings.
    """
    code = rule.meta.code
    if code in look.asking:
        return
    found = look.found.setdefault(code, [])
    before = len(found)
    try:
        found.extend(results)
        check_yielded(found[before:], code)
    except ProjectNeeded:
        look.asking.add(code)
    except NoPositions as error:
        found.append(unreadable_tree(look.source, look.rules, error))
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a rule that exits would end the run as if all were well
        found[before:] = [*usable(found[before:], code), crash(look.source, look.rules, f"rule `{code}`", error)]
