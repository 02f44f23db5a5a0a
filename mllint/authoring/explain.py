"""A rule's docstring as its documentation: for the terminal, for Markdown pages, for machines.

May not: keep facts about a rule anywhere but in its docstring and Meta, or import the Markdown parser
before a page is asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mllint.diagnostic import Safety, Severity
from mllint.output.style import paint, severity_look
from mllint.output.toml_ import toml_value
from mllint.rule import Meta, Option, Rule, reported_by, summary

if TYPE_CHECKING:
    from markdown_it.token import Token
#: The sections that every rule's docstring has.
REQUIRED = ("Why", "Bad", "Good")


@dataclass(frozen=True, slots=True)
class Section:
    """A ``##`` heading and the Markdown below it. ``title`` is "" for text between the summary and the first heading."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Example:
    """A fenced block of the sections Bad or Good. ``title`` is what follows the language, a file's name for example."""

    kind: Literal["bad", "good"]
    language: str
    code: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class RulePage:
    """Everything that is said about a rule. ``url`` is "" where its page has no public address, ``by`` are the commands that
    report it, ``observed`` the level in the probe where that is another one."""

    code: str
    name: str
    severity: Severity
    confidence: str
    fix: Safety | None
    since: str
    summary: str
    sections: tuple[Section, ...]
    url: str = ""
    options: tuple[Option, ...] = ()
    by: tuple[str, ...] = ("check",)
    observed: Severity | None = None

    def section(self, title: str) -> str:
        """The Markdown of a section, "" where the page has none."""
        return next((section.body for section in self.sections if section.title == title), "")

    @property
    def why(self) -> str:
        """Why the rule exists, as Markdown."""
        return self.section("Why")

    @property
    def help(self) -> str:
        """The whole page without its title, as Markdown."""
        parts = [self.summary]
        for section in self.sections:
            parts += [f"## {section.title}" if section.title else "", section.body]
        return "\n\n".join(part.rstrip() for part in parts if part.strip()) + "\n"

    @property
    def facts(self) -> str:
        """Severity, fix and age in one line."""
        state = {Severity.INFO: "info, off by default"}.get(self.severity, self.severity.value)
        if self.observed:
            state += f" ({self.observed.value} where the probe has seen it)"
        fix = f"{self.fix.value} fix" if self.fix else "no fix"
        commands = " and ".join(f"`mllint {command}`" for command in self.by)
        return f"{state} · by {commands} · {fix} · {self.confidence} confidence · since {self.since}"


def summary_line(rule_class: type[Rule]) -> str:
    """The first line of the docstring, which is also the one-line why of a finding. Needs no Markdown parser."""
    return summary(rule_class())


def stem(code: str, name: str) -> str:
    """The one name that a rule's file and its folder of fixtures share: ``ml201_fill_in_backward``."""
    return f"{code.lower()}_{name.replace('-', '_')}"


def page(rule_class: type[Rule], base_url: str = "") -> RulePage:
    """The page of a rule. ``base_url`` is the public folder of the rules' files, where there is one."""
    meta = rule_class.meta
    url = f"{base_url.rstrip('/')}/{stem(meta.code, meta.name)}.py" if base_url else ""
    sections = tuple(_sections(inspect.cleandoc(rule_class.__doc__ or "")))
    return RulePage(
        meta.code,
        meta.name,
        meta.severity,
        meta.confidence,
        meta.fix,
        meta.since,
        summary_line(rule_class),
        (*sections, *_options(meta)),
        url,
        meta.options,
        reported_by(rule_class()),
        meta.observed if meta.observed is not meta.severity else None,
    )


def _options(meta: Meta) -> Iterator[Section]:
    """What a user may decide about a rule, as the last section of its page."""
    if meta.options:
        told = [f"- `{each.name}` (default `{toml_value(each.default)}`): {each.meaning}" for each in meta.options]
        table = f"In a table `[tool.mllint.options.{meta.name}]` of the configuration:"
        yield Section("Options", "\n".join((table, "", *told)))


def missing(page: RulePage) -> tuple[str, ...]:
    """Sections that the page ought to have and has not, or has without text."""
    needed = [*REQUIRED, *(["Fix safety"] if page.fix else [])]
    return tuple(title for title in needed if not page.section(title).strip())


