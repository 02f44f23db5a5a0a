"""Fixes: what is applied, what is taken back, and which bytes must not change. The checks are toys on plain text."""

from __future__ import annotations

import ast
import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mllint.checking.fix import Check, FixOutcome, apply_edits, fix_source, in_comment_way
from mllint.checking.patch import unified_diff
from mllint.checking.report import Report
from mllint.diagnostic import Diagnostic, Edit, Fix, Safety, Severity
from mllint.reading.source import Kind, Source, read_source

SAFE = frozenset({Safety.SAFE})
#: Turns a match (in the normalised bytes) into the edits of its fix, or None for a finding without one.
Edits = Callable[[re.Match[bytes]], "list[Edit] | None"]


def swap(text: str) -> Edits:
    """Replace the match."""
    return lambda match: [Edit(match.start(), match.end(), match.expand(text.encode()).decode())]


def checker(*rules: tuple[str, str, Edits | None], safety: Safety = Safety.SAFE) -> Check:
    """A check that reports every match of each rule's (code, regex, edits)."""

    def check(source: Source) -> Report:
        found = []
        for code, pattern, edits in rules:
            for match in re.finditer(pattern.encode(), source.data):
                made = edits(match) if edits else None
                fix = Fix(f"Fix {code}", tuple(made), safety) if made is not None else None
                begin, finish = source.place(match.start()), source.place(match.end())
                found.append(
                    Diagnostic(
                        source.path,
                        match.start(),
                        match.end(),
                        code,
                        f"rule-{code}",
                        Severity.ERROR,
                        "bad",
                        begin,
                        finish,
                        fix=fix,
                    )
                )
        return Report(source.path, tuple(sorted(found, key=lambda one: one.sort_key)), source)

    return check


def fixed(text: str | bytes, check: Check, allowed: frozenset[Safety] = SAFE, kind: Kind = "python") -> FixOutcome:
    """The outcome; also proves that fixing its result again changes nothing."""
    source = read_source("f.py", kind, text if isinstance(text, bytes) else text.encode())
    outcome = fix_source(source, check, allowed)
    again = fix_source(read_source("f.py", kind, outcome.data), check, allowed)
    assert (again.data, again.changed, again.applied) == (outcome.data, False, ())
    return outcome


def codes(outcome: FixOutcome) -> list[str]:
    return [code for code, _, _ in outcome.applied]


def test_applies_and_counts() -> None:
    check = checker(("A", "old", swap("new")), ("B", "odd", None))
    outcome = fixed("old = 1\nodd = old\n", check)
    assert outcome.data == b"new = 1\nodd = new\n"
    assert outcome.applied == (("A", "rule-A", "Fix A"),) * 2
    assert [found.code for found in outcome.left.diagnostics] == ["B"]
    assert outcome.changed
    assert outcome.rolled_back == ()


def test_nothing_to_do() -> None:
    outcome = fixed("x = 1\n", checker(("A", "old", swap("new"))))
    assert (outcome.data, outcome.changed, outcome.applied) == (b"x = 1\n", False, ())


def test_only_what_is_allowed_and_chosen() -> None:
    check = checker(("A", "old", swap("new")), safety=Safety.UNSAFE)
    assert not fixed("old = 1\n", check).changed
    assert fixed("old = 1\n", check, frozenset({Safety.SAFE, Safety.UNSAFE})).changed
    check = checker(("A", "old", swap("new")), ("B", "odd", swap("even")))
    outcome = fix_source(read_source("f", "python", b"old = odd\n"), check, SAFE, codes={"B"})
    assert outcome.data == b"old = even\n"


def test_what_cannot_be_written_and_display_fixes_are_never_applied() -> None:
    assert not fixed("old = 1\n", checker(("A", "old", swap("new"))), kind="notebook").changed
    shifted = read_source("f.py", "python", b"# coding: utf-7\nx = '+AEE-', old\n")
    assert not fix_source(shifted, checker(("A", "old", swap("new"))), SAFE).changed
    assert not fixed("old = 1\n", checker(("A", "old", swap("new")), safety=Safety.DISPLAY)).changed


