"""Loops that end processes by name or command line: over all of a machine (`psutil`), or over those `pgrep` lists.

May not: judge which names those are; `programs` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mllint.analysis.commands.find import python_commands
from mllint.analysis.commands.programs import aims_at_training, names_training
from mllint.analysis.names import written_name
from mllint.analysis.strings.bindings import bindings
from mllint.analysis.walk import descendants
from mllint.lazy import cst
from mllint.reading.shell import Command, Word

if TYPE_CHECKING:
    import libcst

    from mllint.analysis.context import Context

_LOOPS = frozenset({"psutil.process_iter", "psutil.pids"})
_ENDS = re.compile(r"_*(kill|terminate|send_signal|killpg)(_\w+)?")
#: What else such a loop may go by; each keeps it to processes of its own.
_OWN = frozenset({"ppid", "parent", "parents", "getpgid", "cwd", "environ", "net_connections", "connections"})
_TESTING_CALLS = frozenset({"startswith", "endswith", "search", "match", "fullmatch", "findall", "any", "all"})
_FIELDS = frozenset({"", " ", "name", "cmdline", "pid", "username", "exe", "status", "create_time"})


def call_ending_by_pattern(node: libcst.For, ctx: Context) -> libcst.Call | None:
    """The call that ends a process in a loop over all of them, chosen by a pattern that training runs match."""
    if b"psutil" not in ctx.source.data:
        return None
    table = bindings(ctx)
    over = table.value(node.iter) if table is not None else node.iter
    if over is None or not any(ctx.name(call.func) in _LOOPS for call in _calls(over)):
        return None
    call = next(_ending_calls(node), None)
    return call if call is not None and _goes_by_command_line(over, node.body) else None


def kill_of_listed(node: libcst.For, ctx: Context) -> Command | None:
    """The ``kill`` of a loop over the numbers that a command prints (``pgrep -f x``), as a shell would write it."""
    table = bindings(ctx)
    kill = next((found for call in _calls(node.body) if (found := _kill(call, ctx)) is not None), None)
    if kill is None or table is None or _chooses_by_number(node.body):
        return None
    listing: tuple[Command, ...] = ()
    pending: list[libcst.CSTNode] = [node.iter]
    for _ in range(4):  # ``for pid in map(int, pids)``, ``pids = out.split()``, ``out = check_output(…)``
        calls = [inner for value in pending for inner in _calls(value)]
        listing += tuple(command for inner in calls for command in python_commands(inner, ctx))
        names = [part for value in pending for part in (value, *descendants(value)) if isinstance(part, cst.Name)]
        pending = [made.value for name in names for made in table.lookup(name) if made.kind == "assign" and made.value]
    return replace(kill, substituted=listing) if listing else None


def _kill(call: libcst.Call, ctx: Context) -> Command | None:
    """``os.kill(pid, 9)`` as a command, or the ``kill`` that ``subprocess.run(["kill", pid])`` runs."""
    if ctx.name(call.func) in ("os.kill", "os.killpg") and not _is_harmless(call):
        start, end = ctx.span(call)
        return Command((Word("kill", start, end),), start, end, host="python")
    return next((command for command in python_commands(call, ctx) if command.program == "kill"), None)


def _chooses_by_number(body: libcst.CSTNode) -> bool:
    """Does a loop keep to certain numbers (``p.pid == saved``, ``pid in mine``), other than to skip them?"""
    nodes = descendants(body)
    skips = [node for node in nodes if isinstance(node, cst.If) and isinstance(_first_statement(node), cst.Continue)]
    skipping = {part for node in skips for part in (node.test, *descendants(node.test))}
    return any(
        isinstance(node, cst.Comparison)
        and node not in skipping
        and isinstance(node.comparisons[0].operator, (cst.Equal, cst.In))
        and _is_number(node.left)
        for node in nodes
    )


def _first_statement(node: libcst.If) -> libcst.CSTNode:
    statement = node.body.body[0] if node.body.body else node
    return statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else statement


def _is_number(node: libcst.CSTNode) -> bool:
    """``pid``, ``p.pid`` or ``p.info["pid"]``."""
    if isinstance(node, cst.Subscript):
        return any(isinstance(part, cst.SimpleString) and part.raw_value == "pid" for part in descendants(node))
    return written_name(node).rpartition(".")[2] == "pid"


def _calls(node: libcst.CSTNode) -> Iterator[libcst.Call]:
    return (inner for inner in (node, *descendants(node)) if isinstance(inner, cst.Call))


def _ending_calls(node: libcst.For) -> Iterator[libcst.Call]:
    """Calls in a loop's body that end a process: ``p.kill()``, ``os.kill(p.pid, 9)``, ``kill_tree(p)``."""
    for inner in descendants(node.body):
        if not isinstance(inner, cst.Call):
            continue
        name = inner.func.attr if isinstance(inner.func, cst.Attribute) else inner.func
        if isinstance(name, cst.Name) and _ENDS.fullmatch(name.value) and not _is_harmless(inner):
            yield inner


def _is_harmless(call: libcst.Call) -> bool:
    last = call.args[-1].value if call.args else None
    if isinstance(last, cst.Integer):
        return last.value == "0"
    return written_name(last).endswith(("SIGUSR1", "SIGUSR2", "SIGSTOP", "SIGCONT")) if last is not None else False


def _goes_by_command_line(over: libcst.CSTNode, body: libcst.CSTNode) -> bool:
    """Does a loop, by its body or by what it goes over, choose by command line, or by a name that is Python's?"""
    read: set[str] = set()
    sought: set[str] = set()  # names of what is looked for, where that is not written out
    patterns: list[str] = []
    for inner in (*descendants(over), *descendants(body)):
        if isinstance(inner, cst.Attribute):
            read.add(inner.attr.value)
        elif isinstance(inner, cst.SimpleString):
            read.add(inner.raw_value)
        elif isinstance(inner, cst.Comparison) or (isinstance(inner, cst.Call) and _tests(inner)):
            texts = [part.raw_value for part in descendants(inner) if isinstance(part, cst.SimpleString)]
            patterns += [text for text in texts if text not in _FIELDS]
        if isinstance(inner, cst.Comparison) and isinstance(inner.comparisons[0].operator, cst.In):
            left = (inner.left, *descendants(inner.left))
            sought.update(part.value for part in left if isinstance(part, cst.Name))
    if not _OWN.isdisjoint(read) or not (patterns or sought) or _chooses_by_number(body):
        return False
    if "cmdline" in read:
        known = bool(patterns)
        return any(aims_at_training(text, known, " ".join(sought)) for text in patterns or [""])
    return "name" in read and any(names_training(text) for text in patterns)


def _tests(call: libcst.Call) -> bool:
    name = call.func.attr if isinstance(call.func, cst.Attribute) else call.func
    return isinstance(name, cst.Name) and name.value in _TESTING_CALLS
