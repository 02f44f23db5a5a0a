"""ML000: see the class for the page.

May not: find anything itself; the engine reports what Python's own parser refuses.
"""

from __future__ import annotations

from mllint.diagnostic import Severity
from mllint.rule import Meta, Rule


class SyntaxErrorFound(Rule):
    """Python cannot parse this file, so nothing in it was checked.

    ## Why

    A training script that nobody imports is first parsed when the job starts, after the wait in the queue. What breaks
    it is often small: a merge marker left in place, a `print` from Python 2, a bracket lost in a last edit on
    the cluster. No other rule can look at such a file, so leaving it out silently would read as "nothing found".

    Place and text are those of the Python that runs mllint; in a notebook they belong to the cell.

    ## Bad

    ```python
    def log(epoch, loss):
        print "epoch", epoch, loss
    ```

    ## Good

    ```python
    def log(epoch, loss):
        print("epoch", epoch, loss)
    ```

    ## Fix safety

    There is no fix, and no comment suppresses this finding: exclude a file that is no Python on purpose.

    ## Known limits

    - Syntax newer than the Python that runs mllint is reported too: run mllint with the Python of the project.
    - Only the first error of a file is known.
    - A file that is nested too deeply for Python's parser counts as one with a syntax error.

    ## References

    - <https://docs.python.org/3/library/exceptions.html#SyntaxError>
    """

    meta = Meta(code="ML000", name="syntax-error", severity=Severity.ERROR, since="0.1.0")
