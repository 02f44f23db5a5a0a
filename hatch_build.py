"""Ships rules/ inside the wheel as mllint/_rules.

Only for the version "standard": an editable installation reads the checkout's rules/ and leaves no stale copy.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ShipRules(BuildHookInterface):  # type: ignore[type-arg]  # generic only in the newer hatchlings
    """The one hook of this build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"]["rules"] = "mllint/_rules"
