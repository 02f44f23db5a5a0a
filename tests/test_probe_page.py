"""The report page: what it must show, that it is one file, and that nothing from the user's code becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from mllint.authoring.runtime import runtime_rules
from mllint.checking.packs import builtin_rules
from mllint.probe.judge import judge
from mllint.probe.measured.first_loss import FirstLoss
from mllint.probe.measured.step_timeline import Span, StepTimeline
from mllint.probe.page.render import render
from mllint.probe.site import Site
from mllint.probe.trace import CheckRun, Failure, ModuleFacts, Trace
from mllint.reading.source import read_source

SOURCE = read_source("train.py", "python", b"import torch\n\n\ndef mllint_probe():\n    return '<script>'\n")
TRACE = Trace(
    target="train.py:mllint_probe",
    entry=Site("train.py", 4, "mllint_probe"),
    modules=(ModuleFacts("", "Net", 10), ModuleFacts("<b>head</b>", "Linear", 20)),
    steps=3,
    plain_step=0.01,
    checks=(CheckRun("first-loss", "measured", "", 0.02), CheckRun("step-timeline", "skipped", "no <optimizer>")),
    measurements={
        "first_loss": FirstLoss((30.0, 31.0), 10, 2.302585),
        "step_timeline": StepTimeline(
            0.01, (Span("forward", "", 0, 0.0, 0.004), Span("backward", "backward", 0, 0.004, 0.01))
        ),
    },
)


class Shape(HTMLParser):
    """Checks that elements close in the order in which they open, and collects what could reach the network."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attributes if name in ("src", "href", "action")]
        if tag in ("script", "link", "iframe", "img"):
            self.loads.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)


def page(trace: Trace) -> str:
    verdict = judge(trace, runtime_rules(builtin_rules()), {"train.py": SOURCE})
    return render(trace, verdict, {"train.py": SOURCE}, ("ML201 at train.py:5: <not tried>",), "0.1.0")


def test_one_file_that_loads_nothing_and_is_well_formed() -> None:
    shape = Shape()
    shape.feed(page(TRACE))
    assert not shape.faults and not shape.open
    assert not shape.loads


def test_says_what_was_found_where_with_the_line() -> None:
    html = page(TRACE)
    assert "ML905" in html and "train.py:4" in html
    assert '<span class="hit">4  def mllint_probe():</span>' in html
    assert "failed: ML905" in html and "skipped: no &lt;optimizer&gt;" in html


def test_text_of_the_user_is_never_markup() -> None:
    html = page(TRACE)
    assert "<script" not in html and "&lt;script&gt;" in html
    assert "&lt;not tried&gt;" in html and "<b>head" not in html


def test_an_interrupted_run_says_so() -> None:
    failure = Failure("timed out", "no step within 3 s", "first-loss", (Site("train.py", 5, "mllint_probe"),))
    html = page(Trace(target="train.py", failure=failure))
    assert "timed out" in html and "train.py:5 in mllint_probe" in html
    assert not re.search(r"\bNone\b", html)
