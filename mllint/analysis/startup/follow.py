"""Which mutable configuration goes into a value, or is read while a call runs: calls of the project are followed.

May not: follow further than a bounded depth, or guess what code outside the project reads.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace

from mllint.analysis.names import dotted_name, parameter_names
from mllint.analysis.project import Found, Project
from mllint.analysis.startup.mutability import Read, function_reads, object_of, read_of, reads
from mllint.analysis.startup.sites import Defined, Function, Site, called, evaluated, node_of, running, site_of

#: How many calls deep, and through how many functions in all, reads are looked for.
_DEPTH = 5
_MOST_FUNCTIONS = 80

#: Calls that give their argument in another form: the value is still the one that was read.
_CONVERSIONS = frozenset(
    {"abs", "bool", "dict", "float", "frozenset", "int", "len", "list", "max", "min", "set", "sorted", "str", "tuple"}
    | {
        "bytes",
        "round",
        "all",
        "any",
        "strtobool",
        "distutils.util.strtobool",
        "json.loads",
        "ast.literal_eval",
        "pathlib.Path",
    }
    | {"os.path.join", "os.path.expanduser", "os.path.expandvars", "os.path.abspath", "os.path.realpath", "os.fspath"}
    | {"torch.device", "numpy.dtype"}
)

#: Decorators that keep the first answer of a function for good: whoever wrote them wants one read.
_KEEPING = frozenset({"functools.cache", "functools.lru_cache", "functools.cached_property"})


# -- what goes into a value ------------------------------------------------------------------------------------------


def value_reads(expression: ast.expr, site: Site, project: Project, depth: int = _DEPTH) -> tuple[Read, ...]:
    """The reads of mutable configuration that an expression's value is made of, through conversions, operators, and
    calls of project functions that return one; what is merely handed to another function does not count."""
    found: dict[Read, None] = {}
    pending = [expression]
    while pending:
        node = pending.pop()
        read = read_of(node, site, project)
        if read is not None:
            found[read] = None
            continue
        pending += reversed(value_parts(node, site))
        if isinstance(node, ast.Call) and depth:
            function, there = called(node, site, project) or (None, site)
            if function is not None and not isinstance(function, ast.ClassDef):
                for inner in returned_reads(function, there, project, depth - 1):
                    found[replace(inner, via=(function.name, *inner.via))] = None
    return tuple(found)


def returned_reads(function: Function, site: Site, project: Project, depth: int = _DEPTH) -> tuple[Read, ...]:
    """The reads of mutable configuration that what a function returns is made of, or depends on."""
    if any(site.dotted(_callee(each)) in _KEEPING for each in function.decorator_list):
        return ()
    inside = site.within(function)
    found: dict[Read, None] = {}
    for expression in _returned(function):
        found.update((each, None) for each in value_reads(expression, inside, project, depth))
    return tuple(found)


def value_parts(node: ast.expr, site: Site) -> list[ast.expr]:
    """The parts of an expression that go into its value: operands, items, what is converted, whose method is called."""
    if isinstance(node, ast.Call):
        if site.dotted(node.func) in _CONVERSIONS:
            return [*node.args, *(each.value for each in node.keywords)]
        return [node.func.value] if isinstance(node.func, ast.Attribute) else []
    if isinstance(node, (ast.Attribute, ast.Subscript)):
        return [node.value]
    if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        return []
    return [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]


def _returned(function: Function) -> Iterator[ast.expr]:
    """What a function returns, the conditions under which it does, and what its local names in these were given."""
    nodes = list(running(function.body))
    if any(isinstance(node, (ast.Yield, ast.YieldFrom, ast.Await)) for node in nodes):
        return
    pending: list[ast.expr] = []
    for node in nodes:
        if isinstance(node, ast.Return) and node.value is not None:
            pending.append(node.value)
        elif isinstance(node, ast.If) and any(
            isinstance(each, ast.Return) for each in running([*node.body, *node.orelse])
        ):
            pending.append(node.test)
    given: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                given.setdefault(dotted_name(target), []).append(node.value)
    seen: set[str] = set()
    while pending:
        expression = pending.pop()
        yield expression
        for each in evaluated(expression):
            if isinstance(each, ast.Name) and each.id not in seen:
                seen.add(each.id)
                pending += given.get(each.id, [])


def _callee(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


# -- what is read while a call runs ----------------------------------------------------------------------------------


def reads_on_the_way(call: ast.Call, site: Site, project: Project) -> tuple[Read, ...]:
    """Every read of mutable configuration while a call runs, its arguments included; nearest first."""
    found: dict[tuple[str, str], Read] = {}
    seen: set[tuple[str, int]] = set()
    waiting: list[tuple[list[ast.AST], Site, str, tuple[str, ...]]] = [([*evaluated(call)], site, "", ())]
    for read in reads([call], site, project):
        found.setdefault((read.shown, read.path), read)
    while waiting and len(seen) < _MOST_FUNCTIONS:
        nodes, here, owner, via = waiting.pop(0)
        for inner in (each for each in nodes if isinstance(each, ast.Call)):
            for node, plain, holder in _run(inner, here, owner, project):
                there = replace(plain, given=tuple(_given(inner, node, here, project, bool(holder))))
                if (there.path, node.lineno) in seen or len(via) >= _DEPTH:
                    continue
                seen.add((there.path, node.lineno))
                way = (*via, f"{holder}.{node.name}" if holder else node.name)
                for read in function_reads(node, there, project):
                    found.setdefault((read.shown, read.path), replace(read, via=way))
                waiting.append(([*running(node.body)], there.within(node), holder, way))
    return tuple(found.values())


def _given(
    call: ast.Call, function: Function, site: Site, project: Project, bound: bool
) -> Iterator[tuple[str, Found, tuple[str, ...]]]:
    """The parameters that a call fills with module-level objects of the project; ``bound``: ``self`` is filled already."""
    names = [each for each in parameter_names(function.args) if not each.startswith("**")]
    plain = names[1:] if bound else names
    end = next((at for at, each in enumerate(plain) if each.startswith("*")), len(plain))
    filled = [*zip(plain[:end], call.args, strict=False), *((each.arg, each.value) for each in call.keywords)]
    for name, value in filled:
        thing = object_of(value, site, project) if isinstance(value, (ast.Name, ast.Attribute)) else None
        if name is not None and thing is not None:
            yield name, *thing


def _run(call: ast.Call, site: Site, owner: str, project: Project) -> Iterator[tuple[Function, Site, str]]:
    """The functions whose bodies a call runs, each with its file and the class that it belongs to ("" for none)."""
    name = call.func
    if isinstance(name, ast.Attribute) and owner:
        if dotted_name(name.value) == "self":
            yield from _methods(Found(site.path, owner), (name.attr,), project)
            return
        if isinstance(name.value, ast.Call) and dotted_name(name.value.func) == "super":
            for base in _bases(Found(site.path, owner), project):
                yield from _methods(base, (name.attr,), project)
            return
    node, there = called(call, site, project) or (None, site)
    if isinstance(node, ast.ClassDef):
        found = project.resolve(site.dotted(name), site.path)
        if found is not None:
            yield from _methods(found, ("__new__", "__init__", "__post_init__"), project)
    elif node is not None:
        yield node, there, ""


def _methods(found: Found, names: Iterable[str], project: Project) -> Iterator[tuple[Function, Site, str]]:
    """Methods of a class by their names, from the class itself or the first base that has them."""
    for name in names:
        for holder in (found, *_bases(found, project)):
            node: Defined | None = node_of(Found(holder.path, f"{holder.name}.{name}"), project)
            site = site_of(holder.path, project)
            if site is not None and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield node, site, found.name if holder.path == found.path else holder.name
                break


def _bases(found: Found, project: Project) -> list[Found]:
    """The project's classes that a class derives from, nearest first."""
    bases: list[Found] = []
    pending = [found]
    while pending and len(bases) < _MOST_FUNCTIONS:
        at = pending.pop(0)
        definition, index = project.definition(at), project.index(at.path)
        for name in definition.bases if definition and index else ():
            base = project.resolve(index.dotted(name), at.path) if name and index else None
            if base is not None and base != found and base not in bases:
                bases.append(base)
                pending.append(base)
    return bases


__all__ = ["reads_on_the_way", "returned_reads", "value_parts", "value_reads"]
