"""ASCII for characters that are not.

May not: know where a character stands, beyond the quotes around it.
"""

from __future__ import annotations

import unicodedata

#: Punctuation with ASCII that says the same. Nothing here can end a comment: no ``/``, and no ``*``.
PUNCTUATION = {
    **dict.fromkeys("‐‑‒–—―−⁃•‣", "-"),
    **dict.fromkeys("‘’‚′", "'"),
    **dict.fromkeys("“”„″«»", '"'),
    **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000\u2028\u2029", " "),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", ""),
    **dict.fromkeys("·⋅․", "."),
    **dict.fromkeys("×✕", "x"),
    "…": "...",
    "→": "->",
    "←": "<-",
    "↔": "<->",
    "⇒": "=>",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "±": "+-",
}


def in_ascii(character: str, quotes: str = "") -> str | None:
    """ASCII for a character, None where there is none. Never the ``quotes`` that would end the literal around it."""
    known = PUNCTUATION.get(character)
    if known is not None:
        return "`" if known and known in quotes else known
    parts = unicodedata.normalize("NFKD", character)
    plain = parts.encode("ascii", "ignore").decode()
    if plain.isalnum():
        return plain
    name = unicodedata.name(parts[0], "")
    return name.rpartition(" ")[2].lower() if name.startswith("GREEK SMALL LETTER ") else None