def test_overlapping_fixes_take_rounds() -> None:
    check = checker(("A", r"f\((\w+)\)", swap(r"g(\1)")), ("B", "old", swap("new")))
    outcome = fixed("f(old)\n", check)
    assert outcome.data == b"g(new)\n"
    assert sorted(codes(outcome)) == ["A", "B"]


def test_equal_insertions_into_a_line_are_both_made() -> None:
    def wrapped(match: re.Match[bytes]) -> list[Edit]:
        return [Edit(4, 4, "("), Edit(match.start(), match.end(), ""), Edit(9, 9, ")")]

    check = checker(
        ("A", "a_", wrapped),
        ("B", "_b", lambda match: [*wrapped(match)[:2], Edit(len(match.string) - 1, len(match.string) - 1, ")")]),
    )
    outcome = fixed("x = a_c_b\n", check)
    assert outcome.data == b"x = ((c))\n"


def test_adjoining_fixes_take_rounds() -> None:
    outcome = fixed("oldodd = 1\n", checker(("A", "old", swap("new")), ("B", "odd", swap("even"))))
    assert outcome.data == b"neweven = 1\n"


def test_fixes_that_undo_each_other_do_not_loop() -> None:
    check = checker(("A", "old", swap("new")), ("B", "new", swap("old")))
    outcome = fixed("old = 1\n", check)
    assert outcome.data == b"old = 1\n"
    assert [found.code for found in outcome.rolled_back] == ["A"]


@pytest.mark.parametrize(
    ("what", "bad"),
    [
        ("breaks the syntax", swap(")")),
        ("keeps its finding", swap("odd + 0")),
        ("adds a finding", swap("bare")),
        ("adds its own kind elsewhere", swap("even, odd")),
        ("changes nothing", swap("odd")),
        ("cuts a character", lambda match: [Edit(match.start() - 3, match.end(), "")]),
        (
            "overlaps itself",
            lambda match: [Edit(match.start(), match.end(), "a"), Edit(match.start() + 1, match.end(), "b")],
        ),
        ("lies outside", lambda match: [Edit(9999, 9999, "x")]),
        ("is no text", lambda match: [Edit(match.start(), match.end(), "\ud800")]),
    ],
)
def test_a_bad_fix_is_rolled_back_alone(what: str, bad: Edits) -> None:
    check = checker(("A", "old", swap("new")), ("B", "odd", bad), ("C", "bare", None))
    outcome = fixed("old = 1\nold = 'é', odd\nold = 3\nold = 4\n", check)
    assert outcome.data.decode() == "new = 1\nnew = 'é', odd\nnew = 3\nnew = 4\n"
    [found] = outcome.rolled_back
    assert (found.code, found.begin.row, found.begin.column) == ("B", 2, 12)
    assert found in outcome.left.diagnostics


def test_one_bad_fix_among_equal_findings() -> None:
    def edits(match: re.Match[bytes]) -> list[Edit]:
        row = match.string[: match.start()].count(b"\n")
        return [Edit(match.start(), match.end(), ")" if row == 2 else "new")]

    outcome = fixed("x = old\n" * 5, checker(("A", "old", edits)))
    assert outcome.data.decode().splitlines() == ["x = new", "x = new", "x = old", "x = new", "x = new"]
    assert codes(outcome) == ["A"] * 4
    assert [found.begin.row for found in outcome.rolled_back] == [3]


def test_a_rolled_back_fix_is_not_tried_again() -> None:
    calls = []
    inner = checker(("A", r"f\((\w+)\)", swap(r"g(\1)")), ("B", "old", swap("new")), ("C", "odd", swap(")")))

    def check(source: Source) -> Report:
        calls.append(source.data)
        return inner(source)

    outcome = fix_source(read_source("f", "python", b"odd = f(old)\n"), check, SAFE)
    assert outcome.data == b"odd = g(new)\n"
    assert [found.code for found in outcome.rolled_back] == ["C"]
    assert len(calls) == len(set(calls))


def test_a_fix_may_remove_other_findings_too() -> None:
    outcome = fixed("x = old(odd)\n", checker(("A", r"old\(odd\)", swap("new")), ("B", "odd", None)))
    assert outcome.data == b"x = new\n"
    assert outcome.left.diagnostics == ()


