"""Small pieces of HTML and SVG with everything escaped.

May not: know what a probe is.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def element(name: str, *inside: str, **attributes: object) -> str:
    """One element. ``inside`` is markup already; a trailing underscore of an attribute's name is dropped (``class_``)."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{''.join(inside)}</{name}>"


def text(value: object) -> str:
    """Plain text as markup; what stands in backticks is code."""
    pieces = escape(str(value)).split("`")
    if len(pieces) % 2 == 0:  # a lone backtick is one of the text's own
        return escape(str(value))
    return "".join(f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces))


def table(head: Iterable[str], rows: Iterable[Iterable[str]], numbers: Iterable[int] = ()) -> str:
    """A table that scrolls by itself on a narrow screen. Cells are markup; columns in ``numbers`` are aligned right."""
    right = set(numbers)

    def cell(kind: str, column: int, content: str) -> str:
        return element(kind, content, class_="number" if column in right else None)

    headings = element("tr", *(cell("th", column, text(title)) for column, title in enumerate(head)))
    body = [element("tr", *(cell("td", column, item) for column, item in enumerate(row))) for row in rows]
    inner = element("table", element("thead", headings), element("tbody", *body))
    return element("div", inner, class_="scroll")


def drawing(width: float, height: float, *shapes: str, label: str) -> str:
    """An SVG that takes the width it gets; ``label`` says in words what it shows."""
    return element(
        "svg",
        *shapes,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=label,
        preserveAspectRatio="xMinYMin meet",
    )


def duration(seconds: float) -> str:
    """A time as a person reads it."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def count(number: int) -> str:
    """A count as a person reads it: 13.8 M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= limit:
            return f"{number / (1e3 if unit == 'k' else limit):.3g} {unit}"
    return str(number)
