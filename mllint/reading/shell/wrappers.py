"""Programs that only run another command: ``sudo``, ``ssh host``, ``bash -c``.

May not: parse shell; it is given words and names the words or the script inside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mllint.reading.located import Located, join
from mllint.reading.shell import Argument, Command

#: Shells: with ``-c`` a word is a script, without a file name they read one from their input.
SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh", "ash", "fish"})

#: Programs that, given nothing to run, hand their input to a shell.
REMOTE_SHELLS = frozenset({"ssh", "su", "runuser", "sshpass"})

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_SUDO_VARIABLE = re.compile(r"\$\{?\w*sudo\w*(:-\w*)?\}?", re.IGNORECASE)
_KEY = re.compile(r"(C|M|S)-\S+|Enter|Escape|Space|Tab|KPEnter")


@dataclass(frozen=True, slots=True)
class Inside:
    """What a wrapper runs: words, or scripts that a shell reads."""

    via: str
    words: tuple[Argument, ...] = ()
    scripts: tuple[Located, ...] = ()


@dataclass(frozen=True, slots=True)
class _Form:
    """A wrapper's command line: options that take a value in the next word, then some words of its own.

    ``joined``: what follows is put together with spaces and read by a shell again.
    """

    valued: frozenset[str] = frozenset()
    own: int = 0
    joined: bool = False
    assignments: bool = False


def _form(valued: str = "", own: int = 0, *, joined: bool = False, assignments: bool = False) -> _Form:
    return _Form(frozenset(valued.split()), own, joined, assignments)


_EXEC = _form("-e -u -w --env --user --workdir --env-file --detach-keys --index", 1)
_PARALLEL_SSH = _form("-h -H -l -p -o -e -t -O -x -X --host --hosts --user --par --timeout", joined=True)

_FORMS = {
    "sudo": _form("-u -g -h -p -C -r -t -T -U -D -R --user --group --chdir", assignments=True),
    "doas": _form("-u -C -a"),
    "env": _form("-u -C --unset --chdir", assignments=True),
    "nohup": _form(),
    "setsid": _form(),
    "nice": _form("-n --adjustment"),
    "ionice": _form("-c -n -p -P -u --class --classdata"),
    "timeout": _form("-s -k --signal --kill-after", 1),
    "gtimeout": _form("-s -k --signal --kill-after", 1),
    "time": _form("-f -o --format --output"),
    "exec": _form("-a"),
    "command": _form(),
    "builtin": _form(),
    "busybox": _form(),
    "stdbuf": _form("-i -o -e --input --output --error"),
    "unbuffer": _form(),
    "caffeinate": _form("-t -w"),
    "flock": _form("-w -E --wait --timeout", 1),
    "taskset": _form("", 1),
    "numactl": _form("-C -N -m -i -p -l --cpunodebind --membind --physcpubind --interleave --preferred"),
    "chroot": _form("", 1),
    "xargs": _form("-I -n -P -L -d -E -a -s -J -R --max-args --max-procs --delimiter --arg-file --replace"),
    "sshpass": _form("-p -f -d"),
    "ssh": _form("-b -B -c -D -E -e -F -I -i -J -L -l -m -O -o -p -P -Q -R -S -W -w", 1, joined=True),
    "rsh": _form("-l", 1, joined=True),
    "pdsh": _form("-w -x -g -X -f -l -t -u -R -P -a_ -F -m -n -p", joined=True),
    "dsh": _form("-m -g -f -r -o", joined=True),
    "clush": _form("-w -g -x -X -f -l -t -u -o -R -m", joined=True),
    "pssh": _PARALLEL_SSH,
    "parallel-ssh": _PARALLEL_SSH,
    "watch": _form("-n --interval", joined=True),
    "eval": _form(joined=True),
    "srun": _form(
        "-A -B -C -D -J -L -M -N -O -P -S -T -W -a -b -c -d -e -g -i -j -m -n -o -p -q -r -t -w -x"
        " --account --chdir --container-image --container-mounts --container-name --cpus-per-task --error --gpus"
        " --gpus-per-node --gres --input --job-name --jobid --mem --mpi --nodelist --nodes --ntasks --ntasks-per-node"
        " --output --partition --qos --time"
    ),
}

_MPI = _form(
    "-np -n -c -N -H -host --host -hostfile --hostfile -machinefile --machinefile -f -x -ppn -map-by --map-by -bind-to"
    " --bind-to -wdir --prefix"
)
_FORMS |= {"mpirun": _MPI, "mpiexec": _MPI}

#: Programs whose sub-command runs something: the words that lead to it.
_SUBCOMMANDS = {
    "docker": _EXEC,
    "podman": _EXEC,
    "nerdctl": _EXEC,
    "docker-compose": _EXEC,
    "kubectl": _form("-n -c --namespace --container --context", 1),
    "oc": _form("-n -c --namespace --container", 1),
    "conda": _form("-n -p --name --prefix --cwd"),
    "mamba": _form("-n -p --name --prefix --cwd"),
    "micromamba": _form("-n -p --name --prefix"),
}


def inside(words: Sequence[Argument]) -> Inside | None:
    """What the program of these words runs, None where it is no wrapper or runs nothing."""
    name = words[0].value.text.rpartition("/")[2]
    if _SUDO_VARIABLE.fullmatch(name):
        return _plain("sudo", words, _FORMS["sudo"])
    if name in SHELLS:
        return _shell(name, words)
    if name in ("su", "runuser"):
        return _switch_user(name, words)
    if name in ("tmux", "screen"):
        return _terminal(name, words)
    if name in _SUBCOMMANDS:
        return _subcommand(name, words)
    if name == "gcloud":
        return _option_script(name, words, "--command")
    if name == "ansible":
        return _option_script(name, words, "-a", "--args")
    if name == "trap":
        given = len(words) > 2 and words[1].value.text.strip(" -")
        return Inside(name, scripts=(words[1].value,)) if given else None
    if name == "env" and len(words) > 2 and words[1].value.text in ("-S", "--split-string"):
        return Inside(name, scripts=(joined(words[2:]),))
    if name == "command" and len(words) > 1 and words[1].value.text in ("-v", "-V"):
        return None
    form = _FORMS.get(name)
    return _plain(name, words, form) if form is not None else None


def _plain(name: str, words: Sequence[Argument], form: _Form, start: int = 1) -> Inside | None:
    """A wrapper that follows its form: options, its own words, then the command."""
    at = _after_options(words, start, form)
    for _ in range(form.own):
        at = _after_options(words, at + 1, form)
    rest = words[at:]
    while rest and rest[0].splat:  # perhaps more options, perhaps nothing
        rest = rest[1:]
    if not rest:
        return None
    if name == "flock" and rest[0].value.text in ("-c", "--command"):
        return Inside(name, scripts=(rest[1].value,)) if len(rest) > 1 else None
    return Inside(name, scripts=(joined(rest),)) if form.joined else Inside(name, tuple(rest))


def _after_options(words: Sequence[Argument], at: int, form: _Form) -> int:
    """The position of the first word from ``at`` on that is no option, option value or assignment."""
    while at < len(words):
        text = words[at].value.text
        if text == "--":
            return at + 1
        if form.assignments and _ASSIGNMENT.match(text):
            at += 1
        elif text.startswith("--") or text in form.valued:
            at += 2 if text in form.valued else 1
        elif text.startswith("-") and len(text) > 1:
            taking = next((i for i in range(1, len(text)) if "-" + text[i] in form.valued), 0)
            at += 2 if taking and taking == len(text) - 1 else 1
        else:
            return at
    return at


def _shell(name: str, words: Sequence[Argument]) -> Inside | None:
    """``bash -lc 'script'``: the script is the first word that is no option, if some cluster has a ``c``."""
    takes_script = False
    at = 1
    while at < len(words) and words[at].value.text[:1] in ("-", "+"):
        text = words[at].value.text
        if text in ("--rcfile", "--init-file"):
            at += 1
        elif not text.startswith("--"):
            takes_script = takes_script or "c" in text
            at += text[-1] in "oO" and len(text) > 1
        at += 1
    return Inside(name, scripts=(words[at].value,)) if takes_script and at < len(words) else None


def _switch_user(name: str, words: Sequence[Argument]) -> Inside | None:
    found = _option_script(name, words, "-c", "--command")
    if found is not None or name == "su":
        return found
    return _plain(name, words, _form("-u -g -G -s --user --group --shell"))


def _option_script(name: str, words: Sequence[Argument], *options: str) -> Inside | None:
    """A script given as an option's value, in the next word or behind ``=``."""
    for position, word in enumerate(words):
        text = word.value.text
        if text in options and position + 1 < len(words):
            return Inside(name, scripts=(words[position + 1].value,))
        for option in options:
            if option.startswith("--") and text.startswith(option + "="):
                return Inside(name, scripts=(word.value.part(len(option) + 1, len(text)),))
    return None


