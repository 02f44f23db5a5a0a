"""Shell in files of every kind: which commands there are, where, and what runs and feeds them."""

from __future__ import annotations

from typing import get_args

import pytest

from mllint.reading.located import HOLE, locate
from mllint.reading.shell import Command, argument, argv_commands, commands, commands_in
from mllint.reading.source import Kind, Source


def said(found: tuple[Command, ...]) -> list[str]:
    """``via/via: word word`` of each command."""
    return ["/".join(c.via) + ": " * bool(c.via) + " ".join(word.text for word in c.words) for c in found]


def read(text: str) -> tuple[Command, ...]:
    return commands(locate(text.encode()))


STRUCTURE: list[tuple[str, list[str] | None]] = [
    ("", []),
    ("   \n\n", []),
    ("# pkill -f train\n", []),
    ("a; b && c || d\n", ["a", "b", "c", "d"]),
    ("if a; then b; elif c; then d; else e; fi", ["a", "b", "c", "d", "e"]),
    ("for x in 1 2; do a $x; done; while b; do c; done", ["a $x", "b", "c"]),
    ("until a; do b; done; case $x in y) c;; *) d;; esac", ["a", "b", "c", "d"]),
    ("f() { a; }\nfunction g { b; }\n(c; d)\n{ e; }", ["a", "b", "c", "d", "e"]),
    ("a $(b `c`) | d > >(e)", ["a $(b `c`)", "b `c`", "c", "d", "e"]),
    ("X=1 Y=$(a) b c", ["a", "b c"]),
    ("! a; [[ -n $(b) ]] && c", ["a", "b", "c"]),
    ("a \\\n  -b \\\n  c # d\n", ["a -b c"]),
    ("a\r\nif true; then\r\n  b \\\r\n    c\r\nfi\r\n", ["a", "true", "b c"]),
    ("echo 'pkill -f x' \"pkill -f y\"", ["echo pkill -f x pkill -f y"]),
    ("cat <<EOF\npkill -f x\nEOF\na", ["cat", "a"]),
    ("cat <<EOF > kill.sh\npkill -f x\nEOF\n", ["cat"]),
    ("bash <<'E'\na; b\nE\nc", ["bash", "bash: a", "bash: b", "c"]),
    ("ssh -p 2 h <<EOF\na\nEOF\n", ["ssh -p 2 h", "ssh: a"]),
    ("ssh h 'bash -s' <<EOF\na\nEOF\n", ["ssh: bash -s", "ssh/bash: a"]),
    ("if a; then (b", ["a", "b"]),
    ("a )) ;; fi <<<", ["a", "fi"]),
    ("kill $(<train.pid)", ["kill $(<train.pid)"]),
]

WRAPPERS: list[tuple[str, list[str] | None]] = [
    ("sudo -u root -E X=1 a b", ["sudo: a b"]),
    ("nohup setsid nice -n 5 ionice -c3 a &", ["nohup/setsid/nice/ionice: a"]),
    ("timeout -s KILL 10m time -p a", ["timeout/time: a"]),
    ("env -u Q A=1 B=2 exec a", ["env/exec: a"]),
    ("env -S 'a b'", ["env: a b"]),
    ("command -v pkill; command pkill x", ["command -v pkill", "command: pkill x"]),
    ("$SUDO a; ${SUDO:-sudo} b", ["sudo: a", "sudo: b"]),
    ("x | xargs -r -n1 -I{} kill {}", ["x", "xargs: kill {}"]),
    ("ssh -i k -tt u@h sudo a 'b c'", ["ssh/sudo: a b c"]),
    ("ssh h 'a; b | c'", ["ssh: a", "ssh: b", "ssh: c"]),
    ("ssh h \"bash -lc 'a b'\"", ["ssh/bash: a b"]),
    ("sshpass -p x ssh -o A=b h a", ["sshpass/ssh: a"]),
    ("pdsh -R ssh -w n[1-4] a -f b", ["pdsh: a -f b"]),
    ("clush -w n1 'a && b'", ["clush: a", "clush: b"]),
    ("bash -euo pipefail -c 'a' name; sh run.sh -c", ["bash: a", "sh run.sh -c"]),
    ("docker exec -it -u root box sh -c 'a'", ["docker/sh: a"]),
    ("docker compose exec -T svc a b", ["docker: a b"]),
    ("docker ps", ["docker ps"]),
    ("kubectl exec -n ns pod -c box -- a b", ["kubectl: a b"]),
    ("srun -N 2 --ntasks 4 --pty a", ["srun: a"]),
    ("conda run -n env a b", ["conda: a b"]),
    ("eval \"a $x\"; trap 'b; c' EXIT; trap - EXIT", ["eval: a $x", "trap: b", "trap: c", "trap - EXIT"]),
    ("su - me -c 'a b'; su me", ["su: a b", "su me"]),
    ("tmux new-session -d -s s 'a b'; tmux send-keys -t s 'c d' Enter", ["tmux: a b", "tmux: c d"]),
    ("screen -dmS s a b; screen -S s -X stuff 'c\\n'", ["screen: a b", "screen: c"]),
    ('gcloud compute tpus tpu-vm ssh t --worker=all --command="a b"', ["gcloud: a b"]),
    ("flock -n lock a; flock lock -c 'b c'; taskset -c 0-3 d; watch -n 1 'e f'", None),
    ("sudo -i; exec 2>&1; xargs", ["sudo -i", "exec", "xargs"]),
]