def test_two_fixes_share_one_added_import() -> None:
    def edits(match: re.Match[bytes]) -> list[Edit]:
        imported = [] if b"import torch\n" in match.string else [Edit(0, 0, "import torch\n")]
        return [*imported, Edit(match.start(), match.end(), "torch.ones")]

    outcome = fixed("x = old\ny = old\n", checker(("A", "old", edits)))
    assert outcome.data == b"import torch\nx = torch.ones\ny = torch.ones\n"
    assert codes(outcome) == ["A", "A"]


def test_a_fix_is_applied_whole_or_not_at_all() -> None:
    def edits(match: re.Match[bytes]) -> list[Edit]:
        return [Edit(0, 0, "import torch\n"), Edit(match.start(), match.end(), ")")]

    outcome = fixed("x = old\n", checker(("A", "old", edits)))
    assert outcome.data == b"x = old\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"x = 'a'\r\ny = old\r\nz = '''\n\r'''\r\n",
        b"\xef\xbb\xbfx = old\n",
        b"# -*- coding: latin-1 -*-\ns = '\xe9\xfc'; x = old\n",
        b"\xef\xbb\xbf# coding: utf-8\r\nx = 'caf\xc3\xa9', old",
        b"x = old",
        b"x = 1\r\x0cy = old\r",
        "x = '\u2028\x85', old\n\n\n".encode(),
    ],
)
def test_bytes_outside_the_edits_never_change(raw: bytes) -> None:
    outcome = fixed(raw, checker(("A", "old", swap("new"))))
    assert outcome.data == raw.replace(b"old", b"new")


def test_a_character_that_the_encoding_lacks_is_rolled_back() -> None:
    raw = b"# coding: latin-1\ns = '\xe9'; x = old, odd\n"
    outcome = fixed(raw, checker(("A", "old", swap("λ")), ("B", "odd", swap("even"))))
    assert outcome.data == raw.replace(b"odd", b"even")
    assert [found.code for found in outcome.rolled_back] == ["A"]


@pytest.mark.parametrize("seed", range(40))
def test_random_fixes_leave_sound_files(seed: int) -> None:
    """Whatever fixes do: the file parses, no finding is new, each applied fix took one away, untouched text stays."""
    chance = random.Random(seed)
    words = ["old", "odd", "bare", "keep"]
    lines = [
        f"{chance.choice(words)} = f({', '.join(chance.choices(words, k=3))})  # é"
        for _ in range(chance.randint(1, 12))
    ]
    outputs = ["new", "odd", ")", "old, new", "", "keep"]
    rules: list[tuple[str, str, Edits | None]] = [
        ("A", "old", swap(chance.choice(outputs))),
        ("B", "odd", swap(chance.choice(outputs))),
        ("C", r"f\((\w+), ", swap(r"f(\1")),
        ("D", "bare", None),
    ]
    text = chance.choice(["\n", "\r\n"]).join(lines)
    check = checker(*rules)
    source = Source("f.py", "python", text.encode())
    outcome = fix_source(source, check, SAFE)
    ast.parse(outcome.data)
    before, after = check(source).diagnostics, outcome.left.diagnostics
    assert after == check(Source("f.py", "python", outcome.data)).diagnostics
    assert len(after) + len(outcome.applied) <= len(before)
    assert outcome.data.count(b"keep") >= text.count("keep")
    assert outcome.data.count("# é".encode()) == len(lines)


