"""What a name or a pattern is about: a training program, plain Python, or something else.

May not: look at a file. Judges texts by the words in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mllint.reading.located import HOLE

_TRAINING = re.compile(
    r"(?:pre|re|post)?train(?:er|ers|ing|ed|s)?\d*|fine?tun(?:e|er|ed|ing)|finetun\w*|pretrain\w*|distill\w*"
    r"|sft|grpo|dpo|ppo|rlhf|eval|evals|evaluate|evaluation|evaluator|torchrun|torch|pytorch|deepspeed"
    r"|megatron|accelerate|lightning|horovod|horovodrun|mpirun|mpiexec|torchelastic|dataloader|dataloaders|multiprocessing|axolotl"
)
_PYTHON = re.compile(r"i?python[\d.]*|py|pypy\d*")
#: Programs and kinds of programs that hold no training run, whatever language they are written in.
_OTHER_TEXT = (
    "adb api app apps apache apache2 autossh bash binary bot browser caddy celery chat chrome chromedriver "
    "chromium clash cloudflared code comfyui compositor consumer cron daemon dashboard deno dev django docker "
    "electron emulator fastapi ffmpeg firefox flask flower forward frontend backend frpc gateway gateways gazebo "
    "go gradio grafana gunicorn gzclient gzserver http httpd hypercorn java jupyter kafka kubectl lab lsp mcp "
    "mlflow mongod mpv mysqld nginx ngrok node nodejs notebook npm ollama openai playwright postgres prometheus "
    "proxy qemu raylet react redis rest ros roscore roslaunch rosmaster runserver rviz selenium serve server "
    "servers service serving sglang sleep socat socket spark ssh sshd streamlit swaybg tail telegram tensorboard tgi tmux "
    "triton tritonserver tunnel ui uvicorn uwsgi vim vite vllm wandb watch watchdog watcher web webdriver webui "
    "websocket wine xorg xterm xvfb yarn"
)
_OTHER = frozenset(_OTHER_TEXT.split())
#: With one of these in front, what follows is its argument and not a program.
_RUNNERS_TEXT = (
    "autossh chrome chromium deno docker electron ffmpeg firefox go gzserver java jupyter kubectl less mlflow "
    "node nodejs npm ollama php roslaunch ruby sglang ssh streamlit tail tensorboard uvicorn vim vllm wandb watch "
    "yarn"
)
_RUNNERS = frozenset(_RUNNERS_TEXT.split())
#: Words in the name of an unknown value that say what it limits the choice to.
_LIMITING = frozenset(
    [
        "cwd",
        "dir",
        "directory",
        "display",
        "folder",
        "guid",
        "home",
        "id",
        "log",
        "logdir",
        "logfile",
        "path",
        "pid",
        "pids",
        "port",
        "ppid",
        "pwd",
        "root",
        "socket",
        "timestamp",
        "tmp",
        "tmpdir",
        "uid",
        "uuid",
        "workdir",
    ]
)
_VARIABLE = re.compile(r"\$\{?(\w+)[^}\s]*\}?|\$\([^)]*\)|`[^`]*`")
#: Something below a folder that is only known when the command runs.
_BELOW_UNKNOWN = re.compile(rf"(?:\$\{{?\w+[^}}/]*\}}?|\$\([^)]*\)|`[^`]*`|{HOLE}|~\w*)/.*\w")
#: What a pattern consists of: expansions, sets and escapes are kept whole.
_TOKEN = re.compile(r"\$\([^)]*\)|\$\{[^}]*\}|`[^`]*`|\[\^?\]?[^\]]*\]|\\.|.", re.DOTALL)
_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/opt/", "/lib/")


def names_training(name: str) -> bool:
    """Is this program name one that trains, or Python, which may?"""
    plain = _plain(name).strip()
    words = _words(plain)
    if plain in ("pt_main_thread", "pt_data_worker") or any(_TRAINING.fullmatch(word) for word in words):
        return True
    return _OTHER.isdisjoint(words) and any(_PYTHON.fullmatch(word) for word in words)


def aims_at_training(pattern: str, known: bool, source: str) -> bool:
    """Does a pattern for whole command lines hit training runs? ``source`` is how an unknown one is written.

    A pattern that says nothing at all about the program is taken for one that may.
    """
    if is_private_path(pattern):
        return False
    literal = _plain(_VARIABLE.sub(" ", pattern).replace(HOLE, " "))
    words = _words(literal)
    if words and words[0] in _RUNNERS:
        return False
    if any(_TRAINING.fullmatch(word) for word in words) or "pt_main_thread" in literal or "pt_data_worker" in literal:
        return True
    if not _OTHER.isdisjoint(words):
        return False
    if any(_PYTHON.fullmatch(word) for word in words):
        return True
    return not known and not any(len(word) > 1 for word in words) and not _limits(source)


def says_something(pattern: str) -> bool:
    """Does a pattern hold more than what is only known when the command runs?"""
    return bool(_VARIABLE.sub("", pattern).strip(f"{HOLE} "))


def alternatives(pattern: str) -> list[str]:
    """What a pattern with ``a|b`` or ``x (a|b)`` stands for, each way spelled out."""
    tokens = _TOKEN.findall(pattern)
    opened = tokens.count("(") + tokens.count("\\(")
    if opened > 8 or opened != tokens.count(")") + tokens.count("\\)"):
        return re.split(r"\\?\|", pattern)
    return _spelled_out(iter(tokens))


def _spelled_out(tokens: Iterator[str]) -> list[str]:
    """The alternatives up to the end of the group that these tokens begin in; at most 32."""
    done: list[str] = []
    current = [""]
    for token in tokens:
        plain = token[-1] if token in ("\\(", "\\)", "\\|") else token
        if plain == ")":
            break
        if plain == "|":
            done += current
            current = [""]
        else:
            following = _spelled_out(tokens) if plain == "(" else [token]
            current = [before + after for before in current for after in following][:32]
    return (done + current)[:32]


def is_private_path(pattern: str) -> bool:
    """Does a pattern name a whole path that belongs to one run or user, not to the system?"""
    if any(_BELOW_UNKNOWN.match(part.lstrip("^").replace("\\", "")) for part in re.split(r"[\s|]+", pattern)):
        return True
    for part in re.split(r"[\s|]+|\.\*", pattern):
        path = part.lstrip("^").replace("\\", "").rstrip("$")
        own = path.startswith("/") and not path.startswith(_SYSTEM) and path.count("/") >= 3
        if own and not re.fullmatch(r"python[\d.]*|", path.rpartition("/")[2]):  # an interpreter says nothing
            return True
    return False


def _limits(source: str) -> bool:
    """Does the way an unknown pattern is written name a limit (a folder, a port) or another kind of program?"""
    words = _words(re.sub(r"([a-z])([A-Z])", r"\1_\2", source).lower())
    return any(word in _LIMITING or word in _OTHER for word in words)


def _plain(pattern: str) -> str:
    """A pattern without what makes it a pattern: ``[p]ython.*train\\.py`` is ``python train.py``."""
    text = re.sub(r"\[(\w)\]", r"\1", re.sub(r"\[\[:\w+:\]\][*+]?", " ", pattern.lower()))
    return re.sub(r"\.\*|\.\+|\\[sb][*+]?|\\(?=\W)|[\^$]", lambda match: "" if match[0] == "\\" else " ", text)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+\d*(?:\.\d+)*", text)
