"""Loops over the processes of a machine (`psutil`) that end those with a certain name or command line.

May not: judge which names those are; `programs` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.analysis.commands.programs import aims_at_training, names_training
from mllint.analysis.names import written_name
from mllint.analysis.strings.bindings import bindings
from mllint.analysis.walk import descendants
from mllint.lazy import cst

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
    if b"psutil" not in ctx.source.data or not _loops_over_processes(node, ctx):
        return None
    call = next(_ending_calls(node), None)
    return call if call is not None and _goes_by_command_line(node) else None


def _loops_over_processes(node: libcst.For, ctx: Context) -> bool:
    table = bindings(ctx)
    over = table.value(node.iter) if table is not None else node.iter
    return over is not None and any(
        isinstance(inner, cst.Call) and ctx.name(inner.func) in _LOOPS for inner in (over, *descendants(over))
    )


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


def _goes_by_command_line(node: libcst.For) -> bool:
    """Does the loop choose by command line, or by a name that is Python's?"""
    read: set[str] = set()
    sought: set[str] = set()  # names of what is looked for, where that is not written out
    patterns: list[str] = []
    for inner in (*descendants(node.iter), *descendants(node.body)):
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
    if not _OWN.isdisjoint(read) or not (patterns or sought):
        return False
    if "cmdline" in read:
        known = bool(patterns)
        return any(aims_at_training(text, known, " ".join(sought)) for text in patterns or [""])
    return "name" in read and any(names_training(text) for text in patterns)


def _tests(call: libcst.Call) -> bool:
    name = call.func.attr if isinstance(call.func, cst.Attribute) else call.func
    return isinstance(name, cst.Name) and name.value in _TESTING_CALLS
