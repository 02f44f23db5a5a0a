"""A check that cannot be made here, as a value of control flow.

May not: be used for a fault of the model; that is a measurement.
"""

from __future__ import annotations


class Skip(Exception):
    """Ends a recorder: the check does not apply, or cannot be made; the reason is shown to the user as it stands.

    One line, lower case, no final period: ``the target has no optimizer``.
    """
