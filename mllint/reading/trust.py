"""Whose packs may run. A pack is code, and checking a repository must not run what came with it.

Packs that the user names (``--rules``, ``--config``, the user's own configuration) run. Those that a configuration
found beside the checked code names are withheld, unless the user lets them run. May not: load a pack.
"""

from __future__ import annotations

import os
from dataclasses import replace

from mllint.record import dataclass
from mllint.settings import ConfigError, Settings, origin


@dataclass(frozen=True, slots=True)
class Trust:
    """What the user lets run: everything, the packs of these projects (folders), or these packs."""

    everything: bool = False
    projects: tuple[str, ...] = ()
    packs: tuple[str, ...] = ()

    def covers(self, config_path: str, pack: str) -> bool:
        """May a pack run that this configuration file names? Links are followed, so that none leads elsewhere."""
        if self.everything or os.path.realpath(pack) in map(os.path.realpath, self.packs):
            return True
        real = os.path.realpath(config_path)
        ours = any(real.startswith(os.path.join(os.path.realpath(project), "")) for project in self.projects)
        return ours and os.path.realpath(pack) == _meant(config_path, real, pack)


def _meant(config_path: str, real: str, pack: str) -> str:
    """Where a configuration file itself has a pack, if it is reached through a link: seen from there, its `../lint` may
    be somebody else's folder."""
    folder = os.path.dirname(config_path)
    try:
        written = pack if real == config_path else os.path.relpath(pack, folder)
    except ValueError:  # on another drive: no link leads there
        written = pack
    return os.path.realpath(os.path.join(os.path.dirname(real), written))


def own(settings: Settings, everything: bool) -> Trust:
    """What the user's own configuration and ``--allow-packs`` let run."""
    return Trust(everything, settings.allow_packs, settings.rules)


def withheld(settings: Settings, trust: Trust) -> Settings:
    """The settings of a configuration found beside the checked code, without the packs that may not run.

    Raises ConfigError where such a file grants itself what only the user can.
    """
    if settings.allow_packs and origin(settings, "allow_packs") == settings.config_path:
        raise ConfigError(
            f"{settings.config_path}: `allow-packs` counts in your own configuration only (`mllint config allow-packs` "
            "says where that is); remove it here"
        )
    kept = tuple(pack for pack in settings.rules if trust.covers(settings.config_path, pack))
    return replace(
        settings, rules=kept, allow_packs=(), withheld=tuple(pack for pack in settings.rules if pack not in kept)
    )


def expanded(settings: Settings) -> Settings:
    """The settings with the home folder for each ``~`` that a path begins with. Raises ConfigError where there is none:
    a path that stayed as it is would start from the current folder, which may be anybody's."""
    rules = tuple(_expanded(path, settings, "rules") for path in settings.rules)
    return replace(
        settings,
        rules=rules,
        allow_packs=tuple(_expanded(path, settings, "allow_packs") for path in settings.allow_packs),
        baseline=_expanded(settings.baseline, settings, "baseline"),
        cache_dir=_expanded(settings.cache_dir, settings, "cache_dir"),
        withheld=tuple(pack for pack in settings.withheld if pack not in rules),
    )


def _expanded(path: str, settings: Settings, name: str) -> str:
    if not path.startswith("~"):
        return path
    found = os.path.expanduser(path)
    if not os.path.isabs(found):
        where, key = origin(settings, name), name.replace("_", "-")
        raise ConfigError(f"{where}: `{key}` names `{path}`, but no home folder is known for it; write the whole path")
    return found.replace(os.sep, "/")


__all__ = ["Trust", "expanded", "own", "withheld"]
