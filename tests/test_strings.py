"""`fold`: code in, text and the exact bytes of each of its characters out."""

from __future__ import annotations

import libcst as cst
import pytest

from mllint.analysis.context import Context, Shared
from mllint.analysis.index import SyntaxFault, build_index, parse
from mllint.analysis.project import Project
from mllint.analysis.strings.fold import contiguous, fold
from mllint.analysis.walk import walk
from mllint.diagnostic import Severity
from mllint.reading.located import HOLE, Located
from mllint.reading.source import Source
from mllint.rule import Meta

META = Meta("ML301", "non-ascii-kernel-source", Severity.ERROR, "0.1.0")
ROOT = "/proj"


def context(code: str, files: dict[str, str] | None = None) -> Context:
    """A context for ``/proj/pkg/mod.py`` with this text, in a project of these other files."""
    source = Source("pkg/mod.py", "python", code.encode())
    tree = parse(source)
    assert not isinstance(tree, SyntaxFault), tree
    module = cst.parse_module(source.data)
    project = None
    if files is not None:
        contents = {f"{ROOT}/{name}": text.encode() for name, text in files.items()}

        def load_index(path: str):
            other = Source(path, "python", contents[path])
            parsed = parse(other)
            return None if isinstance(parsed, SyntaxFault) else build_index(parsed, path)

        modules = frozenset({path for path in contents if path.endswith(".py")} | {f"{ROOT}/pkg/mod.py"})
        project = Project(ROOT, modules, load_index, contents.get, lambda triggers: ())
    index = build_index(tree, source.path)
    return Context(source, META, "", index, module, project, f"{ROOT}/pkg/mod.py", shared=Shared(module, source.data))


def wanted(ctx: Context) -> cst.BaseExpression:
    """The argument of the last call of ``use``."""

    calls: list[cst.Call] = []
    assert ctx.module is not None
    walk(ctx.module, ("Call",), lambda node, above: calls.append(cst.ensure_type(node, cst.Call)))
    return [call.args[0].value for call in calls if isinstance(call.func, cst.Name) and call.func.value == "use"][-1]


def folded(code: str, files: dict[str, str] | None = None) -> Located | None:
    ctx = context(code, files)
    return fold(wanted(ctx), ctx)


