"""Which processes a command picks by name or by a piece of their command line: ``pkill``, ``ps | grep | kill``.

May not: say whether that is wrong; it names the patterns and what else narrows the choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mllint.reading.shell import Command, Word

#: Signals that end nothing: an existence test, pause and go on, "write a checkpoint".
_HARMLESS = frozenset(
    [
        "0",
        "10",
        "12",
        "17",
        "18",
        "19",
        "20",
        "23",
        "28",
        "CHLD",
        "CONT",
        "STOP",
        "TSTP",
        "URG",
        "USR1",
        "USR2",
        "WINCH",
    ]
)
_SIGNAL = re.compile(r"-(?:\d+|(?:SIG)?[A-Z]{3,}\d?)")

#: Options of pkill and pgrep that limit the choice to processes of one's own making.
_PGREP_OWN = frozenset({"P", "g", "s", "t", "F", "parent", "pgroup", "session", "terminal", "pidfile", "ns", "cgroup"})
_PGREP_VALUED = frozenset("PgstFuUGdc" + "O")
_PGREP_LONG = _PGREP_OWN | {"uid", "euid", "group", "signal", "delimiter", "older", "runstates", "nslist", "env"}
_KILLALL_VALUED = frozenset("usyoZnct")

_SHELLS = frozenset({"sh", "bash", "zsh", "dash"})
_GREPS = frozenset({"grep", "egrep", "fgrep", "rg", "zgrep"})
_AWKS = frozenset({"awk", "gawk", "mawk", "nawk"})
#: ``/train/``, ``$0 ~ "train"``, ``index($0, "train")`` in an awk program; not ``!/grep/``.
_AWK_PATTERN = re.compile(
    r"(?<![!\w/~])\s*/((?:\\.|[^/\\\n])+)/|(?<!!)~\s*\"([^\"]+)\"|index\(\s*\$\d+\s*,\s*\"([^\"]+)\""
)


@dataclass(frozen=True, slots=True)
class Picked:
    """The processes that a command picks. Each pattern is a word of some command.

    ``full``: patterns are looked for in whole command lines, not in program names. ``own``: limited to children,
    a process group, a session, a pid file or the like. ``exact_own``: whole names, of one user.
    """

    patterns: tuple[Word, ...]
    full: bool = False
    own: bool = False
    exact_own: bool = False


def killed(command: Command) -> Picked | None:
    """The processes that a command kills by pattern; None where it kills none, or picks them by number."""
    program = command.program
    if program in ("pkill", "killall"):
        return None if _harmless(command) else (_pgrep(command) if program == "pkill" else _killall(command))
    if program == "kill" and not _harmless(command):
        return _listed(command)
    if program in _SHELLS and any(one.program in _AWKS and _mentions_kill(one) for one in command.upstream):
        return _listed(command)  # ps | awk '{print "kill -9 " $2}' | sh
    return None


def _harmless(command: Command) -> bool:
    """Does the command only test, pause, list or ask?"""
    texts = [word.text for word in command.words[1:]]
    for position, text in enumerate(texts):
        if (text in ("-s", "--signal", "-n") and command.program != "pkill") or text == "--signal":
            name = texts[position + 1] if position + 1 < len(texts) else ""
        elif text.startswith("--signal="):
            name = text.partition("=")[2]
        elif _SIGNAL.fullmatch(text):
            name = text[1:]
        else:
            if text in ("-l", "-L", "--list", "--help", "--version", "-V", "--interactive"):
                return True
            continue
        return name.upper().removeprefix("SIG") in _HARMLESS
    return command.program == "killall" and "-i" in texts


def _options(command: Command, valued: frozenset[str], long: frozenset[str]) -> tuple[set[str], list[Word]]:
    """The options of a command (letters and long names, without dashes or values) and its other words."""
    options: set[str] = set()
    rest: list[Word] = []
    words = list(command.words[1:])
    at = 0
    while at < len(words):
        text = words[at].text
        if text == "--":
            return options, rest + words[at + 1 :]
        if text.startswith("--"):
            name, given, _ = text[2:].partition("=")
            options.add(name)
            at += name in long and not given
        elif len(text) > 1 and text.startswith("-") and not _SIGNAL.fullmatch(text):
            for position, letter in enumerate(text[1:], start=1):
                options.add(letter)
                if letter in valued:
                    at += position == len(text) - 1
                    break
        elif not _SIGNAL.fullmatch(text):
            rest.append(words[at])
        at += 1
    return options, rest


def _pgrep(command: Command) -> Picked | None:
    options, patterns = _options(command, _PGREP_VALUED, _PGREP_LONG)
    if not patterns:
        return None
    user = not options.isdisjoint({"u", "U", "uid", "euid"})
    exact = not options.isdisjoint({"x", "exact"})
    full = not options.isdisjoint({"f", "full"})
    return Picked(tuple(patterns), full, not options.isdisjoint(_PGREP_OWN), exact and user)


def _killall(command: Command) -> Picked | None:
    options, patterns = _options(command, _KILLALL_VALUED, frozenset({"user", "signal", "ns", "context"}))
    return Picked(tuple(patterns), own="ns" in options) if patterns else None


def _listed(command: Command) -> Picked | None:
    """What ``kill`` gets from commands that list processes, through ``xargs``, ``$(…)``, a variable or a loop."""
    fed = command.upstream if "xargs" in command.via or command.program != "kill" else ()
    sources = tuple(dict.fromkeys(_all_sources((*fed, *command.substituted))))
    picks = [pick for source in sources if (pick := _picking(source)) is not None]
    if not picks or not any(source.program in ("ps", "pgrep", "pidof", "nvidia-smi", "top") for source in sources):
        return None
    return Picked(
        tuple(pattern for pick in picks for pattern in pick.patterns),
        any(pick.full for pick in picks),
        any(pick.own for pick in picks),
        any(pick.exact_own for pick in picks),
    )


def _all_sources(found: tuple[Command, ...]) -> Iterator[Command]:
    for command in found:
        yield command
        yield from _all_sources(command.substituted)


def _picking(command: Command) -> Picked | None:
    """What one command of a pipe that lists processes contributes."""
    program = command.program
    if program == "pgrep":
        return _pgrep(command)
    if program == "pidof":
        names = [word for word in command.words[1:] if not word.text.startswith("-")]
        return Picked(tuple(names)) if names else None
    if program == "ps":
        return _ps(command)
    if program in _GREPS:
        return _grep(command)
    if program in _AWKS:
        return _awk(command)
    return None


def _ps(command: Command) -> Picked | None:
    texts = [word.text for word in command.words]
    own = any(re.fullmatch(r"--ppid(=.*)?|-p|--pid(=.*)?|-g|-s|--sid(=.*)?|-q", text) for text in texts)
    names = [word for before, word in zip(texts, command.words[1:], strict=False) if before == "-C"]
    return Picked(tuple(names), own=own) if names or own else None


def _grep(command: Command) -> Picked | None:
    options, rest = _options(command, frozenset("ABCmf"), frozenset({"regexp", "max-count"}))
    if not options.isdisjoint({"v", "invert-match"}):
        return None
    patterns = rest if "e" in options else rest[:1]
    return Picked(tuple(patterns), full=True) if patterns else None


def _awk(command: Command) -> Picked | None:
    found = []
    for word in command.words[1:]:
        for match in _AWK_PATTERN.finditer(word.text):
            found.append(Word(match[match.lastindex or 0], word.start, word.end, word.literal))
    return Picked(tuple(found), full=True) if found else None


def _mentions_kill(command: Command) -> bool:
    return any(re.search(r"\bkill\b", word.text) for word in command.words[1:])
