"""What in a file can be probed: one module a kind, tried in order. ``mllint_probe`` is asked first."""

from __future__ import annotations

from mllint.probe.recording.discover.find import Found, find

__all__ = ["Found", "find"]