@pytest.mark.parametrize(
    ("text", "start", "end", "put", "expected"),
    [
        ("a  # c\nb\n", 0, 1, "x", False),
        ("a  # c\nb\n", 0, 7, "", True),
        ("a  # c\nb\n", 0, 7, "x\n", True),
        ("a  # c\nb\n", 2, 4, "", True),
        ("a  # c\nb\n", 1, 6, "", False),
        ("a  # c\nb\n", 1, 6, "x", True),
        ("a  # c\nb\n", 6, 7, "", True),
        ("a  # c\nb\n", 6, 6, " + 1", True),
        ("a  # c\nb\n", 6, 6, "\nx", False),
        ("a  # c\nb\n", 3, 3, "+ 1  ", False),
        ("a  # c\nb\n", 4, 6, "d", False),
        ("a  # c\nb\n", 5, 5, "d\ne", True),
        ("a  # c\nb\n", 5, 8, "", True),
        ("a  # c\nb\n", 7, 8, "x", False),
        ("f(\n  # c\n  a)\n", 0, 13, "g(a)", True),
        ("f('# c')\n", 0, 8, "g()", False),
        ("'''\n# c\n'''\n", 0, 11, "''", False),
        ("a = (  # c\n", 0, 1, "x", True),
    ],
)
def test_comment_in_the_way(text: str, start: int, end: int, put: str, expected: bool) -> None:
    fix = Fix("Do it", (Edit(start, end, put),), Safety.SAFE)
    assert in_comment_way(Source("f.py", "python", text.encode()), fix) is expected


@pytest.mark.parametrize(
    ("kind", "text", "start", "end", "put", "expected"),
    [
        ("kernel", "a; /* b\nc */ d;\n", 6, 7, "x", False),
        ("kernel", "a; /* b\nc */ d;\n", 0, 6, "x", True),
        ("kernel", "a; /* b\nc */ d;\n", 10, 12, "", True),
        ("kernel", "a; /* b\nc */ d;\n", 12, 13, "", False),
        ("kernel", 's = "/*"; t\n', 0, 9, "x", False),
        ("shell", "a  # b\n", 0, 4, "x", True),
        ("shell", "a '#' b\n", 0, 7, "x", False),
    ],
)
def test_comment_in_the_way_of_other_hosts(
    kind: Kind, text: str, start: int, end: int, put: str, expected: bool
) -> None:
    fix = Fix("Do it", (Edit(start, end, put),), Safety.SAFE)
    assert in_comment_way(Source("f", kind, text.encode()), fix) is expected


def test_apply_edits() -> None:
    edits = [Edit(4, 5, "é"), Edit(0, 0, "x"), Edit(0, 1, "y"), Edit(4, 5, "é")]
    assert apply_edits(b"abcde", edits) == "xybcdé".encode()
    for wrong in ([Edit(0, 3, ""), Edit(2, 4, "")], [Edit(0, 6, "")], [Edit(3, 2, "")]):
        with pytest.raises(ValueError, match="overlaps"):
            apply_edits(b"abcde", wrong)


CHANGES = [
    (b"a\nb\nc\n", b"a\nB\nc\n"),
    (b"a\nb", b"a\nB"),
    (b"a\nb", b"a\nb\n"),
    (b"a\nb\n", b"a\nb"),
    (b"a\nb", b"A\nb"),
    (b"a\r\nb\r\nc\n", b"a\r\nB\r\nc\n"),
    (b"a\rb\rc", b"a\rB\rc"),
    (b"\xef\xbb\xbfa\nb\n", b"\xef\xbb\xbfA\nb\n"),
    ("a\u2028\x0c\x85b\nc\n".encode(), "a\u2028\x0c\x85b\nd\n".encode()),
    (b"a\nb\n", b""),
    (b"".join(b"%d\n" % n for n in range(300)), b"".join(b"%d\n" % n for n in range(300) if n not in (5, 6, 200))),
]


@pytest.mark.parametrize("name", ["f.py", "./a b/f.py", 'ü"q.py'])
@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_git_applies_the_diff(before: bytes, after: bytes, name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(before)
    diff = unified_diff(name, before, after).encode()
    command = ["git", "-c", "core.autocrlf=false", "apply", "--whitespace=nowarn", "-"]
    subprocess.run(command, input=diff, cwd=tmp_path, check=True)
    assert (file.read_bytes() if file.exists() else b"") == after


def test_diff_of_latin_1_and_of_no_change() -> None:
    before = b"# coding: latin-1\ns = '\xe9'\n"
    assert "+s = 'è'\n" in unified_diff("f.py", before, before.replace(b"\xe9", b"\xe8"))
    assert unified_diff("f.py", before, before) == ""
