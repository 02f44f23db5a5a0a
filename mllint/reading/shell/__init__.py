"""Shell commands: what one is, and the two ways in (a piece of text, a file of any kind that holds some).

May not: judge a command, or know which rule asks. Text in, commands with places out.
"""

from __future__ import annotations

from collections.abc import Sequence

from mllint.reading.located import HOLE, Located
from mllint.reading.source import Source
from mllint.record import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command after quote removal; expansions stay as written (``$PID``).

    ``literal`` is False where part of it is only known at run time. Offsets are bytes in the file.
    """

    text: str
    start: int
    end: int
    literal: bool = True


@dataclass(frozen=True, slots=True)
class Command:
    """One simple command, without its wrappers, assignments and redirections.

    ``words[0]`` is the program. ``via`` names what runs it, outermost first (``("ssh", "sudo")``).
    ``upstream`` are the commands that feed it through a pipe, first to last; ``substituted`` those whose
    output becomes some of its words (``kill $(pgrep -f train)``, also by way of a variable or a loop).
    ``background``: followed by ``&``. ``host`` is the kind of file it stands in, ``prose`` the words around a
    code block in Markdown (the heading and the paragraph before it, its comments), in other hosts the comment
    lines directly before the command and the comment behind it, else empty.
    """

    words: tuple[Word, ...]
    start: int
    end: int
    via: tuple[str, ...] = ()
    upstream: tuple[Command, ...] = ()
    substituted: tuple[Command, ...] = ()
    background: bool = False
    host: str = "shell"
    prose: str = ""

    @property
    def program(self) -> str:
        """The program's name without its folder: ``pkill`` for ``/usr/bin/pkill``."""
        return self.words[0].text.rpartition("/")[2] if self.words else ""


@dataclass(frozen=True, slots=True)
class Argument:
    """One word on its way to becoming a `Word`: its value still knows the place of each character.

    ``start`` and ``end`` include the quotes. ``splat``: stands for any number of words, none included.
    """

    value: Located
    start: int
    end: int
    literal: bool = True
    splat: bool = False


def argument(value: Located, start: int, end: int, *, splat: bool = False) -> Argument:
    """A word that needs no quote removal (an element of a list); a `HOLE` in it makes it not literal."""
    return Argument(value, start, end, HOLE not in value.text, splat)


def commands(script: Located, *, host: str = "shell", prose: str = "") -> tuple[Command, ...]:
    """Every simple command of a shell script in source order, whatever it stands in. Broken shell never raises."""
    if not script.text.strip():
        return ()
    from mllint.reading.shell.bash import Surroundings, read

    return _once(read(script, Surroundings(host=host, prose=prose)))


def argv_commands(words: Sequence[Argument], *, host: str = "shell", prose: str = "") -> tuple[Command, ...]:
    """The commands of a list of words that no shell takes apart (``["ssh", host, "pkill -f x"]``)."""
    from mllint.reading.shell.bash import Surroundings, run_list

    return _once(run_list(tuple(words), Surroundings(host=host, prose=prose)))


def commands_in(source: Source) -> tuple[Command, ...]:
    """Every shell command of a file: a script, Makefile, Dockerfile, YAML file or Markdown page."""
    from mllint.reading.shell.hosts import scripts

    found: list[Command] = []
    for piece in scripts(source):
        if piece.script is not None:
            found += commands(piece.script, host=source.kind, prose=piece.prose)
        else:
            found += argv_commands(piece.words, host=source.kind, prose=piece.prose)
    return _once(found)


def _once(found: Sequence[Command]) -> tuple[Command, ...]:
    """In source order; what is read twice (``ssh h "kill $(pgrep x)"``: here and there) counts once."""
    first: dict[tuple[int, int], Command] = {}
    for command in found:
        first.setdefault((command.start, command.end), command)
    return tuple(sorted(first.values(), key=lambda command: (command.start, -command.end)))
