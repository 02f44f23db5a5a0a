"""Texts that a file takes from other files of the project: files it reads, strings it imports.

May not: open a file itself (it asks the project), or look outside the project.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from mllint.diagnostic import Place
from mllint.lazy import cst
from mllint.reading.located import HOLE, Located, locate
from mllint.reading.source import Source

if TYPE_CHECKING:
    from mllint.analysis.context import Context
    from mllint.analysis.strings.fold import Folder

#: Modules with more bytes than this are not searched for a string that somebody imports.
_LARGEST_MODULE = 400_000
_READERS = frozenset({"read", "read_text", "read_bytes"})
_PATHS = frozenset(
    {
        "pathlib.Path",
        "pathlib.PurePath",
        "pathlib.PosixPath",
        "str",
        "os.fspath",
        "os.path.abspath",
        "os.path.realpath",
        "os.path.normpath",
        "os.path.expanduser",
    }
)
_SAME_PATH = frozenset({"resolve", "absolute", "expanduser", "as_posix"})


def loaded(call: cst.Call, folder: Folder) -> Located | None:
    """The text that ``Path(…).read_text()``, ``open(…).read()``, ``pkgutil.get_data`` and their kin return."""
    ctx = folder.ctx
    if ctx.project is None or not ctx.absolute_path:
        return None
    name = ctx.name(call.func)
    if name in ("pkgutil.get_data", "importlib.resources.read_text", "importlib.resources.read_binary"):
        if len(call.args) < 2:
            return None
        package, item = _package(call.args[0].value, folder), _path(call.args[1].value, folder)
        return _file(posixpath.join(package, item), ctx) if package is not None and item else None
    if not isinstance(call.func, cst.Attribute) or call.func.attr.value not in _READERS:
        return None
    owner: cst.CSTNode = call.func.value
    if isinstance(owner, cst.Name):
        found = folder.table.lookup(owner)
        if len(found) == 1 and found[0].kind in ("with", "assign") and found[0].value is not None:
            owner = found[0].value
    if isinstance(owner, cst.Call) and _opens(owner, ctx):
        method = owner.func if isinstance(owner.func, cst.Attribute) and ctx.name(owner.func) != "io.open" else None
        target: cst.CSTNode | None = method.value if method is not None else owner.args[0].value if owner.args else None
    else:
        target = None if call.func.attr.value == "read" else owner
    path = _path(target, folder) if target is not None else None
    return _file(path, ctx) if path else None


def imported(dotted: str, ctx: Context, busy: set[object]) -> Located | None:
    """The text of a module-level name of another module of the project."""
    head, _, last = dotted.rpartition(".")
    if ctx.project is None or not ctx.absolute_path or not head.strip("."):
        return None
    path = ctx.project.module(head, ctx.absolute_path)
    if path is None or path == ctx.absolute_path or (path, last) in busy:
        return None
    other = _module(path, last, ctx)
    if other is None or other.module is None:
        return None
    from mllint.analysis.strings.fold import Folder

    folder = Folder(other, busy)
    found = folder.table.scopes.get(other.module, {}).get(last, [])
    busy.add((path, last))
    try:
        if found and all(isinstance(binding.node, cst.ImportAlias) for binding in found):
            return imported(other.name(cst.Name(last)), other, busy)
        text = folder.bound(found)
    finally:
        busy.discard((path, last))
    if text is None or text.path:
        return text
    return replace(text, path=other.source.path)


def place_elsewhere(located: Located, at: int, ctx: Context) -> Place | None:
    """Row and column of a character of a text that stands in another file of the project."""
    source = ctx.project.memory.get(f"source:{located.path}") if ctx.project is not None else None
    return source.place(located.starts[at]) if isinstance(source, Source) else None


def _opens(call: cst.Call, ctx: Context) -> bool:
    return ctx.name(call.func) in ("open", "io.open", "codecs.open") or (
        isinstance(call.func, cst.Attribute) and call.func.attr.value == "open"
    )


def _file(path: str, ctx: Context) -> Located | None:
    """A file of the project as located text; a relative path is tried beside the file at hand, then from the root."""
    project = ctx.project
    assert project is not None
    for folder in (posixpath.dirname(ctx.absolute_path), project.root):
        absolute = posixpath.normpath(posixpath.join(folder, path))
        if not absolute.startswith(project.root.rstrip("/") + "/"):
            continue
        source = _source(absolute, ctx)
        if source is not None:
            return locate(source.data, path=source.path)
    return None


def _source(absolute: str, ctx: Context) -> Source | None:
    project = ctx.project
    assert project is not None
    data = project.load_bytes(absolute)
    if data is None:
        return None
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    source = Source(_shown(absolute, ctx), "kernel", data)
    project.memory[f"source:{source.path}"] = source
    return source


def _shown(absolute: str, ctx: Context) -> str:
    """A path as a person would see it: relative to where the path of the file at hand is relative to."""
    assert ctx.project is not None
    shown = ctx.source.path.replace("\\", "/")
    base = ctx.absolute_path[: -len(shown)] if ctx.absolute_path.endswith("/" + shown) else ctx.project.root
    return posixpath.relpath(absolute, base) if base.strip("/") else absolute


def _module(path: str, name: str, ctx: Context) -> Context | None:
    """A context for another module of the project, parsed once; None where it cannot hold the name."""
    from mllint.analysis.context import Context, Shared

    project = ctx.project
    assert project is not None
    key = f"module:{path}"
    if key in project.memory:
        known = project.memory[key]
        return known if isinstance(known, Context) else None
    index = project.index(path)
    source = _source(path, ctx) if index is not None else None
    if source is None or len(source.data) > _LARGEST_MODULE or name.encode() not in source.data:
        return None
    made: Context | None = None
    try:
        module = cst.parse_module(source.data)
        made = Context(source, ctx.meta, "", index, module, project, path, shared=Shared(module, source.data))
    except (cst.ParserSyntaxError, RecursionError):
        pass  # Python reads it, LibCST does not: then nothing is known of its strings
    project.memory[key] = made
    return made


def _path(node: cst.CSTNode, folder: Folder) -> str | None:
    """The path that an expression denotes, absolute or relative; None where it is not known."""
    ctx = folder.ctx
    if isinstance(node, cst.Name):
        if node.value == "__file__":
            return ctx.absolute_path
        value = folder.value(node)
        if value is None or not folder.enter(value):  # ``folder = folder / "x"`` names itself
            return None
        try:
            return _path(value, folder)
        finally:
            folder.leave(value)
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, (cst.Divide, cst.Add)):
        left, right = _path(node.left, folder), _path(node.right, folder)
        if left is None or right is None:
            return None
        return left + right if isinstance(node.operator, cst.Add) else posixpath.join(left, right)
    if isinstance(node, cst.Attribute):
        base = _path(node.value, folder) if node.attr.value == "parent" else None
        return posixpath.dirname(base) if base else None
    if isinstance(node, cst.Subscript):
        return _ancestor(node, folder)
    if isinstance(node, cst.Call):
        return _path_call(node, folder)
    text = folder.fold(node)
    return text.text if text is not None and HOLE not in text.text and not text.path else None


def _ancestor(node: cst.Subscript, folder: Folder) -> str | None:
    """``path.parents[n]``."""
    index = node.slice[0].slice
    if not (
        isinstance(node.value, cst.Attribute) and node.value.attr.value == "parents" and isinstance(index, cst.Index)
    ):
        return None
    path = _path(node.value.value, folder)
    if path is None or not isinstance(index.value, cst.Integer):
        return None
    for _ in range(min(int(index.value.value, 0), 20) + 1):
        path = posixpath.dirname(path)
    return path or None


def _path_call(node: cst.Call, folder: Folder) -> str | None:
    name = folder.ctx.name(node.func)
    if name in ("importlib.resources.files", "importlib_resources.files"):
        return _package(node.args[0].value, folder) if node.args else None
    if name not in _PATHS and name not in ("os.path.join", "os.path.dirname"):
        if not isinstance(node.func, cst.Attribute):
            return None
        method, base = node.func.attr.value, _path(node.func.value, folder)
        if base is None or method in _SAME_PATH:
            return base
        if method not in ("joinpath", "with_name"):
            return None
        parts = [base if method == "joinpath" else posixpath.dirname(base)]
    else:
        parts = []
    for argument in node.args:
        part = _path(argument.value, folder) if not argument.star else None
        if part is None:
            return None
        parts.append(part)
    if not parts:
        return None
    return posixpath.dirname(parts[0]) if name == "os.path.dirname" else posixpath.join(*parts)


def _package(node: cst.CSTNode, folder: Folder) -> str | None:
    """The folder of a package named by ``__name__``, ``__package__`` or a literal."""
    ctx = folder.ctx
    if isinstance(node, cst.Name) and node.value in ("__name__", "__package__"):
        return posixpath.dirname(ctx.absolute_path)
    text = folder.fold(node)
    if text is None or HOLE in text.text or ctx.project is None:
        return None
    found = ctx.project.module(text.text, ctx.absolute_path)
    return posixpath.dirname(found) if found else None