def examples(page: RulePage) -> tuple[Example, ...]:
    """The fenced blocks of Bad and Good, in the order of the page."""
    found: list[Example] = []
    kinds: tuple[Literal["bad", "good"], ...] = ("bad", "good")
    for section in page.sections:
        for kind in kinds:
            if section.title.lower() == kind:
                found.extend(_fences(section.body, kind))
    return tuple(found)


def as_text(page: RulePage, color: bool = False) -> str:
    """The page for a terminal: headings stand out, code is indented, the rest is as written."""
    title = f"{paint(page.code, severity_look(page.severity.value), color)} {paint(page.name, 'bold', color)}"
    parts = [title, page.summary, page.facts]
    for section in page.sections:
        parts += [paint(section.title, "bold", color), "\n".join(_plain(section.body))]
    if page.url:
        parts.append(page.url)
    return "\n\n".join(part for part in parts if part) + "\n"


def as_markdown(page: RulePage) -> str:
    """The page as a Markdown document."""
    return f"# {page.name} ({page.code})\n\n{page.facts}\n\n{page.help}"


def as_data(page: RulePage) -> dict[str, object]:
    """The page as plain data with Ruff's field names where Ruff has them."""
    return {
        "code": page.code,
        "name": page.name,
        "summary": page.summary,
        "severity": page.severity.value,
        "observed": page.observed.value if page.observed else None,
        "reported_by": list(page.by),
        "confidence": page.confidence,
        "fix": page.fix.value if page.fix else None,
        "since": page.since,
        "explanation": page.help,
        "sections": {section.title: section.body for section in page.sections},
        "options": [
            {"name": option.name, "default": option.default, "meaning": option.meaning} for option in page.options
        ],
        "url": page.url or None,
    }


def as_json(page: RulePage) -> str:
    """The page as a JSON object."""
    import json

    return json.dumps(as_data(page), indent=2, ensure_ascii=False) + "\n"


def catalogue_markdown(pages: Iterable[RulePage]) -> str:
    """The table of all rules, ordered by code, with links to their files."""
    lines = ["| Code | Name | Severity | By | Fix | Since | Summary |", f"|{' --- |' * 7}"]
    for each in sorted(pages, key=lambda page: page.code):
        link = f"[{each.code}]({stem(each.code, each.name)}.py)"
        fix = each.fix.value if each.fix else "–"
        level = " / ".join(level.value for level in (each.severity, each.observed) if level)
        cells = (link, f"`{each.name}`", level, ", ".join(each.by), fix, each.since, each.summary)
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text as a cell of a table, where ``|`` ends a cell even inside code."""
    return text.replace("|", "\\|")


def _tokens(text: str) -> list[Token]:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").parse(text)


def _sections(text: str) -> Iterator[Section]:
    """The text between ``##`` headings, as written; what stands before the first one has no title.

    The first line is not part of it: it is the summary. An underlined heading belongs to its section's text.
    """
    lines = text.splitlines()
    tokens = _tokens(text)
    headings = [
        (token.map[0], token.map[1], tokens[at + 1].content)
        for at, token in enumerate(tokens)
        if token.type == "heading_open" and token.markup == "##" and token.level == 0 and token.map
    ]
    body, title = 1, ""
    for first, after, following in [*headings, (len(lines), len(lines), "")]:
        content = "\n".join(lines[body:first]).strip("\n")
        if title or content:
            yield Section(title, content)
        body, title = after, following


def _fences(text: str, kind: Literal["bad", "good"]) -> Iterator[Example]:
    for token in _tokens(text):
        if token.type == "fence":
            language, _, title = token.info.strip().partition(" ")
            yield Example(kind, language, token.content, title.strip())


def _plain(text: str) -> Iterator[str]:
    """The lines of a section for a terminal: fences become an indented block."""
    lines = text.splitlines()
    fences = {token.map[0]: token for token in _tokens(text) if token.type == "fence" and token.map}
    row = 0
    while row < len(lines):
        fence = fences.get(row)
        if fence is None or fence.map is None:
            yield lines[row]
            row += 1
            continue
        yield from (f"    {line}".rstrip() for line in fence.content.splitlines())
        row = fence.map[1]
