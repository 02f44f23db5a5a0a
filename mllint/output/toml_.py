"""Values as TOML, for settings that are shown.

May not: know which keys there are.
"""

from __future__ import annotations

from collections.abc import Mapping

from mllint.output.style import encodable


def toml_value(value: object) -> str:
    """A value on one line. A tuple of strings is an array, a mapping an inline table."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{toml_key(str(name))} = {toml_value(inner)}" for name, inner in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    return str(value)


def toml_key(name: str) -> str:
    """A key, in quotes where it needs them."""
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else _string(name)


def _string(text: str) -> str:
    import json  # what TOML escapes, JSON escapes the same way

    return json.dumps(encodable(text), ensure_ascii=False).replace("\x7f", "\\u007f")
