"""Notebooks: only Python is left, every character stays in its cell, row and column."""

from __future__ import annotations

import ast
import json

import pytest

from mllint.diagnostic import Place
from mllint.reading.notebook import read_notebook, without_magics
from mllint.reading.source import DecodeFailure, Source


def code(source: str | list[str], **more: object) -> dict[str, object]:
    return {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source, **more}


def text_cell(source: str, kind: str = "markdown") -> dict[str, object]:
    return {"cell_type": kind, "metadata": {}, "source": source}


def notebook(*cells: dict[str, object], **metadata: object) -> Source:
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return read_notebook("n.ipynb", json.dumps(content).encode())


def test_cells_are_counted_as_ruff_counts_them() -> None:
    source = notebook(
        text_cell("# title"),
        code(""),
        code("%%bash\necho import os\n"),
        code(["import os\n", "x = 1"]),
        text_cell("raw", "raw"),
        code("def f():\n    é = y\n"),
        text_cell("# the end"),
    )
    assert source.text == "\nimport os\nx = 1\ndef f():\n    é = y\n\n"
    assert source.kind == "notebook"
    places = {"import": Place(1, 1, 4), "x = 1": Place(2, 1, 4), "def": Place(1, 1, 6), "y": Place(2, 9, 6)}
    assert {word: source.place(source.data.index(word.encode())) for word in places} == places
    assert source.place(0) == Place(1, 1, 2)
    assert source.place(len(source.data)).cell == 6
    for place in places.values():  # what the output relies on
        assert place.cell is not None
        row = source.cell_rows[place.cell - 1] + place.row - 1
        assert source.place(source.line_starts[row - 1]).cell == place.cell


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("x = 1", "x = 1"),
        ("%matplotlib inline\nimport os", "pass\nimport os"),
        ("!ls -l\nimport os", "pass\nimport os"),
        ("!!ls\n", "pass\n"),
        ("if x:\n    !ls\ny", "if x:\n    0\ny"),
        ("!pip install \\\n  a \\\n  b\nimport os", "pass\n\n\nimport os"),
        ("pip install -q torch\nimport os", "pass\nimport os"),
        ("ls -la ~/data\ncat = load()\nuv = (1,\n  2)", "pass\ncat = load()\nuv = (1,\n  2)"),
        ("pip = 1\ncd.x(2)\nrm[0] = 3", "pip = 1\ncd.x(2)\nrm[0] = 3"),
        ("files = !ls\nx", "files = ...\nx"),
        ("a, b.c, d['e'] = %sql x\n", "a, b.c, d['e'] = ...\n"),
        ("n: int = !l\n", "n: int = 0\n"),
        ("foo?\nfoo.bar??\n?foo\nnp.*load*?\nf[0]?;", "pass\npass\npass\npass\npass"),
        ("/f 1\n,f 2\n;f 3", "pass\npass\npass"),
        ("%%time\nimport os", "pass\nimport os"),
        ("\n# note\n%%capture out\nx", "\n# note\npass\nx"),
        ("%%bash\nimport os", None),
        ("x = 1\n%%writefile a.py\nimport os", None),
        ("%%unheard_of\nimport os", None),
        ("%%bash?", "pass"),
        # what only looks like it
        ("x = (1\n%3)\n", "x = (1\n%3)\n"),
        ("x = 1 \\\n%3\n", "x = 1 \\\n%3\n"),
        ("s = '''\n!ls\n%%bash\nwhy?\n'''\n%who", "s = '''\n!ls\n%%bash\nwhy?\n'''\npass"),
        ("s = 'it is \\\n%so'\n%who", "s = 'it is \\\n%so'\npass"),
        ("s = \"'''\"\n%who", "s = \"'''\"\npass"),
        ("s = '[(' # [(\n%who", "s = '[(' # [(\npass"),
        ("f'x = %d' % 3", "f'x = %d' % 3"),
        ("print('x = %d' % 3)  # sure?", "print('x = %d' % 3)  # sure?"),
        ("x != y\nz %= 2", "x != y\nz %= 2"),
        ("x = y\n# why?", "x = y\n# why?"),
        ("await f()", "await f()"),
    ],
)
def test_magics(cell: str, wanted: str | None) -> None:
    got = without_magics(cell)
    if got is None or wanted is None:
        assert got is wanted
    else:
        assert [line.rstrip() for line in got.split("\n")] == [line.rstrip() for line in wanted.split("\n")]
        assert [len(line) for line in got.split("\n")] == [len(line) for line in cell.split("\n")]
        ast.parse(got)


def test_the_indentation_of_a_cell_is_taken_off_as_ipython_does() -> None:
    source = notebook(code("    x = 1\n    if x:\n        y = 2\n"), code("\n  z = 3"))
    assert source.text == "x = 1\nif x:\n    y = 2\n\n\n  z = 3\n"


def test_newlines_and_half_characters() -> None:
    source = notebook(code("a = 1\r\nb = 2\rc = '\ud83d'"), code("d"))
    assert source.text == "a = 1\nb = 2\nc = '?'\nd\n"
    assert source.place(source.data.index(b"d")) == Place(1, 1, 2)


@pytest.mark.parametrize(
    ("metadata", "empty"),
    [
        ({}, False),
        ({"language_info": {"name": "python"}}, False),
        ({"language_info": {"name": "julia"}}, True),
        ({"kernelspec": {"name": "ir", "language": "R"}}, True),
        ({"kernelspec": {"name": "conda-env"}}, False),
        ({"kernelspec": "odd", "language_info": ["odd"]}, False),
    ],
)
def test_other_languages_are_left_alone(metadata: dict[str, object], empty: bool) -> None:
    source = notebook(code("import os"), **metadata)
    assert (source.data == b"") is empty
    assert source.kind == "notebook"


def test_cells_of_another_language() -> None:
    source = notebook(code("select 1", metadata={"vscode": {"languageId": "sql"}}), code("x"))
    assert (source.text, source.cell_rows) == ("x\n", (1, 1))


def test_format_3() -> None:
    content = {
        "worksheets": [
            {"cells": [{"cell_type": "heading", "source": "h"}, {"cell_type": "code", "input": ["a\n", "b"]}]}
        ],
        "metadata": {"name": ""},
        "nbformat": 3,
    }
    source = read_notebook("n.ipynb", json.dumps(content).encode())
    assert source.text == "a\nb\n"
    assert source.place(2) == Place(2, 1, 2)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "the file is empty"),
        (b' {"cells": [', "no valid JSON at line 1, column 13"),
        (b"version https://git-lfs.github.com/spec/v1\n", "no valid JSON at line 1, column 1"),
        (b"[]", "no object"),
        (b"{}", "no `cells`"),
        (b'{"cells": 3}', "no list"),
        (b'{"cells": ["x"]}', "no list"),
        (b'{"cells": [{"cell_type": "code", "source": 3}]}', "the source of a cell is no text"),
        (b'{"cells": "\xff"}', "byte 0xff at offset 11"),
        (b"[" * 200_000, "not a notebook"),
        (b'{"cells": ' + b"9" * 10_000 + b"}", "not a notebook"),
    ],
)
def test_not_a_notebook(raw: bytes, reason: str) -> None:
    with pytest.raises(DecodeFailure) as raised:
        read_notebook("n.ipynb", raw)
    assert reason in str(raised.value)


def test_nothing_to_read_is_no_error() -> None:
    for source in (notebook(), notebook(text_cell("a"))):
        assert (source.data, source.cell_rows) == (b"", ())
