"""Sources: every encoding and newline comes back byte for byte, and offsets are places and back."""

from __future__ import annotations

import codecs

import pytest

from mllint.diagnostic import Place
from mllint.reading.source import DecodeFailure, Kind, Source, read_source

SAMPLES: dict[str, bytes] = {
    "empty": b"",
    "one newline": b"\n",
    "plain": b"x = 1\ny = 2\n",
    "no final newline": b"x = 1\ny = 2",
    "crlf": b"x = 1\r\ny = 2\r\n",
    "lone cr": b"x = 1\ry = 2\r",
    "mixed": b"a\nb\r\nc\rd",
    "form feed": b"x = 1\n\x0c\ny = 2\n",
    "vertical tab and separators": "a\x0bb\x1cc\u2028d\x85e\n".encode(),
    "bom": codecs.BOM_UTF8 + b"x = 1\r\n",
    "bom only": codecs.BOM_UTF8,
    "bom and cookie": codecs.BOM_UTF8 + b"# coding: utf-8\nx = '\xc3\xa9'\n",
    "wide": "s = 'é漢😀'\nt = 1\n".encode(),
    "latin-1": b"# -*- coding: latin-1 -*-\ns = '\xe9\xff'\r\n",
    "cookie in row two": b"#!/usr/bin/python\n# coding: cp1252\ns = '\x80'\n",
    "long first row": b"#" + b"x" * 500 + b"\n# coding: latin-1\ns = '\xe9'\n",
    "utf8 by another name": b"# coding: UTF8\ns = '\xc3\xa9'\n",
    "gbk": "# coding: gbk\ns = '漢字'\n".encode("gbk"),
    "late cookie": b"\n\n# coding: latin-1\ns = '\xc3\xa9'\n",
    "null": b"x = 1\0\n",
}


@pytest.mark.parametrize("raw", SAMPLES.values(), ids=SAMPLES)
def test_round_trip(raw: bytes) -> None:
    source = read_source("a.py", "python", raw)
    assert source.restore(source.data) == raw
    assert source.exact
    assert source.data.decode() == source.text
    assert not source.data.startswith(codecs.BOM_UTF8)


@pytest.mark.parametrize("raw", SAMPLES.values(), ids=SAMPLES)
def test_offsets_are_places_and_back(raw: bytes) -> None:
    source = read_source("a.py", "python", raw)
    lines = source.data.splitlines(keepends=True) or [b""]
    at = 0
    for row, line in enumerate(lines, 1):
        assert source.line_starts[row - 1] == at
        assert source.line(row) == line.decode().rstrip("\r\n")
        for column, character in enumerate(line.decode()):
            before = len(line.decode()[:column].encode())
            offset = source.offset(row, before)
            assert offset == at + before
            assert source.place(offset) == Place(row, column + 1)
            assert source.row(offset) == row
            assert source.text.encode()[offset:].decode().startswith(character)
        at += len(line)
    assert at == len(source.data)
    end = source.place(len(source.data))
    after_newline = source.data.endswith((b"\n", b"\r"))
    assert end.row == (len(lines) + 1 if after_newline else len(lines))


@pytest.mark.parametrize(
    ("data", "newline"), [(b"", "\n"), (b"a\n", "\n"), (b"a\r\nb\n", "\r\n"), (b"a\rb", "\r"), (b"a", "\n")]
)
def test_newline_of_inserted_text(data: bytes, newline: str) -> None:
    assert Source("a.py", "python", data).newline == newline


@pytest.mark.parametrize(
    ("kind", "raw", "reason", "offset"),
    [
        ("python", b"s = '\xff'\n", "byte 0xff at offset 5 is not valid utf-8", 5),
        ("python", codecs.BOM_UTF8 + b"s = '\xff'\n", "byte 0xff at offset 8", 8),
        ("python", "x = 1\n".encode("utf-16"), "looks like UTF-16; save it as UTF-8", 0),
        ("yaml", b"# coding: latin-1\na: \xe9\n", "byte 0xe9", 21),
        ("python", b"# coding: klingon\n", "klingon", -1),
        ("python", b"# coding: hex\n00\n", "hex", -1),
        ("python", b"# coding: undefined\n", "undefined", -1),
        ("python", b"# coding: ascii\ns = '\xe9'\n", "byte 0xe9", 21),
        ("python", codecs.BOM_UTF8 + b"# coding: latin-1\n", "", -1),
        ("python", b"# coding: utf-7\ns = '+2AA-'\n", "", -1),
    ],
)
def test_undecodable(kind: Kind, raw: bytes, reason: str, offset: int) -> None:
    with pytest.raises(DecodeFailure) as raised:
        read_source("a", kind, raw)
    assert reason in str(raised.value)
    assert raised.value.offset == offset


def test_codec_that_writes_other_bytes_is_not_exact() -> None:
    raw = b"# coding: utf-7\ns = '+AGE-'\n"  # a spelling of "a" that the codec reads and never writes
    source = read_source("a.py", "python", raw)
    assert source.text.endswith("s = 'a'\n")
    assert not source.exact and source.restore(source.data) != raw


def test_character_that_the_encoding_lacks() -> None:
    source = read_source("a.py", "python", b"# coding: latin-1\nx = 1\n")
    with pytest.raises(UnicodeEncodeError):
        source.restore(source.data + "# 漢\n".encode())
