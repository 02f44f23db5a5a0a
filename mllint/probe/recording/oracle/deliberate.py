"""What a custom autograd Function says of itself in its source.

May not: run the Function.
"""

from __future__ import annotations

import inspect

from mllint.analysis.estimators import made_up_on_purpose


def said_of(kind: type, identity: bool = False) -> str:
    """Why its backward may differ from the derivative on purpose; "" where nothing says so."""
    try:
        text = inspect.getsource(kind)
    except (OSError, TypeError):
        text = kind.__doc__ or ""
    return made_up_on_purpose(kind.__name__, text, identity)
