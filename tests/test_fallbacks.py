"""Which handlers are silent, and which fallbacks matter."""

from __future__ import annotations

import ast

import pytest

from mllint.analysis.fallbacks.handlers import silent_handlers
from mllint.analysis.fallbacks.imports import captured_imports
from mllint.analysis.fallbacks.kinds import kind_of
from mllint.analysis.names import dotted_name
from mllint.analysis.syntax import Syntax

SILENT = {
    "except:\n    pass": True,
    "except Exception:\n    x = None": True,
    "except (OSError, BaseException):\n    pass": True,
    "except Exception as e:\n    logger.debug('%s', e)": True,
    "except OSError:\n    pass": False,
    "except Exception:\n    raise": False,
    "except Exception:\n    n += 1": False,
    "except Exception:\n    self.failed = True": False,
    "except Exception as e:\n    x = e": False,
    "except Exception:\n    print('x')": False,
    "except Exception:\n    logger.info('x')": False,
    "except Exception:\n    traceback.print_exc()": False,
    "except Exception:\n    click.echo('x', err=True)": False,
    "except Exception:\n    errors.append(1)": False,
    "except Exception:\n    try:\n        g()\n    except ValueError:\n        pass": False,
}


@pytest.mark.parametrize("handler", SILENT)
def test_silence(handler: str) -> None:
    syntax = Syntax(ast.parse(f"try:\n    f()\n{handler}\n"))
    assert bool(list(silent_handlers(syntax))) == SILENT[handler]


KINDS = {
    "def load_images(p):\n    try:\n        return np.load(p)\n    except:\n        return []": "empty",
    "def load_config(p):\n    try:\n        return json.load(p)\n    except:\n        return []": None,
    "def accuracy(a, b):\n    try:\n        return g(a, b)\n    except:\n        return 1.0": "metric",
    "def accuracy(a, b):\n    try:\n        return g(a, b)\n    except:\n        return None": None,
    "def f(q):\n    try:\n        y = sdpa(q)\n    except:\n        y = plain(q)\n    return y": "kernel",
    "def f(q):\n    try:\n        y = sdpa(q)\n    except:\n        z = plain(q)\n    return y": None,
    "def f(q, k):\n    try:\n        return sdpa(q)\n    except:\n        return plain(k)": None,
    "def f(q):\n    try:\n        return first(q)\n    except:\n        return second(q)": None,
    "def probe(q):\n    try:\n        return sdpa(q)\n    except:\n        return plain(q)": None,
    "try:\n    from .a import b\nexcept:\n    from .c import b": None,
    "try:\n    from a import b\nexcept:\n    pass": None,
    "try:\n    from .a import b\nexcept:\n    b = None": None,
    "class D(Dataset):\n    def __getitem__(self, i):\n        try:\n            return g(i)\n        except:\n            return False": None,
}


@pytest.mark.parametrize("text", KINDS)
def test_kinds(text: str) -> None:
    syntax = Syntax(ast.parse(text))
    ((tried, handler),) = silent_handlers(syntax)
    assert kind_of(tried, handler, syntax, dotted_name) == KINDS[text]


IMPORT = "try:\n    import fast\nexcept ImportError:\n    fast = None\n"
CAPTURED = {
    "def f():\n    def g():\n        return fast.run()\n    return g": True,
    "def f():\n    return fast.run()": False,
    "def f():\n    def g():\n        return fast.run() if fast else 0\n    return g": False,
    "assert fast\ndef f():\n    def g():\n        return fast()\n    return g": False,
    "@needs(fast)\ndef f():\n    def g():\n        return fast()\n    return g": False,
    "require(fast)\ndef f():\n    def g():\n        return fast()\n    return g": False,
}


@pytest.mark.parametrize("body", CAPTURED)
def test_imports_that_inner_functions_call(body: str) -> None:
    found = [name for _, name in captured_imports(Syntax(ast.parse(IMPORT + body)))]
    assert found == (["fast"] if CAPTURED[body] else [])
