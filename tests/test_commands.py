"""Commands in Python code: which calls and variables give some, with which words, and where."""

from __future__ import annotations

import pytest

from mllint.analysis.commands.find import python_commands
from mllint.analysis.context import Context, Shared
from mllint.analysis.index import build_index, parse
from mllint.analysis.walk import walk
from mllint.diagnostic import Severity
from mllint.lazy import cst
from mllint.reading.located import HOLE
from mllint.reading.shell import Command
from mllint.reading.source import Source
from mllint.rule import Meta

_META = Meta(code="ML999", name="none", severity=Severity.INFO, since="0.1.0")


def found_in(code: str, path: str = "tool.py") -> list[Command]:
    """The commands of all nodes of some code, each place once, as the engine asks for them."""
    source = Source(path, "python", code.encode())
    tree = parse(source)
    module = cst.parse_module(source.data)
    context = Context(source, _META, "", build_index(tree, path), module, shared=Shared(module, source.data))  # type: ignore[arg-type]
    found: list[Command] = []
    walk(module, ("Call", "Assign", "AnnAssign"), lambda node, ancestors: found.extend(python_commands(node, context)))
    return list({(command.start, command.end): command for command in reversed(found)}.values())[::-1]


def said(code: str, path: str = "tool.py") -> list[str]:
    texts = ("/".join(c.via) + ": " * bool(c.via) + " ".join(w.text for w in c.words) for c in found_in(code, path))
    return [text.replace(HOLE, "?") for text in texts]


IMPORTS = "import asyncio, os, shlex, subprocess, subprocess as sp\nfrom subprocess import Popen as P\n"
CALLS = [
    ("os.system('a b')", ["a b"]),
    ("os.system(f'a {x}; b')", ["a ?", "b"]),
    ("os.system('a %s' % x + ' b')", ["a ? b"]),
    ("os.popen('a | b')", ["a", "b"]),
    ("os.execvp('a', ['a', 'b'])", ["a b"]),
    ("os.execlp('a', 'a', 'b')", ["a b"]),
    ("os.execle('/a', 'a', 'b', env)", ["a b"]),
    ("os.spawnlp(os.P_WAIT, 'a', 'a', 'b')", ["a b"]),
    ("os.spawnv(os.P_WAIT, '/a', ['a', 'b'])", ["a b"]),
    ("sp.run(['a', x, 'b'])", ["a ? b"]),
    ("P('a b')", ["a b"]),
    ("subprocess.check_call(args=['a', '-b'])", ["a -b"]),
    ("subprocess.run('a b', shell=True, check=True)", ["a b"]),
    ("subprocess.run(['bash', '-c', 'a b'])", ["bash: a b"]),
    ("subprocess.run(['ssh', host, 'a b; c'])", ["ssh: a b", "ssh: c"]),
    ("subprocess.run(('a', 'b'))", ["a b"]),
    ("subprocess.run(['a'] + ['b', *more] + other)", ["a b ? ?"]),
    ("subprocess.run(prefix + ['a', 'b'])", ["a b"]),
    ("subprocess.run('a b'.split())", ["a b"]),
    ("subprocess.run(shlex.split(\"a 'b c'\"))", ["a b c"]),
    ("subprocess.getoutput('a b')", ["a b"]),
    ("asyncio.create_subprocess_exec('a', 'b', x)", ["a b ?"]),
    ("asyncio.create_subprocess_shell('a | b')", ["a", "b"]),
    ("client.exec_command('a b')", ["a b"]),
    ("get_ipython().system('a b')", ["a b"]),
    ("self.run_cmd('a b')", ["a b"]),
    ("ssh_run(host, 'a b')", ["a b"]),
    ("words = ['a', 'b']\nsubprocess.run(words)", ["a b"]),
    ("line = 'a b'\nos.system(line)", ["a b"]),
    ("words = ['a']\nwords += ['b']\nwords.append(x)\nsubprocess.run(words)", ["a b ?"]),
    ("words = ['a'] if x else ['b']\nsubprocess.run(words)", []),
    ("words = ['a']\nwords = ['b']\nsubprocess.run(words)", []),
    ("for line in ['a b', 'c d']:\n    os.system(line)", ["a b", "c d"]),
    ("print('a b')", []),
    ("c.run('a b')", []),
    ("import fabric\nc.run('a b')", ["a b"]),
    ("model.run(['a', 'b'])", []),
    ("os.system(x)", []),
    ("subprocess.run([])", []),
    ("subprocess.run([x, 'a'])", ["? a"]),
    ("subprocess.run()", []),
    ("import sys\nsubprocess.run([sys.executable, 'a.py'])", ["python a.py"]),
]


@pytest.mark.parametrize(("code", "expected"), CALLS)
def test_calls(code: str, expected: list[str]) -> None:
    assert said(IMPORTS + code) == expected


KEPT = [
    ("kill_cmd = ['a', '-f', x]", ["a -f ?"]),
    ("self.stopCommand = 'a b'", ["a b"]),
    ("cmd: list[str] = ['a', 'b']", ["a b"]),
    ("cmd = f'a {x}'", ["a ?"]),
    ("kill_command = args + ['a -f ', ' '.join(y)]", ["a -f ?"]),
    ("words = ['a', 'b']", []),
    ("cmd = 'a'", []),
    ("cmd = other", []),
    ("commands = ['a b', 'c d']", []),
    ("BLOCKED_CMD = 'a b'", []),
    ("command_help = 'a b'", []),
    ("dangerous_cmd = ['a', 'b']", []),
]


@pytest.mark.parametrize(("code", "expected"), KEPT)
def test_variables_with_a_telling_name(code: str, expected: list[str]) -> None:
    assert said(code) == expected


def test_test_files_keep_data_in_such_variables() -> None:
    assert said("cmd = 'a b'\nrun_cmd('c d')", "tests/test_tool.py") == []
    assert said("import os\nos.system('a b')", "tests/test_tool.py") == ["a b"]


def test_each_command_has_one_place() -> None:
    code = (
        "import subprocess\n"
        "def stop(hosts, name):\n"
        "    pdsh = ['pdsh', '-w', hosts]\n"
        "    kill_cmd = ['pkill', '-f', name]\n"
        "    cmd = pdsh + kill_cmd\n"
        "    subprocess.Popen(cmd)\n"
    )
    found = found_in(code)
    assert [command.program for command in found] == ["pkill"]
    assert code.encode()[found[0].start :].startswith(b"pkill', '-f', name")


def test_places_are_bytes() -> None:
    code = "import os\nos.system('é; '\n  f'ssh hôst \"kill {pid} ü\"')\n"
    command = next(command for command in found_in(code) if command.program == "kill")
    data = code.encode()
    assert command.via == ("ssh",) and command.host == "python"
    assert data[command.start : command.end].decode() == "kill {pid} ü"
    assert [word.literal for word in command.words] == [True, False, True]


def test_anything_else_is_rejected_without_looking() -> None:
    context = Context(Source("a.py", "python", b""), _META, "")
    assert python_commands(cst.parse_expression("f(1)"), context) == ()
    assert python_commands(cst.parse_statement("return 1"), context) == ()
