"""ML401: see the class for the page.

May not: read shell or guess what a pattern that names another program might hit as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise, product
from typing import TYPE_CHECKING

from mllint.diagnostic import Diagnostic, Fix, Safety, Severity
from mllint.reading.located import HOLE
from mllint.reading.shell import Command, Word
from mllint.rule import Meta, Rule

if TYPE_CHECKING:
    import libcst

    from mllint.analysis.commands.selection import Picked
    from mllint.analysis.context import Context

#: In documentation: the command is shown as what not to do.
_WARNS = re.compile(
    r"\bnever\b(?! mind)|\b(do not|don['’]t|dont|must not|mustn['’]t|should not|shouldn['’]t)\b(?! forget)|\binstead of\b"
    r"|\brather than\b|(?<!to )\bavoid(ing|s)?\b|\bdangerous\b|\bharmful\b|\bforbidden\b|\bprohibited\b|\banti-?pattern"
    r"|\bunsafe\b|\bbad\b|\bwrong\b|\bbeware\b|\bcaution\b|[❌🚫⛔]|禁止|不要",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)\}?")
_UNKNOWN = frozenset({"$", "`", HOLE})
#: A word of a shell script that takes nothing from a command, without its quotes.
_SHELL_WORD = re.compile(
    r"(?:\"((?:[^\"\\`$]|\\.|\$(?!\())+)\"|'([^']+)'|((?:[^\s\"'$`;&()|<>\\]|\\.|\$(?!\())+))(?=$|[\s;&])"
)
#: Wrappers that keep their command's words as they are, so that a replacement for it stands where it should.
_TRANSPARENT = frozenset({"sudo", "doas", "nohup", "env", "exec", "command", "timeout", "time", "nice", "xargs"})


class KillByPattern(Rule):
    """Processes are killed by a pattern that other training runs and DataLoader workers match too.

    ## Why

    Somebody had started a training twice by mistake and cleaned up with `pkill -f train.py`. The pattern matched the
    original run as well, and every DataLoader worker, because a worker is forked from its run and carries the
    same command line. Nothing resumed on its own, and eight epochs were gone. On a shared machine the same command ends
    the runs of colleagues. A process is identified by its number: keep it when the run starts.

    ## Bad

    ```sh
    ssh "$HOST" 'pkill -9 -f train.py'
    ps aux | grep train.py | grep -v grep | awk '{print $2}' | xargs kill
    ```

    ```python
    import subprocess

    subprocess.run(["pkill", "-f", "train.py"], check=False)
    ```

    ## Good

    ```sh
    python train.py & echo $! > train.pid
    kill "$(cat train.pid)"
    ```

    ```python
    import os
    import signal
    import subprocess

    run = subprocess.Popen(["python", "train.py"], start_new_session=True)
    os.killpg(run.pid, signal.SIGTERM)
    ```

    ## Fix safety

    Shown, never applied: the number of the process has to be kept where the run is started, in another place.

    ## Known limits

    - A pattern that names another program (`Xorg`, `vllm serve`, a web server) is left alone, although such a
      program may have workers too; so is a name without `-f` that is only known at run time.
    - A pattern with a whole path of its own (`/home/me/run7/train.py`, `$RUN_DIR/train.py`) counts as meant, as do
      `-P`, `-g`, `-s`, `-F` and an exact name (`-x`) of one user.
    - Signals that end nothing (0, `STOP`, `CONT`, `USR1`, `USR2`) are not reported.
    - In Markdown only code blocks are read, and not where the text around them warns.
    - Numbers that Python code itself picks out of the lines of `ps` and passes to `os.kill` are not followed.

    ## References

    - <https://man7.org/linux/man-pages/man1/pgrep.1.html>
    - <https://docs.python.org/3/library/os.html#os.killpg>
    """

    meta = Meta(
        code="ML401",
        name="kill-by-pattern",
        severity=Severity.ERROR,
        since="0.1.0",
        triggers=(
            ("kill", "terminate", "send_signal"),
            ("pkill", "killall", "grep", "awk", "pidof", "process_iter", "pids(", "-C"),
        ),
        fix=Safety.DISPLAY,
    )

    def visit_command(self, command: Command, ctx: Context) -> Iterator[Diagnostic]:
        from mllint.analysis.commands.programs import says_something  # here, because every run loads this file
        from mllint.analysis.commands.selection import killed

        picked = killed(command)
        if picked is None or picked.own or picked.exact_own or not _passes_gate(ctx):
            return
        if command.host == "markdown" and _WARNS.search(command.prose):
            return
        if not _hits_training(picked, ctx):
            return
        start = command.upstream[0].start if _is_piped(command) else command.start
        pattern = _shortened(" ".join(_shown(word, ctx) for word in picked.patterns))
        program = command.program if command.program in ("pkill", "killall") else "kill"
        known = any(says_something(_filled(word, ctx)) for word in picked.patterns)
        hit = "also hits other runs and DataLoader workers" if known else "hits whatever process matches at run time"
        message = f"`{program}` by pattern `{pattern}` {hit}"
        yield ctx.report((start, command.end), message, fix=_by_number(start, command, ctx))

    def visit_For(self, node: libcst.For, ctx: Context) -> Iterator[Diagnostic]:
        from mllint.analysis.commands.process_loops import call_ending_by_pattern, kill_of_listed

        listed = kill_of_listed(node, ctx)
        if listed is not None:
            yield from self.visit_command(listed, ctx)
        call = call_ending_by_pattern(node, ctx)
        if call is not None:
            message = "this loop ends processes by command line: other runs and DataLoader workers match too"
            yield ctx.report(call, message)


def _passes_gate(ctx: Context) -> bool:
    """Is the file one that the triggers let through? A name put together from pieces (`"pk" "ill"`) is not sought."""
    return all(any(phrase.encode() in ctx.source.data for phrase in group) for group in ctx.meta.triggers)


def _hits_training(picked: Picked, ctx: Context) -> bool:
    """Do the patterns, all together, hit training runs? One with ``a|b`` is as good as either."""
    from mllint.analysis.commands.programs import aims_at_training, alternatives, names_training

    texts = [_filled(word, ctx) for word in picked.patterns]
    known = [word.literal or not set(text) & _UNKNOWN for text, word in zip(texts, picked.patterns, strict=True)]
    if not picked.full:
        names = (name for text, is_known in zip(texts, known, strict=True) if is_known for name in alternatives(text))
        return any(names_training(name) for name in names)
    source = " ".join([*(ctx.code((word.start, word.end)) for word in picked.patterns), *texts])
    choices = product(*(alternatives(text) for text in texts))
    return any(aims_at_training(" ".join(choice), all(known), source) for choice in islice(choices, 32))


def _filled(word: Word, ctx: Context) -> str:
    """A pattern with the shell variables filled in whose every value the file shows."""
    if word.literal or ctx.source.kind in ("python", "notebook"):
        return word.text
    return _VARIABLE.sub(lambda found: _any_of(_values(found[1], ctx)) or found[0], word.text)


def _any_of(values: Sequence[str]) -> str:
    return f"({'|'.join(values)})" if len(values) > 1 else "".join(values)


def _values(name: str, ctx: Context) -> list[str]:
    """The texts that a variable is set to, or takes in a loop; none where one of them comes from a command."""
    script = re.sub(r"\\\r?\n[ \t]*", " ", ctx.source.text)
    given = re.findall(rf"(?<![\w$-]){name}=([^\n]*)|\bfor {name} in ([^\n;]+)", script)
    found: list[str] = []
    for value, listed in given:
        words = list(_SHELL_WORD.finditer(listed)) if listed else [_SHELL_WORD.match(value)]
        if None in words or (listed and _SHELL_WORD.sub("", listed).strip()):
            return []
        found += [word[word.lastindex or 0] for word in words if word is not None]
    return found


def _is_piped(command: Command) -> bool:
    """Does the command read the numbers from a pipe in front of it, on the same page?"""
    reads = "xargs" in command.via or command.program not in ("kill", "pkill", "killall")
    return reads and bool(command.upstream) and command.upstream[0].start < command.start


def _shown(word: Word, ctx: Context) -> str:
    """A pattern, and where nothing of it is known the expression that stands for it."""
    return ctx.code((word.start, word.end)) if not word.text.strip(HOLE) else word.text


def _shortened(text: str) -> str:
    text = " ".join(text.replace(HOLE, "…").replace("`", "'").split())
    return text if len(text) <= 30 else text[:29] + "…"


def _by_number(start: int, command: Command, ctx: Context) -> Fix | None:
    """Show the kill by number, where the command stands on its own and not inside quotes."""
    written = ctx.source.data[start : command.end].decode("utf-8", "replace")
    in_place = all(start <= source.start < command.end for source in command.substituted)
    in_order = all(one.end <= other.start for one, other in pairwise(command.words))
    if not in_place or not in_order or not _TRANSPARENT.issuperset(command.via) or written[0] in "\"'":
        return None
    text = 'kill "$(cat train.pid)"'
    if command.host == "python":
        if re.search(r"[\"'\n]", written):
            return None
        text = "kill $(cat train.pid)"
    if command.host == "makefile":
        text = text.replace("$", "$$")
    return ctx.fix("Kill the run by its number, kept when it started", ctx.replace((start, command.end), text))
