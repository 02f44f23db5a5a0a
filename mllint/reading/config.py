"""Configuration: found the way ruff finds it, read as TOML, one `Settings` for each folder.

The closest ``.mllint.toml``, ``mllint.toml`` or ``pyproject.toml`` with ``[tool.mllint]`` counts, alone: nothing
is inherited from one further up, but for what it names with ``extend``. May not: read checked code, or know what a setting does.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from mllint.reading.trust import expanded, own, withheld
from mllint.settings import ConfigError, Flags, Settings, flags_from_table, from_table, merge

#: In one folder the first of these that configures mllint wins.
CONFIG_NAMES = (".mllint.toml", "mllint.toml", "pyproject.toml")

_ROOT_MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")


def posix(path: str) -> str:
    """A path with forward slashes, on every system."""
    return path.replace(os.sep, "/") if os.sep != "/" else path


def parents(folder: str) -> Iterator[str]:
    """An absolute folder with forward slashes, and each folder above it."""
    while True:
        yield folder
        above = os.path.dirname(folder)
        if above == folder:
            return
        folder = above


class Finder:
    """Answers which settings hold where; each folder is looked at once.

    ``config`` are the values of ``--config``: at most one file, and any number of ``key = value``. As in ruff,
    a file given this way holds for every checked file and its relative patterns start from ``cwd``.
    ``home`` is the folder of the user's own configuration, which holds where no other is found; ``allow_packs`` lets
    packs of rules run whoever names them. Raises ConfigError, here or from any question.
    """

    def __init__(
        self,
        cwd: str,
        flags: Flags | None = None,
        config: Sequence[str] = (),
        isolated: bool = False,
        home: str = "",
        allow_packs: bool = False,
    ) -> None:
        self.cwd = posix(os.path.abspath(cwd))
        file, inline = _given(config, self.cwd)
        self._layers = [*inline, flags or Flags(cwd=self.cwd)]
        self._known: dict[str, Settings] = {}
        self._roots: dict[str, str] = {}
        self._fixed: Settings | None = None
        if file and isolated:
            raise ConfigError(f"--config {file} cannot be used with --isolated; give one of them")
        if file:
            given = _settings(file, self.cwd) or Settings(root=self.cwd, config_path=file)
            self._fixed = self._layered(given)
        self._home = Settings() if isolated or not home else _at_home(home)
        self._trust = own(self._home, allow_packs)
        self._default = self._layered(self._home)
        if isolated:
            self._fixed = self._default

    def settings(self, folder: str) -> Settings:
        """The settings for the files of an absolute folder."""
        if self._fixed is not None:
            return self._fixed
        passed: list[str] = []
        found = self._default
        for above in parents(folder):
            known = self._known.get(above) or self._own(above)
            passed.append(above)
            if known is not None:
                found = known
                break
        for above in passed:
            self._known[above] = found
        return found

    def enter(self, folder: str, names: Collection[str], above: Settings) -> Settings:
        """The settings for a folder with these entries, below a folder with the settings ``above``."""
        if self._fixed is not None:
            return self._fixed
        if folder not in self._known:
            configured = any(name in names for name in CONFIG_NAMES)  # spares three stats a folder
            self._known[folder] = (self._own(folder) if configured else None) or above
        return self._known[folder]

    def project_root(self, path: str, settings: Settings) -> str:
        """`project_root`, remembered for each folder."""
        folder = os.path.dirname(path)
        if _below(path, settings.root):
            return settings.root
        if folder not in self._roots:
            self._roots[folder] = project_root(path, settings)
        return self._roots[folder]

    def _own(self, folder: str) -> Settings | None:
        """The settings of the configuration file in this very folder; None without one."""
        for name in CONFIG_NAMES:
            path = f"{folder.rstrip('/')}/{name}"
            if os.path.isfile(path):
                found = _settings(path, folder)
                if found is not None:
                    ours = path == self._home.config_path
                    return self._layered(found if ours else withheld(expanded(found), self._trust))
            elif os.path.islink(path) and not os.path.exists(path):
                raise ConfigError(f"{path}: a symbolic link to nothing; remove it or restore the file")
        return None

    def _layered(self, settings: Settings) -> Settings:
        for layer in self._layers:
            settings = merge(settings, layer)
        return expanded(settings)


def _at_home(folder: str) -> Settings:
    """The user's own settings, whose patterns start from the current folder; the defaults where there are none."""
    for name in CONFIG_NAMES:
        path = f"{folder.rstrip('/')}/{name}"
        found = _settings(path, "") if os.path.isfile(path) else None
        if found is not None:
            return expanded(found)
    return Settings()