def _terminal(name: str, words: Sequence[Argument]) -> Inside | None:
    """``tmux new -d 'script'``, ``tmux send-keys 'script' Enter``, ``screen -dmS name command``."""
    texts = [word.value.text for word in words]
    if name == "screen":
        if "stuff" in texts:
            typed = words[texts.index("stuff") + 1 :][:1]
            return Inside(name, scripts=tuple(_entered(word.value) for word in typed)) if typed else None
        return _plain(name, words, _form("-S -t -c -h -T -s -p -e -X -r -x"))
    opening = {"new-session", "new", "new-window", "neww", "split-window", "splitw", "respawn-pane", "respawn-window"}
    for position, text in enumerate(texts):
        if text in opening:
            return _plain(name, words, _form("-s -n -c -t -x -y -e -F -l -f", joined=True), position + 1)
        if text in ("send-keys", "send"):
            at = _after_options(words, position + 1, _form("-t -N"))
            keys = tuple(word.value for word in words[at:] if not _KEY.fullmatch(word.value.text))
            return Inside(name, scripts=keys) if keys else None
    return None


def _entered(text: Located) -> Located:
    """Typed text without the written-out return key at its end."""
    return text.part(0, len(re.sub(r"(\\[nr]|\^M|\s)+$", "", text.text)))


def _subcommand(name: str, words: Sequence[Argument]) -> Inside | None:
    """``docker exec -it box command``, ``kubectl exec pod -- command``, ``conda run -n env command``."""
    texts = [word.value.text for word in words]
    verb = "run" if name.endswith(("conda", "mamba")) else "exec"
    if verb not in texts:
        return None
    start = texts.index(verb) + 1
    if name in ("kubectl", "oc") and "--" in texts[start:]:
        rest = tuple(words[texts.index("--", start) + 1 :])
        return Inside(name, rest) if rest else None
    return _plain(name, words, _SUBCOMMANDS[name], start)


def joined(words: Sequence[Argument]) -> Located:
    """The words as the one text that a shell gets to read, a space between each two."""
    parts: list[Located] = []
    for word in words:
        if parts:
            parts.append(Located(" ", (word.start,), (word.start,)))
        parts.append(word.value)
    return join(parts)


def reads_script(command: Command) -> bool:
    """Does this command take shell commands from its input?"""
    if command.program in REMOTE_SHELLS:
        return True
    options = [word.text for word in command.words[1:]]
    return command.program in SHELLS and ("-s" in options or all(text.startswith("-") for text in options))
