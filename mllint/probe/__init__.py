"""The probe: run the real model for a few steps, record what happened as plain data, judge that.

`trace`, `measured/`, `judge` and the report know no torch; only `recording/` does, and it runs in a child process.
"""
