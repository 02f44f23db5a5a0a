"""ML002: see the class for the page.

May not: find anything itself; the engine reports a rule that raised.
"""

from __future__ import annotations

from mllint.diagnostic import Severity
from mllint.rule import Meta, Rule


class RuleCrashed(Rule):
    """A rule raised an exception on this file, so its findings here are missing.

    ## Why

    Rules are plug-ins, some of them written for one project, and they meet code that their authors never saw. A crash
    that ends the run costs all other findings; one that is swallowed makes a broken gate look green. So the run
    goes on, the crash is a finding with the name of the rule and the file, and the exit code is 2.

    ## Bad

    ```python
    class CountsArguments(Rule):
        def visit_Call(self, node, ctx):
            if node.args[0].value.value == "0":  # no arguments, or no literal: an exception
                yield ctx.report(node, "zero")
    ```

    ## Good

    ```python
    class CountsArguments(Rule):
        def visit_Call(self, node, ctx):
            if node.args and isinstance(node.args[0].value, cst.Integer) and node.args[0].value.value == "0":
                yield ctx.report(node, "zero")
    ```

    ## Fix safety

    There is no fix, and no comment suppresses this finding. Until the rule is corrected, leave out the rule
    or the file by configuration, so that it is seen to be left out.

    ## Known limits

    - Only the first line of the exception is shown, with the line of the rule that raised.
    - Code that Python accepts and the lossless parser does not is reported under this code as well.
    - A rule that never returns is not noticed.

    ## References

    - <https://docs.python.org/3/tutorial/errors.html>
    """

    meta = Meta(code="ML002", name="rule-crashed", severity=Severity.ERROR, since="0.1.0")
