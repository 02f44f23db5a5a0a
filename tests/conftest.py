"""What all tests share: golden files and ``pytest --bless``, which rewrites them.

May not: hold fixtures that only one test file needs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="rewrite golden files with what the code says now")


@pytest.fixture
def bless(request: pytest.FixtureRequest) -> bool:
    """Should a test rewrite its expected files instead of comparing?"""
    return bool(request.config.getoption("--bless"))


@pytest.fixture
def golden(bless: bool) -> Callable[[str, str], None]:
    """``golden(name, text)``: the text equals the file ``tests/golden/<name>``, byte for byte."""

    def compare(name: str, text: str) -> None:
        file = GOLDEN / name
        if bless:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
        assert file.exists(), f"tests/golden/{name} is missing; look at the output and run pytest --bless"
        assert text == file.read_bytes().decode(), f"tests/golden/{name} differs; run pytest --bless if that is right"

    return compare