TEXTS = {
    "plain": ("use('abc')", "abc"),
    "escapes": (r"use('a\n\t\x41\u2014\U0001F600\N{EM DASH}\101\\\'')", "a\n\tA—😀—A\\'"),
    "unknown escape stays": (r"use('\d\%')", r"\d\%"),
    "raw": (r"use(r'\u2014\n')", r"\u2014\n"),
    "joined line": ("use('a\\\nb')", "ab"),
    "newlines": ("use('''a\r\nb''')", "a\nb"),
    "bytes in utf-8": (r"use(b'\xe2\x80\x94')", "—"),
    "bytes in latin-1": (r"use(b'a\xff')", "aÿ"),
    "bytes know no u escape": (r"use(b'\u2014')", r"\u2014"),
    "parenthesised": ("use(('a'))", "a"),
    "adjacent": ("use('a' r'\\n' 'c'\n  'd')", "a\\ncd"),
    "sum": ("use('a' + 'b' + 'c')", "abc"),
    "sum with unknown": ("use('a' + unknown() + 'c')", f"a{HOLE}c"),
    "unknown sum": ("use(a + b)", None),
    "numbers": ("use(1 + 2)", None),
    "f-string": ("use(f'a{x}b{{{y!r:>{w}}}}')", f"a{HOLE}b{{{HOLE}}}"),
    "f-string with a known name": ("head = 'h\\n'\nuse(f'{head}b{head!r}')", f"h\nb{HOLE}"),
    "f-string with a named character": (r"use(f'\N{EM DASH}')", "—"),
    "percent": ("use('%s-%d %5s 100%%' % ('a', 3, 'b'))", f"a-{HOLE} {HOLE} 100%"),
    "percent with one": ("use('%s!' % 'a')", "a!"),
    "percent with names": ("use('%(a)s %(b)s' % {'a': 'x', 'b': y})", f"x {HOLE}"),
    "format": ("use('{} {x} {1} {{}} {0:>3}'.format('a', 'b', x='c'))", f"a c b {{}} {HOLE}"),
    "format with star": ("use('{}{}'.format(*parts))", HOLE * 2),
    "format without field": ("use('{a.b}'.format(a='x'))", HOLE),
    "strip": ("use('\\n ab \\n'.strip())", "ab"),
    "lstrip of characters": ("use('xxab'.lstrip('x'))", "ab"),
    "strip of nothing": ("use('  '.strip())", ""),
    "dedent": ("import textwrap\nuse(textwrap.dedent('''\\\n    a\n      b\n  \n    c'''))", "a\n  b\n\nc"),
    "encode": ("use('a—'.encode())", "a—"),
    "encode that drops": ("use('a—'.encode('ascii', 'ignore'))", f"a{HOLE}"),
    "encode through the class": ("use(str.encode('a'))", "a"),
    "replace": ("use('a—b'.replace('—', '--'))", "a--b"),
    "replace with unknown": ("use('aXb'.replace('X', str(n)))", f"a{HOLE}b"),
    "replace of unknown": ("use('a—b'.replace(bad, '-'))", None),
    "other methods": ("use('a'.upper())", None),
    "join": ("use('\\n'.join(['a', x, 'b']))", f"a\n{HOLE}\nb"),
    "join of a name": ("parts = ['a', 'b']\nuse(''.join(parts))", "ab"),
    "join of a changed list": ("parts = ['a', 'b']\nparts.append('c')\nuse(''.join(parts))", None),
    "template": ("from string import Template\nuse(Template('a $x ${y} $$').substitute(x=1))", f"a {HOLE} {HOLE} $"),
    "name": ("a = 'x'\nuse(a)", "x"),
    "name twice": ("a = 'x'\nif c:\n    a = 'y'\nuse(a)", None),
    "parameter": ("a = 'x'\ndef f(a):\n    use(a)", None),
    "local name": ("a = 'x'\ndef f():\n    a = 'y'\n    use(a)", "y"),
    "outer name": ("def f():\n    a = 'y'\n    def g():\n        use(a)", "y"),
    "class name is not seen from a method": ("class A:\n    a = 'y'\n    def g(self):\n        use(a)", None),
    "global name written by a function": ("a = 'x'\ndef f():\n    global a\n    a = 'y'\nuse(a)", None),
    "loop variable": ("a = 'x'\nfor a in b:\n    use(a)", None),
    "names in tuples": ("a, b = 'x', 'y'\nuse(b)", "y"),
    "annotated": ("a: str = 'x'\nuse(a)", "x"),
    "itself": ("a = a + 'x'\nuse(a)", f"{HOLE}x"),
    "lengthened": ("a = 'x'\na += 'y'\na += z\nuse(a)\na += 'later'", f"xy{HOLE}"),
    "lengthened in a branch": ("a = 'x'\nif c:\n    a += 'y'\nuse(a)", f"x{HOLE}"),
    "attribute of a class": ("class A:\n    S = 'x'\n    def f(self):\n        use(self.S)", "x"),
    "attribute through the class": ("class A:\n    S = 'x'\nclass B:\n    S = 'y'\nuse(A.S)", "x"),
    "attribute with two values": (
        "class A:\n    S = 'x'\n    def f(self):\n        self.S = 'y'\n        use(self.S)",
        None,
    ),
    "dict": ("d = {'a': 'x', 'b': 'y'}\nuse(d['b'])", "y"),
    "changed dict": ("d = {'a': 'x'}\nd['a'] = 'z'\nuse(d['a'])", None),
    "starred dict": ("d = {'a': 'x', **e}\nuse(d['a'])", None),
    "conditional": ("use('a' if c else 'b')", None),
}


@pytest.mark.parametrize("code, text", TEXTS.values(), ids=TEXTS)
def test_text(code: str, text: str | None) -> None:
    found = folded(code)
    assert (found.text if found else None) == text
    if found:
        assert len(found.starts) == len(found.ends) == len(found.text)


PLACES = {
    "plain": ("use('é—b')", ["é", "—", "b"]),
    "after other characters": ("x = 'ü'; use('é')", ["é"]),
    "prefix and long quotes": ("use(Rb'''ab''')", ["a", "b"]),
    "escapes": (r"use('a\n\x41\u2014\N{EM DASH}b')", ["a", r"\n", r"\x41", r"\u2014", r"\N{EM DASH}", "b"]),
    "unknown escape": (r"use('\d')", ["\\", "d"]),
    "bytes": (r"use(b'-\xe2\x80\x94-')", ["-", r"\xe2\x80\x94", "-"]),
    "adjacent": ("use('a' 'b')", ["a", "b"]),
    "f-string": ("use(f'é{x}{{')", ["é", "{x}", "{{"]),
    "percent": ("use('a%5d%%' % x)", ["a", "%5d", "%%"]),
    "format": ("use('é{x:>3}b'.format(x=1))", ["é", "{x:>3}", "b"]),
    "dedent": ("import textwrap\nuse(textwrap.dedent('''  a\n  —'''))", ["a", "\n", "—"]),
    "strip": ("use(' é '.strip())", ["é"]),
    "replace": ("use('a—b'.replace('a', 'Z'))", ["Z", "—", "b"]),
    "newline of two bytes": ("use('''a\r\nb''')", ["a", "\r\n", "b"]),
    "sum with unknown": ("use('a' + n + 'b')", ["a", "n", "b"]),
    "name": ("use(s)\ns = 'é'", ["é"]),
    "form feed": ("x = 1\n\x0cuse('é')", ["é"]),
}


