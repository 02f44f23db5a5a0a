"""ML001: see the class for the page.

May not: find anything itself; the engine keeps count of the suppressions that were of use.
"""

from __future__ import annotations

from mllint.diagnostic import Safety, Severity
from mllint.rule import Meta, Rule


class UnusedSuppression(Rule):
    """A comment suppresses a finding that is not there, or cannot be read as a suppression.

    ## Why

    A suppression outlives its reason: the code is corrected or moved, and the comment stays. Later it hides a
    new fault of the same kind in the same line, which is the one place where nobody looks any more. A comment
    with a misspelt code is worse: it looks like a decision, and decides nothing.

    A code counts as unused only in a run that checked for it, so selecting a few rules reports no others. An `enable`
    that ends no `disable` before it in its block is reported too: somebody thinks that the range ends there.

    ## Bad

    ```python
    fill = 0.0  # mllint: ignore[ML999]
    ```

    ## Good

    ```python
    fill = 0.0
    ```

    ## Fix safety

    Safe: the fix removes the code that has no use, or the whole suppression when no other code is left in it. Nothing
    but comments changes, and other text in the comment stays. With a `disable` goes the `enable` that ended only
    that. A comment that cannot be read gets no fix, because what it was meant to say is not known, nor does one
    in a notebook.

    ## Known limits

    - `# noqa` comments count only for codes of mllint's own form; everything else belongs to other tools.
    - A suppression without codes is reported only when every rule was checked.
    - To keep an unused suppression, name `ML001` in a suppression beside it.

    ## References

    - <https://docs.astral.sh/ruff/rules/unused-noqa/>, the same idea for ruff's codes
    """

    meta = Meta(code="ML001", name="unused-suppression", severity=Severity.WARNING, since="0.1.0", fix=Safety.SAFE)