@pytest.mark.parametrize(("text", "expected"), STRUCTURE + WRAPPERS)
def test_commands(text: str, expected: list[str] | None) -> None:
    if expected is None:
        expected = ["flock: a", "flock: b c", "taskset: d", "watch: e f"]
    assert said(read(text)) == expected


@pytest.mark.parametrize(
    ("text", "words", "literal"),
    [
        ("p 'a b' \"c d\" e\\ f g\"h\"'i'", ["p", "a b", "c d", "e f", "ghi"], True),
        (r'p "a\"b" "c\d" "e\\f"', ["p", 'a"b', r"c\d", r"e\f"], True),
        (r"p $'a\tb\'c' $" + '"d"', ["p", "a\tb'c", "d"], True),
        ('p"k"ill -9', ["pkill", "-9"], True),
        ('p "$X/a"', ["p", "$X/a"], False),
        ("p ${X:-'b'} $(c d) $((1+2)) `e`", ["p", "${X:-'b'}", "$(c d)", "$((1+2))", "`e`"], False),
        ("p '$X'", ["p", "$X"], True),
        (f"p {HOLE}a", ["p", HOLE + "a"], False),
    ],
)
def test_quote_removal(text: str, words: list[str], literal: bool) -> None:
    command = read(text)[0]
    assert [word.text for word in command.words] == words
    assert all(word.literal for word in command.words) is literal


def test_a_program_has_no_folder() -> None:
    assert [c.program for c in read("/usr/bin/pkill x; ./run.sh; a")] == ["pkill", "run.sh", "a"]


@pytest.mark.parametrize(
    ("text", "program", "upstream", "substituted"),
    [
        ("a | b 1 | c", "c", ["a", "b 1"], []),
        ("a |& sudo b", "b", ["a"], []),
        ("a | while read p; do kill $p; done", "kill", ["a"], ["a"]),
        ("while read p; do kill $p; done < <(a b)", "kill", ["a b"], ["a b"]),
        ('x=$(a); while read p; do kill $p; done <<< "$x"', "kill", ["a"], ["a"]),
        ("a | xargs -I{} sh -c 'kill {}'", "kill", ["a"], []),
        ("if a; then b | c; kill 1; fi", "kill", [], []),
        ("kill -9 $(a | b)", "kill", [], ["a", "b"]),
        ("kill `a`", "kill", [], ["a"]),
        ("sudo kill $(a $(b))", "kill", [], ["a $(b)"]),
        ("x=$(a); kill ${x}", "kill", [], ["a"]),
        ("local x=`a`; kill $x", "kill", [], ["a"]),
        ("x=($(a)); kill ${x[@]}", "kill", [], ["a"]),
        ("x=$(a); x=3; kill $x", "kill", [], []),
        ("x=$(a); y=$x; kill $y", "kill", [], ["a"]),
        ("for p in $(a); do kill $p; done", "kill", [], ["a"]),
        ("x=$(a); for p in $x; do sudo kill $p; done", "kill", [], ["a"]),
        ("mapfile -t x < <(a); kill ${x[@]}", "kill", [], ["a"]),
        ("x=$(a); echo $x | xargs kill", "kill", ["echo $x"], []),
        ('x=$(a); ssh h "kill $x"', "kill", [], ["a"]),
        ("ssh h 'kill $(a)'", "kill", [], ["ssh: a"]),
        ("kill '$(a)'", "kill", [], []),
    ],
)
def test_what_feeds_a_command(text: str, program: str, upstream: list[str], substituted: list[str]) -> None:
    found = next(command for command in read(text) if command.program == program)
    assert (said(found.upstream), said(found.substituted)) == (upstream, substituted)


