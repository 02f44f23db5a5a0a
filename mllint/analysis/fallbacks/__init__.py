"""Exception handlers that put something else in the place of what failed, and say nothing."""
