"""Shell commands in Python code: the strings and lists that it runs, and those it keeps under a telling name.

May not: run or judge them, or guess a list that the file does not show; what is unknown is a `HOLE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mllint.analysis.commands.argv import argument_at, words_of
from mllint.analysis.strings.bindings import bindings
from mllint.lazy import cst
from mllint.reading.located import Located
from mllint.reading.shell import Command, argv_commands, commands

if TYPE_CHECKING:
    from mllint.analysis.context import Context

_SUBPROCESS = frozenset({"run", "call", "check_call", "check_output", "Popen", "getoutput", "getstatusoutput"})
_OS_EXEC = re.compile(r"os\.(exec|spawn)(l|v)(p?)(e?)|os\.posix_spawn(p?)")
_MODULES = ("subprocess", "subprocess32", "commands", "pexpect", "asyncio", "asyncio.subprocess", "os")
#: Callee names (their last part) that run a command in some known library.
_KNOWN = (
    _SUBPROCESS
    | {"system", "system_raw", "popen", "exec_command", "create_subprocess_exec", "create_subprocess_shell"}
    | {"spawn", "spawnu", "runu", "sudo", "local", "posix_spawn", "posix_spawnp"}
    | {"".join(("exec", form, path, env)) for form in "lv" for path in ("", "p") for env in ("", "e")}
    | {"".join(("spawn", form, path, env)) for form in "lv" for path in ("", "p") for env in ("", "e")}
)
#: A project's own helper that says it runs commands: ``run_cmd``, ``exec_shell``, ``ssh_run``, ``bash``.
_HELPER = re.compile(
    r"_*(?:(?:async_)?(?:run|exec|execute|call|launch|invoke|remote|ssh)_*(?:\w+_)?(?:cmd|command|shell|bash|ssh|remote)s?"
    r"|bash|sh|ssh|shell|ssh_(?:run|exec|execute)|(?:remote|run)_(?:run|exec|on_\w+))(?:_?(?:sync|async|local|remote))?",
    re.IGNORECASE,
)
_FABRIC = ("fabric", "invoke")

#: Words of a variable's name that make it a command kept for later, and those that make it something else.
_COMMAND_NAME = frozenset({"cmd", "command", "cmdline"})
_OTHER_NAME_TEXT = (
    "allow allowed allowlist banned bad block blocked blocklist blacklist choices danger dangerous denied deny "
    "denylist desc description destructive disallowed doc docs docstring error example examples expected "
    "forbidden help hint history keywords log malicious message msg names never options pattern patterns "
    "prohibited prompt re regex restricted risky sample samples test text unsafe usage whitelist"
)
_OTHER_NAME = frozenset(_OTHER_NAME_TEXT.split())
_TEST_FILE = re.compile(r"(^|/)(tests?|testing)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$")
_COMMAND_LINE = re.compile(r"\s*[\w./~$\ufffc{-]+\s")


def python_commands(node: cst.CSTNode, ctx: Context) -> tuple[Command, ...]:
    """The commands of a ``Call`` that runs some, or of an ``Assign``/``AnnAssign`` that keeps one.

    One place may be reported for several nodes (the assignment and the call): same span, same words.
    """
    kind = type(node).__name__
    if kind == "Call":
        return _called(node, ctx)  # type: ignore[arg-type]
    if kind in ("Assign", "AnnAssign"):
        return _kept(node, ctx)  # type: ignore[arg-type]
    return ()


# --- calls ----------------------------------------------------------------------------------------------------


def _called(call: cst.Call, ctx: Context) -> tuple[Command, ...]:
    function = call.func
    last = _last_name(function, ctx)
    if not call.args or (last not in _KNOWN and not _HELPER.fullmatch(last)):
        return ()
    positional = [item.value for item in call.args if item.keyword is None and not item.star]
    named = {item.keyword.value: item.value for item in call.args if item.keyword is not None}
    given = tuple(_given(last, ctx.name(function), positional, named, call, ctx))
    if not given:
        return ()
    return _commands_of(given[0], ctx) if len(given) == 1 else _listed(given, ctx)


def _last_name(function: cst.BaseExpression, ctx: Context) -> str:
    """What is called, without what it belongs to: ``run`` for ``sp.run``, and for ``r`` after ``import run as r``."""
    if isinstance(function, cst.Attribute):
        return function.attr.value
    return ctx.name(function).rpartition(".")[2] if isinstance(function, cst.Name) else ""


def _given(
    last: str,
    name: str,
    positional: list[cst.BaseExpression],
    named: dict[str, cst.BaseExpression],
    call: cst.Call,
    ctx: Context,
) -> Iterator[cst.BaseExpression]:
    """What a call runs: one expression that is a script or a list, or several that are the words of one command."""
    module = name.rpartition(".")[0]
    first = positional[:1] or [named[key] for key in ("args", "cmd", "command", "program") if key in named][:1]
    if _OS_EXEC.fullmatch(name):
        yield from _executed(last, positional)
    elif name == "asyncio.create_subprocess_exec" or last == "create_subprocess_exec":
        yield from positional
    elif module == "pexpect" and len(positional) > 1 and type(positional[1]).__name__ == "List":
        elements = positional[1].elements  # type: ignore[attr-defined]
        yield from (positional[0], *(element.value for element in elements))
    elif (
        (module in _MODULES and last in _KNOWN)
        or last in ("exec_command", "create_subprocess_shell")
        or _is_ipython(call)
        or (last in ("run", "sudo", "local") and _imports(ctx, _FABRIC))
    ):
        yield from first
    elif last not in _KNOWN and not _TEST_FILE.search(ctx.source.path):
        yield from _helped(positional, ctx) or first


def _executed(last: str, positional: list[cst.BaseExpression]) -> list[cst.BaseExpression]:
    """The words of ``os.execvp(file, words)``, ``os.spawnl(mode, file, word, …)`` and kin."""
    arguments = positional[1:] if last.startswith("spawn") else positional
    if last.startswith("posix") or "v" in last:
        return arguments[1:2]
    return arguments[1:-1] if last.endswith("e") else arguments[1:]


def _helped(positional: list[cst.BaseExpression], ctx: Context) -> list[cst.BaseExpression]:
    """Of a helper's arguments (``ssh_run(host, command)``) the last one that is a text with a blank in it."""
    for expression in reversed(positional):
        text = ctx.string(expression)
        if text is not None and _COMMAND_LINE.match(text.text):
            return [expression]
    return []


