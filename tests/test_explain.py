"""A rule's docstring as its page: every form of it from one example."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from mllint.authoring.explain import (
    Example,
    as_json,
    as_markdown,
    as_text,
    catalogue_markdown,
    examples,
    missing,
    page,
    summary_line,
)
from mllint.rule import Meta, Rule, Safety, Severity

Golden = Callable[[str, str], None]


class FillInBackward(Rule):
    """A large negative fill inside `backward` | overflows the gradient

    More text before the first heading is kept.

    ## Why
    The gradient of a masked logit is *zero*.

    - one reason
    - another

    ## Bad
    ```python
    # ## Not a heading
    def backward(ctx, grad):
        return grad.masked_fill(ctx.mask, -1e9)
    ```

    ~~~sh launch.sh
    python train.py
    ~~~

    An underlined heading
    -------------------------

    ## Good
    ```python
    def backward(ctx, grad):
        return grad.masked_fill(ctx.mask, 0)
    ```

    ## Fix safety
    Unsafe: the fill may be wanted.

    ### A smaller heading stays inside

    ```text
    not an example
    ```
    """

    meta = Meta("ML201", "fill-in-backward", Severity.ERROR, "0.1.0", fix=Safety.UNSAFE)


class Bare(Rule):
    meta = Meta("ML101", "module-level-model", Severity.INFO, "0.2.0", confidence="low")


PAGE = page(FillInBackward, "https://example.org/rules/")


def test_summary_line() -> None:
    assert (
        summary_line(FillInBackward)
        == PAGE.summary
        == "A large negative fill inside `backward` | overflows the gradient"
    )
    assert summary_line(Bare) == "", "the docstring of the base class is not a rule's documentation"


def test_sections_are_headings_of_the_second_level() -> None:
    titles = [section.title for section in PAGE.sections]
    assert titles == ["", "Why", "Bad", "Good", "Fix safety"]
    assert PAGE.section("") == "More text before the first heading is kept."
    assert PAGE.section("Bad").endswith("-------------------------")
    assert PAGE.why == "The gradient of a masked logit is *zero*.\n\n- one reason\n- another"
    assert "### A smaller heading" in PAGE.section("Fix safety")
    assert PAGE.section("References") == ""
    assert PAGE.url == "https://example.org/rules/ml201_fill_in_backward.py" and page(FillInBackward).url == ""


def test_examples() -> None:
    bad, shell, good = examples(PAGE)
    assert bad.kind == "bad" and bad.language == "python" and bad.code.startswith("# ## Not a heading\ndef backward")
    assert shell == Example("bad", "sh", "python train.py\n", "launch.sh")
    assert good.kind == "good" and good.code.endswith("0)\n")


def test_missing() -> None:
    assert missing(PAGE) == ()
    assert missing(page(Bare)) == ("Why", "Bad", "Good")
    assert missing(replace(page(Bare), fix=Safety.SAFE)) == ("Why", "Bad", "Good", "Fix safety")


def test_as_text(golden: Golden) -> None:
    golden("explain/page.txt", as_text(PAGE) + "=" * 20 + "\n" + as_text(page(Bare), color=True).replace("\x1b", "␛"))


def test_as_markdown(golden: Golden) -> None:
    golden("explain/page.md", as_markdown(PAGE))


def test_as_json() -> None:
    data = json.loads(as_json(PAGE))
    assert data["code"] == "ML201" and data["fix"] == "unsafe" and data["sections"]["Why"] == PAGE.why
    assert json.loads(as_json(page(Bare)))["url"] is None


def test_catalogue(golden: Golden) -> None:
    text = catalogue_markdown([PAGE, page(Bare)])
    golden("explain/catalogue.md", text)
    from markdown_it import MarkdownIt

    rows = [token for token in MarkdownIt("commonmark").enable("table").parse(text) if token.type == "td_open"]
    assert len(rows) == 2 * 7, "a bar in a summary must not end its cell"


@pytest.mark.parametrize("call", ["summary_line(Rule)", "Rule"])
def test_the_markdown_parser_is_imported_late(call: str) -> None:
    code = (
        f"import sys; from mllint.authoring.explain import summary_line; from mllint.rule import Rule; {call};"
        "print('markdown_it' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
