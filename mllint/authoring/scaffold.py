"""A new rule for a user's pack: the texts of its files, which keep every promise of the harness from the start.

May not: write files.
"""

from __future__ import annotations

from collections.abc import Iterable
from keyword import iskeyword
from pathlib import PurePosixPath

from mllint.authoring.explain import stem
from mllint.checking.packs import builtin_rules
from mllint.checking.rule_faults import meta_fault, taken_fault
from mllint.diagnostic import Severity
from mllint.rule import Meta

#: Names that a rule file imports: its class has to be called something else.
_IMPORTED = frozenset({"Diagnostic", "Iterator", "Meta", "Rule", "Severity", "Context"})

_RULE = '''"""{code}: see the class for the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.rule import Diagnostic, Meta, Rule, Severity

if TYPE_CHECKING:
    import libcst
    from mllint.analysis.context import Context


class {class_name}(Rule):
    """TODO: one sentence that says what is wrong.

    ## Why

    TODO: what happens then, and what that cost somebody.

    ## Bad

    ```python
    import example

    example.call_to_find()
    ```

    ## Good

    ```python
    import example

    example.another_call()
    ```

    ## Known limits

    TODO: what the rule does not see.
    """

    meta = Meta(
        code="{code}",
        name="{name}",
        severity=Severity.WARNING,
        since="0.1.0",
        triggers=(("call_to_find",),),  # a file without one of these words is not even parsed
    )

    def visit_Call(self, node: libcst.Call, ctx: Context) -> Iterator[Diagnostic]:
        if ctx.name(node.func) == "example.call_to_find":  # through imports and aliases
            yield ctx.report(node, "`example.call_to_find` is called")
'''

_BAD = """import example
from example import call_to_find

example.call_to_find()  # {code}
call_to_find()  # {code}
"""

_GOOD = """import example


def call_to_find():
    return None


example.another_call()
call_to_find()
"""


def new_rule_fault(code: str, name: str, stems: Iterable[str]) -> str:
    """Why there can be no new rule of this code and name beside rule files of these stems; "" if there can."""
    meta = Meta(code, name, Severity.WARNING, since="0.1.0")
    fault = meta_fault(meta) or taken_fault(meta)
    if fault:
        return fault
    wanted = stem(code, name)
    for known in builtin_rules():
        if known.meta.name == name:
            return f"the name `{name}` is that of mllint's own {known.meta.code}; take another one"
    for other in stems:
        same_code = other.partition("_")[0] == wanted.partition("_")[0]
        if same_code or other.partition("_")[2] == wanted.partition("_")[2]:
            return f"`{code if same_code else name}` is taken by {other}.py; take another {'code' if same_code else 'name'}"
    return ""


def new_rule_files(code: str, name: str) -> dict[PurePosixPath, str]:
    """The files of a new rule, relative to its pack, and their texts."""
    words = {"code": code, "name": name, "class_name": _class_name(name)}
    own = stem(code, name)
    fixtures = PurePosixPath("fixtures", own)
    return {
        PurePosixPath(f"{own}.py"): _RULE.format(**words),
        fixtures / "bad.py": _BAD.format(**words),
        fixtures / "good.py": _GOOD,
    }


def _class_name(name: str) -> str:
    """``bare-torch-save`` -> ``BareTorchSave``."""
    joined = "".join(word.capitalize() for word in name.split("-"))
    return f"{joined}Rule" if joined in _IMPORTED or iskeyword(joined) else joined
