"""Heavy libraries, imported on first use.

May not: import libcst (0.13 s) or torch (seconds) when this module is imported.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import libcst as cst
else:

    class _Late:
        """Stands for a module until an attribute of it is read."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            value = getattr(importlib.import_module(self._name), attribute)
            setattr(self, attribute, value)  # the next read costs a plain attribute look-up
            return value

    cst = _Late("libcst")

__all__ = ["cst"]
