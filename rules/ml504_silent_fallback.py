"""ML504: see the class for the page.

May not: report a broad handler for being broad.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Severity, fitting
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    from mllint.analysis.context import Context
    from mllint.analysis.fallbacks.kinds import Kind

_MESSAGES: dict[Kind, str] = {
    "sample": "any error while a sample is made is swallowed, and something else takes its place",
    "skipped": "samples that fail for any reason are left out of the data without a word",
    "weights": "weights that fail to load for any reason are left as initialised without a word",
    "metric": "any error gives this score a fixed value, like a result",
    "blank": "any error gives a blank array in place of the data",
    "empty": "any error gives empty data, as if there were none",
    "kernel": "any error in one implementation switches to another without a word",
    "module": "any error inside this package's own module is swallowed, and the code goes on without it",
}


class SilentFallback(Rule):
    """A handler for every exception puts something else in the place of data, weights, a score or a kernel, silently.

    ## Why

    A module of one project imported a name from itself. That fails, but a handler for everything stood around it, and
    what should have been samples came out empty: 10.6 million of them, a whole data set, before anybody looked. In another
    project an old allocator stayed as a fallback "just in case". It ran on every step, nobody knew, and a week
    went into cures for the wrong cause. The handler was meant for one rare failure; it caught all of them, a misspelt
    name as well as a broken file, and nothing in the log told the two apart.

    ## Bad

    ```python
    class Captions(Dataset):
        def __getitem__(self, index):
            try:
                return self.encode(self.files[index])
            except Exception:
                return self[index + 1]
    ```

    ## Good

    ```python
    class Captions(Dataset):
        def __getitem__(self, index):
            try:
                return self.encode(self.files[index])
            except OSError as error:
                self.unreadable += 1
                logger.warning("sample %d: %s", index, error)
                return self[index + 1]
    ```

    ## Known limits

    - Only handlers for everything count (`except:`, `Exception`, `BaseException`), and only where it is known to matter:
      samples and batches of a dataset, loops that gather samples, loading of weights, scores, blank arrays,
      kernels with a second implementation, and imports of the package's own modules.
    - A handler that raises, counts, calls anything that sounds like a report (`log`, `warn`, `print`, `append`, …), uses the
      exception, or stores something named like an error or a status is not silent, whatever it reports.
    - Loops of attempts, functions that probe (`is_…`, `has_…`), clean-up, display, and tests are left alone.
    - A name that falls back to None counts only where an inner function calls it and nothing in the file tests it.
    - A fixed score with a comment in the handler counts as explained: a wrong answer may be worth nothing.
    - A bare `# noqa`, `# noqa: BLE001`, `S110`, `S112` and pylint's `broad-except` on the handler are respected.

    ## References

    - <https://docs.python.org/3/tutorial/errors.html#handling-exceptions>
    - <https://docs.astral.sh/ruff/rules/blind-except/>, which reports every broad handler
    """

    meta = Meta(
        code="ML504",
        name="silent-fallback",
        severity=Severity.WARNING,
        since="0.1.0",
        triggers=(("except",),),
        confidence="medium",
    )

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        if ctx.syntax is None or not ctx.syntax.statements(ast.ExceptHandler):
            return
        from mllint.analysis.fallbacks.handlers import MEANT, silent_handlers
        from mllint.analysis.fallbacks.imports import captured_imports
        from mllint.analysis.fallbacks.kinds import kind_of
        from mllint.analysis.words import is_test

        if is_test(ctx.source.path):
            return
        for tried, handler in silent_handlers(ctx.syntax):
            kind = kind_of(tried, handler, ctx.syntax, ctx.name)
            if kind is None or MEANT.search(ctx.source.line(handler.lineno)):
                continue
            if kind != "metric" or not _is_explained(handler, ctx):
                yield ctx.report(_header(handler, ctx), _MESSAGES[kind])
        for handler, name in captured_imports(ctx.syntax):
            message = f"`{name}` is None when its import fails, and inner functions call it unchecked"
            yield ctx.report(_header(handler, ctx), fitting(message, "this import may leave None"))


def _is_explained(handler: ast.ExceptHandler, ctx: Context) -> bool:
    """Does a comment in the handler say why? A wrong answer may well be worth a fixed score."""
    rows = range(handler.lineno, (handler.end_lineno or handler.lineno) + 1)
    return any(ctx.source.line(row).lstrip().startswith("#") for row in rows)


def _header(handler: ast.ExceptHandler, ctx: Context) -> tuple[int, int]:
    """The span of ``except Exception``, without the colon and the body."""
    start = ctx.source.offset(handler.lineno, handler.col_offset)
    return start, ctx.span(handler.type)[1] if handler.type else start + len("except")