def test_a_newline_that_the_grammar_overlooks_still_ends_a_command() -> None:
    text = "ps aux | grep $m | awk '{print $2}' | xargs kill -9\npgrep s | xargs kill -9\nkillall p P || true\na && b\n"
    found = read(text)
    assert said(found)[3:] == ["xargs: kill -9", "pgrep s", "xargs: kill -9", "killall p P", "true", "a", "b"]
    assert [said(command.upstream) for command in found[4:7]] == [[], ["pgrep s"], []]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a & b", {"a": True, "b": False}),
        ("(a; b) &\nc", {"a": True, "b": True, "c": False}),
        ("a && b | c > log 2>&1 &", {"a": True, "b": True, "c": True}),
        ("f() { a & }\nb", {"a": True, "b": False}),
        ("for x in 1; do a & done; wait", {"a": True, "wait": False}),
        ("nohup bash -c 'a' &", {"a": True}),
        ("ssh h 'a & b'", {"a": True, "b": False}),
    ],
)
def test_background(text: str, expected: dict[str, bool]) -> None:
    assert {command.program: command.background for command in read(text)} == expected


@pytest.mark.parametrize(
    "text",
    [
        "é='ü'; ssh hôst \"echo ï && pkill -f 'träin\\\"x'\"\n",
        "# ünïcode\r\nssh h 'pkill -f ü' # x\r\n",
        "bash <<E\n  é; pkill -f ü\nE\n",
    ],
)
def test_places_are_bytes(text: str) -> None:
    data = text.encode()
    command = next(found for found in read(text) if found.program == "pkill")
    assert data[command.start :].startswith(b"pkill -f")
    assert data[command.words[1].start : command.words[1].end] == b"-f"
    assert command.end == command.words[-1].end
    assert data[command.words[2].start : command.words[2].end].decode() in ("'träin\\\"x'", "ü")


HOSTS: list[tuple[Kind, str, list[str]]] = [
    (
        "makefile",
        "# c\nstop: a\n\t@-pkill -f x || true\n\tkill $$(cat pid)\n",
        ["pkill -f x", "true", "kill $(cat pid)", "cat pid"],
    ),
    ("makefile", "s:\n\tpkill -f $(NAME) \\\n\t  --oldest $@\n", [f"pkill -f {HOLE} --oldest {HOLE}"]),
    ("makefile", "s: ; kill $(shell pgrep -f x)\nV = $(shell ls)\n", ["kill $(pgrep -f x)", "pgrep -f x"]),
    ("makefile", "s:\r\n\ta b\r\n\t# pkill c\r\n", ["a b"]),
    ("dockerfile", "FROM x\nRUN --mount=type=cache,target=/c a && \\\n    # note\n    b\n# RUN c\n", ["a", "b"]),
    (
        "dockerfile",
        'CMD ["sh", "-c", "a \\"b c\\""]\nENTRYPOINT ["d", "-e"]\nENTRYPOINT exec f\n',
        ["sh: a b c", "d -e", "exec: f"],
    ),
    ("dockerfile", "RUN <<EOF\na\nb c\nEOF\n", ["a", "b c"]),
    (
        "yaml",
        "jobs:\n  j:\n    steps:\n      - name: pkill\n        run: |\n          a ${{ x.y }}\n\n            b\n      - run: c  # d\n",
        [f"a {HOLE}", "b", "c"],
    ),
    ("yaml", "script:\n  - a | b\n  - 'it c'\nbefore_script:\n- >-\n  d\n  e\n", ["a", "b", "it c", "d e"]),
    ("yaml", 'command: ["sh", "-c"]\nargs: ["a b"]\nx: {command: c d}\n', ["sh: a b", "c d"]),
    ("yaml", 'containers:\n- command:\n  - pkill\n  - -f\n  - "x y"\n', ["pkill -f x y"]),
    ("yaml", "a: [\n  run: pkill\n", []),
    ("markdown", "# H\n\npkill -f a\n\n```bash\nb\n# c\n```\n\n```python\nd\n```\n\n    e\n", ["b"]),
    ("markdown", "1. x\n\n   ```console\n   $ a \\\n       b\n   out\n   (env) u@h:~$ c\n   ```\n", ["a b", "c"]),
    ("markdown", "> ~~~sh\n> a\n> b\n> ~~~\n", ["a", "b"]),
    ("markdown", "```bash\na", ["a"]),
    ("shell", "#!/bin/sh\na\n", ["a"]),
    ("python", "a", []),
]


