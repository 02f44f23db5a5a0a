"""ML003: see the class for the page.

May not: speak for a ruff configuration that is not fully known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.context import Context
    from mllint.analysis.ruff_settings import RuffSettings
    from mllint.checking.directives import Directive

#: Ruff's rules that take a code they do not know out of a `noqa` comment, the more direct one first.
_DELETING = ("RUF102", "RUF100")

#: A comment that switches RUF100 off for its whole file (RUF102 takes no notice of it).
_WHOLE_FILE = re.compile(rb"#\s*(?:ruff|flake8)\s*:\s*noqa\s*(?:$|:[^\r\n]*RUF)", re.IGNORECASE | re.MULTILINE)

_ANY_CASE = tuple(map("".join, product("nN", "oO", "qQ", "aA")))

_OURS = re.compile(r"ML\d{1,3}")


class SuppressionRuffWouldDelete(Rule):
    """A `noqa` comment for mllint stands where ruff removes codes that it does not know.

    ## Why

    To ruff, `# noqa: ML401` names a rule that does not exist. With RUF100 (unused `noqa`) or RUF102 (invalid code in
    a `noqa`) switched on, `ruff check --fix` deletes it, often from a pre-commit hook and among a hundred other
    corrections. The finding that somebody had looked at and accepted is then back in CI, and the reason that stood behind
    the code is gone. One line of configuration tells ruff whose codes these are:

    ```toml
    [tool.ruff.lint]
    external = ["ML"]
    ```

    ## Bad

    ```python
    # file: pyproject.toml
    [tool.ruff.lint]
    select = ["E", "F", "RUF"]
    # file: launch.py
    import os

    os.system("pkill -f train.py")  # noqa: ML401 the image holds one process
    ```

    ## Good

    ```python
    # file: pyproject.toml
    [tool.ruff.lint]
    select = ["E", "F", "RUF"]
    external = ["ML"]
    # file: launch.py
    import os

    os.system("pkill -f train.py")  # noqa: ML401 the image holds one process
    ```

    ## Fix safety

    There is no fix, since the line is missing in another file. `# mllint: ignore[ML401]` works too, and ruff leaves it
    alone.

    ## Known limits

    - The configuration is the one that ruff would use for the file: the nearest `.ruff.toml`, `ruff.toml` or
      `pyproject.toml` with `[tool.ruff]`, with what it extends, up to the project's root. Options of ruff's command line
      are not known.
    - A configuration that extends a file outside the project, or that is no valid TOML, gives no finding; nor does a
      file that one of its patterns might exclude.
    - RUF100 removes unknown codes by itself up to ruff 0.15; later versions remove them together with other codes of
      the same comment that are of no use, and RUF102 removes them alone. Both count, as it is not known which ruff runs.

    ## References

    - <https://docs.astral.sh/ruff/settings/#lint_external>
    - <https://docs.astral.sh/ruff/rules/unused-noqa/>, <https://docs.astral.sh/ruff/rules/invalid-rule-code/>
    """

    meta = Meta(
        code="ML003",
        name="suppression-ruff-would-delete",
        severity=Severity.WARNING,
        since="0.1.0",
        triggers=(_ANY_CASE, tuple(f"ML{digit}" for digit in range(10))),
        project=True,
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        from mllint.checking.comments import read_comments
        from mllint.checking.directives import directives_in

        comments, exact = read_comments(ctx.source)
        directives = [found for comment in comments if exact for found in directives_in(comment)]
        ours = [found for found in directives if found.form == "noqa" and _codes(found)]
        if not ours or ctx.project is None:
            return
        from mllint.analysis.ruff_settings import ruff_settings

        settings = ruff_settings(ctx.project, ctx.absolute_path)
        if settings is None:
            return
        on = [rule for rule in _DELETING if settings.is_on(rule, ctx.absolute_path)]
        if "RUF100" in on and _WHOLE_FILE.search(ctx.source.data):
            on.remove("RUF100")
        for directive in ours:
            yield from _deleted(ctx, directive, settings, on)


def _codes(directive: Directive) -> list[str]:
    return [selector.text for selector in directive.selectors if _OURS.fullmatch(selector.text)]


def _deleted(ctx: Context, directive: Directive, settings: RuffSettings, on: list[str]) -> Iterator[Diagnostic]:
    """A finding for each code of ours in a comment that one of ruff's rules would take out."""
    named = {selector.text for selector in directive.selectors}
    deleting = [rule for rule in on if not (rule == "RUF100" and rule in named)]  # it alone heeds its own code
    for selector in directive.selectors if deleting else ():
        if selector.text not in _codes(directive) or selector.text.startswith(settings.external or ("\0",)):
            continue
        message = f"{deleting[0]} of ruff would delete `{selector.text}` here: `lint.external` does not cover it"
        yield ctx.report((selector.start, selector.end), message, why=_remedy(ctx, settings))


def _remedy(ctx: Context, settings: RuffSettings) -> str:
    """What to write where."""
    root = ctx.project.root.rstrip("/") if ctx.project else ""
    file = settings.path.removeprefix(root + "/")
    section = "tool.ruff.lint" if file.endswith("pyproject.toml") else "lint"
    if settings.external:
        return f'Add `"ML"` to `external` under `[{section}]` in {file}'
    return f'Add `external = ["ML"]` under `[{section}]` in {file}'
