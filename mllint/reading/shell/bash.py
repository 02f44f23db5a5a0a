"""From shell text to commands, on the tree that tree-sitter-bash builds.

May not: judge a command. Walks with a stack of its own: a chain of a thousand ``&&`` nests a thousand deep.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from mllint.reading.located import Located
from mllint.reading.shell import Argument, Command, Word
from mllint.reading.shell.comment_lines import Comments
from mllint.reading.shell.unquote import characters, unquoted, with_plain_newlines
from mllint.reading.shell.wrappers import inside, joined, reads_script

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

#: How deep scripts may nest in scripts (``ssh h "bash -c '…'"``).
_NESTING = 8

_NO_WORDS = frozenset(
    {"variable_assignment", "file_redirect", "herestring_redirect", "heredoc_redirect", "comment", "ERROR", "subshell"}
)
#: Nodes that only combine statements: what stands below begins where they begin.
_COMBINING = frozenset({"list", "pipeline", "redirected_statement", "negated_command", "command", "command_name"})
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)")
_FILLS_ARRAY = frozenset({"mapfile", "readarray", "read"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What holds for all commands of a script, from outside it."""

    host: str = "shell"
    prose: str = ""
    via: tuple[str, ...] = ()
    upstream: tuple[Command, ...] = ()
    background: bool = False
    depth: int = 0
    variables: dict[str, tuple[Command, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where in the tree a node stands: whose words its output becomes, what feeds it, the row of its statement.

    ``feeds`` are stretches of the script (start, end, owner) whose commands come before it in a pipe.
    """

    owner: int = 0
    background: bool = False
    feeds: tuple[tuple[int, int, int], ...] = ()
    row: int = 0


@lru_cache(maxsize=1)
def _parser() -> Parser:
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


def read(script: Located, around: Surroundings) -> list[Command]:
    """All commands of a script, inner ones before those they are part of."""
    return _Reading(with_plain_newlines(script), around).run()


def run_list(words: tuple[Argument, ...], around: Surroundings) -> list[Command]:
    """The commands of a list that no shell takes apart, even if one element holds a whole command line."""
    while words and words[0].splat:
        words = words[1:]
    if not words:
        return []
    head = words[0].value.text
    if head != head.rstrip() or (len(words) == 1 and " " in head):
        return _nested(joined(words), around)
    return run_words(words, around)


def run_words(words: tuple[Argument, ...], around: Surroundings) -> list[Command]:
    """The command that some words are, taken out of its wrappers; several where a wrapper is given a script."""
    while True:
        within = inside(words)
        if within is None:
            break
        around = replace(around, via=(*around.via, within.via))
        if within.scripts or not within.words:
            return [command for text in within.scripts for command in _nested(text, around)]
        words = within.words
    return [
        Command(
            tuple(Word(word.value.text, word.start, word.end, word.literal) for word in words),
            words[0].start,
            max(words[0].end, words[-1].end),  # a text put together from pieces need not stand in order
            around.via,
            around.upstream,
            (),
            around.background,
            around.host,
            around.prose,
        )
    ]


def _nested(text: Located, around: Surroundings) -> list[Command]:
    if around.depth >= _NESTING or not text.text.strip():
        return []
    return read(text, replace(around, depth=around.depth + 1))


class _Reading:
    """One pass over one script."""

    def __init__(self, script: Located, around: Surroundings) -> None:
        self.script = script
        self.around = around
        self.variables = dict(around.variables)
        self.data = script.text.encode("utf-8", "replace")
        self.character = None if script.text.isascii() else characters(script.text)
        self.found: list[tuple[int, int, int, Command]] = []  # start and end in the script, owner, command
        self.owned: dict[int, list[Command]] = {}
        self.held: dict[int, tuple[Command, ...]] = {}  # redirection -> commands behind the variables it reads
        self.rows: list[tuple[int, int]] = []  # as `found`: first row of the statement, last of the command
        self.breaks: list[int] = []  # where a command begins in the middle of what the tree takes for one
        self.comments = Comments()

    def run(self) -> list[Command]:
        root = _parser().parse(self.data).root_node
        pending: list[tuple[str, Node, _Spot]] = [("enter", root, _Spot(background=self.around.background))]
        while pending:
            step, node, spot = pending.pop()
            if step == "enter":
                pending.extend(reversed(list(self._steps(node, spot))))
            elif step == "command":
                self._command(node, spot)
            elif step == "assign":
                self._assign(node)
            elif step == "loop":
                name = node.child_by_field_name("variable")
                if name is not None:
                    self._bind(self._text(name), self._sources(node.id, self._head_text(node)))
            elif step == "fed":
                redirects = [child for child in node.children if child.type == "herestring_redirect"]
                self.held[node.id] = self._sources(None, " ".join(map(self._text, redirects)))
            else:
                self._heredoc(node, spot)
        return [self._with_prose(position) for position in range(len(self.found))]

    def _steps(self, node: Node, spot: _Spot) -> Iterator[tuple[str, Node, _Spot]]:
        """What to do for a node, in the order in which a shell would know the results."""
        kind = node.type
        if kind == "comment":
            line = self.data.rfind(b"\n", 0, node.start_byte) + 1
            alone = not self.data[line : node.start_byte].strip()
            self.comments.add(node.start_point.row, self._text(node), alone)
            return
        if kind == "redirected_statement":
            yield from self._redirected(node, spot)
            return
        inner = spot
        if kind in ("command", "variable_assignment"):
            inner = _Spot(owner=node.id, row=spot.row)
        elif kind in ("command_substitution", "process_substitution", "function_definition"):
            inner = replace(spot, feeds=(), background=False)
        below = node.children
        for position, child in enumerate(below):
            if not child.is_named:
                continue
            place = inner
            if kind not in _COMBINING:
                place = replace(place, row=child.start_point.row)
            if position + 1 < len(below) and below[position + 1].type == "&":
                place = replace(place, background=True)
            if kind == "pipeline" and position:
                place = replace(place, feeds=(*place.feeds, (node.start_byte, child.start_byte, spot.owner)))
            if kind == "for_statement" and child.type == "do_group":
                yield "loop", node, spot
            elif kind == "for_statement":
                place = replace(place, owner=node.id)
            yield "enter", child, place
        if kind == "command":
            yield "command", node, spot
        elif kind == "variable_assignment":
            yield "assign", node, spot

    def _redirected(self, node: Node, spot: _Spot) -> Iterator[tuple[str, Node, _Spot]]:
        """Redirections first: in ``while read p; do …; done < <(pgrep x)`` they feed what stands before them."""
        redirects = [child for child in node.children if child.type.endswith("_redirect")]
        for child in redirects:
            yield "enter", child, replace(spot, owner=node.id, feeds=(), background=False)
        yield "fed", node, spot
        feeding = replace(spot, feeds=(*spot.feeds, (node.start_byte, node.end_byte, node.id)))
        for child in node.children:
            if child.is_named and child not in redirects:
                yield "enter", child, feeding
        if any(child.type == "heredoc_redirect" for child in redirects):
            yield "heredoc", node, spot

    def _command(self, node: Node, spot: _Spot) -> None:
        for words in self._lines(node):
            start, end = words[0].start_byte, words[-1].end_byte
            arguments = tuple(unquoted(self.script, word, self._at) for word in words)
            upstream = self._upstream(spot, start)
            around = replace(self.around, upstream=upstream, background=spot.background, variables=self.variables)
            sources = self._sources(node.id, " ".join(one.value.text for one in arguments if not one.literal))
            for command in run_words(arguments, around):
                if sources and not command.substituted:
                    command = replace(command, substituted=sources)
                self._add(start, end, (spot.row, node.end_point.row), spot.owner, command)
                if command.program in _FILLS_ARRAY:
                    for word in command.words[1:]:
                        self._bind(word.text, (*command.upstream, *sources))

    def _lines(self, node: Node) -> Iterator[list[Node]]:
        """The word nodes of a command, one list a command line: tree-sitter-bash 0.25 sometimes overlooks a newline."""
        line: list[Node] = []
        for child in node.children:
            if not child.is_named or child.type in _NO_WORDS or child.end_byte <= child.start_byte:
                continue
            if line and b"\n" in self.data[line[-1].end_byte : child.start_byte].replace(b"\\\n", b""):
                yield line
                line = []
                self.breaks.append(child.start_byte)
            line.append(child)
        if line:
            yield line

    def _add(self, start: int, end: int, rows: tuple[int, int], owner: int, command: Command) -> None:
        self.rows.append(rows)
        self.found.append((start, end, owner, command))
        self.owned.setdefault(owner, []).append(command)

    def _upstream(self, spot: _Spot, at: int) -> tuple[Command, ...]:
        """The commands before this one in its pipe, and in the pipes around the loop or group it stands in."""
        fed: list[Command] = list(self.around.upstream)
        since = max((place for place in self.breaks if place <= at), default=0)
        for start, end, owner in spot.feeds:
            if owner in self.owned:
                start = max(start, since)
                fed += [entry[3] for entry in self.found if entry[2] == owner and start <= entry[0] and entry[1] <= end]
            fed += self.held.get(owner, ())
        return tuple(fed)

    def _assign(self, node: Node) -> None:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is not None and value is not None:
            self._bind(self._text(name), self._sources(node.id, self._text(value)))

    def _bind(self, name: str, held: tuple[Command, ...]) -> None:
        if held:
            self.variables[name] = held
        else:
            self.variables.pop(name, None)

    def _sources(self, owner: int | None, text: str) -> tuple[Command, ...]:
        """The commands whose output some words take: substituted here, or held by a variable they mention."""
        held = [command for name in _VARIABLE.findall(text) for command in self.variables.get(name, ())]
        return (*(self.owned.get(owner, ()) if owner is not None else ()), *held)

    def _heredoc(self, node: Node, spot: _Spot) -> None:
        """Here-documents whose reader is a shell (``ssh host <<EOF``) are scripts of their own."""
        readers = [entry[3] for entry in self.found if entry[0] >= node.start_byte and entry[1] <= node.end_byte]
        reader = next((command for command in readers if reads_script(command)), None)
        if reader is None:
            return
        via = (*reader.via, reader.program)
        around = replace(self.around, via=via, background=spot.background, variables=self.variables)
        for child in node.children:
            body = next((part for part in child.children if part.type == "heredoc_body"), None)
            if child.type == "heredoc_redirect" and body is not None:
                for command in _nested(self._located(body), around):
                    self._add(node.start_byte, node.end_byte, (spot.row, node.end_point.row), spot.owner, command)

    def _with_prose(self, position: int) -> Command:
        command = self.found[position][3]
        lines = self.comments.around(*self.rows[position])
        return replace(command, prose="\n".join([*filter(None, [command.prose]), *lines])) if lines else command

    def _head_text(self, node: Node) -> str:
        body = node.child_by_field_name("body")
        end = body.start_byte if body is not None else node.end_byte
        return self.data[node.start_byte : end].decode("utf-8", "replace")

    def _text(self, node: Node) -> str:
        return self.data[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def _located(self, node: Node) -> Located:
        return self.script.part(self._at(node.start_byte), self._at(node.end_byte))

    def _at(self, byte: int) -> int:
        return byte if self.character is None else self.character[byte]
