"""What in a file can be probed: one module a kind, tried in order. ``mllint_probe`` is asked first."""