@pytest.mark.parametrize(("kind", "text", "expected"), HOSTS)
def test_hosts(kind: Kind, text: str, expected: list[str]) -> None:
    for written in (text, text.replace("\r\n", "\n").replace("\n", "\r\n")):
        found = commands_in(Source("f", kind, written.encode()))
        if not (kind == "yaml" and not expected):
            assert said(found) == expected
        for command in found:
            assert command.host == kind
            first = command.words[0]
            assert written.encode()[first.start : first.end].decode().strip("\"'") == first.text


@pytest.mark.parametrize(
    ("kind", "text", "prose"),
    [
        ("shell", "# one\n# two\na | b # three\n", "# one\n# two\n# three"),
        ("shell", "# one\n\na\n", ""),
        ("makefile", "x:\n\t# one\n\t@a\n", "# one"),
        ("yaml", "# one\nrun: a\n", "# one"),
        ("markdown", "# H\n\ntext\n\n```sh\n# c\nx\na\n```\n", "H\ntext\n# c"),
        ("markdown", "# H\n\ntext\n\n```sh\nq\n```\n\n```sh\na\n```\n", "H"),
    ],
)
def test_prose(kind: Kind, text: str, prose: str) -> None:
    found = commands_in(Source("f", kind, text.encode()))
    assert next(command for command in found if command.program == "a").prose == prose


@pytest.mark.parametrize("kind", [kind for kind in get_args(Kind) if kind not in ("python", "notebook", "kernel")])
@pytest.mark.parametrize(
    "text", ["", "\n", "\x00", "'\"`$(((", "<<E", "```bash", "a:\n\t", "RUN \\", 'RUN ["a', "run: |", "é" * 50]
)
def test_broken_text_never_raises(kind: Kind, text: str) -> None:
    commands_in(Source("f", kind, text.encode()))


def test_long_and_deep_scripts() -> None:
    assert len(read(" && ".join(["a"] * 3000))) == 3000
    assert len(read("(" * 800 + "a" + ")" * 800)) <= 1
    assert len(read("$(" * 300 + "a" + ")" * 300)) >= 1


def test_lists_of_words() -> None:
    def listed(*words: str) -> list[str]:
        at = 0
        arguments = []
        for word in words:
            value = locate(word.encode(), at)
            arguments.append(argument(value, at, at + len(word), splat=word == HOLE))
            at += len(word) + 4
        return said(argv_commands(arguments))

    assert listed("ssh", "h", "pkill -f x") == ["ssh: pkill -f x"]
    assert listed("pdsh", "-w", "h", HOLE, "pkill -f ", "x y") == ["pdsh: pkill -f x y"]
    assert listed("pkill -f x") == ["pkill -f x"]
    assert listed("pkill", "-f", "a b") == ["pkill -f a b"]
    assert listed(HOLE, "pkill", "x") == ["pkill x"]
    assert listed(HOLE) == []