@pytest.mark.parametrize("code, written", PLACES.values(), ids=PLACES)
def test_places(code: str, written: list[str]) -> None:
    found = folded(code)
    assert found is not None
    data = code.encode()
    assert [data[start:end].decode() for start, end in zip(found.starts, found.ends, strict=True)] == written


def test_each_character_has_its_own_place() -> None:
    code = "use('aa' 'a')"
    found = folded(code)
    assert found is not None
    assert list(found.starts) == [5, 6, 10]
    assert contiguous(found, 0, 2) and not contiguous(found, 0, 3)


FILES = {
    "pkg/k.cu": "é\n__global__",
    "pkg/sub/k.cu": "sub",
    "data/k.cu": "root",
    "pkg/consts.py": "from .deep import DEEP\nSRC = 'x—'\nTWICE = 'a'\nTWICE = 'b'\nLOOP = SRC + LOOP\n",
    "pkg/deep.py": "DEEP = 'deep'",
}

ELSEWHERE = {
    "read_text": ("from pathlib import Path\nuse(Path('k.cu').read_text())", "pkg/k.cu"),
    "from the root": ("from pathlib import Path\nuse(Path('data/k.cu').read_text())", "data/k.cu"),
    "beside the file": ("from pathlib import Path\nuse((Path(__file__).parent / 'k.cu').read_text())", "pkg/k.cu"),
    "resolved": (
        "import pathlib\nH = pathlib.Path(__file__).resolve().parent\nuse((H / 'sub' / 'k.cu').read_text())",
        "pkg/sub/k.cu",
    ),
    "parents": (
        "from pathlib import Path\nuse(Path(__file__).parents[1].joinpath('data', 'k.cu').read_text())",
        "data/k.cu",
    ),
    "with_name": ("from pathlib import Path\nuse(Path(__file__).with_name('k.cu').read_bytes().decode())", "pkg/k.cu"),
    "open": ("use(open('k.cu').read())", "pkg/k.cu"),
    "with open": (
        "import os\nwith open(os.path.join(os.path.dirname(__file__), 'k.cu')) as f:\n    s = f.read()\nuse(s)",
        "pkg/k.cu",
    ),
    "path.open": ("from pathlib import Path\nwith Path('k.cu').open() as f:\n    use(f.read())", "pkg/k.cu"),
    "pkgutil": ("import pkgutil\nuse(pkgutil.get_data(__name__, 'k.cu').decode())", "pkg/k.cu"),
    "resources": (
        "from importlib.resources import files\nuse(files(__package__).joinpath('k.cu').read_text())",
        "pkg/k.cu",
    ),
    "imported name": ("from .consts import SRC\nuse(SRC)", "pkg/consts.py"),
    "imported through another": ("from .consts import DEEP\nuse(DEEP)", "pkg/deep.py"),
    "attribute of a module": ("from . import consts\nuse(consts.SRC)", "pkg/consts.py"),
    "longest part": ("use('a' + open('k.cu').read())", "pkg/k.cu"),
    "outside the project": ("use(open('../../etc/k.cu').read())", None),
    "missing": ("use(open('none.cu').read())", None),
    "unknown path": ("use(open(p).read())", None),
    "own path": ("from pathlib import Path\np = p / 'k.cu'\nuse(p.read_text())", None),
    "imported twice bound": ("from .consts import TWICE\nuse(TWICE)", None),
}


@pytest.mark.parametrize("code, path", ELSEWHERE.values(), ids=ELSEWHERE)
def test_text_elsewhere(code: str, path: str | None) -> None:
    found = folded(code, FILES)
    assert (found.path if found else None) == path
    if found is not None:
        at = len(found.text) - 1
        written = FILES[found.path].encode()[found.starts[at] : found.ends[at]].decode()
        assert written == found.text[at]


def test_without_a_project_a_file_is_unknown() -> None:
    assert folded("use(open('k.cu').read())") is None


def test_long_sums_and_many_literals_are_no_recursion() -> None:
    assert folded("use(" + " + ".join(["'a'"] * 150) + ")") is not None
    assert folded("use(" + "\n".join(["'a'"] * 150) + ")") is not None


def test_doubling_names_end() -> None:
    names = "a0 = 'x'\n" + "".join(f"a{n + 1} = a{n} + a{n}\n" for n in range(40))
    folded(names + "use(a40)")
