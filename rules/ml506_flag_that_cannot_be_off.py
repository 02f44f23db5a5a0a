"""ML506: see the class for the page.

May not: look at a parser that is not known to read values as argparse does.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from mllint.diagnostic import Diagnostic, Fix, Safety, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.arguments.options import Option
    from mllint.analysis.context import Context

#: What is wrong with a flag: it is on, or off, whatever the command line says; or any text means True.
Fault = Literal["on", "off", "any"]

#: Modules that turn texts into booleans for ``type=bool``.
_CONVERTING = re.compile(r"^(jsonargparse|tap)\b|LightningCLI|LightningArgumentParser|lightning(\.pytorch)?\.cli\b")

#: Help texts of flags that are only kept for old command lines.
_RETIRED = re.compile(
    r"deprecat|no effect|no longer|ignored|obsolete|legacy|SUPPRESS|does nothing|no-op", re.IGNORECASE
)

#: What a pair of flags begins with: ``--use-cache`` and ``--no-cache``.
_POSITIVE = re.compile(r"^(use|enable|do|with|is|allow)_")
_NEGATIVE = re.compile(r"^(no|not|non|disable|without|dont|do_not|skip|wo|force_no)_?")

_FALSE_WORDS = '("", "0", "false", "no", "off")'


class FlagThatCannotBeOff(Rule):
    """A command-line flag is declared so that no command line can switch it off.

    ## Why

    `action="store_true"` sets True when the flag is given; with `default=True` the value is also True when it is not.
    `type=bool` calls `bool` on the text of the command line, and every text but the empty one is true:
    `--use-cache False` switches the cache on. Neither fails, and both read well in a review. Such flags stood in the
    launch scripts of a real project: the run that was meant to go without a feature had it.

    ## Bad

    ```python
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--augment", action="store_true", default=True)
    parser.add_argument("--use-cache", type=bool, default=True)
    args = parser.parse_args()
    ```

    ## Good

    ```python
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--augment", action=argparse.BooleanOptionalAction, default=True)  # --augment, --no-augment
    parser.add_argument("--use-cache", action="store_true")
    parser.add_argument("--no-shuffle", dest="shuffle", action="store_false")
    args = parser.parse_args()
    ```

    ## Fix safety

    Unsafe: command lines start to mean something else. `store_true` with `default=True` becomes
    `argparse.BooleanOptionalAction` (Python 3.9 and later), which keeps `--flag` and adds `--no-flag`. `type=bool`
    becomes a conversion that takes `0`, `false`, `no`, `off` and the empty text as False and everything
    else as True, as before; so `--flag True` in old scripts still works. `store_false` with `default=False` has no
    fix: whether the default or the action is wrong, only a person can tell.

    ## Known limits

    - Parsers of argparse, configargparse and their kin are looked at, and parameters named like a parser; those of
      jsonargparse, tap, click and absl convert values in another way.
    - A flag counts as one that can be off where the file declares its counterpart (`--no-flag`, another option with the
      same `dest`), sets it in `set_defaults`, or assigns the attribute.
    - A flag whose help says that it is deprecated or has no effect is left alone.
    - A parser that is only ever given fixed arguments in Python is reported all the same.

    ## References

    - <https://docs.python.org/3/library/argparse.html#type>, on `bool` as a type
    - <https://docs.python.org/3/library/argparse.html#argparse.BooleanOptionalAction>
    """

    meta = Meta(
        code="ML506",
        name="flag-that-cannot-be-off",
        severity=Severity.ERROR,
        since="0.1.0",
        triggers=(("add_argument",), ("store_true", "store_false", "bool")),
        fix=Safety.UNSAFE,
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        from mllint.analysis.arguments.options import options

        if ctx.syntax is None:
            return
        declared = list(options(ctx.syntax))
        suspects = [(option, fault) for option in declared if (fault := _fault(option, ctx)) is not None]
        if not suspects or (ctx.index and any(_CONVERTING.search(name) for name in ctx.index.imports)):
            return
        from mllint.analysis.arguments.receivers import Receivers

        receivers = Receivers(ctx.syntax, ctx.name)
        for option, fault in suspects:
            sure = receivers.is_parser(option.receiver, option.statement)
            if sure in ("no", "unknown") or (sure == "likely" and option.positional):
                continue
            if not _has_counterpart(option, declared) and not _is_set_elsewhere(option, fault, ctx):
                yield ctx.report(option.call, _message(option, fault), fix=_fix(option, fault, ctx))


def _fault(option: Option, ctx: Context) -> Fault | None:
    action, kind = option.keywords.get("action"), option.keywords.get("type")
    if not option.dest or _is_retired(option.keywords.get("help")):
        return None
    if isinstance(action, ast.Constant) and action.value in ("store_true", "store_false"):
        on = action.value == "store_true"
        default = option.keywords.get("default")
        if isinstance(default, ast.Constant) and default.value is on:
            return "on" if on else "off"
        return None
    if kind is None or (action is not None and not (isinstance(action, ast.Constant) and action.value == "store")):
        return None
    return "any" if _is_bool(kind, ctx) else None


def _is_bool(kind: ast.expr, ctx: Context) -> bool:
    """``bool``, or ``lambda value: bool(value)``; a file that binds the name ``bool`` means something else."""
    if isinstance(kind, ast.Lambda) and isinstance(kind.body, ast.Call) and len(kind.body.args) == 1:
        argument, names = kind.body.args[0], [parameter.arg for parameter in kind.args.args]
        return isinstance(argument, ast.Name) and names == [argument.id] and _is_bool(kind.body.func, ctx)
    if not isinstance(kind, ast.Name) or kind.id != "bool" or ctx.name(kind) != "bool":
        return False
    bindings, definitions = (ctx.index.bindings, ctx.index.definitions) if ctx.index else ((), ())
    bound = {*(binding.name for binding in bindings), *(definition.qualname for definition in definitions)}
    return "bool" not in bound


def _is_retired(note: ast.expr | None) -> bool:
    return note is not None and bool(_RETIRED.search(ast.unparse(note)))


def _has_counterpart(option: Option, declared: Iterable[Option]) -> bool:
    """Does the file declare another way to give the flag its other value?"""
    stem = _POSITIVE.sub("", option.dest)
    own = {option.dest, stem, _NEGATIVE.sub("", option.dest)}
    for other in declared:
        if other.call is option.call or not other.dest:
            continue
        if (
            other.dest == option.dest
            and ast.dump(other.call) != ast.dump(option.call)
            and not _same_kind(other, option)
        ):
            return True
        if other.dest != option.dest and _NEGATIVE.match(other.dest) and _NEGATIVE.sub("", other.dest) in own:
            return True
        if _POSITIVE.sub("", other.dest) in own - {option.dest} and other.dest != option.dest:
            return True
    return False


def _same_kind(one: Option, other: Option) -> bool:
    """Do two declarations of one flag share the action and the type, as in two sub-commands?"""
    return all(
        ast.dump(one.keywords[key]) == ast.dump(other.keywords[key])
        if key in one.keywords and key in other.keywords
        else key not in one.keywords and key not in other.keywords
        for key in ("action", "type", "default")
    )


def _is_set_elsewhere(option: Option, fault: Fault, ctx: Context) -> bool:
    """Does the file give the flag another value: an assignment to the attribute, or ``set_defaults``?"""
    assert ctx.syntax is not None
    for assignment in ctx.syntax.statements(ast.Assign):
        if any(isinstance(target, ast.Attribute) and target.attr == option.dest for target in assignment.targets):
            return True
    for statement in ctx.syntax.statements(ast.Expr):
        call = statement.value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        if fault == "any" and call.func.attr == "register":  # parser.register("type", bool, to_bool)
            return True
        given = {keyword.arg for keyword in call.keywords}
        if fault != "any" and call.func.attr == "set_defaults" and given & {None, option.dest}:
            return True
    return False


def _message(option: Option, fault: Fault) -> str:
    flag = next((flag for flag in option.flags if flag.startswith("--")), option.flags[0])
    shown = f"`{flag}`" if len(flag) <= 28 else "this flag"
    if fault == "on":
        return f"{shown} is `store_true` with `default=True`: no command line makes it False"
    if fault == "off":
        return f"{shown} is `store_false` with `default=False`: no command line makes it True"
    return f"{shown} has `type=bool`: any text but the empty one is True, `False` too"


def _fix(option: Option, fault: Fault, ctx: Context) -> Fix | None:
    from mllint.analysis.arguments.options import text

    if fault == "any" and "nargs" in option.keywords and text(option.keywords["nargs"]) != "?":
        return None  # a list is true whatever it holds
    if fault == "any":
        title = "Take the usual words for no as False"
        kind = option.keywords["type"]
        return ctx.fix(title, ctx.replace(kind, f"lambda text: text.lower() not in {_FALSE_WORDS}"))
    module = _argparse(ctx)
    long = [flag for flag in option.flags if flag.startswith("--")]
    if fault == "off" or not module or not long or any(flag.startswith("--no") for flag in long):
        return None
    action = ctx.replace(option.keywords["action"], f"{module}.BooleanOptionalAction")
    return ctx.fix("Use `BooleanOptionalAction`, which adds the `--no-` form", action)


def _argparse(ctx: Context) -> str:
    """The name under which the file has the module, "" for none."""
    aliases = ctx.index.aliases if ctx.index else {}
    return next((name for name, dotted in aliases.items() if dotted == "argparse"), "")
