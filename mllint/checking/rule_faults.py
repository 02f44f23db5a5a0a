"""What is wrong with a rule class, in a sentence for its author; "" where nothing is.

May not: run a rule, or import LibCST only to know the names of its classes.
"""

from __future__ import annotations

import re
from functools import cache

from mllint.checking.select import FAMILIES
from mllint.diagnostic import Safety, Severity
from mllint.rule import Meta, Option, Rule, reads_code, reads_traces

#: Two or more capital letters and three digits: no code is the beginning of another one.
CODE = re.compile(r"[A-Z]{2,}\d{3}")
NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")

#: Visits that are no node of LibCST.
_OWN_VISITS = ("visit_file", "visit_command", "visit_kernel")


def rule_fault(rule: Rule) -> str:
    """What is wrong with a rule: its Meta, or visits that nothing would ever call."""
    name = type(rule).__name__
    meta: object = getattr(rule, "meta", None)
    if not isinstance(meta, Meta):
        return f"`{name}` has no `meta`; give it `meta = Meta(code=…, name=…, severity=…, since=…)`"
    fault = meta_fault(meta) or visit_fault(rule)
    return f"`{name}`: {fault}" if fault else ""


def meta_fault(meta: Meta) -> str:
    """What is wrong with a Meta."""
    if not isinstance(meta.code, str) or not CODE.fullmatch(meta.code):
        return f"code {meta.code!r} must be capital letters and three digits, as in `ACME001`"
    if not isinstance(meta.name, str) or not NAME.fullmatch(meta.name):
        return f"name {meta.name!r} must be lower-case words joined by `-`, as in `bare-torch-save`"
    severity: object = meta.severity  # nothing has checked what an author wrote
    if not isinstance(severity, Severity):
        return f"severity {severity!r} must be one of `Severity.ERROR`, `Severity.WARNING`, `Severity.INFO`"
    fix: object = meta.fix
    if fix is not None and not isinstance(fix, Safety):
        return f"fix {fix!r} must be None or one of `Safety.SAFE`, `Safety.UNSAFE`, `Safety.DISPLAY`"
    for field in ("since", "confidence"):
        if not isinstance(getattr(meta, field), str):
            return f"{field} {getattr(meta, field)!r} must be a string"
    if not isinstance(meta.options, tuple) or not all(isinstance(option, Option) for option in meta.options):
        return f"options {meta.options!r} must be a tuple of `Option`"
    fault = _options_fault(meta.options)
    if fault:
        return fault
    named: object = meta.confirmed_by
    if not isinstance(named, tuple) or not all(isinstance(code, str) and CODE.fullmatch(code) for code in named):
        return f"confirmed_by {named!r} must be a tuple of codes"
    observed: object = meta.observed
    if observed is not None and not isinstance(observed, Severity):
        return f"observed {observed!r} must be None or one of `Severity.ERROR`, `Severity.WARNING`, `Severity.INFO`"
    for field in ("triggers", "project_triggers"):
        if not _are_triggers(getattr(meta, field)):
            return f'{field} must be groups of phrases, as in `(("torch.save",), ("open", "write"))`: tuples in a tuple'
    return ""


def _options_fault(options: tuple[Option, ...]) -> str:
    """What is wrong with the options of a rule."""
    names = [option.name for option in options]
    for option in options:
        default: object = option.default  # nothing has checked what an author wrote
        meaning: object = option.meaning
        if not isinstance(option.name, str) or not NAME.fullmatch(option.name):
            return f"option {option.name!r} must be named in lower-case words joined by `-`, as in `max-depth`"
        if names.count(option.name) > 1:
            return f"two options are called {option.name!r}"
        texts = isinstance(default, tuple) and all(isinstance(item, str) for item in default)
        if not texts and not isinstance(default, (bool, int, float, str)):
            return f"the default of option {option.name!r} must be a bool, number, string or tuple of strings"
        if not isinstance(meaning, str):
            return f"the meaning of option {option.name!r} must be a sentence"
    return ""


def visit_fault(rule: Rule) -> str:
    """What is wrong with the names of a rule's ``visit_*`` methods, or with what they take."""
    for name in (name for name in dir(type(rule)) if name.startswith("visit_")):
        fault = _call_fault(getattr(rule, name), name)
        if fault:
            return fault
        node = name[len("visit_") :]
        if name in _OWN_VISITS:
            continue
        if not node or not node[0].isupper() or node not in _libcst_names():
            near = _nearest(node)
            hint = f"did you mean `visit_{near}`?" if near else f"it may also be {', '.join(_OWN_VISITS)}"
            return f"`{name}` names no node class of LibCST; {hint}"
    return _call_fault(rule.judge, "judge")


def _call_fault(visit: object, name: str) -> str:
    """Why a visit cannot be called as it would be."""
    what = {"visit_file": (), "judge": ("trace",)}
    wanted = (*what.get(name, ("node" if name not in _OWN_VISITS else name[len("visit_") :],)), "ctx")
    if not callable(visit):
        return f"`{name}` is no method; write `def {name}(self, {', '.join(wanted)})`"
    import inspect  # only a user's rules need it

    try:
        inspect.signature(visit).bind(*wanted)
    except TypeError:
        return f"`{name}` must take `(self, {', '.join(wanted)})`"
    except ValueError:  # built in another language: it is seen when it is called
        return ""
    return ""


def foreign_fault(rule: Rule) -> str:
    """What is wrong with a user's rule beyond that: what it takes of mllint's own, or that nothing would call it."""
    if not (reads_code(rule) or reads_traces(rule)):
        return f"`{type(rule).__name__}` visits nothing; give it a method such as `visit_Call(self, node, ctx)`"
    return taken_fault(rule.meta)


def taken_fault(meta: Meta) -> str:
    """What a user's rule takes though it is mllint's own."""
    if meta.code[:-3] == "ML":
        return f"{meta.code}: codes that begin with `ML` are mllint's own; take other letters, as in `ACME001`"
    if meta.name in {name for name, _ in FAMILIES.values()}:
        return f"the name `{meta.name}` is that of a family of rules; take another one"
    return ""


def _are_triggers(value: object) -> bool:
    """Groups of phrases, none of them empty: an empty group would never let a file pass."""
    return isinstance(value, tuple) and all(
        isinstance(group, tuple) and group and all(isinstance(phrase, str) and phrase for phrase in group)
        for group in value
    )


@cache
def _libcst_names() -> frozenset[str]:
    """What LibCST exports, from the text of its first file: to import it takes 0.15 s, which many runs save."""
    from importlib.util import find_spec

    spec = find_spec("libcst")
    assert spec is not None and spec.origin is not None, "libcst is a dependency"
    with open(spec.origin, encoding="utf-8") as file:
        names = re.findall(r"^ +\"?([A-Z]\w+)\"?,$", file.read(), re.MULTILINE)
    return frozenset(name for name in names if not name.startswith("Base"))  # no node is of an abstract class


def _nearest(node: str) -> str:
    """The node class that is spelt most like this."""
    import difflib  # only a mistake needs it

    names = {name.lower(): name for name in sorted(_libcst_names())}
    near = difflib.get_close_matches(node.lower().replace("_", ""), names, n=1)
    return names[near[0]] if near else ""