def _is_ipython(call: cst.Call) -> bool:
    """``get_ipython().system("…")``, which is also what ``!…`` in a notebook becomes."""
    function = call.func
    if not isinstance(function, cst.Attribute) or function.attr.value not in ("system", "getoutput", "system_raw"):
        return False
    return isinstance(function.value, cst.Call) and getattr(function.value.func, "value", "") == "get_ipython"


def _imports(ctx: Context, packages: Sequence[str]) -> bool:
    if ctx.index is None:
        return False
    return any(dotted.partition(".")[0] in packages for dotted in ctx.index.aliases.values())


# --- assignments ----------------------------------------------------------------------------------------------


def _kept(node: cst.Assign | cst.AnnAssign, ctx: Context) -> tuple[Command, ...]:
    """``kill_cmd = ["pkill", "-f", name]``: a command kept in a variable that says so."""
    target = node.targets[0].target if isinstance(node, cst.Assign) else node.target
    name = target.attr if isinstance(target, cst.Attribute) else target
    if node.value is None or not isinstance(name, cst.Name) or not _names_a_command(name.value):
        return ()
    if type(node.value).__name__ in ("Name", "Attribute") or _TEST_FILE.search(ctx.source.path):
        return ()
    words = words_of(node.value, ctx)
    if words is not None:
        return argv_commands(words, host="python") if len(words) > 1 else ()
    text = ctx.string(node.value)
    if text is None:
        return _built(node.value, ctx)
    return _scripted(text, node.value, ctx) if _COMMAND_LINE.match(text.text) else ()


def _names_a_command(name: str) -> bool:
    parts = set(re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().split("_"))
    return not parts.isdisjoint(_COMMAND_NAME) and parts.isdisjoint(_OTHER_NAME)


# --- values ---------------------------------------------------------------------------------------------------


def _commands_of(expression: cst.BaseExpression, ctx: Context) -> tuple[Command, ...]:
    """The commands of a script or list; of each one where the expression is the variable of a loop over some."""
    words = words_of(expression, ctx)
    if words is not None:
        return argv_commands(words, host="python")
    text = ctx.string(expression)
    if text is not None:
        return _scripted(text, expression, ctx)
    looped = _looped(expression, ctx)
    if looped:
        return tuple(command for item in looped for command in _commands_of(item, ctx))
    return _built(expression, ctx)


def _built(expression: cst.BaseExpression, ctx: Context) -> tuple[Command, ...]:
    """The command handed to a project's own helper that builds a longer one: ``_ssh_command(host, "pkill -f x")``."""
    if not isinstance(expression, cst.Call):
        return ()
    parts = set(_last_name(expression.func, ctx).lower().split("_"))
    if parts.isdisjoint(_COMMAND_NAME | {"ssh"}) or not parts.isdisjoint(_OTHER_NAME):
        return ()
    positional = [item.value for item in expression.args if item.keyword is None and not item.star]
    return tuple(
        command
        for inner in _helped(positional, ctx)
        for text in [ctx.string(inner)]
        if text is not None
        for command in _scripted(text, inner, ctx)
    )


def _looped(expression: cst.BaseExpression, ctx: Context) -> list[cst.BaseExpression]:
    """The items that a loop variable takes: ``for cmd in ["a", "b"]``."""
    table = bindings(ctx)
    if table is None or not isinstance(expression, cst.Name):
        return []
    found = table.lookup(expression)
    if len(found) != 1 or not isinstance(found[0].node, (cst.For, cst.CompFor)):
        return []
    if not isinstance(found[0].node.target, cst.Name):
        return []
    items = table.elements(found[0].node.iter) or []
    return [item for item in items if not isinstance(item, cst.Name)]


def _listed(expressions: Sequence[cst.BaseExpression], ctx: Context) -> tuple[Command, ...]:
    return argv_commands([argument_at(expression, ctx) for expression in expressions], host="python")


def _scripted(text: Located, expression: cst.BaseExpression, ctx: Context) -> tuple[Command, ...]:
    """The commands of a text; one that stands in another file is placed where this file mentions it."""
    if text.path:
        start, end = ctx.span(expression)
        text = Located(text.text, (start,) * len(text.text), (end,) * len(text.text))
    return commands(text, host="python")
