"""The HTML report of a probe: one self-contained page, made from a trace and its verdict alone."""
