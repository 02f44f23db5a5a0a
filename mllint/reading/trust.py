"""Whose packs may run. A pack is code, and checking a repository must not run what came with it.

Packs that the user names (``--rules``, ``--config``, the user's own configuration) run. Those that a configuration
found beside the checked code names are withheld, unless the user lets them run. May not: load a pack.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from mllint.settings import ConfigError, Settings, origin


@dataclass(frozen=True, slots=True)
class Trust:
    """What the user lets run: everything, the packs of these projects (folders), or these packs."""

    everything: bool = False
    projects: tuple[str, ...] = ()
    packs: tuple[str, ...] = ()

    def covers(self, config_path: str, pack: str) -> bool:
        """May a pack run that this configuration file names? Links are followed, so that none leads elsewhere."""
        if self.everything:
            return True
        real = os.path.realpath(config_path)
        return os.path.realpath(pack) in map(os.path.realpath, self.packs) or any(
            real.startswith(os.path.join(os.path.realpath(project), "")) for project in self.projects
        )


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


def at_home(settings: Settings) -> Settings:
    """The settings of the user's own configuration, where a path may begin with ``~``."""
    rules, projects = (tuple(map(os.path.expanduser, paths)) for paths in (settings.rules, settings.allow_packs))
    return replace(settings, rules=rules, allow_packs=projects)


__all__ = ["Trust", "at_home", "own", "withheld"]