def project_root(path: str, settings: Settings) -> str:
    """The folder of the project that an absolute file belongs to: that of its configuration, else the closest
    one above it with a pyproject.toml, setup.py, setup.cfg or .git; "" if there is none."""
    if _below(path, settings.root):
        return settings.root
    for folder in parents(os.path.dirname(path)):
        if any(os.path.exists(f"{folder.rstrip('/')}/{marker}") for marker in _ROOT_MARKERS):
            return folder
    return ""


def _below(path: str, root: str) -> bool:
    return bool(root) and path.startswith(root.rstrip("/") + "/")


def _given(config: Sequence[str], cwd: str) -> tuple[str, list[Flags]]:
    """The file among the values of ``--config`` ("" without one), and what the others decide, in order."""
    file = ""
    inline: list[Flags] = []
    for value in config:
        path = posix(os.path.abspath(os.path.join(cwd, value)))
        # A pair is no path, whatever files there are: one called `fix=true` in the checked code is not the user's word.
        if os.path.isfile(path) and not _is_pair(value):
            if file:
                raise ConfigError(f"--config {value}: a second configuration file; give only one")
            file = path
        else:
            inline.append(_inline(value, cwd))
    return file, inline


def _is_pair(value: str) -> bool:
    """Is a value of ``--config`` a `key = value` as it stands?"""
    try:
        return bool(_parse(value, ""))
    except ConfigError:
        return False


def _inline(value: str, cwd: str) -> Flags:
    """What ``--config 'key = value'`` decides."""
    where = f"--config {value!r}"
    try:
        table = _parse(value, where)
    except ConfigError as error:
        if "=" in value and not value.endswith(".toml"):
            raise
        raise ConfigError(f"--config {value}: no such file; give a TOML file or a `key = value` pair") from error
    if not table:
        raise ConfigError(f"{where}: decides nothing; give a TOML file or a `key = value` pair")
    return flags_from_table(table, where=where, cwd=cwd)


def _settings(path: str, root: str, above: tuple[str, ...] = ()) -> Settings | None:
    """The settings of one configuration file, over those that it extends; None for a pyproject.toml without
    ``[tool.mllint]``. ``above`` are the files on whose behalf it is read."""
    table = _table(path)
    if table is None:
        return None
    named = table.get("extend")
    if not isinstance(named, str):
        return from_table(table, config_path=path, root=root)
    base_path = _extended(named, path)
    chain = (*above, path)
    if base_path in chain:
        circle = " extends ".join(f"`{file}`" for file in (*chain, base_path))
        raise ConfigError(f"{path}: `extend` goes round in a circle: {circle}; remove one of them")
    if not os.path.isfile(base_path):
        wrong = "is a folder" if os.path.isdir(base_path) else "does not exist"
        raise ConfigError(f"{path}: `extend` names `{base_path}`, which {wrong}; name a configuration file")
    own = os.path.dirname(path) == root  # else all of them start from the current folder, as `--config` asks
    base = _settings(base_path, os.path.dirname(base_path) if own else root, chain)
    return from_table({**table, "extend": base_path}, config_path=path, root=root, base=base)


def _extended(named: str, path: str) -> str:
    """The absolute path of a file that ``extend`` names, with ``~`` and variables of the environment as in ruff."""
    written = os.path.expanduser(os.path.expandvars(named))
    return posix(os.path.normpath(os.path.join(os.path.dirname(path), written)))


def _table(path: str) -> dict[str, Any] | None:
    """The table of keys in a configuration file; None for a pyproject.toml without ``[tool.mllint]``."""
    table = _parse(_text(path), path)
    if os.path.basename(path) == "pyproject.toml":
        tool = table.get("tool", {})
        section = tool.get("mllint") if isinstance(tool, dict) else None
        if section is None:
            return None
        if not isinstance(section, dict):
            raise ConfigError(f"{path}: `tool.mllint` must be a table; write `[tool.mllint]`")
        return section
    return table


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}; TOML files must be") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"{path}: {reason}; make it readable, or pass --isolated to do without it") from error


def _parse(text: str, where: str) -> dict[str, Any]:
    """TOML as a table. Raises ConfigError with row and column."""
    if not text.strip():  # a file that only marks the root of a project: the parser takes 4 ms to import
        return {}
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax_error(str(error), text, where)) from error
    except RecursionError as error:
        raise ConfigError(f"{where}: nested too deeply to be a configuration") from error


def _syntax_error(message: str, text: str, where: str) -> str:
    """``file:row:column: not valid TOML: reason`` out of what the parser says in prose."""
    spot = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if spot:
        row, column, reason = spot[1], spot[2], message[: spot.start()]
    else:
        lines = text.splitlines() or [""]
        row, column = str(len(lines)), str(len(lines[-1]) + 1)
        reason = message.removesuffix(" (at end of document)") + ", at the end"
    return f"{where}:{row}:{column}: not valid TOML: {reason[:1].lower()}{reason[1:]}"
